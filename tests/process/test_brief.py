"""The short form of output: its default, its size, its marks; and what is asked of the last run without an id."""

from __future__ import annotations

import re

import pytest

from orchestra.report.console.brief import AGENT_VARIABLES, NAMED, WHOLE
from tests.support.project import HEAD, Ended, SuiteProject


def suite(tests: int, failing: set[int]) -> str:
    """A suite of a method, with tests that pass and tests that fail."""
    rows = (
        f'  T{n:03}: {{title: The page number {n} shows its heading and its rows, command: {{argv: [sh, -c, "'
        f'{"exit 3" if n in failing else "exit 0"}"]}}}}\n'
        for n in range(1, tests + 1)
    )
    return f"{HEAD.replace('driver: command', 'driver: command, command: test_s')}tests:\n{''.join(rows)}"


def blocks_of(text: str) -> list[str]:
    """The lines that a command shows to be typed."""
    return [
        line for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for line in block.splitlines()
    ]


def as_agent(project: SuiteProject, *words: str) -> Ended:
    return project.process(*words, CLAUDECODE="1")


@pytest.mark.parametrize(
    "tests, failing, most",
    [
        (16, set(), 3000),
        (16, {3, 9}, 6000),
        (200, {3, 199}, 8000),
        pytest.param(700, {3, 699}, 8000, marks=pytest.mark.nightly),
    ],
)
def test_the_output_of_a_whole_journey_is_small(project, tests, failing, most):
    """The lines of a slash command, in its order: a line more in its text is a call more."""
    project.write(suite(tests, failing)).compile()
    text = (project.root / ".claude/commands/test_s.md").read_text()
    check, start, wait, *read = blocks_of(text)
    calls = [as_agent(project, *check.split()[1:]), as_agent(project, *start.split()[1:])]
    assert [call.code for call in calls] == [0, 0], calls
    [run] = re.findall(r"^run +(\S+)", calls[-1].out, re.MULTILINE)
    wait = wait.replace("--seconds 100", "--seconds 3600")  # a loaded machine needs no more calls
    rest = [line.replace("ID", f"T{number:03}") for line in read for number in (failing if " ID" in line else (0,))]
    following = [wait, *(rest if failing else [])]
    calls += [as_agent(project, *line.replace("RUN", run).split()[1:]) for line in following]
    assert calls[2].code == bool(failing)
    assert len(calls) <= (7 if failing else 5)
    printed = "".join(call.out + call.err for call in calls)
    assert len(printed.encode()) <= most, printed
    assert f"{tests - len(failing)} passed" in printed
    for number in failing:
        assert len(re.findall(rf"^failed +cli:T{number:03} .*\n +at +specs/s.yaml:\d+", printed, re.MULTILINE)) == 2
    assert ("again       orchestra run --last-failed --suite s\n" in printed) == bool(failing)


def test_the_last_failures_run_again_alone(project):
    project.write(suite(4, {2, 3})).compile()
    assert as_agent(project, "run").code == 1
    again = project.process("run", "--last-failed", "--list")
    assert [line.split()[0] for line in again.out.splitlines()] == ["cli:T002", "cli:T003"]
    other = project.process("run", "--last-failed", "T001")
    assert (other.code, "is not selected: cli:T002, cli:T003" in other.err) == (2, True)
    assert project.process("run", "--last-failed", "--resume").code == 2
    project.write(suite(4, {3})).compile()
    assert project.process("run", "--last-failed").code == 1
    assert project.verdicts() == {"cli:T002": "passed", "cli:T003": "failed"}
    project.write(suite(4, set())).compile()
    assert project.process("run", "--last-failed", "--detach").code == 0
    assert project.run("wait").code == 0
    assert project.verdicts() == {"cli:T003": "passed"}
    nothing = project.process("run", "--last-failed")
    assert (nothing.code, "nothing to run: all tests of run" in nothing.err) == (0, True)
    assert "T003" in project.run("compare").out


def test_without_sides_the_last_run_is_compared_with_the_one_before(project):
    project.write(suite(2, {2})).compile()
    project.process("run")
    first = project.folder.name
    assert project.run("compare").code == 2
    project.write(suite(2, set())).compile()
    project.process("run")
    last = project.folder.name
    told = project.run("compare")
    assert (told.code, told.out.splitlines()[0]) == (0, f"{last} against {first}: 2 tests by both")
    assert "1 of 2 agree" in told.out
    assert told.out == project.run("compare", first, last).out


def test_a_coding_agent_gets_the_short_form(project):
    project.write(suite(1, set())).compile()
    project.process("run")
    assert "test  title" in project.run("wait", "--all").out
    for name in AGENT_VARIABLES:
        assert "test  title" not in project.run("wait", "--all", **{name: "1"}).out
        assert "test  title" in project.run("wait", "--all", **{name: ""}).out
        assert "test  title" in project.run("wait", "--all", "--full", **{name: "1"}).out
    assert "test  title" not in project.run("wait", "--all", "--brief").out
    assert "test  title" in as_agent(project, "run", "--full").err
    assert "test  title" not in as_agent(project, "run").err


def test_many_failures_are_named_up_to_a_limit(project):
    project.write(suite(NAMED + 5, set(range(1, NAMED + 6)))).compile()
    run = as_agent(project, "run")
    assert run.err.count("\nfailed ") == NAMED
    assert run.err.count("    evidence ") == WHOLE
    assert f"{NAMED} of {NAMED + 5} that are not green are named" in run.err
    shown = as_agent(project, "show", "--failed").out
    assert "and 10 more: cli:T011" in shown
    assert project.process("show", "--failed").out.count("failed ") == NAMED + 5


def test_the_last_failures_run_again_with_the_profile_of_their_run(project):
    project.write(
        HEAD
        + "vars: {code: 0}\nprofiles: {broken: {vars: {code: 3}}}\n"
        + 'tests: {a: {command: {argv: [sh, -c, "exit ${vars.code}"]}}}\n'
    ).compile()
    first = project.process("run", "--profile", "broken", "--brief")
    assert "again       orchestra run --last-failed --suite s --profile broken\n" in first.err
    assert [project.process("run", "--last-failed").code for _ in range(2)] == [1, 1]
