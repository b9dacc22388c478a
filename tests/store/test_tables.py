"""Events in Python and native batches become the same table."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
from hypothesis import given

from tests.store.made_events import batches
from whence._native import Batch
from whence.collect.events import to_events
from whence.collect.local import local_session
from whence.model.recording import Anchor
from whence.query.plain import plain_event
from whence.store.columns import SCHEMA, events_of
from whence.store.tables import table_of

OFFSET_NS = 0  # an event may be as late as 64 bits allow


@given(batches())
def test_events_become_the_table_that_their_batch_is(batch: Batch) -> None:
    """Every column agrees with the native one, but for the words of JSON texts."""
    events = to_events(batch.rows())
    session = local_session()
    if session is None or not events:
        return
    session = replace(session, anchors=(Anchor(0, OFFSET_NS),))
    table = table_of(events, [session])
    native = pa.table(batch.arrow({session.name: OFFSET_NS}))
    assert table.schema.equals(SCHEMA)
    names = {session.key: session.name}
    assert [plain_event(each) for each in events_of(table, names)] == [
        plain_event(each) for each in events
    ]
    for name in SCHEMA.names:
        if name not in ("options", "links", "weight", "attr_num") and not name.startswith("attr"):
            assert table.column(name).to_pylist() == native.column(name).to_pylist(), name
