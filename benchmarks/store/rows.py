"""Makes events for the store's benchmarks: requests of eight events, as an inference server's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["EVENTS_PER_REQUEST", "Load", "event_tables", "links"]

EVENTS_PER_REQUEST = 8
MODELS = 40
FIRST_NS = 1_760_000_000_000_000_000
DAY_NS = 86_400_000_000_000
SESSIONS = 4
BOOT_NS = 1_759_000_000_000_000_000  # wall minus monotonic: one constant for each session's rows

# In the order of a request's life; some steps vary, so that there are twelve kinds.
STEPS = (
    ("AdmissionController", "admission_decision"),
    ("MemoryPool", "alloc"),
    ("Scheduler", "scheduling_decision"),
    ("ExecutionContext", "execution_started"),
    ("MemoryOrchestrator", "stage_started", "binding_created"),
    ("ExecutionContext", "execution_completed", "fault_recorded"),
    ("Worker", "stage_completed", "pressure_handled", "performance_metric"),
    ("MemoryPool", "free"),
)
TYPES = sorted({name for _, *names in STEPS for name in names})
COMPONENTS = sorted({component for component, *_ in STEPS})
FAULT = TYPES.index("fault_recorded")
SENTENCES = (
    ("Admitted: U=", " of 1.000 by EDF, behind req-", ", adding "),
    ("Reserved ", " MiB beside those of req-", ", for the tensors of "),
    ("Selected: ", " ms to its deadline, the least, before req-", ", model "),
    ("Began after ", " ms in the queue, next to req-", ", on a free stream of "),
    ("Went on after ", " ms to the part that req-", " had left to "),
    ("Took ", " ms of its budget while req-", " was waiting, for all layers of "),
    ("Measured ", " ms for this pass, as did req-", " before it, in "),
    ("Gave ", " MiB back, to be used by req-", ", held until now by "),
)
PHASES = ["prefill", "decode", "swap", "idle"]


@dataclass(frozen=True)
class Load:
    """How many events over how many days, and from which seed."""

    events: int
    days: int = 10
    seed: int = 7

    @property
    def requests(self) -> int:
        return self.events // EVENTS_PER_REQUEST

    @property
    def until_ns(self) -> int:
        return FIRST_NS + self.days * DAY_NS


def event_tables(load: Load, schema: pa.Schema, rows: int = 1 << 18) -> Iterator[pa.Table]:
    """The load's events in order of time, in tables of about so many rows each.

    A request's events lie within some 50 ms of its start, so neighbouring requests overlap.
    """
    random = np.random.default_rng(load.seed)
    each = max(1, rows // EVENTS_PER_REQUEST)
    spread_ns = load.days * DAY_NS // load.requests
    for first in range(0, load.requests, each):
        numbers = np.arange(first, min(first + each, load.requests), dtype=np.int64)
        starts = FIRST_NS + numbers * spread_ns + random.integers(0, spread_ns, len(numbers))
        yield _table(random, numbers, starts, schema)


def links(load: Load, count: int) -> tuple[np.ndarray, np.ndarray]:
    """So many (child, parent) pairs of lineage ids: each frame has two of the 64 before it."""
    random = np.random.default_rng(load.seed + 1)
    children = np.repeat(np.arange(2, count // 2 + 3, dtype=np.int64), 2)[:count]
    parents = np.maximum(1, children - 1 - random.integers(0, 64, count))
    return children, parents


def _table(
    random: np.random.Generator, numbers: np.ndarray, starts: np.ndarray, schema: pa.Schema
) -> pa.Table:
    count, rows = len(numbers), len(numbers) * EVENTS_PER_REQUEST
    step = np.tile(np.arange(EVENTS_PER_REQUEST), count)
    request = np.repeat(np.arange(count), EVENTS_PER_REQUEST)
    pauses_ns = random.integers(1_000, 12_000_000, (count, EVENTS_PER_REQUEST))
    ts_ns = (starts[:, None] + np.cumsum(pauses_ns, axis=1)).ravel()
    order = np.argsort(ts_ns, kind="stable")
    step, request, ts_ns = step[order], request[order], ts_ns[order]

    ids = random.integers(0, 1 << 63, (count, 2), dtype=np.int64)
    names = pa.array([_uuid(high, low) for high, low in ids.tolist()])
    model = random.integers(0, MODELS, count)[request]
    slack_ns = random.integers(100_000, 60_000_000, rows)
    utilisation = np.round(random.beta(5, 2, rows), 3)
    kind = _kinds(random, step)
    fails = kind == FAULT
    lasts = np.isin(step, (5, 6))
    models = [f"model_{number}" for number in range(MODELS)]
    component = np.array([COMPONENTS.index(component) for component, *_ in STEPS])[step]
    columns: dict[str, pa.Array] = {
        "ts_ns": pa.array(ts_ns),
        "offset_ns": pa.array(np.full(rows, BOOT_NS)),
        "session": pa.array(numbers[request] % SESSIONS + 1),
        "ring": pa.array((numbers[request] // SESSIONS % 8).astype(np.int32)),
        "ticket": pa.array(numbers[request] * EVENTS_PER_REQUEST + step),
        "event_type": _named(kind, TYPES),
        "component": _named(component, COMPONENTS),
        "model_id": _named(model, models),
        "request_id": names.take(pa.array(request)),
        "trace_hi": pa.array(ids[request, 0]),
        "trace_lo": pa.array(ids[request, 1]),
        "lineage_id": pa.array(np.where(step == 5, numbers[request] + 1, 0)),
        "severity": pa.array(np.where(fails, 3, 1).astype(np.int32)),
        "status": _named(np.where(fails, 2, np.where(step == 5, 1, 0)), ["", "ok", "error"]),
        "duration_ns": pa.array(np.where(lasts, slack_ns, 0)),
        "decision": pa.array(np.isin(step, (0, 2))),
        "rationale": _rationales(random, step, models, model, utilisation),
        "weight": pa.array(np.ones(rows)),
        "attr_int": _map("slack_ns", pa.array(slack_ns)),
        "attr_num": _map("utilisation", pa.array(utilisation)),
        "attr_str": _map("phase", pa.array(PHASES).take(random.integers(0, len(PHASES), rows))),
    }
    return pa.table([_filled(field, columns, rows) for field in schema], schema=schema)


def _kinds(random: np.random.Generator, step: np.ndarray) -> np.ndarray:
    """What each step was, as an index into TYPES; one execution in 300 is a fault."""
    kind = np.empty(len(step), dtype=np.int32)
    for number, (_, *names) in enumerate(STEPS):
        mine = np.flatnonzero(step == number)
        choice = np.array([TYPES.index(name) for name in names])
        which = random.integers(0, len(choice), len(mine))
        if "fault_recorded" in names:
            which = (random.random(len(mine)) < 1 / 300).astype(np.int64)
        kind[mine] = choice[which]
    return kind


def _rationales(
    random: np.random.Generator,
    step: np.ndarray,
    models: list[str],
    model: np.ndarray,
    utilisation: np.ndarray,
) -> pa.Array:
    """Sentences of some 70 characters, with three values each."""
    parts = [pa.array(column).take(pa.array(step)) for column in zip(*SENTENCES, strict=True)]
    thousandths = pa.array([f"{number / 1000:.3f}" for number in range(1_001)])
    number = thousandths.take(pa.array((utilisation * 1000).astype(np.int64)))
    other = pa.array(random.integers(0, 1_000_000, len(step))).cast(pa.string())
    name = pa.array(models).take(pa.array(model))
    return pc.binary_join_element_wise(parts[0], number, parts[1], other, parts[2], name, "")


def _named(codes: np.ndarray, names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), names)


def _map(key: str, values: pa.Array) -> pa.Array:
    offsets = pa.array(np.arange(len(values) + 1, dtype=np.int32))
    keys = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(values), np.int32)), [key])
    return pa.MapArray.from_arrays(offsets, keys.cast(pa.string()), values)


def _filled(field: pa.Field, columns: dict[str, pa.Array], rows: int) -> pa.Array:
    """A column by its field: as made, else nothing in every row."""
    if field.name in columns:
        made = columns[field.name]
        return made if made.type == field.type else made.cast(field.type)
    if pa.types.is_map(field.type):
        zeros = pa.array(np.zeros(rows + 1, dtype=np.int32))
        empty = pa.array([], field.type.key_type), pa.array([], field.type.item_type)
        return pa.MapArray.from_arrays(zeros, *empty)
    if field.nullable and field.name in (
        "decision_chain_id",
        "event_id",
        "status_message",
        "caused_by",
        "options",
        "links",
    ):
        return pa.nulls(rows, field.type)
    zero = False if pa.types.is_boolean(field.type) else 0
    return pa.array([zero]).cast(field.type).take(pa.array(np.zeros(rows, dtype=np.int8)))


def _uuid(high: int, low: int) -> str:
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
