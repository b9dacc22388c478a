"""A program that records with every feature there is, then is killed; its argument picks a part."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable

import whence
from whence import F32, U8, U32, U64, Option, Severity


@whence.kind(
    component="Everything",
    rationale="{flag} {small} {mid:bytes} {half} {whole:ns} {big} {real:.3f} {share:%} {text} {{}}",
)
def every_type(
    flag: bool,
    small: U8,
    mid: U32,
    half: F32,
    whole: int,
    big: U64,
    real: float,
    share: float,
    text: str,
    level: Severity,
) -> None: ...


@whence.kind(component="Everything", rationale="{a} {b} {c} {d} {e}")
def may_be_none(
    a: int | None, b: bool | None, c: str | None, d: float | None, e: U8 | None
) -> None: ...


@whence.kind(
    component="Everything", decision=True, severity=Severity.Warning, rationale="{model} for {why}"
)
def well_known(
    model: str,
    why: str,
    request_id: str | None = None,
    rationale: str = "",
    severity: Severity = Severity.Error,
    duration_ns: int = 0,
    options: list[Option] | None = None,
    caused_by: str = "",
    lineage_id: int = 0,
) -> None: ...


@whence.kind(component="Everything", decision=True)
def outright(rationale: str) -> None: ...


@whence.kind(component="Everything", rationale="{size:ns} {size:bytes} {size:%} {real}")
def shown(size: int, real: float) -> None: ...


def wide_kinds() -> None:
    """Images of 8 to 512 bytes, each without text, with text, and with something absent."""
    for count in (1, 2, 3, 4, 5, 12, 63, 64):
        wide = whence.kind(f"wide{count}", component="Wide", **{f"f{i}": int for i in range(count)})
        wide(*(-(i**10) for i in range(count)))
    for bytes_ in range(24):
        fields = {f"b{i}": U8 for i in range(bytes_)} | {"text": str, "last": int | None}
        narrow = whence.kind(f"narrow{bytes_}", component="Wide", **fields)
        narrow(*range(bytes_), "a word seen often", 7)
        narrow(*range(bytes_), f"a word seen once {bytes_}", None)
        narrow(*range(bytes_), "", None)


def scalars() -> None:
    """Extremes of every type."""
    reals = (0.0, -0.0, 0.1, 1e16, 1.5e300, 5e-324, -1234.5678, math.inf, -math.inf, math.nan, 1e-5)
    texts = ("word", "", "žluťoučký 馬 🐎", "\ud800 half", "x" * 64, "y" * 65)
    for i, real in enumerate(reals):
        edge = i % 2 == 0
        every_type(
            edge, 255 if edge else 0, 2**32 - 1 if edge else 1023, real if i < 3 else 0.1,
            2**63 - 1 if edge else -(2**63), 2**64 - 1 if edge else 0, real, 0.125 * i,
            texts[i % 6], Severity(i % 5),
        )  # fmt: skip
        shown((0, 1, 999, 1000, -8_400_000, 10**9, 10**15, 1023, 1024, 3 << 30, 5 << 40)[i], real)
    may_be_none(1, True, "here", 2.0, 3)
    may_be_none(None, None, None, None, None)
    may_be_none(None, False, "here", None, 0)


def requests() -> None:
    """Requests in every form, from the context and from parameters."""
    long = "a request id that is longer than sixteen bytes"
    ids = ["r", "exactly sixteen!", "exactly seventeen", "é" * 8, "nul\0", long]
    ids += [str(uuid.UUID(int=7)), str(uuid.UUID(int=2**128 - 1)).upper()]
    for name in ids:
        with whence.request(name):
            shown(1, 1.0)
            well_known("m", "ambient")
            well_known("m", "own", request_id="own")
            well_known("m", "own", request_id=long + "!")
            with whence.request(name, decision_chain_id="step 2", lineage_id=2**64 - 1):
                shown(2, 2.0)
                may_be_none(None, True, "a text seen once, " + name, 1.0, 1)
    with whence.request():
        shown(3, 3.0)


def decisions() -> None:
    """Options, causes, severities, durations, lineage; and what is refused."""
    options = [
        Option("ocr_rec", {"slack": 8.4, "U": 0.7}, chosen=True),
        Option("magika", {"slack": math.inf}, reason="later deadline"),
        Option("ocr_cls", reason="over budget é"),
    ]
    well_known("ocr_rec", "speed", options=options, caused_by="req-1", lineage_id=99)
    well_known("ocr_rec", "speed", rationale="said outright", duration_ns=-5, options=[])
    well_known("ocr_rec", "speed", severity=Severity.Debug, options=None, request_id=None)
    outright("because")
    for wrong in (lambda: outright(" "), lambda: shown("no", 1.0), lambda: shown(2**63, 1.0)):
        try:
            wrong()  # type: ignore[no-untyped-call]
        except (TypeError, ValueError, OverflowError):
            continue
        raise AssertionError("not refused")
    shown.disable()
    shown(1, 1.0)
    shown.enable()
    every_type.disable()


def collectors() -> None:
    """record_now and record with all they take; small rings that lap; lost and cut text."""
    whole = whence.TraceCollector(500)
    whole.record_now("tick", "Clock")
    whole.record_now("tick", "Clock", "with words", request_id="q" * 30, model_id="m",
                     severity=Severity.Critical, duration=whence.Duration(12),
                     attributes={"i": -1, "f": 0.5, "b": True, "s": "é", "wide": 2**80,
                                 "nan": math.nan, "": "no key", "k" * 300: ""})  # fmt: skip
    for _ in range(3):
        whole.record_now("tick", "Clock", model_id="a model seen often")
    whole.record_now("tick", "Clock", "x" * 100_000, attributes={"cut": "é" * 50_000})
    with whence.request("ambient and longer than a slot", lineage_id=5):
        whole.record_now("tick", "Clock", "inherits")
    for name, chain in ((str(uuid.UUID(int=5)), ""), ("my-own-id", "chain")):
        whole.record(
            whence.TraceEvent(
                event_id=name, event_type="built", component="Test", request_id="req",
                timestamp=whence.Timestamp(42), duration=whence.Duration(-1), model_id="m" * 70,
                rationale="because", severity=Severity.Debug, attributes={"n": 1},
                decision_chain_id=chain, options=(Option("a", {"s": 1.0}, True, "why"),),
                caused_by=name, lineage_id=2**64 - 1, decision=True,
            )
        )  # fmt: skip
    lapped = whence.TraceCollector(7)
    for n in range(40):
        lapped.record_now("tick", "Clock", f"tick {n}")
    fat = whence.TraceCollector(16)
    for n in range(37):
        fat.record_now(
            "tick", "Fat", "text " * 3_000, request_id="a long request id, number " + str(n % 9)
        )
    fat.record_now("tick", "Fat", request_id="a long request id, number 1")
    cleared = whence.TraceCollector(8)
    for n in range(5):
        cleared.record_now("tick", "Cleared", f"{n}")
    cleared.clear()
    cleared.record_now("tick", "Cleared", "after")
    kept.extend((whole, lapped, fat, cleared))


def many_types() -> None:
    """More event types than the table of kinds takes from record_now."""
    many = whence.TraceCollector(2_100)
    for n in range(2_050):
        many.record_now(f"type {n}", "Many")
    kept.append(many)


def threads() -> None:
    """Threads one after the other in one ring; more text and more events than it holds."""
    in_a_thread(lambda: [shown(n, 0.5) for n in range(580)])
    for n in range(3):
        in_a_thread(lambda n=n: may_be_none(n, n == 1, "", None, None))
    in_a_thread(lambda: [well_known(f"{n} " * 5_000, "", options=["a"]) for n in range(9)])
    in_a_thread(lambda: [shown(n, 0.5) for n in range(20)])


def spans() -> None:
    """Spans of every form: with text and without, linked, failed, in all kinds of requests."""
    for request_id in ("r", "exactly seventeen", str(uuid.UUID(int=7 << 64)), None):
        with whence.request(request_id), whence.span("outer", component="Spans") as outer:
            shown(1, 0.5)
            outright("inside")
            with whence.span("inner", component="Spans", n=1, x=0.5, yes=True, text="é") as inner:
                inner.link(outer, n=2, x=1.5, yes=False, text="linked")
            whence.span("failed", component="Spans").end("said why")
    with whence.span("alone", component="Spans"):
        may_be_none(1, True, "in a span", 0.5, 1)
        shown(2, 0.5)
        well_known("m", "w")
    came = whence.extract({"traceparent": f"00-{'ab' * 16}-00000000000000ff-01"})
    with whence.use(came), whence.request("r2"), whence.span("from elsewhere", component="Spans"):
        shown(3, 0.5)
    whence.span("ok", component="Spans")._status(1, "well")  # type: ignore[attr-defined]
    opened.extend(whence.span("still open", component="Spans") for _ in range(130))


def in_a_thread(work: Callable[[], object]) -> None:
    """Calls it in a new thread, and waits for that to end."""
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()


kept: list[whence.TraceCollector] = []
opened: list[whence.span] = []

if __name__ == "__main__":
    whence.start("everything", ring_slots=600, text_bytes=64 << 10)
    for part in (scalars, wide_kinds, requests, collectors, many_types, threads, decisions, spans):
        part()
    session = whence.session()
    print(session.path if session else "", flush=True)
    if sys.argv[1:] != ["live"]:
        os.kill(os.getpid(), signal.SIGKILL)
