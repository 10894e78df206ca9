"""The real client carries out a slash command from its first line to the report: its model is a script."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import NodeTools
from tests.support import claude
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


def lines_of(text: str) -> list[str]:
    """Return the lines that the command shows to be typed."""
    return [
        line for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for line in block.splitlines()
    ]


@dataclass
class Journey:
    """What became of a slash command."""

    calls: list[tuple[str, str]]
    denials: list[object]

    @property
    def verbs(self) -> list[str]:
        return [line.split()[1] for line, _ in self.calls]


def journey(
    tools: NodeTools,
    project: SuiteProject,
    *selection: str,
    before_last: Path | None = None,
    path: tuple[str, ...] = (str(Path(sys.executable).parent),),
) -> Journey:
    """Let the client carry out `/test_s`; `before_last` is made after the second wait."""

    def script(text: str) -> Generator[str, str, None]:
        check, start, wait, *_ = lines_of(text)
        if "Exit code" in (yield check):
            return
        begun = yield " ".join([start, *(f"'{word}'" for word in selection)])
        if "Exit code" in begun:
            return
        [run] = re.findall(r"^run +(\S+)", begun, re.MULTILINE)
        wait = wait.replace("RUN", run)
        turns = 0
        while GOES_ON in (yield wait.replace("--seconds 100", "--seconds 1") if turns < 2 else wait):
            turns += 1
            if turns == 2 and before_last is not None:
                before_last.touch()

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
