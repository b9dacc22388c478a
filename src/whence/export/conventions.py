"""What our columns, kinds and fields are called in OpenTelemetry: one table, with a version."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from whence.model.version import __version__

__all__ = [
    "ATTRIBUTES",
    "COLUMNS",
    "EVENT_PREFIX",
    "KINDS",
    "MODELS",
    "RESOURCE",
    "SCHEMA_URL",
    "TEXTS",
    "VERSION",
    "native_table",
]

# Goes up whenever a name below changes.
VERSION = "1"

# The semantic conventions that the names of others are taken from; the last release with gen_ai.
# All gen_ai names are "in development" there.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.1"

# An event is called `whence.` and its type with `_` as `.`, unless its kind has an `otel_name`.
EVENT_PREFIX = "whence."

# Our columns, as attributes of a log record or span. What has a place of its own there is left out
# of this table: time, severity, trace and span ids, a log record's rationale (its body).
COLUMNS = MappingProxyType(
    {
        "event_type": "whence.event_type",
        "component": "whence.component",
        "event_id": "whence.event_id",
        "request_id": "whence.request_id",
        "decision_chain_id": "whence.decision_chain_id",  # where it is not the request's
        "model_id": "whence.model_id",
        "gen_ai_model": "gen_ai.request.model",  # model_id of an event with gen_ai attributes
        "rationale": "whence.rationale",  # of a span
        "severity": "whence.severity",  # of a span, unless Info
        "duration_ns": "whence.duration_ns",  # of a log record
        "decision": "whence.decision",
        "chosen": "whence.decision.chosen",  # names of the options that were chosen
        "options": "whence.decision.options",  # a list of maps with the four keys below
        "option.name": "name",
        "option.chosen": "chosen",
        "option.reason": "reason",
        "option.scores": "scores",
        "caused_by": "whence.caused_by",
        "lineage_id": "whence.lineage_id",  # as text: 64 unsigned bits
        "links": "whence.links",  # of a log record, which has no links: a list of maps
        "link.type": "whence.link.type",  # of a link: caused_by, lineage or lineage_parent
        "link.trace_id": "trace_id",
        "link.span_id": "span_id",
        "weight": "whence.weight",  # how many events a sampled one stands for
        "text_lost": "whence.text_lost",
        "truncated": "whence.truncated",
        # attributes that OpenTelemetry programs leave, which go back to the fields they came from
        "otel.span_kind": "otel.span.kind",
        "otel.dropped_attributes": "otel.dropped_attributes_count",
        "otel.dropped_events": "otel.dropped_events_count",
        "otel.dropped_links": "otel.dropped_links_count",
    }
)

# Of a session.
RESOURCE = MappingProxyType(
    {
        "service": "service.name",
        "uuid": "service.instance.id",
        "pid": "process.pid",
        "host": "host.name",
        "python": "process.runtime.version",
        "name": "whence.session",
        "run": "whence.run",
    }
)

_DOTTED = """
    gen_ai.agent.description gen_ai.agent.id gen_ai.agent.name gen_ai.agent.version
    gen_ai.conversation.id gen_ai.data_source.id gen_ai.embeddings.dimension.count
    gen_ai.evaluation.explanation gen_ai.evaluation.name gen_ai.evaluation.score.label
    gen_ai.evaluation.score.value gen_ai.input.messages gen_ai.operation.name
    gen_ai.output.messages gen_ai.output.type gen_ai.prompt.name gen_ai.provider.name
    gen_ai.request.choice.count gen_ai.request.encoding_formats
    gen_ai.request.frequency_penalty gen_ai.request.max_tokens gen_ai.request.model
    gen_ai.request.presence_penalty gen_ai.request.seed gen_ai.request.stop_sequences
    gen_ai.request.stream gen_ai.request.temperature gen_ai.request.top_k gen_ai.request.top_p
    gen_ai.response.finish_reasons gen_ai.response.id gen_ai.response.model
    gen_ai.response.time_to_first_chunk gen_ai.system_instructions gen_ai.token.type
    gen_ai.tool.call.arguments gen_ai.tool.call.id gen_ai.tool.call.result
    gen_ai.tool.definitions gen_ai.tool.description gen_ai.tool.name gen_ai.tool.type
    gen_ai.usage.cache_creation.input_tokens gen_ai.usage.cache_read.input_tokens
    gen_ai.usage.input_tokens gen_ai.usage.output_tokens gen_ai.workflow.name
    client.address code.file.path code.function.name code.line.number error.type
    exception.message exception.stacktrace exception.type http.request.method
    http.response.status_code http.route server.address server.port thread.id thread.name
    url.full url.path url.scheme user_agent.original
"""
# Only proposed there so far (semantic-conventions-genai, issue 239).
_PROPOSED = "gen_ai.agent.decision.id gen_ai.agent.decision.outcome"

# Fields of any kind: Python's parameters have no dots, so `gen_ai_usage_input_tokens` and the like
# go out under the conventions' names. Any other field keeps its name.
ATTRIBUTES = MappingProxyType(
    {name.replace(".", "_"): name for name in f"{_DOTTED} {_PROPOSED}".split()}
)

# Fields of the four cognitive kinds, whose names say little without their kind.
KINDS = MappingProxyType(
    {
        "priming": {
            "priming_type": "whence.priming.type",
            "strength": "whence.priming.strength",
            "source_node": "whence.priming.source_node",
            "target_node": "whence.priming.target_node",
        },
        "interference": {
            "interference_type": "whence.interference.type",
            "magnitude": "whence.interference.magnitude",
            "target_episode_id": "whence.interference.target_episode_id",
            "competing_episode_count": "whence.interference.competing_episode_count",
            "competing_episode_ids": "whence.interference.competing_episode_ids",
        },
        "reconsolidation": {
            "episode_id": "whence.reconsolidation.episode_id",
            "window_position": "whence.reconsolidation.window_position",
            "plasticity_factor": "whence.reconsolidation.plasticity_factor",
            "modification_count": "whence.reconsolidation.modification_count",
            "modifications": "whence.reconsolidation.modifications",
        },
        "false_memory": {
            "critical_lure": "whence.false_memory.critical_lure",
            "critical_lure_hash": "whence.false_memory.critical_lure_hash",
            "source_list": "whence.false_memory.source_list",
            "source_list_size": "whence.false_memory.source_list_size",
            "reconstruction_confidence": "whence.false_memory.reconstruction_confidence",
        },
    }
)


# 64-bit ids: text in decimal digits, whatever their size, so that a name has one type.
TEXTS = frozenset(
    {
        "whence.priming.source_node",
        "whence.priming.target_node",
        "whence.interference.target_episode_id",
        "whence.reconsolidation.episode_id",
        "whence.false_memory.critical_lure_hash",
    }
)


# On the way in: what names the model of a span or log record, the name that says most first. The
# last three are of other conventions (OpenInference, the Vercel AI SDK, Traceloop before 2025).
# Prompts, tokens and cost stay the attributes that they are.
MODELS = (
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "ai.model.id",
    "llm.request.model",
)


def native_table() -> dict[str, Any]:
    """The table as `Batch.otlp()` takes it."""
    return {
        "columns": dict(COLUMNS),
        "attributes": dict(ATTRIBUTES),
        "kinds": {kind: dict(names) for kind, names in KINDS.items()},
        "texts": sorted(TEXTS),
        "event_prefix": EVENT_PREFIX,
        "scope_name": "whence",
        "scope_version": __version__,
        "schema_url": SCHEMA_URL,
    }
