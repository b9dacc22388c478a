"""Types of the native module (native/python/)."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypedDict, TypeVar, final

from whence.emit.fields import ParameterSpec
from whence.model.ids import ModelID
from whence.model.severity import Severity
from whence.model.time import Duration

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

EventRow = tuple[
    str,  # event_id
    str,  # event_type
    str,  # component
    int,  # time_ns
    int,  # duration_ns
    str,  # model
    str,  # request_id
    str,  # rationale
    int,  # severity
    dict[str, int | float | bool | str],  # attributes
    str,  # decision_chain_id
    tuple[tuple[str, dict[str, float], bool, str], ...],  # options
    str,  # caused_by
    int,  # lineage_id
    bool,  # decision
    bool,  # text_lost
    bool,  # truncated
    str,  # session
    int,  # ring
    int,  # ticket
    float,  # weight
    str,  # trace_id, 32 hexadecimal digits or ""
    int,  # span_id
    int,  # parent_span_id
    bool,  # span
    str,  # status
    str,  # status_message
    tuple[tuple[str, int, dict[str, int | float | bool | str]], ...],  # links
]

class SessionDict(TypedDict):
    name: str
    path: str
    uuid: str
    key: int
    run: int
    on_disk: bool
    trouble: str
    unrecorded: int
    unnamed_kinds: int
    memory_rings: int

@final
class Context:
    """The ambient request. Immutable; safe to share between threads."""

    def __init__(
        self,
        request_id: str,
        chain_id: str = "",
        lineage_id: int = 0,
        trace_id: str = "",
        span_id: int = 0,
        trace_flags: int = 0,
        tracestate: str = "",
        baggage: str = "",
    ) -> None: ...
    @property
    def request_id(self) -> str: ...
    @property
    def chain_id(self) -> str: ...
    @property
    def lineage_id(self) -> int: ...
    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> int: ...
    @property
    def trace_flags(self) -> int: ...
    @property
    def remote(self) -> bool: ...
    @property
    def tracestate(self) -> str: ...
    @property
    def baggage(self) -> str: ...

context_var: ContextVar[Context | None]

def enter(context: Context, /) -> Context: ...
def enter_request(context: Context, /) -> Context: ...
def leave(entered: Context, /) -> bool: ...
def current() -> Context | None: ...
def set_process_context(context: Context | None, /) -> None: ...

@final
class Span:
    """A piece of work that lasts: `with`, `async with`, a decorator, or plain calls."""

    def __init__(
        self, name: str, /, *, component: str = "", **attributes: int | float | bool | str
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def span_id(self) -> int: ...
    @property
    def trace_id(self) -> str: ...
    @property
    def start_ns(self) -> int: ...
    @property
    def parent_span_id(self) -> int: ...
    @property
    def context(self) -> Context | None: ...
    @property
    def open(self) -> bool: ...
    def set(self, **attributes: int | float | bool | str) -> None: ...
    def link(
        self,
        to: Context | Span | str | tuple[str, int],
        /,
        **attributes: int | float | bool | str,
    ) -> None: ...
    def end(self, error: BaseException | str | None = None, *, end_ns: int = 0) -> None: ...
    def _status(self, status: int, message: str = "", /) -> None: ...
    def _rename(self, name: str, /) -> None: ...
    def __bool__(self) -> bool: ...
    def __enter__(self) -> Span: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    async def __aenter__(self) -> Span: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    def __call__(self, function: F, /) -> F: ...

def begin_span(
    name: str,
    component: str,
    attributes: Mapping[str, int | float | bool | str] | None = None,
    parent: Context | None = None,
    start_ns: int = 0,
    span_id: int = 0,
    /,
) -> Span: ...

@final
class SpanFunction:
    """A function whose calls are spans; all else about it is the function's."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        component: str,
        attributes: Mapping[str, int | float | bool | str] | None,
        /,
    ) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

@final
class Kind(Generic[P]):
    """A declared type of event: calling it records one. See whence.kind."""

    name: str
    component: str
    decision: bool
    on: bool
    sample_rate: float
    min_strength: float | None
    id: int
    emit: Callable[P, None]
    __wrapped__: Callable[P, None] | None

    def __init__(
        self,
        name: str,
        component: str,
        rationale: str,
        otel_name: str,
        source: str,
        severity: int,
        decision: bool,
        on: bool,
        fields: tuple[ParameterSpec, ...],
        must_say: int,
        wrapped: object,
        positional: int = ...,
        /,
    ) -> None: ...
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None: ...
    def __bool__(self) -> bool: ...
    def enable(self, sample_rate: float = 1.0, *, min_strength: float | None = None) -> None: ...
    def disable(self) -> None: ...

@final
class Ring(Generic[T]):
    """A queue of exactly `capacity` events, the oldest of which make room for new ones."""

    dropped: int
    def __init__(self, capacity: int = 10_000) -> None: ...
    def push(self, event: T, /) -> bool: ...
    def pop(self) -> T | None: ...
    def __len__(self) -> int: ...
    def is_empty(self) -> bool: ...
    def capacity(self) -> int: ...

@final
class SnowflakeGenerator:
    """Mints 64-bit ids of time, node and sequence. Any thread may call."""

    def __init__(
        self,
        node_id: int,
        node_bits: int = 10,
        seq_bits: int = 12,
        offset_ms: int = 0,
        clock: Callable[[], int] | None = None,
    ) -> None: ...
    def next(self) -> int: ...
    def node_id(self) -> int: ...
    def max_node_id(self) -> int: ...
    def max_sequence(self) -> int: ...
    def offset(self) -> int: ...
    def timestamp(self, id: int, /) -> int: ...
    def node(self, id: int, /) -> int: ...
    def sequence(self, id: int, /) -> int: ...

class SharedRing:
    """One ring of a fixed number of events, written by many threads in turn."""

    def __init__(self, buffer_size: int = 10_000) -> None: ...
    @property
    def buffer_size(self) -> int: ...
    def record_now(
        self,
        event_type: str,
        component: str,
        rationale: str = "",
        *,
        request_id: str = "",
        model_id: str | ModelID = "",
        severity: Severity = ...,
        duration: Duration = ...,
        attributes: Mapping[str, int | float | bool | str] | None = None,
    ) -> None: ...
    def _record_built(
        self,
        event_type: str,
        component: str,
        rationale: str,
        request_id: str,
        model_id: str,
        severity: int,
        duration_ns: int,
        attributes: Mapping[str, int | float | bool | str],
        event_id: str,
        chain_id: str,
        options: Sequence[tuple[str, Mapping[str, float], bool, str]],
        caused_by: str,
        lineage_id: int,
        timestamp_ns: int,
        decision: bool,
        weight: float = 1.0,
        trace_id: str = "",
        span_id: int = 0,
        parent_span_id: int = 0,
        span: bool = False,
        status: str = "",
        status_message: str = "",
        links: Sequence[tuple[str, int, Mapping[str, int | float | bool | str]]] = (),
        /,
    ) -> None: ...
    def size(self) -> int: ...
    def clear(self) -> None: ...

@final
class Catalogue:
    """The kinds and names of one session, as far as they were read."""

    damaged: bool
    # `request_seed` of another process's session, else this process's
    def __init__(self, run: int = 0, request_seed: int = ...) -> None: ...
    def update(self, data: bytes, /) -> None: ...
    def update_local(self) -> None: ...
    def kinds(
        self,
    ) -> list[
        tuple[int, str, str, bool, int, str, tuple[tuple[str, int, int], ...], str, str, bool, bool]
    ]: ...

@final
class RingReader:
    """A cursor over one ring. One thread at a time."""

    ring: int
    capacity: int
    text_bytes: int
    shared: int
    created_ns: int
    next_ticket: int
    waiting: int
    delivered: int
    lost: int
    text_lost: int
    corrupt: int
    watermark: int
    truncated: int
    open_spans_unseen: int
    state: int
    session_uuid: str
    @staticmethod
    def open(fd: int, live: bool) -> RingReader: ...
    def counts(self) -> list[tuple[int, tuple[int, int, int, int, int, int]]]: ...
    def owners(self) -> list[tuple[int, int]]: ...
    def open_spans(self) -> list[tuple[int, int, int, int, str, str]]: ...
    def seek(self, ticket: int, /) -> None: ...
    def in_flight(self) -> bool: ...

@final
class Batch:
    """Events of one or more rings. One thread fills it; then any number may read it."""

    nbytes: int
    def __init__(self, earlier: Batch | None = None, /) -> None: ...
    def drain(
        self,
        reader: RingReader,
        catalogue: Catalogue,
        session: str,
        session_key: int,
        most: int = ...,
    ) -> int: ...
    def clear(self) -> None: ...
    def __len__(self) -> int: ...
    def rows(self) -> list[EventRow]: ...
    def select(
        self,
        *,
        start_ns: int | None = ...,
        end_ns: int | None = ...,
        event_types: Sequence[str] | None = ...,
        components: Sequence[str] | None = ...,
        model_id: str | None = ...,
        request_id: str | None = ...,
        min_severity: int = ...,
        from_tickets: dict[tuple[str, int], int] | None = ...,
        first: int = ...,
        last: int | None = ...,
    ) -> Batch: ...
    def parts(self, most_events: int, /) -> list[Batch]: ...
    def json(
        self, lines: bool = ..., clocks: dict[str, list[tuple[int, int]]] = ...
    ) -> list[bytes]: ...
    def write_json(
        self,
        file: int,
        *,
        to: int = ...,
        most_bytes: int = ...,
        lines: bool = ...,
        clocks: dict[str, list[tuple[int, int]]] = ...,
    ) -> int | None: ...
    def otlp(
        self,
        table: dict[str, Any],
        sessions: dict[str, tuple[dict[str, int | float | bool | str], list[tuple[int, int]]]],
        *,
        as_json: bool = ...,
        signals: str = ...,
        most_bytes: int = ...,
        most_events: int = ...,
        most_attributes: int = ...,
    ) -> list[tuple[str, bytes, int]]: ...
    def arrow(self, clocks: dict[str, int], /) -> ArrowColumns: ...
    def time_range(self, first: int, /) -> tuple[int, int] | None: ...

@final
class ArrowColumns:
    """Events as Arrow columns, in the schema of whence.store.columns. Immutable."""

    def __len__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...

def now_ns() -> int: ...
def empty_call(*args: Any) -> None: ...
def configure(
    description: str | None = None,
    ring_slots: int = ...,
    text_bytes: int = ...,
    run: int = ...,
) -> bool: ...
def session() -> SessionDict | None: ...
def start() -> SessionDict: ...
def session_bytes() -> bytes | None: ...
def set_hooks(
    on_session: Callable[[], None] | None,
    on_full: Callable[[str], None] | None,
    decision_types: frozenset[str],
    /,
) -> None: ...
def set_strict(strict: bool, /) -> None: ...
def check_rationale(
    rationale: str, fields: tuple[tuple[str, int], ...], /
) -> tuple[str | None, int]: ...
def crc32(data: bytes, /) -> int: ...
def gate_word(sample_rate: float, min_strength: float | None, /) -> int: ...
def gate_parts(word: int, /) -> tuple[bool, float, float]: ...
def set_rule(name: str, word: int, /) -> bool: ...
def hash64(text: str, /) -> int: ...
def sample_value(request_id: str, /) -> int: ...
def swap_word(fd: int, offset: int, word: int, /) -> int: ...
def replace_word(fd: int, offset: int, expected: int, word: int, /) -> bool: ...
def local_rings() -> list[RingReader]: ...
def shared_ring_reader(ring: SharedRing, /) -> RingReader | None: ...

@final
class OtlpReader:
    """Reads OTLP requests into Arrow columns, by a table of names and within limits. Immutable."""

    def __new__(
        cls,
        table: dict[str, Any],
        models: tuple[str, ...],
        *,
        rows: int = ...,
        attributes: int = ...,
        key_bytes: int = ...,
        value_bytes: int = ...,
        depth: int = ...,
        parts: int = ...,
    ) -> OtlpReader: ...
    def read(
        self, signal: str, body: bytes, received_ns: int, /
    ) -> tuple[ArrowColumns, list[tuple[dict[str, str], int]], int, int, int, str, bool]: ...
