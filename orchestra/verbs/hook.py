"""The hook of Claude Code: `orchestra agent hook` reads an event as JSON on stdin; exit code 2 refuses it, with the reason.

- `UserPromptExpansion`: a slash command of ours that differs from its spec is not carried out.
- `Stop`: an agent is held, once, while a run that it started goes on, or the result of it was not read, or a gate of it
  failed and its last words do not name the gate.
- `PostToolUse` of a to-do tool, and `TaskCompleted`: an entry that names a test is completed only with a verdict. The
  call of TaskUpdate has only the id of its entry; `TaskCompleted`, which comes before it takes effect, has the text.

A fault of the hook itself must not stop an agent: then it ends with 0, and the reason is in `.orchestra/agent-hook.log`.
It runs at each of these events, so it imports little, and more only if there is something to look at.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping

EXIT_REFUSED = 2
LOG = ".orchestra/agent-hook.log"
_MOST_LOG_BYTES = 1 << 20
_MOST_TRANSCRIPT_BYTES = 64 << 20
_RECORD_SECONDS = 3.0
"""The client may write the last words of an agent so much later than it calls the hook."""
_LOOK_SECONDS = 0.05
_TASK = r"[a-z][a-z0-9_]*:[A-Za-z0-9][^\s,;()\"'`]*"


def main() -> int:
    """Process one event; return the exit code."""
    root = ""
    try:
        event = json.load(sys.stdin)
        root = os.environ.get("CLAUDE_PROJECT_DIR") or event["cwd"]
        reason = _CHECKS[event["hook_event_name"]](root, event)
    except Exception as error:  # noqa: BLE001 - the agent goes on, whatever happens here
        _log(root, f"{type(error).__name__}: {error}")
        return 0
    if reason:
        from orchestra.printing import printed  # noqa: PLC0415 - only a refusal needs it

        sys.stderr.write(f"{printed(reason)}\n")
        return EXIT_REFUSED
    return 0


def _log(root: str, reason: str) -> None:
    """Write a reason for the user; a project without a folder of ours has none of our hooks."""
    try:
        from orchestra import nofollow  # noqa: PLC0415 - only a fault needs it

        path = os.path.join(root, LOG)  # noqa: PTH118 - pathlib costs a start
        size = os.path.getsize(path) if os.path.exists(path) else 0  # noqa: PTH110, PTH202 - as above
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if size > _MOST_LOG_BYTES else os.O_APPEND)
        with os.fdopen(nofollow.open_file(path, flags), "w", encoding="utf-8", errors="replace") as file:
            file.write(f"{' '.join(reason.split())}\n")
    except (OSError, ValueError):
        pass


def _stale(root: str, event: Mapping[str, object]) -> str:
    """Return why a slash command of ours must not be carried out; empty if it may, or is none of ours."""
    from orchestra import root as roots  # noqa: PLC0415 - each event needs other parts
    from orchestra.compiler.outputs import stamp  # noqa: PLC0415

    root, text = roots.find(root)
    name = str(event.get("command_name", ""))
    if not _is_ours(root, name) or stamp.unchanged(root, roots.spec_files(root, roots.spec_globs(root, text))):
        return ""
    from pathlib import Path  # noqa: PLC0415

    from orchestra import project  # noqa: PLC0415
    from orchestra.verbs.compiling import compile_specs  # noqa: PLC0415

    done = compile_specs(project.find(Path(root)), suite=_suite_of(root, name), check=True)
    if not done.code:
        return ""
    lines = "\n".join(done.lines[:20])
    return f"/{name} was not started: {done.last}\n{lines}\nhint: `orchestra compile`, and review the change"


def _is_ours(root: str, name: str) -> bool:
    """Return whether a command is in the index of what was compiled."""
    from orchestra import nofollow  # noqa: PLC0415

    try:  # the records of `orchestra.outputs` cost a start
        lines = nofollow.read(f"{root}/.orchestra/outputs.txt").decode(errors="replace").splitlines()
    except FileNotFoundError:
        return False  # nothing was compiled
    return any(line.endswith((f"/{name}.md", f"/{name}/SKILL.md")) for line in lines)


def _suite_of(root: str, command: str) -> str | None:
    """Return the suite of a command, so that no other suite stops it; None if no plan has it under this name."""
    from orchestra import nofollow  # noqa: PLC0415
    from orchestra import root as roots  # noqa: PLC0415

    plans = {suite: nofollow.read(f"{root}/{roots.plan_file(suite)}") for suite in roots.suites(root)}
    return next((suite for suite, plan in plans.items() if f'"{command}"'.encode() in plan), None)


def _unfinished(root: str, event: Mapping[str, object]) -> str:
    """Return why an agent must not end its turn yet; empty if it may."""
    if event.get("stop_hook_active"):
        return ""  # it was held once
    words = str(event.get("last_assistant_message", ""))
    runs = _runs_in(str(event.get("transcript_path", "")), words)
    if not runs:
        return ""
    from orchestra import nofollow  # noqa: PLC0415

    here = [folder for home in _homes(root) for run in runs if nofollow.is_folder(folder := f"{home}/runs/{run}")]
    return _open_end(max(here, key=os.path.basename), words) if here else ""


def _homes(root: str) -> list[str]:
    """Return the folders of the suites of the project."""
    from orchestra import root as roots  # noqa: PLC0415

    root, _ = roots.find(root)
    return [f"{root}/{roots.PLAN_FOLDER}/{suite}" for suite in roots.suites(root)]


def _runs_in(transcript: str, words: str) -> set[str]:
    """Return the runs that the record of a conversation names; those that another started are not in it.

    The record is whole as soon as it has the last words of the agent.
    """
    from orchestra.ledger.quick import RUN_ID  # noqa: PLC0415

    last = json.dumps(words.strip().rpartition("\n")[2], ensure_ascii=False)[1:-1].encode(errors="replace")
    end = time.monotonic() + _RECORD_SECONDS
    while last not in (record := _bytes_of(transcript)) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
    return set(re.findall(RUN_ID, record.decode(errors="replace")))


def _bytes_of(transcript: str) -> bytes:
    with open(transcript, "rb") as file:  # noqa: PTH123 - pathlib costs a start
        return file.read(_MOST_TRANSCRIPT_BYTES)


def _open_end(folder: str, words: str) -> str:
    """Return the part of a run that its agent has not dealt with."""
    from orchestra.ledger import quick  # noqa: PLC0415

    home, _, run = folder.rpartition("/runs/")
    suite = os.path.basename(home)  # noqa: PTH119 - pathlib costs a start
    wait = f"`orchestra wait {run} --suite {suite} --seconds 100 --brief`"
    if quick.is_under_way(folder):
        return f"run {run} goes on: {wait} until its exit code is not 124, then report the result"
    state = quick.known_fields(folder, ("seq", "sealed", "gates"))
    if state.get("sealed") and (quick.printed(folder) >= state["seq"] or _was_detailed(words)):
        red = [name for name, gate in state["gates"].items() if gate["result"] == "failed"]
    else:  # a run without an end, or with more than `wait` has printed
        from pathlib import Path  # noqa: PLC0415

        from orchestra.ledger.view import look  # noqa: PLC0415 - it takes longer to import than all the rest

        view = look(Path(folder), steps=False)
        end = view.segment
        if end.finish is not None and quick.printed(folder) < end.finish_seq and not _was_detailed(words):
            return f"the result of run {run} was not read: {wait}, then report it"
        red = [name for name, seen in view.gates.items() if seen.body.result == "failed"]
    missing = [name for name in red if name.partition(":")[2] not in words]
    if missing:
        return f"run {run}: these gates failed, and your report does not name them: {', '.join(missing)}"
    return ""


def _was_detailed(words: str) -> bool:
    """Return whether the last words have counts, which another verb than `wait` can have shown."""
    return re.search(r"\d+\s+(passed|failed|timeout|error|blocked|skipped)", words) is not None


def _unproven(root: str, event: Mapping[str, object]) -> str:
    """Return the completed to-do entries that name a test without a verdict; empty if there is none."""
    named = {task for text in _completed(event) for task in re.findall(_TASK, text)}
    if not named:
        return ""
    from orchestra.ledger import quick  # noqa: PLC0415

    newest = [f"{home}/runs/{runs[0]}" for home in _homes(root) if (runs := quick.recorded(home))]
    for folder in newest:
        if open_ones := _without_verdict(folder, named):
            run = os.path.basename(folder)  # noqa: PTH119
            return f"not completed: run {run} has no verdict of {', '.join(open_ones)}; `orchestra wait {run}`"
    return ""


def _without_verdict(folder: str, named: set[str]) -> list[str]:
    """Return the named tasks that a run selected and has no verdict of."""
    from orchestra.ledger import quick  # noqa: PLC0415

    state = quick.known_fields(folder, ("completed", "current", "pending"))
    selected = {task for part in state.values() for task in part}
    if selected and named.isdisjoint(selected - set(state["completed"])):
        return []
    from pathlib import Path  # noqa: PLC0415

    from orchestra.ledger.view import look  # noqa: PLC0415 - as in `_open_end`

    view = look(Path(folder), steps=False)
    return sorted(named & set(view.selection) - set(view.verdicts))


def _completed(event: Mapping[str, object]) -> Iterator[str]:
    """Yield the texts of the completed entries: those of TodoWrite, or the one of TaskUpdate where it has a text."""
    if event["hook_event_name"] == "TaskCompleted":
        yield f"{event['task_subject']} {event.get('task_description', '')}"
        return
    given = event.get("tool_input")
    todos = given.get("todos") if isinstance(given, dict) else None
    for entry in todos if isinstance(todos, list) else [given]:
        if isinstance(entry, dict) and entry.get("status") == "completed":
            yield " ".join(str(entry.get(key, "")) for key in ("content", "subject", "description"))


_CHECKS = {
    "UserPromptExpansion": _stale,
    "Stop": _unfinished,
    "PostToolUse": _unproven,
    "TaskCompleted": _unproven,
}
