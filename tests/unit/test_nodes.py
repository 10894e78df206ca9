"""Runs on several machines, without any: placing attempts, leases, what a node proves, and files on their way."""

from __future__ import annotations

import fcntl
import hashlib
import os
import resource
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from orchestra import plan as plans
from orchestra.errors import MachineError, UsageError
from orchestra.ledger.event import NodeChanged, ServiceChanged
from orchestra.ledger.running_step import RunningStep, running_steps
from orchestra.plan import Command, Component, Job, Method, Service
from orchestra.remote_address import is_loopback, scheduler_host
from orchestra.runtime.attempt import EvidenceFile, Request, Result
from orchestra.runtime.engine.contract import HERE, Beat, Changed, Done, Lost, Scene
from orchestra.runtime.engine.leases import Leases
from orchestra.runtime.engine.slots import Slots
from orchestra.runtime.mask.masks import NOTHING, Masks
from orchestra.runtime.nodes import cluster as cluster_module
from orchestra.runtime.nodes import visit
from orchestra.runtime.nodes.cluster import Answered, Beaten, Broken, Cluster, Dropped, Joined, Left, Looked, Refused
from orchestra.runtime.nodes.dask_package import check_address, told
from orchestra.runtime.nodes.parcel import Incoming, ParcelError, arrived, below, files_of, piece
from orchestra.runtime.nodes.proof import (
    lacking,
    only_here,
    programs_of,
    refusal,
    variables_of,
    versions,
)
from orchestra.runtime.nodes.registry import open_engine
from orchestra.runtime.nodes.words import CHUNK_BYTES, Hello, Proof, Pulse, Sent
from orchestra.runtime.servers.row import RowChange
from orchestra.verbs.worker import worker
from tests.support.plans import small

RUN = Path("/project/.orchestra/s/runs/r")


def request(task: str, *, session: bool = False) -> Request:
    method = Method("mcp" if session else "cli", "", "mcp" if session else "command", single_session=session)
    names = {"env.TOKEN": "secret", "backend.url": "http://b", "attempt.dir": f"{RUN}/{task}"}
    return Request(task, plans.Test(task, "", ("cli",)), method, 1, "/project", f"{RUN}/{task}", names, f"r/{task}/1")


def service(state: str, **changes: object) -> ServiceChanged:
    fields = {"component": "app", "state": state, "pid": 7, "port": 80, "attempt": 1, "reason": "", "seconds": 0.5}
    return ServiceChanged(**fields | changes)


class Wire:
    """A link that goes nowhere: it keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.requests: dict[str, Request] = {}
        self.ended: list[tuple[str, str]] = []
        self.wanted: list[tuple] = []
        self.stopped = self.closed = 0

    def start(self, address: str, lease: str, request: Request, folder: Path) -> None:
        assert folder == Path(f"{RUN}/{request.task}")
        self.sent.append((address, lease))
        self.requests[lease] = request

    def end(self, address: str, lease: str) -> None:
        self.ended.append((address, lease))

    def want(self, address: str, components: Sequence[str]) -> None:
        self.wanted.append((address, components))

    def look(self, address: str, components: Sequence[str], number: int) -> None:
        self.wanted.append((address, components, number))

    def stop(self) -> None:
        self.stopped += 1

    def close(self) -> None:
        self.closed += 1


class Ground:
    """A cluster without machines, whose clock the test has."""

    def __init__(self, slots: int = 0, masks: Masks = NOTHING, run: Path = RUN) -> None:
        self.now = 0.0
        self.wire, self.inbox = Wire(), SimpleQueue()
        scene = Scene("r", "r", Path("/project"), run, small(), (), {}, {}, None, masks, slots=slots)  # type: ignore[arg-type]
        self.cluster = Cluster(
            scene, self.wire, self.inbox, "tcp://s:1", clock=lambda: self.now, time_of_day=lambda: 500.0
        )

    def hear(self, *news: object) -> list:
        for one in news:
            self.inbox.put(one)
        return list(self.cluster.poll(0.0))


def test_an_attempt_goes_to_the_node_with_the_most_free_slots():
    ground = Ground()
    assert ground.hear(Joined("tcp://a", "a", 1), Joined("tcp://b", "b", 2)) == [
        Beat("a", "the node a is used, with 1 slot", "used", 1),
        Beat("b", "the node b is used, with 2 slots", "used", 2),
    ]
    for number in range(4):
        ground.cluster.start(request(f"T{number}"), f"l{number}")
    assert ground.wire.sent == [("tcp://b", "l0"), ("tcp://a", "l1"), ("tcp://b", "l2")]
    assert ground.cluster.capacity() == {"a": 0, "b": 0, "waiting": -1}
    done = Result("T1", 1, "passed", 1.0)
    assert ground.hear(Answered("l1", "a", done)) == [Done("l1", done, "a")]
    assert ground.wire.sent[3:] == [("tcp://a", "l3")]
    ground.cluster.end("l3")
    ground.cluster.end("l1")
    assert ground.wire.ended == [("tcp://a", "l3")]


def test_an_attempt_goes_to_the_node_that_it_names_and_to_no_other():
    ground = Ground()
    method = request("T1").method
    assert ground.cluster.place(method) == ""
    ground.hear(Joined("tcp://a", "a", 1), Joined("tcp://b", "b", 2))
    assert ground.cluster.place(method) == "b"
    assert ground.cluster.place(method, {"b": 2}) == "a"
    assert ground.cluster.place(method, {"a": 1, "b": 2}) == ""
    for number, name in enumerate(["a", "a", "gone", "b"]):
        ground.cluster.start(msgspec.structs.replace(request(f"T{number}"), node=name), f"l{number}")
    assert ground.wire.sent == [("tcp://a", "l0"), ("tcp://b", "l3")]
    assert ground.hear() == [Lost("l2", "gone", "it left before the attempt began")]
    ground.hear(Answered("l0", "a", Result("T0", 1, "passed", 1.0)))
    assert ground.wire.sent[2:] == [("tcp://a", "l1")]
    assert ground.cluster.place(method) == "b"


def test_a_single_session_is_placed_on_its_node_while_that_has_a_slot():
    ground = Ground()
    ground.hear(Joined("tcp://a", "a", 1), Joined("tcp://b", "b", 3))
    ground.cluster.start(request("T1", session=True), "l1")
    method = request("T1", session=True).method
    assert (ground.cluster.place(method), ground.cluster.place(method, {"b": 2})) == ("b", "")


def test_a_node_starts_and_looks_at_its_instances_and_its_changes_come_first():
    ground, over = Ground(), []
    ground.cluster.want("a", ["app"])
    ground.cluster.look("a", ["app"], lambda: over.append("no such node"))
    assert (ground.wire.wanted, over) == ([], ["no such node"])
    ground.hear(Joined("tcp://a", "a", 1))
    ground.cluster.want("a", ["app"])
    ground.cluster.look("a", ["app"], lambda: over.append("looked"))
    ground.cluster.look("a", ["app"], lambda: over.append("gone"))
    ground.cluster.look("a", ["app"], lambda: over.append("ended"))
    assert ground.wire.wanted == [("tcp://a", ["app"]), *(("tcp://a", ["app"], number) for number in (1, 2, 3))]
    change = RowChange(service("healthy"))
    assert ground.hear(Beaten("a", Pulse(changes=(change,))), Looked((1,)), Looked((1, 9))) == [Changed("a", (change,))]
    assert over[1:] == ["looked"]
    ground.hear(Left("tcp://a", "gone"))
    assert over[2:] == ["gone", "ended"]
    ground.hear(Joined("tcp://a", "a", 1))
    ground.cluster.look("a", ["app"], lambda: over.append("no cluster"))
    ground.cluster.stop()
    ground.hear(Broken(MachineError("gone")))
    assert over[4:] == ["no cluster"]
    ground.cluster.close()
    ground.now += 1000.0
    assert ground.hear(Beaten("a", Pulse(changes=(change,)))) == [Changed("a", (change,))]


def test_the_steps_that_a_node_executes_are_shown_until_it_is_gone(tmp_path):
    ground = Ground(run=tmp_path)
    ground.hear(Joined("tcp://a", "a", 1), Beaten("a", Pulse((RunningStep("cli:T", 1, "steps", 1, 3, "click", 4.0),))))
    assert running_steps(tmp_path) == {"cli:T": RunningStep("cli:T", 1, "steps", 1, 3, "click", 496.0)}
    ground.hear(Left("tcp://a", "gone"))
    assert running_steps(tmp_path) == {}
    ground.hear(Joined("tcp://b", "b", 1), Beaten("b", Pulse((RunningStep("cli:T", 2, "steps", 0, 3, "goto", 4.0),))))
    ground.cluster.close()
    assert running_steps(tmp_path) == {}


def test_no_variable_of_the_environment_and_no_path_of_this_machine_goes_to_a_node():
    ground = Ground()
    ground.hear(Joined("tcp://a", "a", 1))
    ground.cluster.start(request("T1"), "l1")
    sent = ground.wire.requests["l1"]
    assert (sent.folder, sent.root, sent.logins, sent.mark) == ("T1", "", "", "/T1/1")
    assert "env.TOKEN" not in sent.names
    assert sent.names["backend.url"] == "http://b"


def test_the_run_hides_what_the_login_of_a_node_has_learnt():
    masks = Masks((), {}, growing=True)
    ground = Ground(masks=masks)
    ground.hear(Joined("tcp://a", "a", 1))
    done = Result("T1", 1, "passed", 1.0)
    ground.hear(Answered("l1", "a", done, {"login admin": ("0f1e2d3c4b5a6978",)}))
    assert masks.text("sid=0f1e2d3c4b5a6978") == "sid=***login admin***"
    assert Ground().hear(Answered("l1", "a", done, {"x": ("0f1e2d3c4b5a6978",)})) == [Done("l1", done, "a")]


def test_the_spec_can_bound_the_slots_of_a_node():
    ground = Ground(slots=2)
    ground.hear(Joined("tcp://a", "a", 8), Joined("tcp://b", "b", 1))
    assert ground.cluster.capacity() == {"a": 2, "b": 1}


def test_a_node_that_is_gone_loses_its_attempts_and_no_other():
    ground = Ground()
    ground.hear(Joined("tcp://a", "a", 1), Joined("tcp://b", "b", 1))
    ground.cluster.start(request("T1"), "l1")
    ground.cluster.start(request("T2"), "l2")
    ground.cluster.start(request("T3"), "l3")
    assert ground.hear(Left("tcp://a", "gone")) == [
        Lost("l1", "a", "gone"),
        Beat("a", "the node a was lost: gone", "lost"),
    ]
    assert ground.hear(Left("tcp://a", "gone"), None, Dropped("l1", "late")) == []
    assert ground.hear(Dropped("l2", "why")) == [Lost("l2", "b", "why")]
    assert ground.wire.sent == [("tcp://a", "l1"), ("tcp://b", "l2"), ("tcp://b", "l3")]


def test_a_node_that_can_write_no_more_gets_no_other_attempt():
    """The result counts; what else it has is lost, and goes with what waits to the other nodes."""
    ground = Ground()
    ground.hear(Joined("tcp://a", "a", 2))
    for number in range(3):
        ground.cluster.start(request(f"T{number}"), f"l{number}")
    done, reason = Result("T0", 1, "passed", 1.0), "it cannot write: no space left on device"
    assert ground.hear(Answered("l0", "a", done, {}, reason), Left("tcp://a", reason)) == [
        Lost("l1", "a", reason),
        Beat("a", f"the node a was lost: {reason}", "lost"),
        Done("l0", done, "a"),
    ]
    assert ground.cluster.capacity() == {"waiting": -1}
    ground.hear(Joined("tcp://b", "b", 1))
    assert ground.wire.sent == [("tcp://a", "l0"), ("tcp://a", "l1"), ("tcp://b", "l2")]


def test_a_single_session_stays_on_its_node_while_that_is_there():
    ground = Ground()
    ground.hear(Joined("tcp://a", "a", 1), Joined("tcp://b", "b", 3))
    ground.cluster.start(request("T1", session=True), "l1")
    ground.hear(Answered("l1", "b", Result("T1", 1, "passed", 1.0)), Left("tcp://c", ""), Joined("tcp://d", "d", 9))
    ground.cluster.start(request("T2", session=True), "l2")
    assert ground.wire.sent == [("tcp://b", "l1"), ("tcp://b", "l2")]
    ground.hear(Left("tcp://b", "gone"))
    ground.cluster.start(request("T3", session=True), "l3")
    assert ground.wire.sent[2:] == [("tcp://d", "l3")]


def test_a_session_waits_for_a_slot_of_its_node():
    ground = Ground()
    ground.hear(Joined("tcp://a", "a", 1))
    ground.cluster.start(request("T1", session=True), "l1")
    ground.hear(Joined("tcp://b", "b", 1))
    ground.cluster.start(request("T2", session=True), "l2")
    assert ground.cluster.capacity() == {"a": 0, "b": 1, "waiting": -1}
    ground.hear(Left("tcp://a", "gone"))
    assert ground.wire.sent[1:] == [("tcp://b", "l2")]


def test_a_run_without_a_node_waits_and_then_ends_with_the_reason():
    ground = Ground()
    ground.hear(Refused("x", "it lacks a browser", "install it"))
    ground.now = cluster_module.NODE_SECONDS
    with pytest.raises(
        MachineError, match=r"has had no node for 60 s: none that can be used \(x: it lacks a browser\)"
    ):
        ground.cluster.poll(None)
    ground = Ground()
    ground.hear(Joined("tcp://a", "a", 1), Refused("x", "odd", "fix"), Joined("tcp://x", "x", 1))
    ground.now = 1000.0
    assert ground.hear() == []
    ground.hear(Left("tcp://a", "gone"), Left("tcp://x", "gone"))
    ground.cluster.start(request("T1"), "l1")
    ground.now += cluster_module.NODE_SECONDS
    with pytest.raises(MachineError, match=r"no node for 60 s: none$") as caught:
        ground.cluster.poll(None)
    assert caught.value.hint == "orchestra worker --scheduler tcp://s:1; then `orchestra run --resume`"
    ground.cluster.stop()
    assert ground.hear() == [Lost("l1", "waiting", "the run ended")]
    assert ground.hear() == []


def test_a_link_that_is_lost_ends_the_run_once():
    ground = Ground()
    ground.hear(Joined("tcp://a", "a", 1))
    ground.cluster.start(request("T1"), "l1")
    with pytest.raises(MachineError, match="gone"):
        ground.hear(Broken(MachineError("gone")))
    ground.cluster.stop()
    assert ground.hear(Broken(MachineError("again"))) == [Lost("l1", "a", "the cluster is gone")]
    ground.cluster.close()
    assert (ground.wire.stopped, ground.wire.closed, ground.cluster.roots()) == (0, 1, {})


def test_the_end_of_a_run_does_not_wait_for_a_node_that_does_not_hear():
    ground = Ground()
    ground.hear(Joined("tcp://a", "a", 1))
    ground.cluster.start(request("T1"), "l1")
    ground.cluster.start(request("T2"), "l2")
    ground.cluster.stop()
    ground.cluster.stop()
    assert ground.hear() == [Lost("l2", "waiting", "the run ended")]
    ground.now = cluster_module.END_SECONDS
    assert ground.cluster.poll(None) == [Lost("l1", "a", "it did not end its attempts within 20 s")]
    assert ground.wire.stopped == 1


def test_a_wait_ends_by_a_wake_or_in_time():
    ground = Ground()
    ground.cluster.wake()
    assert ground.cluster.poll(1000.0) == []
    assert ground.cluster.poll(0.001) == []


# ----------------------------------------------------------------------------------------------------------------- leases


class Said:
    """An engine that says what a test lets it say."""

    def __init__(self, node: str = "n") -> None:
        self.started: list[str] = []
        self.says: list = []
        self.ended: list[str] = []
        self.free = {node: 2}
        self.stopped = False

    def capacity(self):
        return self.free

    def place(self, method, held):
        return max(self.free, default="")

    want = look = None

    def start(self, request, lease):
        self.started.append(lease)

    def poll(self, timeout):
        said, self.says = self.says, []
        return said

    def end(self, lease):
        self.ended.append(lease)

    def stop(self):
        self.stopped = True

    def close(self): ...

    def roots(self):
        return {}

    def wake(self): ...


def leases() -> tuple[Said, list, Leases]:
    engine, notes = Said(), []
    now = iter(range(100))
    return engine, notes, Leases(engine, notes.append, clock=lambda: float(next(now)))


def test_a_result_counts_by_its_lease_and_says_its_node():
    engine, notes, held = leases()
    assert held.place(request("T1").method) == "n"
    held.start(request("T1"))
    assert (held.free(), held.slots()) == (2, 3)
    held.end("T1")
    assert engine.ended == engine.started
    done = Result("T1", 1, "passed", 1.0)
    engine.says = [Done(engine.started[0], done, "n")]
    assert held.poll(0) == [msgspec.structs.replace(done, node="n")]
    held.end("T1")
    assert (len(engine.ended), notes) == (1, [])
    engine.free = {HERE: 5}
    assert (held.slots(), held.place(request("T1").method)) == (None, "")


def test_a_result_of_an_attempt_that_was_given_up_is_a_note():
    engine, notes, held = leases()
    held.start(request("T1"))
    engine.says = [Lost(engine.started[0], "n", "no heartbeat"), Beat("n", "the node n was lost", "lost")]
    [result] = held.poll(0)
    assert (result.outcome, result.node, result.failure.kind) == ("error", "n", "crash")
    assert result.failure.message == "the node n was lost: no heartbeat"
    held.start(request("T1"))
    late = Result("T1", 1, "passed", 1.0)
    engine.says = [Done(engine.started[0], late, "n"), Lost(engine.started[0], "n", "again")]
    assert held.poll(0) == []
    assert notes[0] == NodeChanged(node="n", state="lost", message="the node n was lost")
    assert [note.kind for note in notes[1:]] == ["late_result"]
    assert notes[1].message == "n answered for attempt 1 of T1 after it was given up: passed, which does not count"
    engine.says = [Done(engine.started[1], late, HERE)]
    assert held.poll(0) == [late]


def test_an_attempt_that_is_lost_while_the_run_ends_is_interrupted():
    engine, _, held = leases()
    held.start(request("T1"))
    held.stop()
    engine.says = [Lost(engine.started[0], "n", "gone")]
    assert [result.outcome for result in held.poll(0)] == ["interrupted"]
    assert engine.stopped


def test_slots_are_those_of_the_nodes():
    now = [3]
    slots = Slots(Method("cli", "", "command", workers=1), None, nodes=lambda: now[0])
    assert (slots.count(), slots.allowed(0), slots.samples_in(1, 1)) == (3, 3, None)
    now[0] = 0
    assert slots.count() == 1
    assert Slots(Method("cli", "", "command"), 2, nodes=lambda: 9).count() == 2
    assert Slots(Method("mcp", "", "mcp", single_session=True), None, nodes=lambda: 9).count() == 1


def test_a_package_brings_an_engine(tmp_path, monkeypatch):
    module = "from orchestra.runtime.engine.contract import ClusterKind\n"
    module += "RAY = ClusterKind('ray', 'nodes of Ray', lambda address, who: (address, who))\n"
    (tmp_path / "sample_ray.py").write_text(module)
    folder = tmp_path / "orchestra_ray-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: orchestra-ray\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[orchestra.engines]\nray = sample_ray:RAY\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plan = small(plugins=(plans.Plugin("orchestra-ray", "1.0", engines=("ray",)),))
    root = tmp_path / "project"
    assert open_engine(plan, root, "ray", "ray://h", "me") == ("ray://h", "me")
    assert open_engine(plan, root, "local", "", "me") is None
    with pytest.raises(UsageError, match='unknown engine "ray"'):
        open_engine(small(), root, "ray", "", "me")


# ------------------------------------------------------------------------------------------------------------------ proof


def test_a_node_is_refused_for_the_first_thing_that_it_has_not_in_common():
    ours = versions({"chromium": "1.2"})
    good = Proof("s", "net", "sha256:a", versions=ours)

    def why(proof: Proof, here: tuple[str, str] | None = None) -> str:
        found = refusal(proof, plan="sha256:a", versions=ours, network="net", only_here=here)
        return "" if found is None else found[0]

    def other(**changes: object) -> Proof:
        return msgspec.structs.replace(good, versions=msgspec.structs.replace(ours, **changes))

    assert why(good) == ""
    assert why(msgspec.structs.replace(good, fault="no plan")) == "no plan"
    assert why(msgspec.structs.replace(good, plan="sha256:b")) == "its plan is another one (sha256:b, here sha256:a)"
    assert why(other(orchestra="0.1")).startswith("it has orchestra 0.1, and here is ")
    assert why(other(python="3.9.1")).startswith("it has Python 3.9, and here is 3.")
    assert why(other(python=ours.python.rpartition(".")[0] + ".99")) == ""
    assert why(other(transport="1")).startswith("it has distributed 1, and here is ")
    assert why(other(browsers={})) == "it has chromium none, and here is 1.2"
    assert why(msgspec.structs.replace(good, missing=("the variable A",))) == "it lacks the variable A"
    far = msgspec.structs.replace(good, network="other")
    assert why(far) == ""
    assert why(good, ("app", "127.0.0.1")) == ""
    assert 'tests require "app" at 127.0.0.1, which only this machine reaches' in why(far, ("app", "127.0.0.1"))


def test_a_component_that_only_this_machine_reaches():
    def plan(*components: Component):
        return small(components=components)

    test = plans.Test("T", "", ("cli",), requires=("app",))
    app = Component("app", "", service=Service(("app",)))
    assert only_here(plan(app), [test]) == ("app", "127.0.0.1")
    assert only_here(plan(app), [msgspec.structs.replace(test, requires=())]) is None
    wide = msgspec.structs.replace(app, service=Service(("app",), host="10.0.0.5"))
    assert only_here(plan(wide), [test]) is None
    assert only_here(plan(Component("app", "", url="http://localhost:80/x")), [test]) == ("app", "localhost")
    assert only_here(plan(Component("app", "", url="https://app.example")), [test]) is None
    assert only_here(plan(Component("app", "")), [test]) is None
    assert only_here(plan(msgspec.structs.replace(app, where="worker")), [test]) is None
    assert [is_loopback(one) for one in ("::1", "[::1]", "0.0.0.0", "127.9.9.9", "a.localhost", "host")] == [
        *[True] * 5,
        False,
    ]


def test_what_a_node_must_have_for_the_tests(tmp_path):
    tool = tmp_path / "tool"
    tool.touch(0o755)
    tests = [
        plans.Test(str(number), "", ("cli",), command=Command(argv, shell=shell))
        for number, (argv, shell) in enumerate(
            [(("tool",), False), (("python",), False), (("./x",), False), (("${env.P}",), False), (("a | b",), True)]
        )
    ]
    assert programs_of([*tests, plans.Test("S", "", ("cli",))]) == ("tool",)
    there = [
        Component("app", "", service=Service(("serve", "x")), failover=Service(("other",), shell=True)),
        Component("seed", "", job=Job(("make", "seed"))),
    ]
    assert programs_of(tests, there) == ("make", "serve", "tool")
    plan = small(tests=tests)
    assert variables_of(plan, {"P": "x", "Q": "y"}) == ("P",)
    hello = Hello("r", "r", "s", "", programs=("tool", "gone"), variables=("P", "PATH"))
    assert lacking(hello, {"PATH": str(tmp_path)}) == ('the program "gone"', "the variable P")


@pytest.mark.parametrize(
    "url, host",
    [
        ("tcp://h:1", "h"),
        ("tls://[::1]:8786", "::1"),
        ("tcp://10.0.0.5:${env.PORT}", "10.0.0.5"),
        ("tcp://${env.H}:1", ""),
        ("${env.DASK}", ""),
        ("", ""),
    ],
)
def test_the_host_of_a_scheduler(url, host):
    assert scheduler_host(url) == host


@pytest.mark.parametrize("address", ["tcp://h:1", "tls://10.0.0.1:8786", "tcp://[::1]:8786"])
def test_an_address_of_a_scheduler(address):
    assert check_address(address) == address


@pytest.mark.parametrize(
    "address",
    ["h:1", "http://h:1", "tcp://h", "tcp://u@h:1", "tcp://h:1/x", "", "tcp://h:0", "tcp://h:65536", "${env.A}"],
)
def test_an_address_that_is_none(address):
    with pytest.raises(UsageError, match="is not the address of a Dask scheduler"):
        check_address(address)


# ------------------------------------------------------------------------------------------------- nodes of one checkout


def test_nodes_of_one_checkout_begin_at_once(tmp_path):
    """None meets its own lock in the hands of one that looks for what killed nodes have left."""
    nodes = tmp_path / ".orchestra/s/nodes"
    names = [f"n{number}" for number in range(8)]
    for _ in range(5):
        with ThreadPoolExecutor(len(names)) as threads:
            locks = list(threads.map(lambda name: visit._own(nodes / name), names))
        assert sorted(path.name for path in nodes.iterdir()) == sorted([*names, *(f"{name}.lock" for name in names)])
        for lock in locks:
            os.close(lock)


def test_a_node_takes_its_folder_and_removes_those_of_killed_ones(tmp_path, monkeypatch):
    nodes = tmp_path / ".orchestra/s/nodes"
    os.close(visit._own(nodes / "killed"))
    held = visit._own(nodes / "alive")
    assert sorted(path.name for path in nodes.iterdir()) == ["alive", "alive.lock"]
    with pytest.raises(MachineError, match='another node "alive" is in this checkout'):
        visit._own(nodes / "alive")
    os.close(held)

    def removed(_path: Path) -> None:
        turn = os.open(nodes, os.O_RDONLY)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(turn)

    monkeypatch.setattr(visit, "remove_tree", removed)
    os.close(visit._own(nodes / "next"))


def test_a_node_does_not_wait_for_ever_for_one_that_is_stopped_while_it_begins(tmp_path, monkeypatch):
    nodes = tmp_path / ".orchestra/s/nodes"
    nodes.mkdir(parents=True)
    monkeypatch.setattr(visit, "TURN_SECONDS", 0.1)
    stopped = os.open(nodes, os.O_RDONLY)
    fcntl.flock(stopped, fcntl.LOCK_EX)
    with pytest.raises(MachineError, match=r"another node of this checkout has been about to begin for 0 s") as caught:
        visit._own(nodes / "next")
    assert caught.value.hint == "let it go on if it is stopped, or end it"
    os.close(stopped)
    os.close(visit._own(nodes / "next"))


def test_a_disk_that_is_full_is_noticed(tmp_path):
    """A limit of the process is the same to it as a full disk; what was written is removed."""
    assert visit.without_room(tmp_path) == ""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (visit.ROOM_BYTES // 2, limits[1]))
    try:
        reason = visit.without_room(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert reason == f'cannot write "{tmp_path}": file too large'
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../runs", "a b", "-x", "a\n", "\x1b[2J", "n" * 65])
def test_a_name_of_a_node_is_one_of_a_folder(name):
    run = CliRunner().invoke(worker, ["--scheduler", "tcp://h:1", "--name", name])
    assert isinstance(run.exception, UsageError)
    assert "cannot be the name of a node" in str(run.exception.message)


# ----------------------------------------------------------------------------------------------------------------- parcels


@given(st.lists(st.binary(max_size=50), max_size=4), st.integers(1, 20))
def test_files_come_as_they_were(tmp_path_factory, contents, size):
    there, here = tmp_path_factory.mktemp("there"), tmp_path_factory.mktemp("here")
    for number, content in enumerate(contents):
        (there / str(number)).mkdir()
        (there / str(number) / "file").write_bytes(content)
    (there / "link").symlink_to("/etc/passwd")
    for sent in files_of(there):
        incoming = Incoming(here, sent)
        data = piece(there, sent.path, 0)
        assert len(data) == sent.bytes < CHUNK_BYTES
        for at in range(0, len(data), size):
            incoming.add(data[at : at + size])
        incoming.close()
        incoming.check()
    assert [(here / str(number) / "file").read_bytes() for number in range(len(contents))] == contents
    assert not (here / "link").exists()


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a\0b"])
def test_a_node_cannot_name_a_path_outside_of_the_folder(tmp_path, path):
    with pytest.raises(ParcelError, match="is none in the folder of an attempt"):
        below(tmp_path, path)


def test_evidence_of_a_node_is_in_the_folder_of_the_attempt(tmp_path):
    files = (EvidenceFile("output.log", "log", apart="/elsewhere"), EvidenceFile("a/b.png", "picture"))
    found = arrived(Result("T1", 1, "passed", 1.0, evidence=files), tmp_path)
    assert [one.apart for one in found.evidence] == [str(tmp_path / "output.log"), ""]
    with pytest.raises(ParcelError):
        arrived(Result("T1", 1, "passed", 1.0, evidence=(EvidenceFile("../x", "log"),)), tmp_path)


def test_a_file_that_is_not_what_was_sent_is_refused(tmp_path):
    digest = hashlib.sha256(b"abc").hexdigest()
    short = Incoming(tmp_path, Sent("f", 3, digest))
    short.add(b"ab")
    short.close()
    with pytest.raises(ParcelError, match="another content"):
        short.check()
    other = Incoming(tmp_path, Sent("f", 3, digest))
    other.add(b"abd")
    with pytest.raises(ParcelError, match="larger than 3 bytes"):
        other.add(b"e")
    other.close()
    with pytest.raises(ParcelError, match="another content"):
        other.check()


def test_an_error_of_dask_is_one_line_in_words():
    assert told(OSError("Timed out\nmore")) == "OSError: Timed out"
    assert told(TimeoutError()) == "no answer in time"
    assert told(OSError()) == "OSError"
