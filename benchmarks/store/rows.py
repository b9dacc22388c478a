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

# In the order of a request's life; the last two stages vary, so that there are twelve kinds.
STEPS = (
    ("admission_decision", "AdmissionController"),
    ("alloc", "MemoryPool"),
    ("scheduling_decision", "Scheduler"),
    ("execution_started", "ExecutionContext"),
    (("stage_started", "binding_created"), "MemoryOrchestrator"),
    (("execution_completed", "execution_completed", "fault_recorded"), "ExecutionContext"),
    (("stage_completed", "pressure_handled", "performance_metric"), "Worker"),
    ("free", "MemoryPool"),
)
SENTENCES = {
    0: ("Admitted: U=", " of 1.000 by EDF, adding ", " with its period of 60 ms"),
    2: ("Selected by slack ", " ms to the deadline, the least: ", " before all others"),
}
PHASES = np.array(["prefill", "decode", "swap", "idle"])


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
    """So many (child, parent) pairs of lineage ids: every frame has one to three older parents."""
    random = np.random.default_rng(load.seed + 1)
    children = np.sort(random.integers(1, count, count)) + 1
    parents = np.maximum(1, children - 1 - random.integers(0, 64, count))
    return children.astype(np.int64), parents.astype(np.int64)


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
    names = pa.array([_uuid(int(high), int(low)) for high, low in ids])
    model = random.integers(0, MODELS, count)[request]
    slack_ns = random.integers(100_000, 60_000_000, rows)
    utilisation = np.round(random.beta(5, 2, rows), 3)
    lasts = np.isin(step, (5, 6))
    fails = (step == 5) & (random.random(rows) < 1 / 300)
    columns: dict[str, pa.Array] = {
        "ts_ns": pa.array(ts_ns),
        "offset_ns": pa.array(np.full(rows, BOOT_NS)),
        "session": pa.array(numbers[request] % SESSIONS + 1),
        "ring": pa.array((numbers[request] // SESSIONS % 8).astype(np.int32)),
        "ticket": pa.array(numbers[request] * EVENTS_PER_REQUEST + step),
        "event_type": _named(_types(random, step, fails)),
        "component": _named(np.array([component for _, component in STEPS])[step]),
        "model_id": _named(np.char.add("model_", model.astype(str))),
        "request_id": names.take(pa.array(request)),
        "trace_hi": pa.array(ids[request, 0]),
        "trace_lo": pa.array(ids[request, 1]),
        "lineage_id": pa.array(np.where(step == 5, numbers[request] + 1, 0)),
        "severity": pa.array(np.where(fails, 3, 1).astype(np.int32)),
        "status": _named(np.where(fails, "error", np.where(step == 5, "ok", ""))),
        "duration_ns": pa.array(np.where(lasts, slack_ns, 0)),
        "decision": pa.array(np.isin(step, (0, 2))),
        "rationale": _rationales(step, model, slack_ns, utilisation),
        "weight": pa.array(np.ones(rows)),
        "attr_int": _map("slack_ns", pa.array(slack_ns)),
        "attr_num": _map("utilisation", pa.array(utilisation)),
        "attr_str": _map("phase", pa.array(PHASES[random.integers(0, len(PHASES), rows)])),
    }
    return pa.table([_filled(field, columns, rows) for field in schema], schema=schema)


def _types(random: np.random.Generator, step: np.ndarray, fails: np.ndarray) -> np.ndarray:
    types = np.empty(len(step), dtype="U24")
    for number, (name, _) in enumerate(STEPS):
        mine = step == number
        choice = np.array([name] if isinstance(name, str) else name)
        types[mine] = choice[random.integers(0, len(choice), int(mine.sum()))]
    types[step == 5] = "execution_completed"
    types[fails] = "fault_recorded"
    return types


def _rationales(
    step: np.ndarray, model: np.ndarray, slack_ns: np.ndarray, utilisation: np.ndarray
) -> pa.Array:
    """Sentences of some 70 characters."""
    number = pa.array(np.where(step == 0, utilisation, np.round(slack_ns / 1e6, 1)).astype(str))
    name = pa.array(np.char.add("model_", model.astype(str)))
    said = pc.binary_join_element_wise(
        "finished part ", number, " of its work for ", name, " in this pass of the loop", ""
    )
    for which, (before, between, after) in SENTENCES.items():
        sentence = pc.binary_join_element_wise(before, number, between, name, after, "")
        said = pc.if_else(pa.array(step == which), sentence, said)
    return said


def _named(texts: np.ndarray) -> pa.Array:
    return pa.array(texts).dictionary_encode()


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
