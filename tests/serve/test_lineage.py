"""The routes of lineage: up and down, cut where asked, and by a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.lineage import event_of, tied
from tests.query.stores import stored
from tests.query.worlds import SESSIONS
from tests.serve.serving import Client, served
from whence.model.lineage_events import LineageFrame, LinkPart
from whence.model.recording import Recording

BASE = 7_298_000_000_007_100
PAGE, BOX, BOOK = (BASE + end for end in (18, 21, 30))
TRACE = f"{5:032x}"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Who asks for a page, a box made of it, and a book made of that; the box is of a trace."""
    events = (
        event_of(LineageFrame(PAGE, 1, 1, 0, "page"), 0),
        event_of(LineageFrame(BOX, 2, 1, 0, "box"), 1),
        event_of(LinkPart(BOX, 2, 1, 0, (PAGE,)), 2),
        replace(tied(BOX, 3), trace_id=TRACE),
        event_of(LinkPart(BOOK, 3, 1, 0, (BOX,)), 4),
    )
    store = stored(tmp_path_factory.mktemp("lineage") / "store", Recording(events, SESSIONS), 2)
    with served(store.path if hasattr(store, "path") else Path(store)) as found:
        yield found


def _ids(answer: dict[str, list[dict[str, object]]]) -> list[str]:
    return [str(node["lineage_id"]) for node in answer["nodes"]]


def test_ancestors_and_descendants_come_the_nearest_first(client: Client) -> None:
    """Ids are texts, and links say how far away they are. R2.35 R4.63"""
    up = client.get(f"/lineage/{BOOK}").json
    assert _ids(up) == [str(BOOK), str(BOX), str(PAGE)]
    assert [(link["child"], link["parent"]) for link in up["links"]] == [
        (str(BOOK), str(BOX)),
        (str(BOX), str(PAGE)),
    ]
    down = client.get(f"/lineage/{PAGE}?direction=down").json
    assert _ids(down) == [str(PAGE), str(BOX), str(BOOK)]
    assert down["lineage_id"] == str(PAGE)


def test_limits_end_the_walk_and_say_so(client: Client) -> None:
    """Of depth and of size. R2.35"""
    assert client.get(f"/lineage/{BOOK}?depth=1").json["cut"] == "depth"
    assert client.get(f"/lineage/{BOOK}?limit=1").json["cut"] == "size"
    for path in ("depth=0", "limit=0", "limit=99999", "direction=sideways", "depht=1"):
        assert client.get(f"/lineage/{BOOK}?{path}").status == 400, path


def test_an_id_may_be_its_last_digits_and_what_is_none_is_told(client: Client) -> None:
    """Several that end so are a conflict. R2.35"""
    assert client.get("/lineage/7130").json["lineage_id"] == str(BOOK)
    assert client.get("/lineage/71").status == 404
    for unknown in ("99", "x", "%F0%9F%98%80", "1%00"):
        assert client.get(f"/lineage/{unknown}").status in (400, 404), unknown


def test_a_trace_has_the_lineage_of_its_events(client: Client) -> None:
    """That of each id they bear; a trace without any has none. R2.35 R4.63"""
    [found] = client.get(f"/traces/{TRACE}/lineage").json["items"]
    assert _ids(found) == [str(BOX), str(PAGE)]
    assert client.get(f"/traces/{6:032x}/lineage").json["items"] == []
    assert client.get("/traces/nonsense/lineage").status in (400, 404)
