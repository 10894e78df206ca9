"""Ten journeys of the real client in an installed workspace, all in one conversation: nothing is denied."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from tests.support import claude

SPEC = """\
orchestra: 1
suite: s
methods: {cli: {driver: command, workers: 2, command: test_s}}
tests:
  good: {command: {argv: [sh, -c, "exit 0"]}}
  bad: {command: {argv: [sh, -c, "test -e fixed"]}}
  long: {tags: [slow], command: {argv: [sh, -c, "while ! test -e go; do sleep 0.1; done"]}}
"""
GOES_ON = "Exit code 124"
Script: TypeAlias = Callable[..., claude.Script]

pytestmark = [pytest.mark.node, pytest.mark.xdist_group("node")]


def command(*words: str, go: str = "") -> Script:
    """Return the script of a slash command, with the lines for failures; it makes the file `go` after the second wait."""

    def script(text: str, root: Path) -> claude.Script:
        check, start, wait, failed, *_ = claude.lines_of(text)
        yield check
        begun = yield " ".join([start, *words])
        if "Exit code" in begun:
            return
        [run] = re.findall(r"^run +(\S+)", begun, re.MULTILINE)
        line = wait.replace("RUN", run)
        if go:
            for _ in range(2):
                assert GOES_ON in (yield line.replace("--seconds 100", "--seconds 1"))
            (root / go).touch()
        if "Exit code 1\n" in (yield line):
            yield failed.replace("RUN", run)

    return script


def stopped(text: str, root: Path) -> claude.Script:
    """Start a run by a slash command, ask how far it is, and stop it."""
    check, start, wait, *_ = claude.lines_of(text)
    yield check
    [run] = re.findall(r"^run +(\S+)", (yield f"{start} long"), re.MULTILINE)
    yield f"orchestra status {run}"
    yield f"orchestra stop {run}"
    yield wait.replace("RUN", run)


def again(text: str, root: Path) -> claude.Script:
    """Run the failures of the run before once more, and compare."""
    [run] = re.findall(r"^run +(\S+)", (yield "orchestra run --last-failed --detach"), re.MULTILINE)
    yield f"orchestra wait {run} --seconds 100 --brief"
    yield "orchestra compare"


def by_tools(text: str, root: Path) -> claude.Script:
    """Run a test by the tools of the MCP server."""
    yield claude.Call("mcp__orchestra__run", {"selection": ["good"]})
    yield claude.Call("mcp__orchestra__wait", {"seconds": 100})
    yield claude.Call("mcp__orchestra__results", {})


def lines(*typed: str) -> Script:
    """Return the script that types one line after the other."""

    def script(text: str, root: Path) -> claude.Script:
        for line in typed:
            _ = yield line  # a tuple takes no results

    return script


class Journey(NamedTuple):
    """One prompt of the user.

    Attributes:
        prompt: of the user.
        script: of the agent that answers it.
        verbs: the verbs that it types, or the tools that it calls.
        result: in the last result.
        files: of the project, which the user writes before it.
    """

    prompt: str
    script: Script
    verbs: str
    result: str
    files: Mapping[str, str] = {}


CLAIM = 'orchestra claim "1 test, 1 passed"'
SEEN = "orchestra attest good --status passed --evidence shot.png --note 'seen by hand'"
CHANGED = {"specs/s.yaml": SPEC.replace("exit 0", "exit 1")}
JOURNEYS = [
    Journey("/test_s good", command("'good'"), "compile run wait", "1 passed; 1 in all"),
    Journey("/test_s zz", command("'zz'"), "compile run", 'no test, group, tag or glob "zz"'),
    Journey("/test_s long", stopped, "compile run status stop wait", "interrupted"),
    Journey("/test_s tag:slow", command("'tag:slow'", go="go"), "compile run wait wait wait", "1 passed; 1 in all"),
    Journey("/test_s", command(), "", "", CHANGED),
    Journey("/test_s good bad", command("'good'", "'bad'"), "compile run wait show", "cli:bad", {"specs/s.yaml": SPEC}),
    Journey(
        "Why?", lines("orchestra show last --failed --brief", "orchestra show last bad"), "show show", "exit code 0"
    ),
    Journey("I fixed it.", again, "run wait compare", "only", {"fixed": ""}),
    Journey("Report it.", lines(SEEN, CLAIM, "orchestra audit"), "attest claim audit", "sealed whole"),
    Journey("Once more.", by_tools, "mcp__orchestra__run mcp__orchestra__wait mcp__orchestra__results", "good"),
]


@pytest.mark.nightly
def test_nothing_is_denied_in_ten_journeys(node_tools, project):
    """The permissions of a command last for its turn; here each journey is a later turn of one client."""
    project.write(SPEC).write("seen by hand", "shot.png").compile()
    assert project.run("agent", "install", "--hooks", "--mcp").code == 0
    claude.trust(project.root)
    with claude.conversation(node_tools, project.root, str(Path(sys.executable).parent)) as client:
        for journey in JOURNEYS:
            for file, text in journey.files.items():
                project.write(text, file)
            script = functools.partial(journey.script, root=project.root)
            agent = claude.Agent([], name="test_s" if journey.prompt.startswith("/") else "", script=script)
            result = client.ask(journey.prompt, agent)
            assert result["permission_denials"] == [], journey
            typed = [line.split()[1] if " " in line else line for line, _ in agent.calls]
            assert typed == journey.verbs.split(), (journey, agent.calls)
            assert journey.result in (agent.calls[-1][1] if agent.calls else ""), (journey, agent.calls)
