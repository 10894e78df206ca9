"""The rows of nodes in the health matrix of a run, and the nodes that tests hold; nodes are stood in for by what they report."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestra import instances
from orchestra import plan as plans
from orchestra.ledger.event import ServiceChanged
from orchestra.plan import Component, Method, Service
from orchestra.runtime.engine.contract import Beat, Changed
from orchestra.runtime.engine.leases import Leases
from orchestra.runtime.mask.masks import NOTHING
from orchestra.runtime.run.holding import NodeHolding
from orchestra.runtime.run.opening import Task
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.node_matrix import GONE, NodeMatrix
from orchestra.runtime.servers.row import RowChange

COMPONENTS = (
    Component("tool", ""),
    Component("cache", "", where="worker", service=Service(("cache",))),
    Component("app", "", where="worker", needs=("cache",), required=False, service=Service(("app",))),
)


def change(state: str, component: str = "app", **more: object) -> RowChange:
    fields = {"component": component, "state": state, "pid": 7, "port": 80, "attempt": 1, "reason": "", "seconds": 0.5}
    bound = more.pop("bound", {})
    return RowChange(ServiceChanged(**fields | more), 2.0, bound)  # type: ignore[arg-type]


class Engine:
    """Nodes that do what a test tells them."""

    def __init__(self) -> None:
        self.free = {"n1": 1, "n2": 2}
        self.wanted: list[tuple[str, list[str]]] = []
        self.looks: list = []
        self.says: list = []
        self.roots, self.wake = dict, list

    def capacity(self):
        return self.free

    def place(self, method, held):
        return "n1" if self.free["n1"] > held.get("n1", 0) else ""

    def want(self, node, components):
        self.wanted.append((node, list(components)))

    def look(self, node, components, done):
        self.looks.append((node, list(components), done))

    def poll(self, timeout):
        said, self.says = self.says, []
        return said

    def close(self): ...


@pytest.fixture
def run(tmp_path):
    engine, events = Engine(), []
    leases = Leases(engine, events.append)  # type: ignore[arg-type]
    matrix = NodeMatrix(
        COMPONENTS,
        nodes=leases,
        root=tmp_path,
        folder=tmp_path,
        mark="r",
        env={},
        masks=NOTHING,
        on_event=lambda event, ago: events.append((event.component, event.state, event.incident, ago)),
        wake=lambda: None,
        numbered={"app@n1": 3},
    )
    leases.report_to(matrix)
    yield SimpleNamespace(engine=engine, events=events, leases=leases, matrix=matrix)
    matrix.close()


def test_a_row_of_a_node_is_named_after_both():
    assert instances.on_node("app", "n1.example") == "app@n1.example"
    assert [instances.node_of(row) for row in ("app", "app.2", "app@n1.2")] == ["", "", "n1.2"]
    assert [instances.component_of(row) for row in ("app@n1", "app@n1.2", "app.2@3", "cli.browser")] == [
        "app",
        "app",
        "app",
        "cli.browser",
    ]
    assert instances.worst({"app@n1": "healthy", "app@n2": "failed"}) == {"app": "failed"}
    assert [
        one.id for one in instances.used_on_nodes(COMPONENTS, [plans.Test("T", "", ("cli",), requires=("app",))])
    ] == [
        "cache",
        "app",
    ]


def test_rows_are_those_of_the_node_that_a_test_has(run):
    assert run.matrix.required_by(["tool", "app"]) == ("tool",)
    assert run.matrix.required_by(["tool", "app"], "n1") == ("tool", "cache@n1", "app@n1")
    assert run.matrix.row("app@n1").state == "idle"
    assert {name: row.state for name, row in run.matrix.rows().items()} == {
        "tool": "idle",
        "cache": "idle",
        "app": "idle",
    }


def test_a_node_is_asked_once_and_its_changes_are_the_rows(run):
    rows = ["cache@n1", "app@n1"]
    run.matrix.request(rows)
    run.matrix.request([*rows, "app@n2"])
    assert run.engine.wanted == [("n1", ["cache", "app"]), ("n2", ["app"])]
    bound = {"url": "http://127.0.0.1:80", "port": "80"}
    run.engine.says = [Changed("n1", [change("starting"), change("healthy", bound=bound), change("healthy", "other")])]
    assert run.leases.poll(0) == []
    assert run.events == [("app@n1", "starting", "", 2.0), ("app@n1", "healthy", "", 2.0)]
    row = run.matrix.row("app@n1")
    assert (row.state, row.pid, row.required, row.incident) == ("healthy", None, False, "")
    assert run.matrix.names("n1") == {"app.url": "http://127.0.0.1:80", "app.port": "80"}
    assert run.matrix.names("n2") == run.matrix.names() == {}
    assert set(run.matrix.rows()) == {"tool", "cache", "app@n1"}
    run.matrix.touch(rows)
    assert run.matrix.unclean(rows) == ""


def test_incidents_of_a_node_that_comes_again_are_counted_on(run):
    def report(*incidents: str) -> None:
        run.matrix.take("n1", [change("unhealthy", incident=one) for one in incidents])

    report("app-1", "app-2")
    run.matrix.gone("n1")
    report("app-1", "")
    told = [one for one in run.events if one[1] == "unhealthy"]
    assert [incident for _, _, incident, _ in told] == ["app@n1-4", "app@n1-5", "app@n1-6", ""]


def test_the_instances_of_a_node_that_is_gone_are_gone(run):
    run.matrix.request(["app@n1", "app@n2"])
    run.matrix.take("n1", [change("healthy", bound={"url": "x"}), change("failed", "cache")])
    run.matrix.take("n2", [change("healthy")])
    run.engine.says = [Beat("n1", "lost", "lost")]
    run.leases.poll(0)
    assert run.events[-1] == ("app@n1", "stopped", "", 0.0)
    assert (run.matrix.row("app@n1").state, run.matrix.row("cache@n1").state) == ("idle", "idle")
    assert (run.matrix.row("app@n2").state, run.matrix.names("n1")) == ("healthy", {})
    run.matrix.request(["app@n1", "app@n2"])
    assert run.engine.wanted[2:] == [("n1", ["app"])]
    assert GONE == "its node is gone"


def test_a_look_is_over_when_each_node_has_looked(run):
    over: list[str] = []
    run.matrix.look(["tool"], lambda: over.append("here"))
    assert over == ["here"]
    run.matrix.look(["tool", "app@n1", "cache@n1", "app@n2"], lambda: over.append("all"))
    assert [(node, components) for node, components, _ in run.engine.looks] == [
        ("n1", ["app", "cache"]),
        ("n2", ["app"]),
    ]
    run.engine.looks[0][2]()
    assert over == ["here"]
    run.engine.looks[1][2]()
    assert over == ["here", "all"]


def test_what_nodes_report_at_the_end_is_taken(run):
    run.engine.says = [Changed("n1", [change("stopped")])]
    run.leases.close()
    assert run.events == [("app@n1", "stopped", "", 2.0)]


def test_a_matrix_without_nodes_takes_nothing(tmp_path):
    engine, events = Engine(), []
    leases = Leases(engine, events.append)  # type: ignore[arg-type]
    leases.report_to(
        Matrix(
            (),
            root=tmp_path,
            folder=tmp_path,
            mark="r",
            env={},
            masks=NOTHING,
            on_event=lambda *_: None,
            wake=lambda: None,
        )
    )
    engine.says = [Changed("n1", [change("healthy")]), Beat("n1", "lost", "lost")]
    assert leases.poll(0) == []
    engine.says = [Changed("n1", [])]
    leases.close()
    assert engine.says


# ---------------------------------------------------------------------------------------------------------------- holding


def task(name: str, *requires: str, session: bool = False) -> Task:
    method = Method("mcp" if session else "cli", "", "mcp" if session else "http", single_session=session)
    return Task(f"cli:{name}", method, plans.Test(name, "", ("cli",), requires=requires))


def test_a_test_holds_a_slot_of_a_node_until_it_begins(run):
    holding = NodeHolding(COMPONENTS, run.leases, run.matrix)
    plain, one, two, three, four = task("P", "tool"), *(task(name, "app") for name in "ABCD")
    assert (holding.take(plain), plain.worker, holding.slots()) == (True, 0, {})
    assert [holding.take(each) for each in (one, two, three, four)] == [True, True, True, False]
    assert [each.worker for each in (one, two, three)] == ["n2", "n1", "n2"]
    assert holding.slots() == {"n1": 1, "n2": 2}
    assert (holding.take(one), one.worker) == (True, "n2")
    holding.release(two)
    assert (holding.take(four), four.worker) == (True, "n1")


def test_a_node_whose_instance_is_well_comes_first_and_one_that_is_gone_is_left(run):
    holding, one, two = NodeHolding(COMPONENTS, run.leases, run.matrix), task("A", "app"), task("B", "app")
    run.matrix.take("n1", [change("healthy"), change("healthy", "cache")])
    assert (holding.take(one), one.worker) == (True, "n1")
    run.engine.free = {"n2": 2, "waiting": -1}
    assert (holding.take(one), one.worker) == (True, "n2")
    run.engine.free = {}
    assert not holding.take(two)


def test_a_node_whose_instance_has_failed_is_used_where_each_has(run):
    holding, one = NodeHolding(COMPONENTS, run.leases, run.matrix), task("A", "app")
    assert (holding.take(one), one.worker) == (True, "n2")
    run.matrix.take("n2", [change("failed")])
    assert (holding.take(one), one.worker) == (True, "n1")
    run.engine.free["n1"] = 0
    assert not holding.take(one), "one that may be well has no slot now"
    run.matrix.take("n1", [change("failed", "cache")])
    assert (holding.take(one), one.worker) == (True, "n2")


def test_a_single_session_stays_on_its_node(run):
    holding, one, two = (
        NodeHolding(COMPONENTS, run.leases, run.matrix),
        *(task(name, "app", session=True) for name in "AB"),
    )
    assert (holding.take(one), one.worker) == (True, "n1")
    assert not holding.take(two)
