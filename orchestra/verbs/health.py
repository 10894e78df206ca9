"""The verbs about servers: health, up, down."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestra import draw
from orchestra.draw import duration
from orchestra.errors import EXIT_MACHINE, EXIT_OK, MachineError, OrchestraError, SpecError, UsageError
from orchestra.instances import once
from orchestra.ledger import reading
from orchestra.ledger.lock import Holder, Lock, LockedError, holder_of
from orchestra.ledger.log import utc_stamp
from orchestra.ledger.view import View
from orchestra.plan import Plan, closure
from orchestra.project import PLAN_FOLDER, Project
from orchestra.report.advice import recovery_steps
from orchestra.runtime import inherited, logins
from orchestra.runtime.inherited import Inherited
from orchestra.runtime.mask import Masks
from orchestra.runtime.servers import own_folders, up
from orchestra.runtime.servers.keeping import Keeping, tail
from orchestra.runtime.servers.survey import Line, Survey, bound_of
from orchestra.suggest import did_you_mean
from orchestra.verbs.group import say, say_json, warn
from orchestra.verbs.options import profile_option, project_of, suite_option
from orchestra.verbs.proven import proven_plan

_WATCH_SECONDS = 2.0
RECOVERY_RUNS = 50

names_argument = click.argument("names", nargs=-1, metavar="[NAME]...")


def _suite(
    ctx: click.Context, suite: str | None, profile: str, names: Sequence[str]
) -> tuple[Project, Plan, Path, list[str]]:
    """Return the project, the plan, the suite's folder, and the rows that are meant: all without a name.

    Raises:
        UsageError: there is no such row.
    """
    project = project_of(ctx)
    chosen = project.choose(suite)
    plan = proven_plan(project, chosen, profile)
    known = [component.id for component in plan.components]
    for name in names:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise UsageError(f'no row "{name}" in `health`{did_you_mean(name, known)}', f"there are {listed}")
    return project, plan, project.root / PLAN_FOLDER / chosen, list(names) or known


# --------------------------------------------------------------------------------------------------------------- health


@click.command(
    epilog="\b\nExamples:\n  orchestra health\n  orchestra health --start --json\n  orchestra health --watch"
)
@names_argument
@suite_option
@profile_option
@click.option("--start", is_flag=True, help="Start the rows that are down, probe them, and end them again.")
@click.option("--watch", is_flag=True, help="Print each row that changes, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="JSON list; with --watch one row per line.")
@click.option("--history", is_flag=True, help="Statistics of the recovery steps in earlier runs.")
@click.pass_context
def health(
    ctx: click.Context,
    names: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    start: bool,
    watch: bool,
    as_json: bool,
    history: bool,
) -> int:
    """Print the current health matrix: each row with its status, reason and hint.

    Nothing is started without --start. Exit 3 when a required row is not healthy.
    """
    project, plan, home, chosen = _suite(ctx, suite, profile, names)
    if history:
        return _history(plan, home, chosen, as_json=as_json)
    survey = Survey(project.root, home, plan, chosen, inherited.of_plan(project.root, plan, os.environ), start=start)
    if start:
        bound = bound_of(closure(plan.components, chosen))
        warn(f"starting the rows that are down: at most {duration(bound)}")
    try:
        if watch:
            _follow(survey, as_json=as_json)
        lines = survey.lines()
    finally:
        survey.close()
    say_json(_as_json(lines)) if as_json else say(_table(lines))
    return EXIT_OK if _fit(lines) else EXIT_MACHINE


def _fit(lines: Iterable[Line]) -> bool:
    return all(line.row.state == "healthy" for line in lines if line.row.required)


def _follow(survey: Survey, *, as_json: bool) -> None:
    """Print rows as they change. Ends with Ctrl-C."""
    seen: dict[str, tuple[str, str]] = {}
    while True:
        for line in survey.lines():
            now = (line.row.state, line.row.reason)
            if seen.get(line.row.id) != now:
                seen[line.row.id] = now
                stamp = datetime.now(UTC).strftime("%H:%M:%S")
                if as_json:
                    say_json(json.dumps(_data(line), ensure_ascii=False))
                else:
                    say(draw.one_line(f"{stamp}  {'  '.join(_cells(line))}"))
        sys.stdout.flush()
        time.sleep(_WATCH_SECONDS)


def _data(line: Line) -> dict[str, Any]:
    row = line.row
    return {
        "id": row.id,
        "title": line.title,
        "status": row.state,
        "required": row.required,
        "reason": row.reason,
        "hint": row.hint,
        "latency_seconds": row.latency_seconds,
        "attempts": row.attempts,
        "url": row.url,
        "pid": row.pid,
        "port": row.port,
        "identity": row.identity,
        "degraded": row.degraded,
        "by": line.by,
    }


def _as_json(lines: Iterable[Line]) -> str:
    return json.dumps([_data(line) for line in lines], indent=1, ensure_ascii=False)


def _cells(line: Line) -> tuple[str, ...]:
    row = line.row
    status = row.state if row.required or row.state == "healthy" else f"{row.state} (not required)"
    latency = "" if row.latency_seconds is None else duration(row.latency_seconds)
    reasons = "; ".join(part for part in (row.reason, row.degraded) if part)
    return (row.id, status, latency, str(row.attempts or ""), row.identity, line.by, row.url, reasons)


def _table(lines: Sequence[Line]) -> str:
    heads = ("row", "status", "latency", "attempts", "identity", "by", "address", "reason")
    text = draw.terminal_table(heads, [tuple(map(draw.one_line, _cells(line))) for line in lines])
    hints = [f"hint {line.row.id}: {draw.one_line(line.row.hint)}" for line in lines if line.row.hint]
    return "\n".join([text, *hints])


# -------------------------------------------------------------------------------------------------------------- history


def _history(plan: Plan, home: Path, chosen: Sequence[str], *, as_json: bool) -> int:
    files = sorted(home.glob("runs/[0-9]*/events.jsonl"))[-RECOVERY_RUNS:]
    records = recovery_steps.collect(map(sound_view, files))
    rows = [record for record in records.values() if record.component in chosen]
    orders = {
        row.id: order
        for row in plan.components
        if row.id in chosen and (order := recovery_steps.suggestion(row, records))
    }
    if as_json:
        steps = [
            {
                "component": record.component,
                "step": record.step,
                "tries": record.tries,
                "worked": record.worked,
                "seconds": record.median,
            }
            for record in rows
        ]
        say_json(json.dumps({"runs": len(files), "steps": steps, "suggested": orders}, indent=1))
        return EXIT_OK
    if not rows:
        say(f"no recovery step was taken in the last {len(files)} runs")
        return EXIT_OK
    cells = [
        (record.component, record.step, str(record.tries), f"{record.rate * 100:.0f} %", duration(record.median))
        for record in rows
    ]
    say(draw.terminal_table(("row", "step", "tries", "worked", "median time"), cells))
    for name, order in orders.items():
        say(f"suggested for {name}: recover: [{', '.join(order)}]")
    return EXIT_OK


def sound_view(file: Path) -> View:
    """Return the view of a run, up to where its ledger is damaged."""
    view = View(steps=False)
    with suppress(OrchestraError):
        for event in reading.read(file):
            view.see(event)
    return view


# ------------------------------------------------------------------------------------------------------------- up, down


@click.command(epilog="\b\nExamples:\n  orchestra up\n  orchestra up backend --logs\n  orchestra up --restart backend")
@names_argument
@suite_option
@profile_option
@click.option("--restart", is_flag=True, help="Restart the rows that are already up.")
@click.option("--logs", is_flag=True, help="Follow the output of the services until Ctrl-C; they stay up.")
@click.pass_context
def up_(
    ctx: click.Context, names: tuple[str, ...], *, suite: str | None, profile: str, restart: bool, logs: bool
) -> int:
    """Start servers and leave them running, for work by hand: the named rows and what they need, else all.

    A run uses these servers if they are healthy and have the same command, environment and files; otherwise it prints
    the reason and starts its own. Exit code 3 if a required row does not become healthy.
    """
    project, plan, home, chosen = _suite(ctx, suite, profile, names)
    one = [component.id for component in once(plan.components)]
    several = [name for name in chosen if name not in one]
    if several and (names or not one):
        message = f'"{several[0]}" has `per: worker`: a run starts an instance for each worker, and none stays up'
        raise UsageError(message, f"`orchestra health --start {several[0]}` starts one, probes it and ends it")
    if several:
        warn(f"note: a run starts {', '.join(several)} itself, an instance for each worker")
    return _up(project, plan, home, [name for name in chosen if name in one], restart=restart, logs=logs)


def _up(project: Project, plan: Plan, home: Path, chosen: Sequence[str], *, restart: bool, logs: bool) -> int:
    keeping = _keeping(project, plan, home, inherited.of_plan(project.root, plan, os.environ))
    carried_out = keeping.bring_up(chosen, restart=restart)
    rows = [row.id for row in closure(plan.components, chosen)]
    lines = Survey(project.root, home, plan, rows, keeping.inherits).lines()
    say(_table(lines))
    if logs:
        _tail(home, rows, follow=True)
    return EXIT_OK if _fit(lines) and carried_out else EXIT_MACHINE


def _keeping(project: Project, plan: Plan, home: Path, inherits: Inherited) -> Keeping:
    masks = Masks(inherits.secrets, inherits.environment)
    return Keeping(
        project.root,
        home,
        plan,
        inherits,
        announce=lambda text, bound: warn(f"{text}: at most {duration(bound)}"),
        report=lambda text: warn(draw.one_line(masks.text(text))),
    )


def _end_logins(home: Path) -> None:
    """Remove the signed-in states and the folders of instances of killed runs, unless a run is in progress."""
    if logins.left(home) or own_folders.left(home):
        with suppress(LockedError), Lock(home / "lock", Holder(os.getpid(), "down", utc_stamp(datetime.now(UTC)))):
            logins.remove_left(home)
            own_folders.remove_left(home)


def _to_end(project: Project, plan: Plan) -> Inherited:
    """Return the environment for ending servers, which a bad line of `.env` does not keep from ending."""
    try:
        return inherited.of_plan(project.root, plan, os.environ)
    except SpecError:
        return Inherited(inherited.environment(os.environ, plan.components), plan.secrets)


@click.command(epilog="\b\nExamples:\n  orchestra down\n  orchestra down frontend\n  orchestra down --restart backend")
@names_argument
@suite_option
@profile_option
@click.option("--restart", is_flag=True, help="Start them again afterwards.")
@click.option("--logs", is_flag=True, help="Print the last lines of their output first.")
@click.pass_context
def down(
    ctx: click.Context, names: tuple[str, ...], *, suite: str | None, profile: str, restart: bool, logs: bool
) -> int:
    """End what `orchestra up` keeps: the named rows and what needs them, else everything."""
    project, plan, home, chosen = _suite(ctx, suite, profile, names)
    _end_logins(home)
    kept = up.read(home)
    if kept is None:
        warn("nothing is up")
        return EXIT_OK
    under_way = holder_of(home / "lock")
    if under_way is not None:
        raise MachineError(f"run {under_way.run} is in progress and may use them", "`orchestra wait` waits for its end")
    if logs:
        _tail(home, chosen if names else list(kept.rows), follow=False)
    if restart:
        return _up(project, plan, home, [name for name in chosen if name in kept.rows], restart=True, logs=False)
    _keeping(project, plan, home, _to_end(project, plan)).take_down(kept, names)
    warn("down")
    return EXIT_OK


def _tail(home: Path, names: Sequence[str], *, follow: bool) -> None:
    """Print the last lines of each log, and follow them."""
    for lines in tail(home, names, follow=follow):
        for name, line in lines:
            say(f"{name}  {draw.one_line(line)}")
        sys.stdout.flush()
