"""Instances of components with `per: worker`: their rows, who holds them, and what they count for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from orchestra.compiler.emit.tables import health_table
from orchestra.instances import component_of, expanded, most, once, required, uses_instance, worker_of, worst
from orchestra.ledger.view import View
from orchestra.plan import Component, Job, Method, Plan, Probe, Ready, RecoveryStep, ResetStep, Service
from orchestra.plan import Test as Case
from orchestra.runtime.engine.slots import most_at_once
from orchestra.runtime.gates.figures import figures
from orchestra.runtime.run.holding import Holding
from orchestra.runtime.run.opening import Task
from orchestra.runtime.servers.own_folders import OwnFolders, left, remove_left
from orchestra.runtime.servers.recovery import bound_seconds, reset_seconds

BASE = Component("base", "Database")
APP = Component("app", "", needs=("base",), service=Service(("serve",), ports=(8000, 8009)), per="worker")
EDGE = Component("edge", "", needs=("base", "app"), service=Service(("edge",), ports=(8010, 8014)), per="worker")
ROWS = (BASE, APP, EDGE)
TEST = Case("t", "", ("cli",), requires=("edge",))


@pytest.mark.parametrize(
    "row, component, worker", [("app.12", "app", 12), ("cli.browser", "cli.browser", 0), ("app", "app", 0)]
)
def test_the_number_of_an_instance_is_in_its_id(row, component, worker):
    assert (component_of(row), worker_of(row)) == (component, worker)


def test_an_instance_needs_the_instances_of_its_number():
    rows = expanded(ROWS, 2)
    assert [row.id for row in rows] == ["base", "app.1", "app.2", "edge.1", "edge.2"]
    assert [row.needs for row in rows[1:]] == [("base",), ("base",), ("base", "app.1"), ("base", "app.2")]
    assert {row.per for row in rows} == {"run"}
    assert expanded(rows, 2) == rows
    assert once(ROWS) == (BASE,) == expanded(ROWS, 0)
    assert required(ROWS, ["edge"], 2) == ("base", "app.2", "edge.2")
    assert required(ROWS, ["edge"], 0) == ("base",)
    assert (uses_instance(ROWS, TEST), uses_instance(ROWS, Case("n", "", ("cli",), requires=("base",)))) == (
        True,
        False,
    )


def test_ports_bound_the_instances():
    portless = Component("queue", "", service=Service(("queue",)), per="worker")
    assert (most(ROWS), most((BASE, portless))) == (5, None)
    fixed = [
        Method("a", "", "http", workers=2),
        Method("b", "", "http", workers=3),
        Method("c", "", "http", workers=1, parallel=True),
    ]
    assert most_at_once(fixed, None) == 4
    assert most_at_once([Method("s", "", "mcp", single_session=True)], 8) == 1


def test_the_worst_instance_that_was_started_is_the_state_of_its_component():
    assert worst({"app.1": "healthy", "app.2": "idle", "base": "idle"}) == {"app": "healthy", "base": "idle"}
    assert worst({"app.1": "unhealthy", "app.2": "healthy"}) == {"app": "unhealthy"}
    rows = {
        name: SimpleNamespace(state=state, required=True)
        for name, state in (("app.1", "failed"), ("app.2", "healthy"), ("app.3", "failed"))
    }
    plan = Plan("s", "", (TEST,), (Method("cli", "", "http"),), components=ROWS)
    values = figures(plan, View(), rows)
    assert (values["health.app"], values["servers_down"]) == ("failed", 2)


def test_the_page_of_a_suite_says_of_what_there_are_instances():
    steps = ResetStep(("wipe", "it")), ResetStep((), Probe("http", {"method": "POST", "path": "/reset"})), ResetStep()
    app = msgspec.structs.replace(APP, needs=(), reset=steps)
    seed = Component("seed", "Data", job=Job(("seed",)), per="worker")
    table = health_table(Plan("s", "", (TEST,), (Method("cli", "", "http"),), components=(app, seed)))
    reset = "reset by `wipe it`, POST /reset, restart"
    assert f"service `serve`, port 8000 to 8009, one for each worker, {reset}" in table
    assert "job `seed`, one for each worker" in table


def test_a_recovery_after_a_failed_reset_has_time_for_the_reset_after_each_step():
    steps = ResetStep(("wipe",), None, 10.0), ResetStep((), Probe("http", {}), 2.0)
    app = Component(
        "app",
        "",
        service=Service(("serve",)),
        ready=Ready(Probe("tcp", {}), 7.0),
        recover=(RecoveryStep("restart"),),
        reset=steps,
    )
    assert reset_seconds(app) == 22.0
    assert bound_seconds(app, reset=True) == bound_seconds(app) + 22.0
    assert reset_seconds(Component("app", "", service=Service(("serve",)), reset=(ResetStep(),))) > 0


def test_the_folder_of_an_instance_is_fresh_in_each_run_and_is_left_by_none(tmp_path):
    home = tmp_path / ".orchestra" / "s"
    old, own = (home / "runs" / run for run in ("20260102T030405Z-1a2b", "20260102T030406Z-1a2b"))
    for run in (old, own):
        OwnFolders(run, 2)
        (run / "events.jsonl").touch()
    names = OwnFolders(own, 2).names(2)
    folder = Path(names["worker.dir"])
    assert (names["worker.number"], folder.stat().st_mode & 0o777) == ("2", 0o700)
    (folder / "notes").touch()
    remove_left(home, own=own.name)
    assert left(home) == [own / "per_worker"]
    again = OwnFolders(own, 1)
    assert [path.name for path in left(home)[0].rglob("*")] == ["1"]
    assert again.names(0) == {}
    again.remove()
    assert left(home) == []
    OwnFolders(own, 0).remove()


class Rows:
    """The rows that a matrix would have."""

    def __init__(self, **states: str) -> None:
        self.states = {f"{name[:-1]}.{name[-1]}": state for name, state in states.items()} | {"base": "healthy"}
        self.ever: set[str] = set()

    def row(self, name):
        return SimpleNamespace(state=self.states.get(name, "idle"))

    def served(self, name):
        return name in self.ever

    def required_by(self, ids, worker=0):
        return required(ROWS, ids, worker)


def tasks(number):
    return [Task(f"cli:t{index}", Method("cli", "", "http"), TEST) for index in range(number)]


def test_a_test_gets_instances_that_run_before_others_and_holds_them_until_it_gives_them_back():
    rows = Rows(app2="healthy", edge2="healthy", app3="healthy", edge3="unhealthy")
    holding = Holding(ROWS, 3, rows)
    one, two, three, four = tasks(4)
    assert [holding.take(task) and task.worker for task in (one, two, three, one)] == [2, 1, 3, 2]
    assert not holding.take(four)
    holding.release(two)
    assert (holding.take(four), four.worker) == (True, 1)
    free = Task("cli:n", Method("cli", "", "http"), Case("n", "", ("cli",), requires=("base",)))
    assert (holding.take(free), free.worker) == (True, 0)
    holding.release(free)


def test_instances_that_failed_are_left_for_others():
    rows = Rows(app1="failed", app2="healthy", edge2="healthy")
    rows.ever |= {"app.1", "edge.1", "app.2", "edge.2"}
    holding = Holding(ROWS, 2, rows)
    one, two = tasks(2)
    assert (holding.take(one), one.worker) == (True, 2)
    assert not holding.take(two)  # worker 2 is held, worker 1 has failed
    rows.states["edge.2"] = "failed"
    assert (holding.take(two), two.worker) == (True, 1)
    assert (holding.take(one), one.worker) == (True, 2)  # no other is left: its test is blocked


def test_a_server_that_cannot_start_is_not_tried_once_for_each_worker():
    rows = Rows(app1="failed", app2="starting")
    holding = Holding(ROWS, 3, rows)
    [one] = tasks(1)
    assert (holding.take(one), one.worker) == (True, 3)  # another one still starts
    holding.release(one)
    rows.states["app.2"] = "failed"
    assert (holding.take(one), one.worker) == (True, 1)
