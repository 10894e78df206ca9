"""Each rule of advice says what it rests on, in golden pairs, and is silent when it has nothing to say."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger.parts import Outcome, Section, StepDone
from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.plan import Method, Plan, Retry, Step
from orchestra.plan import Test as Case
from orchestra.report.advice.quicker import ENOUGH, RULES, WORTH, Known, advise, longest, p99
from orchestra.report.advice.waits import Wait, note
from orchestra.report.compare.comparison import compare
from orchestra.report.compare.sides import Side
from orchestra.report.formats.markdown import markdown
from orchestra.report.rows import Report, Row
from tests.support import golden
from tests.support.paths import DATA, ROOT

GOLDEN = DATA / "advice"
PAGE = ROOT / "docs" / "quality.md"
CLI = Method("cli", "Playwright", "playwright", workers=2)
MCP = Method("mcp", "MCP", "mcp", workers=1)


def plan(*tests: Case, methods: tuple[Method, ...] = (CLI,)) -> Plan:
    return Plan("s", "The suite", tests, methods)


def case(name: str, **more) -> Case:
    return Case(name, "", ("cli", "mcp"), **more)


def report(seconds: dict[str, float], **more) -> Report:
    rows = tuple(
        Row(task, task.partition(":")[2], "", "", task.partition(":")[0], "passed", seconds=taken, attempts=1)
        for task, taken in seconds.items()
    )
    return Report("s", "The suite", ("cli",), rows, seconds=60.0, exit_code=0, **more)


def earlier(number: int, **tasks: list[tuple]) -> list[RunRecord]:
    """Runs of one commit; a task's name has `_` for the colon."""
    made = {
        name.replace("_", ":"): Execution(
            "passed" if taken[-1][0] == "passed" else taken[-1][0], attempts=tuple(Attempt(*one) for one in taken)
        )
        for name, taken in tasks.items()
    }
    return [RunRecord(f"r{at:03}", plan="p", commit="c", finished=True, executions=made) for at in range(number)]


def too_few_workers() -> Known:
    names = [f"B{number:03}" for number in range(12)]
    return Known(plan(*map(case, names)), report({f"cli:{name}": 5.0 for name in names}))


def needless_need() -> Known:
    tests = (case("B001"), case("B002", needs=("B001",)), case("B003", needs=("B002",)))
    good = earlier(12, cli_B001=[("passed", 10.0)], cli_B002=[("passed", 10.0)], cli_B003=[("passed", 10.0)])
    return Known(plan(*tests), report({"cli:B001": 10.0, "cli:B002": 10.0, "cli:B003": 10.0}), good)


def generous_timeout() -> Known:
    (hung,) = earlier(1, cli_B001=[("timeout", 120.0)])
    runs = [msgspec.structs.replace(hung, commit="broken"), *earlier(11, cli_B001=[("passed", 2.0)])]
    return Known(plan(case("B001", timeout_seconds=120.0)), report({"cli:B001": 2.0}), runs)


def costly_flake() -> Known:
    runs = [*earlier(9, cli_B001=[("passed", 2.0)]), *earlier(3, cli_B001=[("failed", 30.0), ("passed", 2.0)])]
    return Known(plan(case("B001")), report({"cli:B001": 2.0}), runs)


def retries_in_vain() -> Known:
    broken = earlier(6, cli_B001=[("failed", 10.0, "assertion")] * 3)
    runs = [msgspec.structs.replace(one, commit=f"broken{at}") for at, one in enumerate(broken)]
    test = case("B001", retries=Retry(2, ("failed", "crash")))
    return Known(plan(test), report({"cli:B001": 2.0}), [*runs, *earlier(6, cli_B001=[("passed", 2.0)])])


def long_wait() -> Known:
    wait = Wait("/blocks/ask/steps/2", "expect", 30.0, [0.1 * number for number in range(1, 21)], 2)
    return Known(plan(case("B001")), report({"cli:B001": 2.0}), waits=[wait])


def slower_method(at_once: int = 1) -> Known:
    """By the second method a test takes longer; so many of its tests run at a time."""
    names = [f"B{number:03}" for number in range(8)]
    sides = [
        {name: Side(name, "passed", taken, ended=1e9 + taken * (at // workers + 1)) for at, name in enumerate(names)}
        for taken, workers in ((1.0, 1), (3.0, at_once))
    ]
    found = compare("cli", sides[0], "mcp", sides[1])
    both = {f"{method}_{name}": [("passed", 1.0)] for name in names for method in ("cli", "mcp")}
    seen = dataclasses.replace(report({"cli:B000": 1.0}), comparisons=(found,))
    return Known(plan(*map(case, names), methods=(CLI, MCP)), seen, earlier(ENOUGH, **both))


STORIES = {
    "workers": too_few_workers,
    "needs": needless_need,
    "timeout": generous_timeout,
    "flaky": costly_flake,
    "retries": retries_in_vain,
    "wait": long_wait,
    "method": slower_method,
}


def test_each_rule_has_a_story_and_a_row_in_the_page():
    assert list(STORIES) == list(RULES)
    page = PAGE.read_text().partition("## Advice")[2]
    assert [rule for rule in RULES if f"| `{rule}` |" not in page] == []


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_says_what_it_rests_on(rule):
    known = STORIES[rule]()
    found = advise(known)
    assert {one.rule for one in found} == {rule}
    text = markdown(dataclasses.replace(known.report, advice=found), "folder")
    golden.check(GOLDEN / f"{rule}.md", text.partition("## Advice")[2])


def with_auto(cores: str) -> Known:
    """The needless need by a method whose workers the machine decides, next to four more tests."""
    known, more = needless_need(), [case(f"B00{number}") for number in range(4, 8)]
    made = plan(*known.plan.tests, *more, methods=(msgspec.structs.replace(CLI, workers=0),))
    seconds = {f"cli:{test.id}": 10.0 for test in made.tests}
    return known._replace(plan=made, report=report(seconds, provenance=(("cores", cores),)))


def test_no_cut_makes_a_run_shorter_than_the_machine_bears():
    assert [one.saved for one in advise(with_auto("2"))] == [10.0, 10.0]
    assert advise(with_auto("1")) == ()


def few(known: Known) -> Known:
    return known._replace(earlier=known.earlier[:3])


QUIET = {
    "failures are not tried again": lambda: retries_in_vain()._replace(plan=plan(case("B001"))),
    "another cause is tried again": lambda: retries_in_vain()._replace(
        plan=plan(case("B001", retries=Retry(2, ("timeout",))))
    ),
    "retries pass often enough": lambda: retries_in_vain()._replace(
        earlier=[
            *retries_in_vain().earlier,
            *(
                msgspec.structs.replace(one, commit=f"w{at}")
                for at, one in enumerate(earlier(9, cli_B001=[("failed", 1.0, "assertion"), ("passed", 0.1)]))
            ),
        ]
    ),
    "the workers are the machine's choice": lambda: too_few_workers()._replace(
        plan=plan(*too_few_workers().plan.tests, methods=(msgspec.structs.replace(CLI, workers=0),))
    ),
    "tests hold a resource": lambda: too_few_workers()._replace(
        plan=plan(*(msgspec.structs.replace(one, resources={"db": 1}) for one in too_few_workers().plan.tests))
    ),
    "a chain is all that there is": lambda: Known(needless_need().plan, needless_need().report),
    "the needed test did fail once": lambda: needless_need()._replace(
        earlier=[*needless_need().earlier, *earlier(1, cli_B001=[("failed", 1.0)], cli_B002=[("failed", 1.0)])]
    ),
    "the timeout was seen three times only": lambda: few(generous_timeout()),
    "the timeout never cost anything": lambda: generous_timeout()._replace(earlier=generous_timeout().earlier[1:]),
    "the flake is too new": lambda: costly_flake()._replace(earlier=costly_flake().earlier[-3:]),
    "the wait never was in vain": lambda: long_wait()._replace(
        waits=[dataclasses.replace(one, expired=0) for one in long_wait().waits]
    ),
    "the wait needs its time": lambda: long_wait()._replace(
        waits=[dataclasses.replace(one, passed=[20.0] * 20) for one in long_wait().waits]
    ),
    "the slow method has found something in an earlier run": lambda: slower_method()._replace(
        earlier=[*slower_method().earlier, *earlier(1, cli_B000=[("passed", 1.0)], mcp_B000=[("failed", 1.0)])]
    ),
    "the slow method takes less for all tests together": lambda: slower_method(at_once=8),
    "the methods were compared three times only": lambda: few(slower_method()),
    "the run did not end": lambda: too_few_workers()._replace(
        report=dataclasses.replace(too_few_workers().report, seconds=None)
    ),
    "a signal ended the run": lambda: too_few_workers()._replace(
        report=dataclasses.replace(too_few_workers().report, interrupted="SIGTERM")
    ),
    "nothing ran": lambda: Known(plan(case("B001")), report({})),
}


@pytest.mark.parametrize("why", QUIET)
def test_nothing_is_said_where(why):
    known = QUIET[why]()
    assert advise(known) == ()
    assert "Advice" not in markdown(known.report, "folder")


@given(
    st.dictionaries(st.integers(0, 12), st.floats(0, 100), min_size=1),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12))),
)
def test_the_longest_chain_is_the_longest_of_all_chains(taken, pairs):
    seconds = {str(name): value for name, value in taken.items()}
    before: dict[str, list[str]] = {}
    for one, two in pairs:
        if one < two:  # so that there is no cycle
            before.setdefault(str(two), []).append(str(one))

    def chain(name):
        return seconds.get(name, 0.0) + max((chain(other) for other in before.get(name, ())), default=0.0)

    found = longest(seconds, before)
    assert found.seconds == pytest.approx(max(map(chain, seconds)))
    assert sum(seconds.get(name, 0.0) for name in found.tests) == pytest.approx(found.seconds)
    assert all(one in before[two] for one, two in zip(found.tests, found.tests[1:], strict=False))


@given(st.lists(st.floats(0, 1000), min_size=1))
def test_a_p99_is_a_value_that_all_but_one_in_a_hundred_stay_below(values):
    assert p99(values) in values
    assert sum(value > p99(values) for value in values) <= len(values) / 100


def step(at: str, **args) -> Step:
    return Step("expect", (at,), None, args)


def done(index: int, seconds: float = 0.1, outcome: Outcome = "passed", section: Section = "steps") -> StepDone:
    return StepDone(index=index, verb="expect", seconds=seconds, outcome=outcome, section=section)


def test_waits_are_told_apart_by_their_line_and_only_those_of_the_test_itself_count():
    waits: dict[str, Wait] = {}
    one = case("B001", before=(step("/b", within_seconds=1),), steps=(step("/s/0", within_seconds=2), step("/s/1")))
    before = done(0, section="before")
    note(waits, one, [before, done(0, 0.3), done(1), done(0, 9.0, "failed", "finally")])
    note(waits, one, [done(0, 1.0, "failed", "before"), done(0, 5.0, section="finally")])
    note(waits, one, [before, done(0, 2.1, "failed")])
    note(waits, one, [before, done(0, 0.4, "failed"), done(2, 9.0)])
    assert list(waits.values()) == [Wait("/s/0", "expect", 2.0, [0.3], 1)]


def test_what_is_not_worth_it_is_not_said():
    known = costly_flake()
    cheap = [
        msgspec.structs.replace(
            record,
            executions={
                task: msgspec.structs.replace(one, attempts=tuple(Attempt(x.outcome, WORTH / 10) for x in one.attempts))
                for task, one in record.executions.items()
            },
        )
        for record in known.earlier
    ]
    assert advise(known._replace(earlier=cheap)) == ()
