"""The pure decisions of a run: selection, verdicts, gates, slots, masks, JUnit files."""

from __future__ import annotations

import re
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import UsageError
from orchestra.ledger.event import VERDICTS, VerdictGiven
from orchestra.ledger.outcome import FINE, mark_of
from orchestra.plan import Gate, Group, Method, Plan, Retry, SpeedClass
from orchestra.plan import Test as Case
from orchestra.runtime.attempt import AttemptFailure, Result
from orchestra.runtime.attempts.record import folder_of
from orchestra.runtime.attempts.verdict import exit_code, speed_class, tries_again, unmet, verdict_of
from orchestra.runtime.engine.slots import Slots
from orchestra.runtime.files import matching
from orchestra.runtime.gates.figures import figures
from orchestra.runtime.gates.gate import Gates
from orchestra.runtime.mask import Masks
from orchestra.runtime.select import among, named, natural, select, titled, with_needs
from orchestra.steps.look import folder_of as looks_of
from orchestra.steps.look import picture_of
from orchestra.steps.step import Step
from orchestra.verbs.choosing import Choice, Failures, choose
from tests.support.events import body, view
from tests.support.runs import run_started

SPEED = (SpeedClass("good", "😊", 30.0), SpeedClass("ok", "😐", 60.0), SpeedClass("slow", "😴"))

PLAN = Plan(
    suite="s",
    title="",
    tests=(
        Case("B1", "", ("cli", "mcp"), group="basic", outer=("all",), tags=("smoke",)),
        Case("B2[chromium]", "", ("cli",), of="B2", group="basic", outer=("all",), needs=("B1",)),
        Case("B2[firefox]", "", ("cli",), of="B2", group="basic"),
        Case("B10", "", ("cli", "mcp"), needs=("B2[chromium]",)),
    ),
    methods=(Method("cli", "", "playwright"), Method("mcp", "", "mcp")),
    groups=(Group("basic", "", outer=("all",)), Group("all", "")),
    speed=SPEED,
)


@pytest.mark.parametrize(
    "words, methods, tasks",
    [
        ([], [], ["cli:B1", "cli:B2[chromium]", "cli:B2[firefox]", "cli:B10", "mcp:B1", "mcp:B10"]),
        (["B2"], [], ["cli:B2[chromium]", "cli:B2[firefox]"]),
        (["all"], [], ["cli:B1", "cli:B2[chromium]", "mcp:B1"]),
        (["group:all"], ["mcp"], ["mcp:B1"]),
        (["B2[firefox]"], [], ["cli:B2[firefox]"]),
        (["B1..B2"], ["cli"], ["cli:B1", "cli:B2[chromium]", "cli:B2[firefox]"]),
        (["mcp:B1..B99"], [], ["mcp:B1", "mcp:B10"]),
        (["B1*"], ["mcp"], ["mcp:B1", "mcp:B10"]),
        (["tag:smoke"], ["mcp"], ["mcp:B1"]),
        (["basic", "B10"], ["cli"], ["cli:B1", "cli:B2[chromium]", "cli:B2[firefox]", "cli:B10"]),
        (["!tag:smoke"], [], ["cli:B2[chromium]", "cli:B2[firefox]", "cli:B10", "mcp:B10"]),
        (["basic", "!B2[firefox]", "!mcp:B1"], [], ["cli:B1", "cli:B2[chromium]"]),
        (["!basic", "B1", "B10"], ["cli"], ["cli:B10"]),
        (["!mcp:*"], [], ["cli:B1", "cli:B2[chromium]", "cli:B2[firefox]", "cli:B10"]),
    ],
)
def test_selection(words, methods, tasks):
    assert select(PLAN, words, methods) == tasks


@pytest.mark.parametrize(
    "words, methods, message",
    [
        (["B2"], ["mcp"], "selects no test"),
        (["B1", "!B1"], [], "nothing to run: B1 !B1 by cli, mcp selects no test"),
        (["!B*"], [], "selects no test"),
        (["!B3"], [], 'no test, group, tag or glob "!B3"'),
        (["!"], [], 'no test, group, tag or glob "!"'),
        (["!!B1"], [], 'no test, group, tag or glob "!!B1"'),
        (["!tag:smok"], [], 'no test, group, tag or glob "!tag:smok".*did you mean'),
    ],
)
def test_an_empty_selection_is_a_mistake(words, methods, message):
    with pytest.raises(UsageError, match=re.escape(message).replace(r"\.\*", ".*")):
        select(PLAN, words, methods)


@given(st.lists(st.sampled_from(["B1", "B2", "B10", "basic", "tag:smoke", "B1*", "mcp:B10"])), st.booleans())
def test_a_word_with_and_without_its_mark_part_the_suite(words, by_one_method):
    methods = ["cli"] if by_one_method else []
    every = select(PLAN, [], methods)
    for word in words:
        try:
            rest = set(select(PLAN, ["!" + word], methods))
        except UsageError:  # the word means every test
            rest = set()
        assert rest == set(every) - set(named(PLAN, word, methods or ["cli", "mcp"]))


def test_filters_follow_each_other():
    tests = tuple(msgspec.structs.replace(test, title=f"Market {test.id}") for test in PLAN.tests)
    plan = msgspec.structs.replace(PLAN, tests=tests)
    every = select(plan, ())
    assert titled(plan, every, []) == every
    assert titled(plan, every, ["MARKET b1"]) == ["cli:B1", "cli:B10", "mcp:B1", "mcp:B10"]
    assert among(titled(plan, every, ["b10", "b2["]), {"cli:B10", "cli:B2[firefox]"}) == ["cli:B2[firefox]", "cli:B10"]


FAILURES = Failures("20260102T030405Z-1a2b", ("cli:B1", "cli:B10", "cli:gone"))


def test_a_choice_names_what_selects_its_tests(capsys):
    chosen = choose(PLAN, Choice(words=("B1*", "!mcp:B10"), methods=("cli",), failures=FAILURES))
    assert chosen.tasks == ["cli:B1", "cli:B10"]
    assert [(one.by, one.effect, one.tasks) for one in chosen.by] == [
        ("B1*", "adds", 2),
        ("!mcp:B10", "removes", 1),
        ("--method cli", "leaves", 2),
        (f"--failed-in {FAILURES.run}", "leaves", 2),
    ]
    assert "no longer has cli:gone of run" in capsys.readouterr().err
    assert choose(PLAN, Choice()).by == ()


@pytest.mark.parametrize(
    "choice, message",
    [
        (Choice(titles=("basket", "cart")), 'no title holds "basket" or "cart"; there are B1 "", B2[chromium] ""'),
        (Choice(("B2",), failures=FAILURES), "is not selected: cli:B1, cli:B10"),
        (Choice(failures=Failures("r", ("cli:gone",))), "the spec no longer has what was not green in run r: cli:gone"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(choice, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        choose(PLAN, choice)


LOOK = Step("expect", args={"look": "start", "within_seconds": 5.0})
LOOKS = msgspec.structs.replace(
    PLAN,
    tests=(
        msgspec.structs.replace(PLAN.tests[0], steps=(LOOK,)),
        *PLAN.tests[1:2],
        msgspec.structs.replace(PLAN.tests[2], finally_=(LOOK,)),
    ),
)


@pytest.mark.parametrize(
    "looks, tasks",
    [
        (("*",), ["cli:B1", "cli:B2[firefox]", "mcp:B1"]),
        (("start",), ["cli:B1", "cli:B2[firefox]", "mcp:B1"]),
        (("B2",), ["cli:B2[firefox]"]),
    ],
)
def test_the_tests_are_left_whose_pictures_are_written(looks, tasks):
    chosen = choose(LOOKS, Choice(looks=looks))
    assert (chosen.tasks, chosen.by[-1].effect) == (tasks, "leaves")
    with pytest.raises(UsageError, match=re.escape('no selected test has the look "stat" (did you mean "start"?)')):
        choose(LOOKS, Choice(looks=("stat", *looks)))
    with pytest.raises(UsageError, match="nothing to run: no selected test has a look"):
        choose(PLAN, Choice(looks=("*",)))


def test_a_picture_has_a_name_that_is_a_file_and_no_other_picture_has():
    names = ["B1", "B1[a]", "B1[b]", "b 1", "b-1", "", ".", "..", "../x", "a/b", "\u202e\ud800", "x" * 300, "x" * 301]
    files = {picture_of(name, "chromium", "linux") for name in names}
    assert len(files) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.png", file) for file in files)
    assert looks_of("my shop", "B1[a]").split("/")[3] == "B1-a-5d808e16"


def test_needs_are_pulled_in_where_the_method_runs_them():
    assert with_needs(PLAN, ["cli:B10"]) == ["cli:B1", "cli:B2[chromium]", "cli:B10"]
    assert with_needs(PLAN, ["mcp:B10"]) == ["mcp:B10"]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_natural_order_counts(low, high):
    assert (natural(f"B{low}") < natural(f"B{high}")) == (low < high)


def result(outcome, fault=None, attempt=1):
    failure = None if fault is None else AttemptFailure(fault, "why")
    return Result("cli:B1", attempt, outcome, 1.0, failure)


@pytest.mark.parametrize(
    "given_result, retry, again",
    [
        (result("failed", "assertion"), Retry(1, ("failed",)), True),
        (result("failed", "assertion"), Retry(1, ("timeout",)), False),
        (result("failed", "assertion", 2), Retry(1, ("failed",)), False),
        (result("timeout", "timeout"), Retry(1, ("timeout",)), True),
        (result("error", "crash"), Retry(1, ("crash",)), True),
        (result("error", "setup"), Retry(9, ("failed", "timeout", "connection", "crash")), False),
        (result("failed", "connection"), Retry(1, ("connection",)), True),
        (result("passed"), Retry(9, ("failed",)), False),
        (result("interrupted"), Retry(9, ("failed",)), False),
    ],
)
def test_retries_follow_the_cause(given_result, retry, again):
    assert tries_again(given_result, retry) is again


def test_a_pass_on_a_retry_is_flaky():
    assert verdict_of(result("passed")) == ("passed", "")
    assert verdict_of(result("passed", attempt=3)) == ("flaky", "passed on attempt 3")
    assert verdict_of(result("timeout", "timeout")) == ("timeout", "why")


def needing(*needs, **unmet):
    return Case("B9", "", ("cli",), needs=needs, unmet={need: unmet[need] for need in unmet if unmet[need] != "block"})


def test_a_need_that_blocks_outranks_one_that_skips():
    verdicts = view(ended("cli:B1", "failed"), ended("cli:B3", "timeout"), ended("cli:B4", "error")).verdicts
    test = needing("B1", "B3", "B4", "B5", B1="skip", B4="run")
    assert unmet("cli", test, verdicts) == ("blocked", "needs cli:B3 timeout")
    assert unmet("mcp", test, verdicts) is None


@pytest.mark.parametrize("verdict", VERDICTS)
def test_what_blocks_and_what_satisfies(verdict):
    verdicts = view(ended("cli:B1", verdict)).verdicts
    effects = {effect: unmet("cli", needing("B1", B1=effect), verdicts) for effect in ("block", "skip", "run")}
    if verdict in {"passed", "flaky", "unchanged", "skipped"}:
        assert set(effects.values()) == {None}
    else:
        words = f"needs cli:B1 {verdict}"
        assert effects == {"block": ("blocked", words), "skip": ("skipped", f"{words} (else: skip)"), "run": None}
    assert exit_code([verdict], gates_failed=False, unhealthy=False) == (0 if verdict in FINE else 1)


def test_exit_codes_of_gates_and_machines():
    assert exit_code(["passed"], gates_failed=True, unhealthy=False) == 1
    assert exit_code(["passed"], gates_failed=True, unhealthy=True) == 3


@given(st.floats(0, 1e6))
def test_every_duration_has_one_class(seconds):
    name = speed_class(seconds, "passed", SPEED)
    assert name == ("good" if seconds < 30 else "ok" if seconds < 60 else "slow")
    assert mark_of(name, SPEED) in {"😊", "😐", "😴"}


def test_classes_at_their_bounds_and_beyond():
    assert [speed_class(s, "failed", SPEED) for s in (29.999, 30.0, 60.0)] == ["good", "ok", "slow"]
    assert speed_class(1.0, "timeout", SPEED) == "timeout"
    assert mark_of("timeout", SPEED) == "❌"
    assert speed_class(1.0, "blocked", SPEED) is None
    assert mark_of(None, SPEED) == ""


def test_no_two_tests_share_a_folder_and_none_leaves_the_run():
    ids = ["M[a b]", "M[a_b]", "M[a+b]", "M[a@b]", "M[a.b]", "M[a-b]", "M[ab]", "M[a,b]", "M"]
    assert len({folder_of(f"cli:{one}", 1) for one in ids}) == len(ids)
    assert folder_of("cli:M[a b]", 2) == "attempts/cli/M[a b]/2"
    assert folder_of("cli:../x", 1) == "attempts/cli/.._x/1"


def ended(task, verdict, seconds=1.0, attempts=1):
    method, _, test = task.partition(":")
    return VerdictGiven(
        task=task,
        test=test,
        method=method,
        verdict=verdict,
        reason="why" if verdict == "skipped" else "",
        seconds=seconds,
        attempts=attempts,
        speed_class=None,
        degraded=(),
        inputs=None,
    )


def run_of(*verdicts, more=()):
    """The view of a run of these verdicts, and of selected tasks without one."""
    selection = [*(verdict.task for verdict in verdicts), *more]
    return view(body(*run_started(PLAN, selection)), *verdicts)


def test_figures_count_every_verdict_once():
    ran = run_of(
        ended("cli:B1", "passed", 1.0),
        ended("mcp:B1", "failed", 3.0),
        ended("cli:B10", "flaky", 2.0, 2),
        ended("mcp:B10", "passed", 40.0),
        ended("cli:B2[firefox]", "skipped", 0.0, 0),
        more=["cli:B2[chromium]"],
    )
    rows = {"backend": SimpleNamespace(state="healthy", required=True)}
    gates = (Gate("after", "g", "method.cli.seconds_p95 < 1.0 && group.basic.seconds_p50 < group.all.seconds_p95"),
             Gate("after", "h", "failed == 0", message="{method.mcp.seconds_p50} s"))  # fmt: skip
    plan = msgspec.structs.replace(PLAN, gates=gates)
    values = figures(plan, ran, rows)
    wanted = {
        "total": 6, "executed": 4, "passed": 2, "failed": 1, "flaky": 1, "skipped": 1, "retries": 1, "skipped_silently": 1,
        "pass_rate": 0.75, "flaky_rate": 1 / 3, "agreement": 0.5, "seconds_p50": 2.5, "seconds_max": 40.0,
        "coverage": 4 / 6, "method.cli.seconds_p50": 1.5, "method.cli.seconds_p95": 2.0, "method.mcp.seconds_p50": 21.5,
        "group.basic.seconds_p50": 2.0, "group.basic.seconds_p95": 3.0, "group.all.seconds_p95": 3.0,
        "health.backend": "healthy", "class.good": 3, "class.ok": 1, "method.mcp.failed": 1, "method.cli.pass_rate": 1.0,
    }  # fmt: skip
    assert {name: values[name] for name in wanted} == wanted


def test_figures_of_nothing_have_no_rates():
    values = figures(PLAN, run_of(more=["cli:B1"]), {})
    assert values["skipped_silently"] == 1
    assert values["coverage"] == 0
    rates = {"pass_rate", "agreement", "seconds_p50", "flaky_rate", "method.cli.seconds_p50", "group.basic.seconds_p95"}
    assert not rates & set(values)


def test_what_is_unchanged_is_covered_and_what_is_skipped_is_not():
    ran = run_of(ended("cli:B1", "unchanged", 0.0, 0), ended("mcp:B1", "skipped", 0.0, 0))
    assert figures(PLAN, ran, {})["coverage"] == 1 / 6


def test_a_gate_may_ask_for_the_duration_of_a_test():
    gate = Gate("after", "g", "test.B1.seconds_max < 2.0", message="B10 took {test.B10.seconds_max} s")
    judged, events = gates(gate)
    plan = msgspec.structs.replace(PLAN, gates=(gate,))
    took = run_of(ended("cli:B1", "passed", 1.0), ended("mcp:B1", "passed", 3.0), ended("cli:B10", "passed", 5.0))
    judged.after(figures(plan, took, {}))
    assert [(event.result, event.message) for event in events] == [("failed", "B10 took 5 s")]
    assert events[0].values["test.B1.seconds_max"] == 3.0
    assert not any(name.startswith("test.") for name in figures(PLAN, took, {})), "nobody asks for it"


def test_a_gate_may_ask_for_the_pace_of_a_group():
    gate = Gate("after", "g", "group.basic.seconds_p95 < 2.0")
    judged, events = gates(gate)
    plan = msgspec.structs.replace(PLAN, gates=(gate,))
    judged.after(figures(plan, run_of(ended("cli:B1", "passed", 3.0)), {}))
    assert [(event.result, event.values) for event in events] == [("failed", {"group.basic.seconds_p95": 3.0})]


def gates(*rows, clock=lambda: 0.0):
    events = []
    return Gates(rows, events.append, clock), events


def test_a_during_gate_waits_for_its_seconds_and_then_stops():
    now = [0.0]
    judged, events = gates(Gate("during", "g", "failed <= 0", 10.0, "stop"), clock=lambda: now[0])
    for now[0], failed, stopped in [
        (0.0, 1, ""),
        (9.0, 1, ""),
        (9.5, 0, ""),
        (10.0, 1, ""),
        (19.0, 1, ""),
        (20.0, 1, "g"),
    ]:
        judged.sample({"failed": failed})
        assert bool(judged.blocked()) == bool(stopped)
    assert [event.result for event in events] == ["failed"]
    assert judged.failed()
    assert judged.results() == {"during:g": "failed"}


def test_a_throttle_lasts_while_its_condition_is_false():
    judged, _ = gates(Gate("during", "g", "cpu_percent < 90.0", on_fail="throttle"))
    judged.sample({"cpu_percent": 95.0})
    assert judged.throttled()
    judged.sample({"cpu_percent": 50.0})
    assert not judged.throttled()
    assert not judged.failed()


def test_an_after_gate_without_a_value_is_not_applicable_and_an_unjudged_one_has_failed():
    judged, events = gates(
        Gate("after", "g", "agreement >= 0.9"), Gate("after", "h", "failed <= 0", message="too many")
    )
    assert judged.results() == {"after:g": "failed", "after:h": "failed"}
    judged.after({"failed": 2})
    assert judged.results() == {"after:g": "not_applicable", "after:h": "failed"}
    assert [event.message for event in events] == ["no value for agreement in this selection", "too many"]
    assert events[1].values == {"failed": 2}


def test_a_before_gate_asks_for_its_components_and_blocks():
    judged, _ = gates(Gate("before", "up", 'health.backend == "healthy"'))
    assert judged.components() == ["backend"]
    judged.before({"health.backend": "failed"})
    assert "up" in judged.blocked()


@pytest.fixture
def two_processors(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)


@pytest.mark.usefixtures("two_processors")
def test_slots_grow_while_the_machine_has_room_and_shrink_when_it_has_none():
    now, load = [0.0], [(10.0, 10.0)]
    slots = Slots(Method("cli", "", "playwright"), None, clock=lambda: now[0], load=lambda: load[0])
    assert slots.allowed(1) == 1
    now[0] = 1.0
    assert slots.allowed(0) == 1, "no slot is added while one is free"
    now[0] = 2.0
    assert slots.changed() == ""
    assert slots.allowed(1) == 2
    assert slots.changed() == "2 workers at 10 % of the processors and 10 % of the memory"
    assert slots.changed() == ""
    now[0], load[0] = 3.0, (66.0, 10.0)
    assert slots.allowed(2) == 3, "two that keep two thirds busy leave room for a third like them"
    now[0], load[0] = 4.0, (76.0, 10.0)
    assert slots.allowed(3) == 3
    now[0], load[0] = 5.0, (99.0, 10.0)
    assert slots.allowed(3) == 2
    assert slots.changed() == "2 workers at 99 % of the processors and 10 % of the memory"
    now[0] = 6.0
    assert slots.allowed(2) == 2, "full processors are no reason to have fewer tests than processors"
    now[0], load[0] = 7.0, (50.0, 99.0)
    assert slots.allowed(2) == 1
    assert slots.changed() == "1 worker at 50 % of the processors and 99 % of the memory"
    now[0] = 8.0
    assert slots.allowed(2) == 1, "the last one stays"
    assert slots.samples_in(1, 5) == 0.5
    assert slots.samples_in(1, 0) is None


@pytest.mark.usefixtures("two_processors")
def test_slots_are_all_there_where_the_cost_of_each_test_is_known():
    now, load = [0.0], [(99.0, 10.0)]
    method = Method("cli", "", "playwright")
    slots = Slots(method, None, learned=True, clock=lambda: now[0], load=lambda: load[0])
    assert slots.allowed(0) == slots.most() == 4
    now[0] = 1.0
    assert slots.allowed(4) == 4, "admission decides about processors"
    now[0], load[0] = 2.0, (99.0, 99.0)
    assert slots.allowed(4) == 3
    now[0], load[0] = 3.0, (99.0, 10.0)
    assert slots.allowed(3) == 4


@pytest.mark.parametrize(
    "method, wanted, allowed",
    [
        (Method("m", "", "command", workers=7), None, 7),
        (Method("m", "", "command", workers=7), 3, 3),
        (Method("m", "", "mcp", single_session=True, workers=7), 3, 1),
    ],
)
def test_fixed_slots(method, wanted, allowed):
    slots = Slots(method, wanted)
    assert slots.allowed(99) == allowed
    assert slots.samples_in(99, 9) is None


def test_a_short_secret_is_masked_as_a_word_and_a_blank_or_absent_one_is_not():
    masks = Masks(["A", "B", "C"], {"A": "on", "B": "  "})
    assert masks.text("turn it on, not only once") == "turn it ***A***, not only once"
    assert [why.partition(" is ")[0] for why in masks.weak] == ["the value of A", "the value of B"]
    assert Masks(["B", "C"], {"B": "  "}).stream() is None


@pytest.mark.parametrize("secret", ["*", "**", "***", "A", "***A***", "TOKEN", "x*y*"])
def test_a_text_that_is_masked_twice_is_as_after_once(secret):
    masks = Masks(["TOKEN"], {"TOKEN": secret})
    once = masks.text(f"a {secret} b")
    assert once == "a ***TOKEN*** b"
    assert masks.text(once) == once


def test_a_final_double_star_names_files(tmp_path):
    for name in ("src/a", "src/deep/b", "other"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [p.name for p in matching(tmp_path, ["src/**"])] == ["a", "b"]
    assert [p.name for p in matching(tmp_path, ["*", "src/*"])] == ["other", "a"]
