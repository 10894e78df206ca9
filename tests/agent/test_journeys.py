"""The real client carries out a slash command from its first line to the report: its model is a script."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import NodeTools
from tests.support import claude, golden
from tests.support.paths import DATA
from tests.support.project import SuiteProject

SPEC = """\
orchestra: 1
suite: s
methods: {cli: {driver: command, workers: 2, command: test_s}}
tests:
  good: {command: {argv: [sh, -c, "while ! test -e go; do sleep 0.1; done"]}}
  bad: {command: {argv: [sh, -c, "exit 3"]}}
  none: {command: {argv: [sh, -c, "exit 0"]}}
"""
GOES_ON = "Exit code 124"

pytestmark = [pytest.mark.node, pytest.mark.xdist_group("node")]


def transcript(done: Journey) -> str:
    """Return the calls of a journey with their results, with the same id, times, counts and sizes in each run."""
    text = "".join(f"$ {line}\n{result.rstrip()}\n" for line, result in done.calls)
    text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{4}", "20260102T030405Z-1a2b", text)
    text = re.sub(r"^    resources .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\b\d+ (calls|polls|times)\b", r"2 \1", re.sub(r"\(\d\d+ bytes\)", "(1000 bytes)", text))
    return re.sub(r"(?:(?<=  )|(?<=, ))\d+(\.\d+)? (ms|s|min)\b", "1 s", text)


@dataclass
class Journey:
    """What became of a slash command."""

    calls: list[tuple[str, str]]
    denials: list[object]

    @property
    def verbs(self) -> list[str]:
        return [line.split()[1] for line, _ in self.calls]


PROGRAMS = (str(Path(sys.executable).parent),)


def journey(
    tools: NodeTools,
    project: SuiteProject,
    *selection: str,
    before_last: Path | None = None,
    path: tuple[str, ...] = PROGRAMS,
    failures: tuple[str, ...] = (),
) -> Journey:
    """Let the client carry out `/test_s`: each line of its text, those of section 4 only if there are `failures`.

    `before_last` is made after the second wait.
    """

    def script(text: str) -> Generator[str, str, None]:
        check, start, wait, *read = claude.lines_of(text)
        if "Exit code" in (yield check):
            return
        begun = yield " ".join([start, *(f"'{word}'" for word in selection)])
        if "Exit code" in begun:
            return
        [run] = re.findall(r"^run +(\S+)", begun, re.MULTILINE)
        wait = wait.replace("RUN", run)
        turns = 0
        while GOES_ON in (yield wait.replace("--seconds 100", "--seconds 1") if turns < 2 and before_last else wait):
            turns += 1
            if turns == 2 and before_last is not None:
                before_last.touch()
        for line in read if failures else []:
            for test in failures if " ID" in line else ("",):
                yield line.replace("RUN", run).replace("ID", test)

    with claude.served(claude.Agent([], name="test_s", script=script)) as agent:
        prompt = " ".join(["/test_s", *selection])
        result = claude.ask(tools, project.root, agent, prompt, *path)[-1]
    return Journey(agent.calls, result["permission_denials"])


def test_a_run_that_goes_on_over_several_calls(node_tools, project):
    project.write(SPEC).compile()
    done = journey(node_tools, project, before_last=project.root / "go")
    assert done.verbs == ["compile", "run", "wait", "wait", "wait"], done.calls
    assert done.denials == []
    last = done.calls[-1][1]
    assert "Exit code 1\n" in last
    assert "".join(result for _, result in done.calls[2:]).count("failed      cli:bad") == 1
    assert "2 passed, 1 failed; 3 in all" in last
    assert project.verdicts() == {"cli:good": "passed", "cli:bad": "failed", "cli:none": "passed"}


@pytest.mark.nightly  # test_a_program_that_is_not_on_the_path selects by day
def test_a_selection(node_tools, project):
    project.write(SPEC).compile()
    done = journey(node_tools, project, "none")
    assert done.verbs == ["compile", "run", "wait"], done.calls
    assert "1 passed; 1 in all" in done.calls[-1][1]
    assert done.denials == []


def test_a_stale_command_ends_at_its_first_line(node_tools, project):
    project.write(SPEC).compile()
    project.write(SPEC.replace("exit 3", "exit 4"))
    done = journey(node_tools, project)
    assert done.verbs == ["compile"]
    assert "Exit code 1" in done.calls[0][1]
    assert not (project.root / ".orchestra/s/runs").exists()


@pytest.mark.nightly  # test_a_stale_command_ends_at_its_first_line ends early by day
def test_a_selection_that_means_nothing_starts_no_run(node_tools, project):
    project.write(SPEC).compile()
    done = journey(node_tools, project, "zz")
    assert done.verbs == ["compile", "run"]
    assert "Exit code 2" in done.calls[1][1]
    assert done.denials == []


def test_a_program_that_is_not_on_the_path(node_tools, project):
    """Without the key the first line is not found; with it the same environment is enough."""
    project.write(SPEC).compile()
    assert "command not found" in journey(node_tools, project, "none", path=()).calls[0][1]
    (project.root / ".venv/bin").mkdir(parents=True)
    (project.root / ".venv/bin/orchestra").symlink_to(Path(sys.executable).parent / "orchestra")
    project.write(f"{SPEC}compile: {{launcher: .venv/bin/orchestra}}\n").compile()
    done = journey(node_tools, project, "none", path=())
    assert [line.split()[:2] for line, _ in done.calls] == [[".venv/bin/orchestra", verb] for verb in done.verbs]
    assert done.verbs == ["compile", "run", "wait"], done.calls
    assert "1 passed; 1 in all" in done.calls[-1][1]
    assert done.denials == []


def test_two_failures(node_tools, project):
    """Two lines more in the text of a command would be two calls more, and too many."""
    rows = (f"  T{n:02}: {{command: {{argv: [sh, -c, 'exit {3 * (n in (3, 9))}']}}}}\n" for n in range(1, 17))
    project.write(SPEC.partition("  good:")[0].replace("workers: 2", "workers: 1") + "".join(rows)).compile()
    done = journey(node_tools, project, failures=("T03", "T09"))
    assert [line.split()[1] for line, _ in done.calls] == ["compile", "run", "wait", "show", "show", "show"], done.calls
    assert len(done.calls) <= 7
    assert len("".join(result for _, result in done.calls).encode()) <= 6000
    assert done.denials == []
    golden.check(DATA / "agent" / "two-failures.txt", transcript(done))


PAGE = """\
orchestra: 1
suite: s
methods: {mcp: {driver: mcp, workers: 1, session: {single: true}, command: test_s}}
groups: {page: {before: [{goto: "data:text/html,<h1>Basket</h1><p data-testid=total>3.00</p>"}]}}
tests:
  T1: {group: page, steps: [{expect: {role: heading, to: {have_text: Basket}}}]}
  T2: {group: page, steps: [{expect: {testid: total, within_seconds: 3, to: {have_text: "4.00"}}}]}
"""


@pytest.mark.nightly  # test_two_failures reads failures by day; here they are of a page
@pytest.mark.usefixtures("chromium")
def test_a_failure_of_a_page(node_tools, project):
    project.write(PAGE).compile()
    done = journey(node_tools, project, failures=("T2",))
    assert done.verbs == ["compile", "run", "wait", "show", "show"], done.calls
    assert done.denials == []
    golden.check(DATA / "agent" / "page-failure.txt", transcript(done))


@pytest.mark.parametrize("trusted", [True, pytest.param(False, marks=pytest.mark.nightly)])  # False is the control
def test_a_second_turn_is_allowed_in_an_installed_workspace_that_is_trusted(node_tools, project, trusted):
    project.write(SPEC.replace("! test -e go", "false")).compile()
    assert project.run("agent", "install").code == 0
    if trusted:
        claude.trust(project.root)
    first = journey(node_tools, project, "bad")
    assert (first.verbs, first.denials) == (["compile", "run", "wait"], [])
    with claude.stub_of("orchestra show last --failed --brief") as stub:
        result = claude.ask(node_tools, project.root, stub, "What failed?", *PROGRAMS, options=["--continue"])[-1]
    assert [denial["tool_name"] for denial in result["permission_denials"]] == ([] if trusted else ["Bash"])


@pytest.mark.nightly  # test_a_run_that_goes_on_over_several_calls has by day the calls, and no limit
def test_a_run_longer_than_the_limits_of_the_client(node_tools, project):
    """Each call ends within the limit, the run does not; it is there at its end, with its exit code."""
    limit = 15.0
    project.write(SPEC).compile()

    def script(text: str) -> Generator[str, str, None]:
        _, start, wait, *_ = claude.lines_of(text)
        [run] = re.findall(r"^run +(\S+)", (yield start), re.MULTILINE)
        begun = time.monotonic()
        while GOES_ON in (yield wait.replace("RUN", run).replace("--seconds 100", "--seconds 4")):
            if time.monotonic() - begun > limit:
                (project.root / "go").touch()

    limits = {"BASH_DEFAULT_TIMEOUT_MS": f"{limit * 1000:.0f}", "BASH_MAX_TIMEOUT_MS": f"{limit * 1000:.0f}"}
    with claude.served(claude.Agent([], name="test_s", script=script)) as agent:
        result = claude.ask(node_tools, project.root, agent, "/test_s", *PROGRAMS, env=limits)[-1]
    assert result["permission_denials"] == []
    assert "Exit code 1\n" in agent.calls[-1][1]
    assert project.verdicts() == {"cli:good": "passed", "cli:bad": "failed", "cli:none": "passed"}


def test_the_hooks_refuse_a_stale_command_and_an_early_end(node_tools, project):
    project.write(SPEC).compile()
    assert project.run("agent", "install", "--hooks").code == 0
    held: list[str] = []

    def script(text: str) -> claude.Script:
        _, start, wait, *_ = claude.lines_of(text)
        [run] = re.findall(r"^run +(\S+)", (yield start), re.MULTILINE)
        held.append((yield claude.Says("The tests run in the background.")))
        (project.root / "go").touch()
        while GOES_ON in (yield wait.replace("RUN", run)):
            pass

    with claude.served(claude.Agent([], name="test_s", script=script)) as agent:
        claude.ask(node_tools, project.root, agent, "/test_s", *PROGRAMS)
    assert re.search(r"run \S+ goes on: `orchestra wait", held[0]), held
    assert "Exit code 1\n" in agent.calls[-1][1]
    project.write(SPEC.replace("exit 3", "exit 4"))
    with claude.stub_of("orchestra run") as stub:
        events = claude.ask(node_tools, project.root, stub, "/test_s", *PROGRAMS)
    assert (stub.lines, stub.prompts) == (["orchestra run"], []), "no request was sent"
    assert "/test_s was not started" in str(events)


@pytest.mark.nightly  # test_agent_hook.py has this hook by day, and no client
def test_the_hook_refuses_a_task_without_a_verdict_of_which_the_call_has_only_the_id(node_tools, project):
    project.write(SPEC).compile()
    assert project.run("agent", "install", "--hooks").code == 0
    done = {"taskId": "1", "status": "completed"}

    def script(text: str) -> claude.Script:
        _, start, wait, *_ = claude.lines_of(text)
        [run] = re.findall(r"^run +(\S+)", (yield start), re.MULTILINE)
        yield claude.Call("TaskCreate", {"subject": "cli:good The good one", "description": "by hand"})
        yield claude.Call("TaskUpdate", done)
        yield claude.Call("TaskList", {})
        (project.root / "go").touch()
        while GOES_ON in (yield wait.replace("RUN", run)):
            pass
        yield claude.Call("TaskUpdate", done)
        yield claude.Call("TaskList", {})

    with claude.served(claude.Agent([], name="test_s", script=script)) as agent:
        claude.ask(node_tools, project.root, agent, "/test_s", *PROGRAMS, env={"CLAUDE_CODE_ENABLE_TODO_TOOLS": "1"})
    assert any(tool == "TaskUpdate" and "has no verdict of cli:good" in result for tool, result in agent.calls)
    lists = [result for tool, result in agent.calls if tool == "TaskList"]
    assert lists == ["#1 [pending] cli:good The good one", "#1 [completed] cli:good The good one"], agent.calls


TRIES = 100
NO_TOOL = re.compile(r"no such tool|not (?:yet )?available|still connecting", re.IGNORECASE)


@pytest.mark.usefixtures("chromium")
def test_the_client_calls_both_mcp_servers(node_tools, project):
    project.write(SPEC).compile()
    assert project.run("agent", "install", "--mcp").code == 0
    claude.trust(project.root)

    wanted = (
        claude.Call("mcp__orchestra__plan", {}),
        claude.Call("mcp__playwright__browser_navigate", {"url": "data:text/html,<title>here</title>"}),
        claude.Call("mcp__playwright__browser_evaluate", {"function": "() => document.title"}),
    )

    def script(_: str) -> claude.Script:
        for call in wanted:
            for _ in range(TRIES):  # the client goes on while its servers start, and has no such tool until then
                if not NO_TOOL.search((yield call)):
                    break

    with claude.served(claude.Agent([], script=script)) as agent:
        result = claude.ask(node_tools, project.root, agent, "Look at the page.", *PROGRAMS)[-1]
    assert result["permission_denials"] == []
    results = dict(agent.calls)
    assert re.search(r"good[\s\S]*exit code 0", results[wanted[0].tool]), agent.calls
    assert '"here"' in results[wanted[2].tool], agent.calls
