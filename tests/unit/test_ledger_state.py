"""The state is a projection of the view: whole, untouched by later events, and it says what the events say."""

import json

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from orchestra.errors import MachineError
from orchestra.ledger.audit import impossible
from orchestra.ledger.canonical import canonical
from orchestra.ledger.chain import Tip, link
from orchestra.ledger.event import VERDICTS, Done, Event, Unknown
from orchestra.ledger.spent import Spent
from orchestra.ledger.state import KEPT, as_json, from_json, read_state, rollback, state_of, state_schema, write_state
from orchestra.ledger.state_rows import Checkpoint, Failed, GateState, Recovery, ResourceUse, Running, ServiceRow, State
from orchestra.ledger.versions import event_schema
from orchestra.ledger.view import View, view_of
from orchestra.verbs import status
from tests.support.events import body as body_of

TASKS = [f"{method}:B00{number}" for method in ("cli", "mcp") for number in range(1, 4)]


def stamp(seq):
    return f"2026-01-02T03:04:{seq // 1000:02}.{seq % 1000:06}Z"


def events(*kinds_and_bodies, start=None):
    """A chain of real events, after `start` if that is given."""
    tip, chain = Tip(*(start.seq, start.hash, start.time)) if start else Tip(), []
    for kind, body in kinds_and_bodies:
        event, _line = link(tip, stamp(tip.seq + 1), body_of(kind, body), None)
        tip = Tip(event.seq, event.hash, event.time)
        chain.append(event)
    return chain


def started(selection=TASKS, **more):
    return "run_started", {
        "run": "20260102T030405Z-00aa", "suite": "market", "plan_digest": "p", "source_digest": "s", "profile": None,
        "selection": list(selection), "methods": ["cli", "mcp"], "workers": 2, "argv": [], "provenance": {}, **more,
    }  # fmt: skip


def names(task):
    method, test = task.split(":")
    return {"task": task, "test": test, "method": method}


def attempt(task, number=1):
    return "attempt_started", {**names(task), "attempt": number, "dir": f"{task}/{number}"}


def ended(task, number=1, outcome="passed", error=None, *, retry=False):
    return "attempt_finished", {
        **names(task), "attempt": number, "outcome": outcome, "seconds": 1.5, "error": error, "steps": [], "evidence": [], "retry": retry,
    }  # fmt: skip


def verdict(task, word="passed", speed="good", reason="", attempts=1):
    return "verdict", {
        **names(task), "verdict": word, "reason": reason, "seconds": 1.5, "attempts": attempts, "speed_class": speed, "degraded": [], "inputs": None,
    }  # fmt: skip


def service(component="backend", state="healthy", **more):
    body = {"component": component, "state": state, "pid": 7, "port": 8000, "attempt": 1, "reason": "", "seconds": 0.5}
    return "service_event", {**body, **more}


tasks = st.sampled_from(TASKS)
words = st.sampled_from(VERDICTS)
doings = st.one_of(
    st.builds(attempt, tasks, st.integers(1, 3)),
    st.builds(ended, tasks, st.integers(1, 3), st.just("failed"), st.sampled_from([None, {"kind": "timeout", "message": "m"}])),
    st.builds(verdict, tasks, words, st.sampled_from(["good", "ok", "slow", None]), st.sampled_from(["", "why"])),
    st.builds(service, st.sampled_from("ab"), st.sampled_from(["healthy", "failed"]), action=st.sampled_from([None, "restart"])),
    st.tuples(st.just("gate"), st.builds(lambda phase, result: {"phase": phase, "name": "g", "result": result, "expression": "", "values": {}, "message": ""}, st.sampled_from(["before", "during", "after"]), st.sampled_from(["passed", "failed"]))),
    st.tuples(st.just("group_completed"), st.just({"method": "cli", "group": "basics"})),
    st.tuples(st.just("session"), st.just({"method": "mcp", "session": "1", "url": "", "title": "", "tabs": 1, "continuity": "kept"})),
    st.tuples(st.just("resource"), st.builds(lambda cpu: {"cpu_percent": cpu, "memory_percent": 5, "workers": 2}, st.floats(0, 100))),
    st.tuples(st.just("incident"), st.builds(lambda state: {"component": "backend", "state": state, "reason": "r"}, st.sampled_from(["opened", "closed"]))),
    st.just(("note", {"message": "n"})),
    st.just(("interrupted", {"signal": "SIGINT"})),
    st.just(("baseline", {"digest": "d", "previous": None, "reason": "accepted"})),
    st.just(("run_finished", {"exit_code": 1, "counts": {}, "seconds": 1.5, "gates": {}})),
    st.just(("seal", {"events": 1, "head": "h"})),
)  # fmt: skip
resumes = st.builds(
    lambda rerun: ("run_resumed", {"run": "r", "rerun": rerun, "workers": 3}), st.lists(tasks, unique=True)
)
stories = st.lists(st.one_of(doings, resumes), max_size=25).map(lambda story: events(started(), *story))


def whole(state):
    """What holds for every state that events can lead to."""
    places = [*state.completed, *state.current, *state.pending]
    assert set(places) == set(TASKS)
    assert not set(state.pending) & (set(state.completed) | set(state.current))
    for word in VERDICTS:
        assert state.counts[word] == sum(done.verdict == word for done in state.completed.values())
    classes = [done.speed_class for done in state.completed.values() if done.speed_class]
    assert state.class_distribution == {name: classes.count(name) for name in set(classes)}
    assert set(state.blocked) == {task for task, done in state.completed.items() if done.verdict == "blocked"}


def state(story, **how):
    return state_of(view_of(story, **how))


@given(stories)
def test_a_state_is_whole_and_is_read_back_as_it_was_written(story):
    found = state(story)
    assert from_json(as_json(found)) == found
    assert found == state(story, steps=False)
    whole(found)
    jsonschema.Draft202012Validator(state_schema()).validate(json.loads(as_json(found)))


@given(st.lists(doings, max_size=25))
def test_within_one_segment_a_longer_prefix_never_knows_less(story):
    view, before = View(), State()
    for event in events(started(), *story):
        view.see(event)
        after = state_of(view)
        assert before.completed.keys() <= after.completed.keys()
        assert set(after.pending) <= set(before.pending) or event.type == "run_started"
        for counter in ("seq", "error_count", "recovery_count", "incident_count", "unknown_events"):
            assert getattr(before, counter) <= getattr(after, counter)
        assert len(before.checkpoints) <= len(after.checkpoints)
        before = after


@given(stories)
def test_neither_a_state_nor_an_event_is_touched_by_later_events(story):
    view, seen = View(), []
    for event in story:
        view.see(event)
        found = state_of(view)
        seen.append((found, as_json(found), event, canonical(event.body)))
    for found, text, event, line in seen:
        assert (as_json(found), canonical(event.body)) == (text, line)


@given(stories, st.data())
def test_a_rollback_takes_the_verdicts_back_to_the_point(story, data):
    cut = data.draw(st.integers(1, len(story)))
    before, now = view_of(story[:cut]), view_of(story)
    (back,) = events(("rolled_back", msgspec.to_builtins(rollback(before, now, "asked"))), start=story[-1])
    jsonschema.Draft202012Validator(event_schema()).validate(json.loads(canonical(back)))
    now.see(back)
    was, then = state_of(before), state_of(now)
    for name in ("completed", "counts", "blocked", "class_distribution", "checkpoints", "baseline"):
        assert getattr(then, name) == getattr(was, name)
    assert set(then.pending) | set(then.current) == (set(was.pending) | set(was.current)) - set(was.completed)
    assert not then.current
    whole(then)


@st.composite
def runs(draw):
    """A run as one can be: tests that run to their verdicts, and segments in which some of them run again."""
    story, settled = [started()], []
    for _ in range(draw(st.integers(0, 12))):
        waiting = [task for task in TASKS if task not in settled]
        if waiting and draw(st.booleans()):
            task = draw(st.sampled_from(waiting))
            outcomes = draw(st.sampled_from([("passed",), ("failed",), ("failed", "passed"), ("failed", "failed")]))
            for number, outcome in enumerate(outcomes, 1):
                error = None if outcome == "passed" else {"kind": "assertion", "message": "m"}
                again = number < len(outcomes)
                story += [attempt(task, number), ended(task, number, outcome, error, retry=again)]
            word = "flaky" if outcomes == ("failed", "passed") else outcomes[-1]
            story.append(verdict(task, word, attempts=len(outcomes)))
            settled.append(task)
        else:
            again = draw(st.lists(st.sampled_from(settled), unique=True)) if settled else []
            story.append(("run_resumed", {"run": "r", "rerun": again}))
            settled = [task for task in settled if task not in again]
    return events(*story)


@given(runs(), st.data())
def test_a_verdict_that_stands_again_stands_with_the_attempts_that_led_to_it(story, data):
    cut = data.draw(st.integers(1, len(story)))
    before, now = View(), View()
    for event in story:
        assert impossible(now, event.body) is None
        now.see(event)
        if event.seq <= cut:
            before.see(event)
    back = rollback(before, now)
    assert impossible(now, back) is None
    (event,) = events(("rolled_back", msgspec.to_builtins(back)), start=story[-1])
    happened = sorted(seen.seq for task in now.lives for seen in attempts_of(now, task))
    now.see(event)
    for task in before.verdicts:
        assert (now.lives[task].given, now.lives[task].attempts) == (
            before.lives[task].given,
            before.lives[task].attempts,
        )
    assert sorted(seen.seq for task in now.lives for seen in attempts_of(now, task)) == happened, "none is forgotten"


def attempts_of(view, task):
    return [seen for life in (*view.earlier_lives.get(task, ()), view.lives[task]) for seen in life.attempts]


def test_the_story_of_a_run():
    error = {"kind": "timeout", "message": 'no "reply" in 60 s', "step": 2, "at": "specs/market.yaml:41"}
    found = state(
        events(
            started(TASKS[:4]),
            service(),
            (
                "gate",
                {"phase": "before", "name": "up", "result": "passed", "expression": "", "values": {}, "message": "ok"},
            ),
            ("resource", {"cpu_percent": 90.5, "memory_percent": 20, "workers": 2}),
            ("resource", {"cpu_percent": 10, "memory_percent": 30, "workers": 1, "reason": "machine"}),
            attempt("cli:B001"),
            ended("cli:B001"),
            verdict("cli:B001"),
            ("group_completed", {"method": "cli", "group": "basics"}),
            attempt("cli:B002"),
            ended("cli:B002", 1, "timeout", error, retry=True),
            service(state="starting", action="restart", reason="no answer"),
            ("incident", {"component": "backend", "state": "opened", "reason": "no answer"}),
            attempt("cli:B002", 2),
            verdict("cli:B003", "blocked", None, "cli:B002 failed", 0),
        )
    )
    assert found == State(
        seq=15,
        head=found.head,
        time=stamp(15),
        run="20260102T030405Z-00aa",
        started=stamp(1),
        phase="running",
        plan_digest="p",
        source_digest="s",
        methods=("cli", "mcp"),
        workers=1,
        completed={
            "cli:B001": Done(verdict="passed", speed_class="good", seconds=1.5, attempts=1),
            "cli:B003": Done(verdict="blocked", speed_class=None, seconds=1.5, attempts=0, reason="cli:B002 failed"),
        },
        current={"cli:B002": Running(attempt=2, dir="cli:B002/2", since=stamp(14))},
        pending=("mcp:B001",),
        blocked={"cli:B003": "cli:B002 failed"},
        counts={**dict.fromkeys(VERDICTS, 0), "passed": 1, "blocked": 1},
        class_distribution={"good": 1},
        resource_use=ResourceUse(
            cpu_percent=10, memory_percent=30, workers=1, reason="machine", time=stamp(5),
            cpu_percent_peak=90.5, memory_percent_peak=30, cpu_percent_mean=0.0, other_cpu_percent_mean=0.0,
        read_megabytes=0.0, written_megabytes=0.0, received_megabytes=0.0, sent_megabytes=0.0,
    ),
        spent=dict.fromkeys(Spent().rows(), 0.0),
        error_count=1,
        errors=(Failed(seq=11, task="cli:B002", attempt=1, kind="timeout", message='no "reply" in 60 s', at="specs/market.yaml:41"),),
        recovery_count=1,
        recoveries=(Recovery(seq=12, time=stamp(12), component="backend", action="restart", state="starting", attempt=1, reason="no answer", seconds=0.5),),
        incident_count=1,
        incidents={"backend": "no answer"},
        health={"backend": ServiceRow(**service(state="starting", action="restart", reason="no answer")[1], time=stamp(12))},
        gates={"before:up": GateState(result="passed", message="ok")},
        checkpoints=(Checkpoint(seq=9, method="cli", group="basics", time=stamp(9)),),
    )  # fmt: skip


def test_a_resumed_run_waits_for_what_has_to_run_again():
    story = events(
        started(TASKS[:3]),
        verdict("cli:B001"),
        verdict("cli:B002", "failed", "slow", "found 3"),
        attempt("cli:B003"),
        ("interrupted", {"signal": "SIGINT"}),
        ("run_finished", {"exit_code": 130, "counts": {}, "seconds": 1, "gates": {}}),
        ("seal", {"events": 6, "head": "h"}),
    )
    view = view_of(story)
    closed = state_of(view)
    assert (closed.phase, closed.exit_code, closed.interrupted, closed.sealed) == ("finished", 130, "SIGINT", True)
    (again,) = events(("run_resumed", {"run": "r", "rerun": ["cli:B002"], "workers": 4}), start=story[-1])
    view.see(again)
    resumed = state_of(view)
    assert resumed.pending == ("cli:B003", "cli:B002")
    assert list(resumed.completed) == ["cli:B001"]
    assert (resumed.counts["passed"], resumed.counts["failed"], resumed.class_distribution) == (1, 0, {"good": 1})
    assert (resumed.phase, resumed.exit_code, resumed.interrupted, resumed.sealed) == ("starting", None, None, False)
    assert (resumed.resumes, resumed.workers) == (1, 4)


def test_a_repeat_that_the_end_of_a_segment_cut_off_leaves_the_verdict_alone():
    found = state(
        events(started(), verdict("cli:B001"), attempt("cli:B001", 2), ("run_resumed", {"run": "r", "rerun": []}))
    )
    assert found.pending == tuple(TASKS[1:])
    assert list(found.completed) == ["cli:B001"]
    assert found.current == {}


def test_an_event_of_a_newer_version_is_counted_and_skipped():
    story = events(started())
    before = state(story)
    for kind, version in [("telepathy", 1), ("verdict", 99)]:
        event = Event(2, stamp(2), kind, version, before.head, "f" * 64, Unknown({"new": True}))
        wanted = structs.replace(before, seq=2, time=stamp(2), head="f" * 64, unknown_events=1)
        assert state([*story, event]) == wanted


def test_the_latest_errors_are_kept_and_all_are_counted():
    error = {"kind": "crash", "message": "m"}
    found = state(events(started(), *(ended("cli:B001", number, "error", error) for number in range(1, KEPT + 11))))
    assert found.error_count == KEPT + 10
    assert [entry.attempt for entry in found.errors] == list(range(11, KEPT + 11))


def test_the_state_on_disk_is_replaced_whole_and_a_field_has_a_line(tmp_path):
    path = tmp_path / "state.json"
    first = state(events(started()))
    write_state(path, first)
    assert read_state(path) == first
    write_state(path, State())
    assert read_state(path) == State()
    assert [json.loads("{" + line.rstrip(",") + "}").keys() for line in path.read_text().splitlines()[1:-1]] == [
        {name} for name in State.__struct_fields__
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


def test_a_state_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path):
    (tmp_path / "state.json").mkdir()
    with pytest.raises(MachineError, match=r'cannot write ".*state\.json": is a directory'):
        write_state(tmp_path / "state.json", State())
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]
    with pytest.raises(MachineError, match=r'cannot write ".*state\.json": no such file or directory'):
        write_state(tmp_path / "none" / "state.json", State())
    with pytest.raises(MachineError, match=r'cannot read ".*none\.json": no such file or directory'):
        read_state(tmp_path / "none.json")


def test_a_state_of_a_newer_version_is_read_and_another_file_is_not():
    assert from_json('{"seq": 3, "mood": "calm"}') == State(seq=3)
    for text in ("[]", "{", ""):
        with pytest.raises(ValueError):
            from_json(text)


def test_status_reads_fields_that_a_state_has():
    assert set(State.__struct_fields__) >= status._WANTED
