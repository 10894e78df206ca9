"""The verb baseline: show, accept and reset how long tests usually take."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestra import __version__, draw
from orchestra.current import current_plan
from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import baseline as baselines
from orchestra.ledger import history
from orchestra.ledger.author import author_of
from orchestra.ledger.baseline import Entry
from orchestra.ledger.event import BaselineChanged
from orchestra.ledger.lock import Holder, Lock
from orchestra.ledger.log import Writer, utc_stamp
from orchestra.ledger.origin import machine_shape
from orchestra.ledger.run_record import RunRecord
from orchestra.ledger.runs import LEDGER, last_ended
from orchestra.ledger.transaction import Transaction
from orchestra.plan import Baseline, Plan
from orchestra.printing import unbroken
from orchestra.project import PLAN_FOLDER, Project
from orchestra.runtime.run.provenance import provenance
from orchestra.runtime.select import select
from orchestra.verbs.group import say
from orchestra.verbs.options import methods_option, profile_option, project_of, suite_option
from orchestra.verbs.run_records import records_of

Samples = Mapping[str, tuple[float, ...]]
Entries = Mapping[str, Entry]


@click.group(
    epilog="\b\nExamples:\n  orchestra baseline show\n  orchestra baseline accept B004\n"
    "  orchestra baseline accept --runs 20\n  orchestra baseline reset --all"
)
def baseline() -> None:
    """Show or change the usual durations of tests, per method, browser and machine shape."""


def _chosen(
    ctx: click.Context, suite: str | None, profile: str, words: Sequence[str], methods: Sequence[str]
) -> tuple[Project, Plan, Path]:
    project = project_of(ctx)
    name = project.choose(suite)
    plan = current_plan(project, name, profile)
    select(plan, words, methods)  # a selection without a match is reported, with suggestions
    return project, plan, project.root / PLAN_FOLDER / name


def _of(samples: Samples, plan: Plan, words: Sequence[str], methods: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return the samples of the selected tests; without words and methods of all, also of tests that the plan no longer has."""
    wanted = set(select(plan, words, methods)) if words or methods else None
    return {key: taken for key, taken in samples.items() if wanted is None or key.rsplit(" ", 2)[0] in wanted}


@baseline.command(epilog="\b\nExample:\n  orchestra baseline show B001..B004")
@click.argument("selection", nargs=-1, metavar="[TEST]...")
@suite_option
@profile_option
@methods_option
@click.pass_context
def show(
    ctx: click.Context, selection: tuple[str, ...], *, suite: str | None, profile: str, methods: tuple[str, ...]
) -> int:
    """Print each baseline: runs, median and MAD, and what counts as slower."""
    _, plan, home = _chosen(ctx, suite, profile, selection, methods)
    accepted, samples = baselines.load(home / baselines.FILE), _of(baselines.known(home), plan, selection, methods)
    if not samples:
        why = _disturbed(history.executions(home), set(select(plan, selection, methods)))
        fix = "a run with exit code 0 measures one; `orchestra baseline accept` sets it"
        raise UsageError("no baseline for the selected tests", f"{fix}; {why}" if why else fix)
    heads = ("baseline", "runs", "in git", "median s", "MAD s", "slower than s", "faster than s")
    rows = [_row(key, samples[key], len(accepted.get(key, ())), plan.baseline) for key in sorted(samples)]
    say(draw.terminal_table(heads, rows))
    return EXIT_OK


def _row(key: str, taken: Sequence[float], accepted: int, rule: Baseline) -> tuple[str, ...]:
    usual = baselines.usual(taken[-rule.window :])
    limits = baselines.bounds(usual, rule)
    fast = "-" if limits is None or limits.fast <= 0 else f"{limits.fast:.3f}"
    slow = f"after {rule.min_runs} runs" if limits is None else f"{limits.slow:.3f}"
    return key, str(usual.runs), str(accepted), f"{usual.median:.3f}", f"{usual.mad:.3f}", slow, fast


@baseline.command(epilog="\b\nExamples:\n  orchestra baseline accept B004\n  orchestra baseline accept --runs 20")
@click.argument("selection", nargs=-1, metavar="[TEST]...")
@suite_option
@profile_option
@methods_option
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of latest runs of a test in its new baseline.",
)
@click.option("--machine", default="", metavar="SHAPE", help="Machine shape (default: that of this machine).")
@click.pass_context
def accept(
    ctx: click.Context,
    selection: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    methods: tuple[str, ...],
    runs: int,
    machine: str,
) -> int:
    """Make what the latest runs measured the baseline, in the place of what was."""
    project, plan, home = _chosen(ctx, suite, profile, selection, methods)
    shape = machine or machine_shape(provenance(project.root, os.environ, __version__))
    place = baselines.place_of(shape, profile)
    records = records_of(home)
    tasks = set(select(plan, selection, methods))
    found = baselines.accepted(records, tasks, place, runs, plan.baseline.window)
    if not found:
        raise UsageError(f'no passing run of the selected tests on "{place}"', _hint(records, tasks, place))
    old, before = baselines.entries(home / baselines.FILE), baselines.known(home)
    number = f"{len(found)} accepted, of the latest {'run' if runs == 1 else f'{runs} runs'} of each"
    _replace(home, old, {**old, **found}, found, number)
    for key in sorted(found):
        was = f", was {baselines.usual(before[key]).median:.3f} s" if key in before else ""
        usual = baselines.usual(found[key].seconds)
        say(unbroken(f"{key}: median {usual.median:.3f} s over {usual.runs}{was}"))
    return EXIT_OK


def _disturbed(records: Sequence[RunRecord], tasks: Container[str]) -> str:
    """Return how many durations of these tests do not count, and why the latest does not; empty where all do."""
    executed = (pair for record in records for pair in record.executions.items())
    why = [one.disturbed for task, one in executed if task in tasks and one.disturbed]
    return f"{len(why)} of the durations measured do not count: {why[-1]}" if why else ""


def _hint(records: Sequence[RunRecord], tasks: Container[str], place: str) -> str:
    """Return why there is nothing to accept."""
    if why := _disturbed([record for record in records if record.place == place], tasks):
        return f"{why}; run the tests again"
    seen = ", ".join(sorted({record.place for record in records})) or "no run at all"
    return f"there is {seen}; see --machine and --profile"


@baseline.command(epilog="\b\nExamples:\n  orchestra baseline reset B004\n  orchestra baseline reset --all")
@click.argument("selection", nargs=-1, metavar="[TEST]...")
@suite_option
@profile_option
@methods_option
@click.option("--all", "everything", is_flag=True, help="All baselines, of every test and machine.")
@click.pass_context
def reset(
    ctx: click.Context,
    selection: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    methods: tuple[str, ...],
    everything: bool,
) -> int:
    """Delete baselines: the next good runs measure them again."""
    if not selection and not methods and not everything:
        raise UsageError("which baselines?", "name tests, or write --all")
    if everything and (selection or methods):
        raise UsageError("--all deletes the baselines of every test and method", "remove it, or the selection")
    _, plan, home = _chosen(ctx, suite, profile, selection, methods)
    if everything:
        # Also one that cannot be read: to start over is its fix.
        _replace(home, {}, {}, None, "all forgotten")
        say("all baselines are deleted")
        return EXIT_OK
    old = baselines.entries(home / baselines.FILE)
    gone = _of(baselines.known(home), plan, selection, methods)
    _replace(home, old, {key: entry for key, entry in old.items() if key not in gone}, gone, f"{len(gone)} forgotten")
    for key in sorted(gone):
        say(unbroken(f"{key}: forgotten"))
    return EXIT_OK


def _seconds(entries: Entries) -> dict[str, tuple[float, ...]]:
    return {key: entry.seconds for key, entry in entries.items()}


def _replace(home: Path, old: Entries, new: Entries, forgotten: Container[str] | None, reason: str) -> None:
    """Write the baseline, and record it in the ledger of the last run, which is sealed again. No run may be under way.

    Args:
        home: the folder of the suite.
        old: what was accepted.
        new: what is accepted from now on.
        forgotten: keys of which nothing that was measured here counts any more; None for all.
        reason: for the record.

    Raises:
        LockedError: a run is under way.
        MachineError: the disk refuses.
    """
    lock = Lock(home / "lock", Holder(os.getpid(), "baseline", utc_stamp(datetime.now(UTC))))
    try:
        change = Transaction(home)
        left: dict[str, Entry] = {}
        if forgotten is not None:
            durations = baselines.entries(home / baselines.DURATIONS)
            left = {key: entry for key, entry in durations.items() if key not in forgotten}
        for name, entries in ((baselines.FILE, new), (baselines.DURATIONS, left)):
            if entries:
                change.write(name, baselines.encode(entries))
            else:
                change.remove(name)
        change.commit()
        author = author_of(home.parent.parent, os.environ)
        if last := last_ended(home):
            with Writer(last / LEDGER, now=lambda: datetime.now(UTC), author=author) as writer:
                writer.append(
                    BaselineChanged(
                        digest=baselines.digest_of(_seconds(new)),
                        previous=baselines.digest_of(_seconds(old)),
                        reason=f"orchestra baseline: {reason}",
                    )
                )
                writer.seal()
    finally:
        lock.release()
