"""A person at a terminal stops a test at a step, looks at its page, tries steps, and decides what follows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.support.project import SuiteProject, environment
from tests.support.terminal import Terminal

pytestmark = pytest.mark.browser

SPEC = """orchestra: 1
suite: s
methods: {cli: {driver: playwright}, mcp: {driver: mcp}}
defaults: {retries: {max: 2, on: [failed]}}
blocks: {opened: {params: [name], steps: [click: {role: button, name: "${name}"}]}}
tests:
  A:
    steps:
      - goto: "data:text/html,<button onclick='more.hidden=false'>More</button><p id=more hidden>Text</p>"
      - evaluate: "() => { if (more.hidden) { throw new Error('it is hidden'); } }"
      - expect: {role: button, name: More, within_seconds: 60, to: {be: visible}}
"""


@pytest.fixture
def paused(project) -> SuiteProject:
    return project.write(SPEC).compile()


@contextmanager
def run(project: SuiteProject, terminal: Terminal, *words: str) -> Iterator[psutil.Popen]:
    """Start a run in a terminal; whatever fails, it ends."""
    argv = [sys.executable, "-m", "orchestra", "run", "--full", *words]
    out = terminal.out
    process = psutil.Popen(argv, cwd=project.root, env=environment(TERM="dumb"), stdin=out, stdout=out, stderr=out)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # which ends its workers
            process.wait(timeout=60)


def test_a_failed_step_is_tried_and_retried_until_its_test_passes(paused):
    terminal = Terminal()
    with run(paused, terminal, "--pause-on-fail", "--until", "3") as process:
        asked = 0
        for number, method in enumerate(("cli", "mcp"), 1):
            terminal.wait_for(f"failed      {method}:A  step 2 of 3  specs/s.yaml:10:9\r\n")
            for typed, answer, times in (
                ("{text: Text, within_seconds: 0.5}", "is no step", 1),
                ("clik: {text: Text}", '"clik" (did you mean "click"?)', 1),
                ("expect: {text: Text, to: {be: visible}, within_seconds: 0.2}", "tried       failed", 1),
                ("- use: {opened: {name: More}}", "name: More}}\r\ntried       passed", 1),
                (
                    "expect: {text: Text, within_seconds: 60, to: {be: visible}}",
                    "60, to: {be: visible}}\r\ntried       passed",
                    1,
                ),
                ("r", f"paused      {method}:A  step 3 of 3  specs/s.yaml:11:9", 1),
                ("r", "no step has failed here", 1),
                ("c", f"passed      {method}:A", 1),
            ):
                asked += 1
                terminal.wait_for("\r\n> ", asked)
                terminal.press(f"{typed}\n")
                terminal.wait_for(answer, times if method in answer else times * number)
        assert process.wait(timeout=60) == 0
    assert paused.verdicts() == {"cli:A": "passed", "mcp:A": "passed"}
    notes = [event["body"] for event in paused.events("note") if event["body"]["kind"] == "paused"]
    counts = {"pauses": 2, "tried": 3, "retried": 1}
    assert [{name: note["data"][name] for name in counts} for note in notes] == [counts, counts]
    finished = [event["body"] for event in paused.events("attempt_finished")]
    assert [[step["outcome"] for step in body["steps"]] for body in finished] == [["passed"] * 3] * 2
    assert [body["disturbed"] for body in finished] == ["it was paused"] * 2
    assert paused.run("audit").code == 0
    terminal.text()


def test_a_paused_run_that_is_quit_leaves_nothing_running_and_resumes(paused):
    terminal = Terminal()
    with run(paused, terminal, "--step", "--method", "mcp") as process:
        terminal.wait_for("\r\n> ")
        terminal.press("n\n")
        terminal.wait_for("paused      mcp:A  step 2 of 3")
        terminal.wait_for("\r\n> ", 2)
        started = process.children(recursive=True)
        assert len(started) > 1
        terminal.press("q\n")
        assert process.wait(timeout=60) == 130
        assert not psutil.wait_procs(started, timeout=60)[1]
    assert paused.verdicts() == {"mcp:A": "interrupted"}
    resumed = paused.process("run", "--resume")
    assert (resumed.code, paused.verdicts()) == (1, {"mcp:A": "failed"}), resumed.err
    terminal.text()
