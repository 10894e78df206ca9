"""Implement the verb status: the progress of a run, from its `state.json`.

It is called repeatedly during a run, so it imports little. Only for a run that ended without an end event is the state
folded from the ledger, because its file may be a tenth of a second old.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from orchestra import nofollow
from orchestra.errors import EXIT_OK, MachineError, UsageError
from orchestra.ledger.disk import disk_error
from orchestra.ledger.lock import under_way
from orchestra.ledger.quick import STATE, recorded, state_fields
from orchestra.ledger.running_step import RunningStep, running_steps
from orchestra.printing import one_line
from orchestra.verbs.chosen_run import require_methods, run_argument, run_folder
from orchestra.verbs.group import say, say_data, say_json
from orchestra.verbs.options import methods_option, project_of, suite_option

WATCH_SECONDS = 0.5
_LATEST = 3
_CURRENT = 8
_WANTED = frozenset(
    (
        *("run", "phase", "started", "time", "counts", "current", "pending", "blocked", "class_distribution", "errors"),
        *("resource_use", "incidents", "sessions", "health", "gates", "checkpoints", "exit_code", "interrupted"),
        *("sealed", "resumes", "nodes"),
    )
)


@click.command(
    epilog="\b\nExamples:\n  orchestra status            the newest run\n"
    "  orchestra status --watch    until it ends\n  orchestra status --json     state.json\n"
    "  orchestra status --format todowrite   the to-do list of a coding agent"
)
@run_argument
@suite_option
@methods_option
@click.option("--watch", is_flag=True, help="Print it again after every change, until the run ends.")
@click.option("--json", "as_json", is_flag=True, help="JSON output: the state.")
@click.option(
    "--format",
    "todo",
    type=click.Choice(["todowrite", "taskcreate"]),
    help="JSON output: the tests as a to-do list, in the form of a tool of coding agents.",
)
@click.pass_context
def status(
    ctx: click.Context,
    run: str,
    suite: str | None,
    *,
    methods: tuple[str, ...],
    watch: bool,
    as_json: bool,
    todo: str | None,
) -> int:
    """Show the progress of a run: verdicts, running tests, waiting tests, errors, servers, gates."""
    project = project_of(ctx)
    folder = run_folder(project, suite, run)
    if todo is not None:
        if methods or watch or as_json:
            raise UsageError("--format is the to-do list of the whole run, once", "remove --method, --watch and --json")
        return _to_do(project.root, folder, todo)
    if methods:
        if as_json:
            raise UsageError("--json prints the state.json of the whole run", "remove --method")
        require_methods(project.root, folder, methods)
    shown = ""
    while True:
        going = under_way(folder)
        _fresh(folder, going=going)
        steps = running_steps(folder) if going else {}
        text = _json(folder) if as_json else "\n".join(_lines(folder, methods, steps, going=going))
        if text != shown:
            say_data("\x1b[2J\x1b[H" if watch and sys.stdout.isatty() else "", end="")
            if as_json:
                say_json(text, end="")
            else:
                say(text)
            sys.stdout.flush()
            shown = text
        if not watch or not going:
            return EXIT_OK
        time.sleep(WATCH_SECONDS)


def _lines(folder: Path, methods: Collection[str], steps: Mapping[str, RunningStep], *, going: bool) -> Iterator[str]:
    yield from lines(state := _state(folder, methods), steps, going=going)
    merged = nofollow.is_folder(folder / "shards")  # they have runs of their own
    if not going and not merged and (not state["sealed"] or state["exit_code"]):
        newest = recorded(os.fspath(folder.parent.parent))[:1] == [folder.name]
        yield _line("go on", "orchestra run --resume" if newest else f"orchestra run --resume {folder.name}")


def _json(folder: Path) -> str:
    return nofollow.read(folder / STATE).decode()


def json_at_end(folder: Path) -> str:
    """Return the state.json of a run that has ended."""
    _fresh(folder, going=False)
    return _json(folder)


def _to_do(root: Path, folder: Path, format_: str) -> int:
    """Print a run as a to-do list."""
    # the ledger and the plan cost more than a state.json, and only agents ask for this
    from orchestra.agent.todo import entries  # noqa: PLC0415
    from orchestra.ledger import plan_store  # noqa: PLC0415
    from orchestra.ledger.view import look  # noqa: PLC0415

    say_json(
        json.dumps(entries(plan_store.latest(root, folder), look(folder, steps=False), format_), ensure_ascii=False)
    )
    return EXIT_OK


def _fresh(folder: Path, *, going: bool) -> None:
    """Fold the state again if no run updates it any more and the file may be older than the ledger."""
    if going:
        return
    try:
        if state_fields(os.fspath(folder / STATE), {"sealed"}).get("sealed"):
            return
    except (OSError, ValueError):
        pass
    from orchestra.ledger.state import state_of, write_state  # noqa: PLC0415 - a run that ended well does not need it
    from orchestra.ledger.view import look  # noqa: PLC0415

    write_state(folder / STATE, state_of(look(folder, steps=False)))


def _state(folder: Path, methods: Collection[str]) -> Mapping[str, Any]:
    try:
        state = state_fields(os.fspath(folder / STATE), _WANTED | {"completed"} if methods else _WANTED)
    except OSError as error:
        raise disk_error(error, folder / STATE, "read") from error
    except ValueError as error:
        raise MachineError(str(error), "the ledger is complete: `orchestra report` reads it") from error
    return _of_methods(state, methods) if methods else state


def _of_methods(state: Mapping[str, Any], methods: Collection[str]) -> dict[str, Any]:
    """Return the state with the tests, sessions and checkpoints of some methods only."""

    def of(task: str) -> bool:
        return task.partition(":")[0] in methods

    counts = Counter(done["verdict"] for task, done in state["completed"].items() if of(task))
    kept = {name: {task: row for task, row in state[name].items() if of(task)} for name in ("current", "blocked")}
    return {
        **state,
        **kept,
        "counts": {verdict: counts[verdict] for verdict in state["counts"]},
        "pending": [task for task in state["pending"] if of(task)],
        "errors": [error for error in state["errors"] if of(error["task"])],
        "sessions": {method: row for method, row in state["sessions"].items() if method in methods},
        "checkpoints": [point for point in state["checkpoints"] if point["method"] in methods],
        "class_distribution": {},
    }


def lines(state: Mapping[str, Any], steps: Mapping[str, RunningStep], *, going: bool) -> Iterator[str]:
    """Yield the state for people.

    Args:
        state: fields of `state.json`.
        steps: the running step of each task.
        going: whether the run is under way.
    """
    counts = {verdict: count for verdict, count in state["counts"].items() if count}
    current, pending = state["current"], state["pending"]
    total = sum(counts.values()) + len(current) + len(pending)
    parts = [f"{count} {verdict}" for verdict, count in counts.items()]
    parts += [f"{len(current)} {'running' if going else 'cut off'}"] * bool(current) + [
        f"{len(pending)} waiting"
    ] * bool(pending)
    yield _line("run", state["run"], _phase(state, going=going), f"since {state['started'][:19]}Z")
    yield _line("tests", f"{', '.join(parts) or 'none yet'}; {total} in all")
    for task, one in list(current.items())[:_CURRENT]:
        step = steps[task].words() if task in steps else ""
        on = f"on {one['node']}" if one.get("node") else ""
        yield _line(
            "now" if going else "cut off", task, f"attempt {one['attempt']}", f"since {one['since'][11:19]}", on, step
        )
    for task, reason in list(state["blocked"].items())[:_LATEST]:
        yield _line("blocked", task, reason)
    latest = {one["task"]: one for one in state["errors"] if one["task"] not in current}
    for one in list(latest.values())[-_LATEST:]:
        yield _line("error", one["task"], f"attempt {one['attempt']}", one.get("at") or "", one.get("message") or "")
    yield from (_line("node", name, *_node(one)) for name, one in state.get("nodes", {}).items())
    yield from (
        _line("server", name, row["state"], row.get("url") or "", row["reason"])
        for name, row in state["health"].items()
    )
    yield from (_line("incident", name, reason) for name, reason in state["incidents"].items())
    for name, one in state["sessions"].items():
        yield _line("session", name, one["continuity"], one["url"], one["title"])
    yield from (_line("gate", name, one["result"], one["message"]) for name, one in state["gates"].items())
    speeds = ", ".join(f"{count} {name}" for name, count in state["class_distribution"].items())
    yield from filter(None, [_line("speed", speeds) if speeds else "", _use(state["resource_use"])])
    if state["checkpoints"]:
        last = state["checkpoints"][-1]
        yield _line(
            "checkpoint",
            f"{last['method']}:{last['group']}",
            f"event {last['seq']}",
            f"{len(state['checkpoints'])} in all",
        )
    if state["resumes"]:
        yield _line("resumed", f"{state['resumes']} time{'s' * (state['resumes'] != 1)}")


def _node(one: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words about a node: what it executes, or why it executes nothing."""
    if one["state"] != "used":
        return one["state"], one["message"]
    running, slots = one.get("running", ()), one.get("slots", 0)
    return f"{len(running)} of {slots} slot{'s' * (slots != 1)} in use", ", ".join(running)


def _phase(state: Mapping[str, Any], *, going: bool) -> str:
    if state["phase"] == "finished":
        return f"finished with exit code {state['exit_code']}"
    if going:
        return f"{state['phase']}, ending after {state['interrupted']}" if state["interrupted"] else state["phase"]
    return f"not running; it stopped at {state['time'][:19]}Z without an end"


def _use(use: Mapping[str, Any]) -> str:
    if not use:
        return ""
    peak = f"(at most {use['cpu_percent_peak']:.0f} % and {use['memory_percent_peak']:.0f} %)"
    now = f"cpu {use['cpu_percent']:.0f} %, memory {use['memory_percent']:.0f} %"
    return _line("machine", now, peak, f"{use['workers']} worker{'s' * (use['workers'] != 1)}")


def _line(word: str, *parts: str) -> str:
    """Return a line like those of a run: a word in its column, then parts. No text of a page or program steers the
    terminal.
    """
    rest = "  ".join(one_line(part) for part in parts if part)
    return f"{word:<12}{rest}".rstrip()
