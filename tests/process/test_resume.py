"""Going on with a run: what is kept, what runs again, what is refused; from killed and from finished runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from orchestra.errors import PlanError
from orchestra.ledger import baseline, history
from orchestra.ledger.event import Body
from orchestra.ledger.view import View
from orchestra.plan import Baseline, Component, Method, Plan, Service
from orchestra.plan import Test as Case
from orchestra.runtime.run.pace import Pace
from orchestra.runtime.run.resume import changed_tests, decide, nothing_to_resume
from tests.support import events as made
from tests.support.project import ANY_LOAD, HEAD, SuiteProject

COUNTED = f"""{HEAD}
baseline: {{{ANY_LOAD}}}
groups: {{first: {{}}, second: {{after: [first]}}}}
tests:
  a: {{group: first, command: {{argv: [sh, -c, "echo a >> ran"]}}}}
  b: {{group: first, needs: [a], command: {{argv: [sh, -c, "echo b >> ran; test -e good"]}}}}
  c: {{group: second, needs: [b], command: {{argv: [sh, -c, "echo c >> ran"]}}}}
"""


@pytest.fixture
def failed(project: SuiteProject) -> SuiteProject:
    """A run in which b failed and c was blocked by it."""
    project.write(COUNTED).compile()
    assert project.run("run").code == 1
    return project


def ran(project: SuiteProject) -> str:
    return "".join((project.root / "ran").read_text().split())


def only_run(project: SuiteProject) -> Path:
    return project.folder_now()


UNMET = f"""{HEAD}
tests:
  a: {{command: {{argv: [sh, -c, "test -e good"]}}}}
  run: {{needs: [{{test: a, else: run}}], command: {{argv: ["true"]}}}}
  skip: {{needs: [{{test: a, else: skip}}, run], command: {{argv: ["true"]}}}}
  block: {{needs: [{{test: a, else: block}}, {{test: run, else: skip}}], command: {{argv: ["true"]}}}}
  next: {{needs: [skip], command: {{argv: ["true"]}}}}
"""


def test_a_need_that_did_not_pass_has_the_effect_of_its_else(project):
    done = project.write(UNMET).compile().doit("cli")
    reasons = {one["body"]["task"]: one["body"]["reason"] for one in project.events("verdict")}
    failed = {
        "cli:a": "failed",
        "cli:run": "passed",
        "cli:skip": "skipped",
        "cli:block": "blocked",
        "cli:next": "passed",
    }
    assert (done.code, project.verdicts()) == (1, failed), done.err
    assert reasons["cli:skip"] == "needs cli:a failed (else: skip)"
    assert reasons["cli:block"] == "needs cli:a failed"
    assert "  # 'a' else skip\n" in (project.root / "dodo.py").read_text()
    assert "a (else skip) run" in project.run("plan").out
    assert "needs      a (else run)" in project.run("show", "run").out

    (project.root / "good").touch()
    again = project.run("run", "--resume")
    assert (again.code, set(project.verdicts().values())) == (0, {"passed"}), again.err
    assert [one["body"]["rerun"] for one in project.events("run_resumed")] == [["cli:a", "cli:skip", "cli:block"]]


def test_what_passed_is_kept_and_the_rest_runs_in_the_same_ledger(failed):
    (failed.root / "good").touch()
    done = failed.run("run", "--resume")
    assert (done.code, ran(failed)) == (0, "abbc"), done.err
    assert failed.verdicts() == {"cli:a": "passed", "cli:b": "passed", "cli:c": "passed"}
    [resumed] = failed.events("run_resumed")
    assert resumed["body"]["rerun"] == ["cli:b", "cli:c"]
    assert only_run(failed) == failed.folder
    assert "3 passed; 3 in all" in (failed.folder / "summary.md").read_text()
    assert failed.run("audit").code == 0


def test_a_test_that_broke_and_was_repaired_before_its_run_was_resumed_is_not_flaky(failed):
    (failed.root / "good").touch()
    assert failed.run("run", "--resume").code == 0
    assert failed.run("history", "--flaky").out == "no test is flaky\n"
    [odds] = map(json.loads, failed.run("history", "--failures", "--json").out.splitlines())
    assert (odds["transient"], odds["unknown"]) == (0, 1)


def test_a_segment_whose_beginning_a_power_cut_took_leaves_its_folders_alone(failed):
    ledger = failed.folder / "events.jsonl"
    before = ledger.read_bytes()
    assert failed.run("run", "--resume").code == 1
    left = sorted(failed.folder.glob("attempts/*/*/*-resume1"))
    assert left
    ledger.write_bytes(before)
    for number in (2, 3):
        done = failed.run("run", "--resume")
        assert done.code == 1, done.err
        assert list(failed.folder.glob(f"attempts/*/*/*-resume{number}"))
    assert sorted(failed.folder.glob("attempts/*/*/*-resume1")) == left
    assert failed.run("audit").code == 0


def samples(project: SuiteProject) -> dict[str, int]:
    """How many samples of each task the baseline has."""
    found = baseline.load(project.root / ".orchestra/s" / baseline.DURATIONS)
    return {key.split()[0]: len(taken) for key, taken in found.items()}


def passes(project: SuiteProject) -> dict[str, int]:
    """How many passing attempts of each task the history has, over all runs."""
    found: dict[str, int] = {}
    for record in history.executions(project.root / ".orchestra/s"):
        for task, one in record.executions.items():
            found[task] = found.get(task, 0) + sum(taken.outcome == "passed" for taken in one.attempts)
    return found


ONCE = {"cli:a": 1, "cli:b": 1, "cli:c": 1}


def test_what_each_segment_passed_counts_once_in_baseline_and_history(failed):
    assert not (failed.root / ".orchestra/s" / baseline.DURATIONS).exists()
    (failed.root / "good").touch()
    assert failed.run("run", "--resume").code == 0
    assert (samples(failed), passes(failed)) == (ONCE, ONCE)
    [run] = history.executions(failed.root / ".orchestra/s")
    assert [attempt.outcome for attempt in run.executions["cli:b"].attempts] == ["failed", "passed"]

    assert failed.run("rollback", "first").code == 0
    assert not (failed.root / ".orchestra/s" / baseline.DURATIONS).exists()
    assert passes(failed) == {"cli:a": 1, "cli:b": 1}
    kept = (failed.root / ".orchestra/s" / history.EXECUTIONS).read_bytes()
    assert failed.run("history", "--rebuild").code == 0
    assert (failed.root / ".orchestra/s" / history.EXECUTIONS).read_bytes() == kept
    assert failed.run("run", "--resume").code == 0
    assert (samples(failed), passes(failed)) == (ONCE, ONCE)
    assert ran(failed) == "abbcc"


def test_a_test_that_was_found_slower_is_no_sample_of_a_resumed_run(tmp_path):
    key = baseline.key_of("cli:a", "", "m")
    pace = Pace(Baseline(), "m", {key: (1.0,) * 10})
    view = made.view(
        started(), *paced("cli:a", 9.0, "slower"), *paced("cli:b", 2.0), *paced("cli:c", 3.0, "unconfirmed"),
        made.body("run_resumed", {"run": "r", "rerun": []}),
    )  # fmt: skip
    assert pace.figures(view) == {"regressions": 1}
    pace.keep(tmp_path, view, lambda _: None)
    found = {name.split()[0]: taken for name, taken in pace.samples.items()}
    assert found == {"cli:a": (1.0,) * 10, "cli:b": (2.0,), "cli:c": (3.0,)}


def test_a_group_that_is_completed_again_is_a_checkpoint_again(failed):
    (failed.root / "good").touch()
    failed.run("run", "--resume")
    groups = [event["body"]["group"] for event in failed.events("group_completed")]
    assert groups == ["first", "second", "first", "second"]


NESTED = f"""{HEAD}
groups:
  refunds: {{title: Refunds, group: orders, after: [first]}}
  orders: {{title: Orders}}
  first: {{}}
  last: {{after: [orders]}}
tests:
  z: {{group: last, command: {{argv: [sh, -c, "echo z >> ran"]}}}}
  r: {{group: refunds, command: {{argv: [sh, -c, "echo r >> ran; test -e good"]}}}}
  f: {{group: first, command: {{argv: [sh, -c, "echo f >> ran"]}}}}
"""


def test_a_group_ends_with_the_groups_inside_it(project):
    project.write(NESTED).compile()
    assert (project.run("run").code, ran(project)) == (1, "frz")
    groups = [event["body"]["group"] for event in project.events("group_completed")]
    assert groups == ["first", "refunds", "orders", "last"]
    (project.root / "good").touch()
    assert (project.run("run", "--resume").code, ran(project)) == (0, "frzr")
    groups = [event["body"]["group"] for event in project.events("group_completed")]
    assert groups[4:] == ["refunds", "orders"]
    suites = {
        one["name"]: one["suite"]
        for one in json.loads(project.run("report", "--format", "ctrf").out)["results"]["tests"]
    }
    assert suites["r r"][1:] == ["cli", "orders", "refunds"]
    assert "group      orders \u203a refunds" in project.run("show", "r").out
    assert "Orders \u203a Refunds" in project.run("plan").out
    assert project.run("run", "orders").code == 0
    assert ran(project) == "frzrr"


def test_nothing_to_resume_starts_a_run_and_says_so(project):
    project.write(COUNTED).compile()
    (project.root / "good").touch()
    first = project.run("run", "--resume")
    assert (first.code, ran(project)) == (0, "abc")
    assert "nothing to resume: no run is recorded yet; a new run starts" in first.err
    second = project.run("run", "--resume")
    assert (second.code, ran(project)) == (0, "abcabc")
    assert "has nothing left to do: it is complete; a new run of its tests starts" in second.err
    assert project.run("run", "a").code == 0
    third = project.run("run", "--resume")
    assert (third.code, ran(project)) == (0, "abcabcaa")


def test_a_changed_spec_is_refused_by_name_and_allowed_on_request(failed):
    (failed.root / "good").touch()
    failed.write(COUNTED.replace("echo a >>", "echo A >>")).compile()
    refused = failed.run("run", "--resume")
    assert (refused.code, ran(failed)) == (2, "ab")
    assert 'these tests changed: "a"' in refused.err
    assert "--allow-changed" in refused.err
    allowed = failed.run("run", "--resume", "--allow-changed")
    assert (allowed.code, ran(failed)) == (0, "abAbc"), allowed.err
    assert failed.events("run_resumed")[0]["body"]["changed"] == ["a"]
    assert failed.run("audit").code == 0


def test_a_comment_in_the_spec_is_no_change(failed):
    (failed.root / "good").touch()
    failed.write("# a remark\n" + COUNTED).compile()
    assert failed.run("run", "--resume").code == 0


def test_a_test_that_is_gone_cannot_be_gone_on_with(failed):
    failed.write("\n".join(line for line in COUNTED.splitlines() if not line.startswith("  c:"))).compile()
    for words in (["--resume"], ["--resume", "--allow-changed"]):
        refused = failed.run("run", *words)
        assert refused.code == 2
        assert 'the spec no longer has "cli:c"' in refused.err


def test_a_new_need_cannot_be_gone_on_with(project):
    project.write(COUNTED).compile()
    project.run("run", "b")
    more = "  d: {group: first, command: {argv: [sh, -c, exit 0]}}\n"
    project.write(COUNTED.replace("needs: [a]", "needs: [a, d]") + more).compile()
    refused = project.run("run", "--resume", "--allow-changed")
    assert refused.code == 2
    assert 'its tests now need "cli:d"' in refused.err


def test_files_that_a_test_reads_are_compared(project):
    spec = COUNTED.replace("a: {group: first,", "a: {group: first, inputs: [data.txt],")
    (project.root / "data.txt").write_text("one")
    project.write(spec).compile()
    project.run("run")
    (project.root / "good").touch()
    (project.root / "data.txt").write_text("two")
    assert project.run("run", "--resume").code == 0
    assert ran(project) == "ababc"


@pytest.mark.parametrize(
    "words, said",
    [
        (["--resume", "last", "b"], "a resumed run has its own selection"),
        (["--resume", "nope"], 'no run "nope" of suite "s"'),
        (["--resume", "last", "--profile", "x"], 'without a profile, not with "x"'),
        (["--allow-changed"], "--allow-changed needs --resume"),
    ],
)
def test_wrong_words_are_told(failed, words, said):
    done = failed.run("run", *words)
    assert done.code == 2
    assert said in done.err


def test_a_damaged_ledger_is_not_gone_on_with(failed):
    ledger = failed.folder / "events.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"cli:b"', b'"cli:x"', 1))
    done = failed.run("run", "--resume")
    assert done.code == 3
    assert "events.jsonl:1: its content has the hash" in done.err


def test_half_a_line_is_cut_and_that_is_recorded(failed):
    (failed.root / "good").touch()
    ledger = failed.folder / "events.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:-40])
    assert failed.run("run", "--resume").code == 0
    [note] = [event for event in failed.events("note") if event["body"]["kind"] == "torn"]
    assert note["body"]["data"]["line"] == whole.count(b"\n")
    assert failed.run("audit").code == 0


def test_the_number_of_tries_outlives_an_interruption(project):
    once = "case $D in */1) exit 1;; */2) touch two; sleep 600;; esac"
    command = f'command: {{argv: [sh, -c, "{once}"], env: {{D: "${{attempt.dir}}"}}}}'
    project.write(f"{HEAD}tests:\n  a: {{retries: {{max: 1, on: [failed]}}, {command}}}\n").compile()
    process = project.start("run")
    while not (project.root / "two").exists():
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()
    done = project.run("run", "--resume")
    assert done.code == 0, done.err
    [verdict] = project.events("verdict")
    assert (verdict["body"]["verdict"], verdict["body"]["attempts"]) == ("flaky", 2)
    dirs = [event["body"]["dir"] for event in project.events("attempt_started")]
    assert dirs == ["attempts/cli/a/1", "attempts/cli/a/2", "attempts/cli/a/2-resume1"]
    assert project.run("audit").code == 0


def test_a_run_under_way_is_not_gone_on_with(project):
    spec = 'a: {command: {argv: [sh, -c, "touch here; sleep 600"]}}'
    project.write(f"{HEAD}tests:\n  {spec}\n").compile()
    process = project.start("run")
    while not (project.root / "here").exists():
        assert process.poll() is None, process.communicate()
    done = project.run("run", "--resume")
    process.terminate()
    process.communicate()
    assert done.code == 3
    assert str(process.pid) in done.err


# --------------------------------------------------------------------------------------------------------- decisions

SERVICE = Component("api", "", service=Service(("serve",)))
THEN = Plan(
    suite="s",
    title="",
    tests=(Case("a", "", ("cli",)), Case("b", "", ("cli",), requires=("api",))),
    methods=(Method("cli", "", "command"),),
    components=(SERVICE,),
)


def with_(plan: Plan, **parts) -> Plan:
    return msgspec.structs.replace(plan, **parts)


def of(task: str, **more) -> dict:
    method, _, test = task.partition(":")
    return {"task": task, "test": test, "method": method, **more}


def started() -> Body:
    own = {"run": "r", "suite": "s", "plan_digest": THEN.digest(), "source_digest": "", "profile": None, "argv": []}
    more = {"selection": ["cli:a", "cli:b"], "methods": ["cli"], "workers": 1, "provenance": {}, "builds": {"api": "1"}}
    return made.body("run_started", {**own, **more})


def passed(task: str) -> Body:
    ended = {"verdict": "passed", "reason": "", "seconds": 1.0, "attempts": 1, "speed_class": None, "degraded": []}
    return made.body("verdict", of(task, **ended, inputs=f"in-{task.partition(':')[2]}"))


def paced(task: str, seconds: float, moved: str = "") -> Iterator[Body]:
    """A pass, what its comparison with the baseline found, and its verdict."""
    ended = {"outcome": "passed", "error": None, "steps": [], "evidence": [], "retry": False}
    figures = {"median_seconds": 1.0, "mad_seconds": 0.0, "runs": 10, "limit_seconds": 2.0, "repeats": []}
    yield made.body("attempt_started", of(task, attempt=1, dir="d"))
    yield made.body("attempt_finished", of(task, attempt=1, seconds=seconds, **ended))
    if moved:
        found = {"result": moved, "suspected": "slower", "baseline": "k", "seconds": seconds}
        yield made.body("comparison", of(task, **found, **figures))
    yield passed(task)


def failed_attempt(task: str, number: int, *, held: bool = False) -> Body:
    ended = {"outcome": "failed", "seconds": 1.0, "error": None, "steps": [], "evidence": [], "retry": True}
    return made.body("attempt_finished", of(task, attempt=number, infra_suspect=held, **ended))


def before(*more: Body) -> View:
    return made.view(started(), *(more or (passed("cli:a"), passed("cli:b"))))


def inputs(test: Case) -> str:
    return f"in-{test.id}"


def test_another_build_of_a_service_runs_its_tests_again():
    found = decide(before(), THEN, THEN, {"api": "2"}, lambda test: f"in-{test.id}{test.requires}", allow_changed=False)
    assert (set(found.kept), found.rerun) == (set(), ("cli:a", "cli:b"))
    found = decide(
        before(), THEN, THEN, {"api": "2"}, lambda test: "other" if test.requires else inputs(test), allow_changed=False
    )
    assert (set(found.kept), found.rerun) == ({"cli:a"}, ("cli:b",))


def goes_on(view: View, builds: dict[str, str]) -> View:
    """The view of a run after its resume."""
    found = decide(view, THEN, THEN, builds, inputs, allow_changed=False)
    view.see(made.event(view.seq + 1, made.body("run_resumed", {"run": "r", "rerun": list(found.rerun)})))
    return view


def test_attempts_by_another_build_do_not_count():
    half = passed("cli:a"), failed_attempt("cli:b", 1)
    again = goes_on(before(*half), {"api": "1"})
    assert (again.life("cli:b").ended, list(again.pending)) == (1, ["cli:b"])
    again = goes_on(before(*half), {"api": "2"})
    assert (again.life("cli:b").ended, again.earlier_lives["cli:b"][0].ended) == (0, 1)


def test_attempts_of_an_incident_still_do_not_count():
    half = passed("cli:a"), failed_attempt("cli:b", 1, held=True), failed_attempt("cli:b", 2, held=True)
    again = goes_on(before(*half), {"api": "1"}).life("cli:b")
    assert (again.ended, again.held) == (2, 1), "one of them is held, the second counts"


def test_incidents_are_counted_on_from_what_the_ledger_has():
    change = {"state": "unhealthy", "pid": None, "port": None, "attempt": 1, "reason": "", "seconds": 0.0}
    view = made.view(
        made.body("incident", {"component": "back-end", "state": "opened", "reason": "", "id": "back-end-2"}),
        made.body("incident", {"component": "back-end", "state": "closed", "reason": "", "id": "back-end-1"}),
        made.body("incident", {"component": "old", "state": "opened", "reason": ""}),  # before incidents had ids
        made.body("service_event", {**change, "component": "front", "incident": "back-end-9"}),  # it waits for another
        made.body(
            "service_event", {**change, "component": "front", "incident": "front-1"}
        ),  # cut off before `incident`
    )
    assert view.health.numbers == {"back-end": 2, "front": 1}


def test_a_component_or_a_method_that_changed_changes_its_tests():
    row = with_(THEN, components=(Component("api", "", service=Service(("serve", "-v"))),))
    assert changed_tests(THEN, row, ["cli:a", "cli:b"]) == ["b"]
    method = with_(THEN, methods=(Method("cli", "", "http"),))
    assert changed_tests(THEN, method, ["cli:a", "cli:b"]) == ["a", "b"]


def test_a_change_of_no_test_is_named_by_its_part():
    now = with_(THEN, resources={"slot": 1})
    with pytest.raises(PlanError, match='its tests are unchanged, but "resources" changed'):
        decide(before(), THEN, now, {"api": "1"}, inputs, allow_changed=False)
    assert set(decide(before(), THEN, now, {"api": "1"}, inputs, allow_changed=True).kept) == {"cli:a", "cli:b"}


def test_what_is_complete_is_not_gone_on_with():
    end = made.body("run_finished", {"exit_code": 0, "counts": {}, "seconds": 1.0, "gates": {}})
    assert nothing_to_resume(before(passed("cli:a"), passed("cli:b"), end)) == "it is complete"
    assert nothing_to_resume(before()) == ""
    assert nothing_to_resume(View()) == "its record is empty"
