"""The nodes of a run as people see them: in its state, the status, the lines of events, the record of a test, the page."""

from __future__ import annotations

import json

from orchestra.ledger import merging
from orchestra.ledger.event import AttemptStarted, NodeChanged, Sharding
from orchestra.ledger.state import as_json, state_of
from orchestra.ledger.state_rows import NodeRow
from orchestra.ledger.view import view_of
from orchestra.report import attempt_text
from orchestra.report.console.brief import Brief
from orchestra.report.console.display import Feed
from orchestra.report.console.timeline import timeline
from orchestra.report.page import page
from orchestra.verbs import status
from tests.support import runs as samples

NODES = [
    ("node", {"node": "n1", "state": "used", "message": "the node n1 is used, with 2 slots", "slots": 2}),
    ("node", {"node": "n2", "state": "refused", "message": "the node n2 is not used: its plan is another one"}),
    ("node", {"node": "n3", "state": "used", "message": "the node n3 is used, with 1 slot", "slots": 1}),
]
LOST = ("node", {"node": "n3", "state": "lost", "message": "the node n3 was lost: no heartbeat for 10 s"})
"""Events of nodes."""


def run():
    """A run with one test that passed on a node, and one under way."""
    (_, started), finished = samples.attempt("cli:B001", node="n3")
    done = [("attempt_started", started | {"node": "n3"}), finished, samples.verdict("cli:B001")]
    [(_, under_way), _] = samples.attempt("cli:B002")
    now = ("attempt_started", under_way | {"node": "n1"})
    return samples.events([samples.run_started(), *NODES, *done, LOST, now])


def view():
    return view_of(run())


def test_the_state_has_each_node_and_where_each_test_runs():
    state = state_of(view())
    assert state.current["cli:B002"].node == "n1"
    assert state.nodes["n1"] == NodeRow(state="used", message=NODES[0][1]["message"], slots=2, running=("cli:B002",))
    assert {name: row.state for name, row in state.nodes.items()} == {"n1": "used", "n2": "refused", "n3": "lost"}


def test_the_status_has_a_line_for_each_node():
    shown = list(status.lines(json.loads(as_json(state_of(view()))), {}, going=True))
    [now] = [line for line in shown if line.startswith("now ")]
    assert now.endswith("  on n1")
    assert [line for line in shown if line.startswith("node ")] == [
        "node        n1  1 of 2 slots in use  cli:B002",
        "node        n2  refused  the node n2 is not used: its plan is another one",
        "node        n3  lost  the node n3 was lost: no heartbeat for 10 s",
    ]


def test_a_resumed_run_has_the_nodes_of_its_latest_segment():
    resumed = ("run_resumed", {"run": samples.RUN, "rerun": []})
    assert view_of(samples.events([samples.run_started(), *NODES, resumed, LOST])).nodes.keys() == {"n3"}


def test_the_lines_of_events_and_of_a_running_test_name_the_node():
    events = list(run())
    texts = [timeline(event)[22:] for event in events]
    assert "node        the node n3 was lost: no heartbeat for 10 s" in texts
    assert [text.rpartition("  ")[2] for text in texts if text.startswith(("start ", "end "))] == [
        "on n3",
        "on n3",
        "on n1",
    ]
    feed = Feed(samples.PLAN, "run", list, lambda: 7.0)
    short = Brief(samples.PLAN, "run", list)
    told = []
    for event in events:
        feed.take(event, view())
        told += short.take(event, view())[1]
    assert feed.running_line() == "running     cli:B002 0 ms on n1"
    assert [line for line in told if "node" in line] == [f"node        {body['message']}" for _, body in [*NODES, LOST]]


def test_the_record_of_a_test_and_the_page_name_the_node_of_each_attempt():
    assert list(attempt_text.lines("cli:B001", view().life("cli:B001"), "run"))[1].endswith("  on n3")
    report = samples.reported(samples.PLAN, run())
    nodes = {task.task: [one.node for one in task.tries] for task in page(report, "run").tasks if task.tries}
    assert nodes == {"cli:B001": ["n3"]}


def test_nodes_of_two_shards_stay_apart_in_the_merged_record():
    shard = Sharding(index=2, of=3, durations="d", selection=())
    named = {event.type: event.body for event in run() if event.type != "verdict"}
    start, end, node = (merging._renamed(named[one], shard) for one in ("attempt_started", "attempt_finished", "node"))
    assert (start.node, end.node, node.node) == ("n1@2", "n3@2", "n3@2")
    assert isinstance(node, NodeChanged)
    assert merging._renamed(AttemptStarted(task="cli:T", test="T", method="cli", attempt=1, dir="d"), shard).node == ""
