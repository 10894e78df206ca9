"""Another client than Claude Code carries out a skill from its first line to the report: opencode, its model a script."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import claude
from tests.support.project import SuiteProject

SPEC = """\
orchestra: 1
suite: s
methods: {cli: {driver: command, workers: 2, command: test_s}}
compile: {hosts: [agent-skills]}
tests:
  good: {command: {argv: [sh, -c, "while ! test -e go; do sleep 0.1; done"]}}
  bad: {command: {argv: [sh, -c, "exit 3"]}}
"""
MODEL = "anthropic/claude-sonnet-4-5"

pytestmark = [pytest.mark.node, pytest.mark.nightly, pytest.mark.xdist_group("node")]


@dataclass
class Model(claude.Stub):
    """The model: it types the lines of the text that the client sends, and goes on by what they print.

    Attributes:
        text: of the skill, as the client sends it.
        calls: each line with what the client shows of it.
        skills: the list of skills that the client sends.
        go: is made when the run has gone on.
    """

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    skills: str = ""
    go: Path = Path()
    _script: claude.Script | None = None
    _line: str = ""

    def block(self, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        if request.get("tools"):
            if self._script is None:
                self.skills = "".join(part["text"] for part in request["system"])
                self.text = request["messages"][0]["content"][0]["text"]
                self._script = self._lines()
                step = next(self._script)
            else:
                self.calls.append((self._line, claude.result_of(request)))
                try:
                    step = self._script.send(self.calls[-1][1])
                except StopIteration:
                    return super().block({})
            assert isinstance(step, str)
            self._line = step
            return self.call("bash", {"command": step, "description": "a line of the skill"})
        return super().block({"messages": request["messages"]})

    def _lines(self) -> claude.Script:
        check, start, wait, failed, _ = claude.lines_of(self.text)
        yield check
        selection = self.text.rpartition("relative to this base directory.")[
            2
        ].split()  # a line of the client, then words
        [run] = re.findall(
            r"^run +(\S+)", (yield " ".join([start, *(f"'{word}'" for word in selection)])), re.MULTILINE
        )
        line = wait.replace("RUN", run)
        while re.search(r"^goes on", (yield line.replace("--seconds 100", "--seconds 1")), re.MULTILINE):
            self.go.touch()
        yield failed.replace("RUN", run)


def carried_out(program: Path, project: SuiteProject, *words: str) -> Model:
    """Let opencode carry out the skill of the project, without a network."""
    home = project.root.parent / "home"
    home.mkdir(exist_ok=True)
    with claude.served(Model([], go=project.root / "go")) as model:
        provider = {"anthropic": {"options": {"baseURL": f"{model.address}/v1", "apiKey": "no key"}}}
        settings = {
            "autoupdate": False,
            "share": "disabled",
            "model": MODEL,
            "small_model": MODEL,
            "provider": provider,
        }
        env = {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "OPENCODE_CONFIG_CONTENT": json.dumps(settings),
            **dict.fromkeys(("OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_MODELS_FETCH"), "1"),
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }
        done = subprocess.run(
            [program, "run", "--format", "json", "--command", "test-s", *words],
            cwd=project.root,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return model


def test_opencode_carries_out_a_skill_to_the_report(opencode, project):
    """It shows the model no exit code, so that the words of a line have to be enough."""
    project.write(SPEC).compile()
    (project.root / ".git").mkdir()
    model = carried_out(opencode, project)
    verbs = [line.split()[1] for line, _ in model.calls]
    assert (verbs[:3], verbs[-2:]) == (["compile", "run", "wait"], ["wait", "show"]), model.calls
    assert "exit        1: tests or gates failed" in model.calls[-2][1]
    assert "cli:bad" in model.calls[-1][1]
    assert "Exit code" not in "".join(result for _, result in model.calls)
    assert len("".join(result for _, result in model.calls).encode()) <= 6000
    assert project.verdicts() == {"cli:good": "passed", "cli:bad": "failed"}
    assert model.skills.count("<name>test-s</name>") == 1, "a skill is there once"


def test_opencode_appends_the_selection_to_the_text_of_a_skill(opencode, project):
    project.write(SPEC).compile()
    model = carried_out(opencode, project, "bad")
    assert model.calls[1][0].endswith(" --detach 'bad'"), model.calls
    assert project.verdicts() == {"cli:bad": "failed"}
