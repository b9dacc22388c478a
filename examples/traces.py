"""The trace service: an agent's workflow as a trace, asked for, listened to and exported."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import whence
from whence.integrations import lifecycle

folder = Path(tempfile.mkdtemp()) / "traces"
broken = threading.Event()

with whence.TraceService(folder) as traces:
    listener = traces.add_event_listener(lambda event: broken.set(), level="error").unwrap()

    for number in range(4):
        with traces.trace(f"Letter {number}", type="workflow_execution", context_id="mail") as t:
            lifecycle.workflow_started(f"letter-{number}", ["read", "answer"])
            with lifecycle.plan(f"plan-{number}", name="Answer the letter"):
                t.event("stage_started", stage="read")
            if number == 2:
                t.event("page_unreadable", level="error", message="page 1 is blank", page=1)
                t.fail("nothing to answer")

    print(broken.wait(30), "a listener was told of the error")

    failed = traces.query_traces(status="failed").unwrap()
    print([(row.name, row.errors) for row in failed.items])

    counts = {"group_by": ["status"], "metrics": ["count", "error_rate"]}
    for group in traces.query_traces({"context_id": "mail"}, counts).unwrap().aggregations:
        print(group.keys["status"], group.values)

    found = traces.get_trace_by_id(failed.items[0].trace_id).unwrap()
    print([event.event_type for event in found.events])
    print(found.events[-1].get_formatted_message()[25:])

    made = traces.export_traces({"has_errors": True}, compression="gzip").unwrap()
    print(made.traces, "trace,", made.events, "events in", made.path.parent.name)

# > True a listener was told of the error
# > [('Letter 2', 1)]
# > completed {'count': 3, 'error_rate': 0.0}
# > failed {'count': 1, 'error_rate': 1.0}
# > ['workflow_started', 'plan_started', 'stage_started', 'plan_completed', 'page_unreadable']
# > [ERROR] page_unreadable: page 1 is blank
# > 1 trace, 5 events in exports
