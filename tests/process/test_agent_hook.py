"""`orchestra agent hook`: events of Claude Code, refused with a reason or let through."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from orchestra.verbs import hook
from tests.support.project import HEAD, SuiteProject, environment

SPEC = HEAD.replace("driver: command", "driver: command, command: test_s") + (
    'tests: {good: {command: {argv: [sh, -c, "while ! test -e go; do sleep 0.1; done"]}}}\n'
    "gates: {after: {none: {require: passed == 0}}}\n"
)


@pytest.fixture
def compiled(project) -> SuiteProject:
    return project.write(SPEC).compile()


def fire(project: SuiteProject, event: dict | str) -> tuple[int, str]:
    """Call the hook as the client does; its exit code and its reason."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestra", "agent", "hook"],
        input=event if isinstance(event, str) else json.dumps({"cwd": str(project.root), **event}),
        cwd=project.root,
        env=environment(CLAUDE_PROJECT_DIR=""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def stop(project: SuiteProject, words: str, **more: object) -> dict:
    """The end of a turn of an agent that knows the newest run."""
    transcript = project.root / "transcript.jsonl"
    runs = [path.name for path in (project.root / ".orchestra/s/runs").glob("*Z-*")]
    lines = [{"text": f"run {runs} has begun"}, {"text": words}]
    transcript.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    return {
        "hook_event_name": "Stop",
        "transcript_path": str(transcript),
        "last_assistant_message": words,
        "stop_hook_active": False,
        **more,
    }


def test_a_stale_command_is_not_started(compiled):
    event = {"hook_event_name": "UserPromptExpansion", "command_name": "test_s"}
    assert fire(compiled, event) == (0, "")
    compiled.write("orchestra: 1\nsuite: other\n", "specs/other.yaml")
    assert fire(compiled, event) == (0, ""), "a broken spec of another suite"
    compiled.write(SPEC.replace("0.1", "0.2"))
    code, reason = fire(compiled, event)
    assert (code, "/test_s was not started" in reason, "hint: `orchestra compile`" in reason) == (2, True, True), reason
    assert fire(compiled, {**event, "command_name": "other"}) == (0, "")


def test_an_agent_is_held_until_its_run_is_read_and_its_gate_named(compiled):
    assert compiled.run("run", "--detach").code == 0
    code, reason = fire(compiled, stop(compiled, "It runs."))
    assert (code, "goes on: `orchestra wait" in reason) == (2, True), reason
    assert fire(compiled, stop(compiled, "It runs.", stop_hook_active=True)) == (0, "")
    (compiled.root / "go").touch()
    assert compiled.run("wait", "--seconds", "60", "--brief").code == 1
    (compiled.folder / "waited").unlink()
    code, reason = fire(compiled, stop(compiled, "Done."))
    assert (code, "was not read" in reason) == (2, True), reason
    compiled.run("wait", "--brief")
    code, reason = fire(compiled, stop(compiled, "1 test, 1 passed."))
    assert (code, "these gates failed, and your report does not name them: after:none" in reason) == (2, True), reason
    assert fire(compiled, stop(compiled, "1 test, 1 passed; the gate none failed.")) == (0, "")
    attested = compiled.run("attest", "good", "--status", "passed", "--evidence", "pyproject.toml", "--note", "seen")
    assert attested.code == 0, attested.err
    assert fire(compiled, stop(compiled, "The gate none failed.")) == (0, ""), "the result was read before"
    other = stop(compiled, "Done.")
    (compiled.root / "transcript.jsonl").write_text("nothing about a run\n")
    assert fire(compiled, other) == (0, "")


def todo(status: str, text: str) -> dict:
    """A list that TodoWrite has written."""
    entry = {"content": text, "status": status, "activeForm": text}
    return {"hook_event_name": "PostToolUse", "tool_name": "TodoWrite", "tool_input": {"todos": [entry]}}


def task(status: str, text: str) -> dict:
    """An entry that TaskUpdate is about to complete: its call has no text, the event of the client has it."""
    update = {"hook_event_name": "PostToolUse", "tool_name": "TaskUpdate", "tool_input": {"taskId": "1"}}
    return (
        {"hook_event_name": "TaskCompleted", "task_id": "1", "task_subject": text} if status == "completed" else update
    )


def test_a_record_that_the_client_has_not_written_yet_is_awaited(compiled, monkeypatch):
    """The client calls the hook before its record has the last words, and the line in which a run began."""
    assert compiled.run("run", "--detach").code == 0
    words = "It runs.\nMore: „später“."
    event = {"cwd": str(compiled.root), **stop(compiled, words)}
    transcript = compiled.root / "transcript.jsonl"
    record = transcript.read_text(encoding="utf-8")
    transcript.write_text(json.dumps({"text": "Good morning"}))
    looks = []

    def write_later(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            transcript.write_text(record, encoding="utf-8")

    clock = SimpleNamespace(sleep=write_later, monotonic=lambda: hook._RECORD_SECONDS * (len(looks) // 5))
    monkeypatch.setattr(hook, "time", clock)
    reason = hook._unfinished(str(compiled.root), event)
    (compiled.root / "go").touch()
    assert "goes on: `orchestra wait" in reason
    assert len(looks) == 2
    compiled.run("wait")
    transcript.write_text("a record without these words")
    assert hook._unfinished(str(compiled.root), event) == ""
    assert len(looks) == 5, "not for ever"


@pytest.mark.parametrize("todo", [todo, task])
def test_an_entry_is_completed_only_with_a_verdict(compiled, todo):
    assert compiled.run("run", "--detach").code == 0
    code, reason = fire(compiled, todo("completed", "cli:good The good one"))
    assert (code, "has no verdict of cli:good" in reason) == (2, True), reason
    assert fire(compiled, todo("pending", "cli:good The good one")) == (0, "")
    assert fire(compiled, todo("completed", "Read http://x and fix: it")) == (0, "")
    (compiled.root / "go").touch()
    compiled.run("wait")
    assert fire(compiled, todo("completed", "cli:good The good one")) == (0, "")


@pytest.mark.parametrize(
    "event",
    ["", "[]", "{", "[" * 5000, '{"hook_event_name": "Other"}', '{"hook_event_name": "Stop", "cwd": "/nowhere"}'],
)
def test_a_fault_of_the_hook_refuses_nothing(compiled, event):
    assert fire(compiled, event) == (0, "")


def test_the_reason_of_a_fault_is_in_a_log(compiled):
    assert fire(compiled, {"hook_event_name": "Stop", "transcript_path": "/nowhere\nx"}) == (0, "")
    assert "No such file or directory" in (compiled.root / hook.LOG).read_text()


def imported(project: SuiteProject, event: dict) -> set[str]:
    """The modules of a hook that lets an event through."""
    code = (
        "import atexit, io, json, sys; from orchestra.start import main; "
        f"sys.stdin = io.StringIO({json.dumps(json.dumps({'cwd': str(project.root), **event}))}); "
        "sys.argv = ['orchestra', 'agent', 'hook']; atexit.register(lambda: print(*sorted(sys.modules))); main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=True)
    assert not (project.root / hook.LOG).exists(), (project.root / hook.LOG).read_text()
    return set(done.stdout.split())


HEAVY = {"click", "rich", "pydantic", "mcp", "ruamel", "jinja2", "msgspec", "pathlib", "tomllib", "orchestra.errors"}
"""The first of them take longer to import than the hook may take; the last three together as long as a bare Python."""


def test_the_hook_starts_without_what_it_does_not_need(project):
    """Its start is within four of a bare Python, as long as it imports none of these."""
    event = {"hook_event_name": "PostToolUse", "tool_input": {}}
    assert {*HEAVY, "orchestra.ledger"}.isdisjoint(imported(project, event))
    project.write(SPEC)
    event = {"hook_event_name": "UserPromptExpansion", "command_name": "review"}
    assert {*HEAVY, "orchestra.ledger"}.isdisjoint(imported(project, event)), "nothing was compiled"


def test_the_hook_reads_a_run_without_its_record(compiled):
    """The state that the run has written is enough for each event that is let through."""
    (compiled.root / "go").touch()
    compiled.run("run", "--detach")
    compiled.run("wait")
    assert HEAVY.isdisjoint(imported(compiled, stop(compiled, "1 passed; the gate none failed.")))
    assert HEAVY.isdisjoint(imported(compiled, stop(compiled, "The gate none failed."))), "`wait` has printed it"
    assert HEAVY.isdisjoint(imported(compiled, todo("completed", "cli:good The good one")))
    command = {"hook_event_name": "UserPromptExpansion", "command_name": "test_s"}
    assert HEAVY.isdisjoint(imported(compiled, command)), "a run makes no output stale"
