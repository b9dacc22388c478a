"""Figures of what came in from outside, and sockets that answer at once."""

from __future__ import annotations

import socket

from whence.receive.otlp.intake import OtlpCounts
from whence.receive.otlp.receiver import _listening
from whence.serve.taken_in import intake_families, otlp_families
from whence.store.intake import IntakeCounts


class _Intake:
    """An intake that has done something."""

    counts = IntakeCounts(stored=7, duplicates=2, commits=1)
    queued_bytes = 4_096


def test_figures_of_opentelemetry_are_those_of_all_its_ways() -> None:
    """Every count is told, and they are sums. R4.64"""
    ways = [OtlpCounts(requests=2, rows=5), OtlpCounts(requests=1, failed=1)]
    found = {each.name: each.samples[0].value for each in otlp_families(ways)}
    assert set(found) == {f"whence_otlp_{name}" for name in OtlpCounts._fields}
    assert found["whence_otlp_requests"] == 3
    assert (found["whence_otlp_rows"], found["whence_otlp_failed"]) == (5, 1)


def test_figures_of_the_intake_are_all_that_it_counts() -> None:
    """And what waits in it. R4.64"""
    families = list(intake_families(_Intake()))  # type: ignore[arg-type]
    found = {each.name: each.samples[0].value for each in families}
    assert set(found) == {f"whence_intake_{name}" for name in IntakeCounts._fields} | {
        "whence_intake_queued_bytes"
    }
    assert (found["whence_intake_stored"], found["whence_intake_queued_bytes"]) == (7, 4_096)


def test_sockets_for_opentelemetry_name_their_protocol() -> None:
    """Else asyncio holds small answers back for those before them. R5.7"""
    with _listening(socket.AF_INET, "127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.proto == socket.IPPROTO_TCP
