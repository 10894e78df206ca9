"""The verb baseline: show, accept and reset how long tests usually take. May import `ledger`, `runtime` and `draw`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestra import __version__, draw
from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import baseline as baselines
from orchestra.ledger import history
from orchestra.ledger.author import author_of
from orchestra.ledger.event import BaselineChanged
from orchestra.ledger.lock import Holder, Lock
from orchestra.ledger.log import Writer, utc_stamp
from orchestra.ledger.origin import machine_shape
from orchestra.ledger.runs import LEDGER, last_ended
from orchestra.plan import Baseline, Plan
from orchestra.printing import unbroken
from orchestra.project import PLAN_FOLDER, Project
from orchestra.runtime import dag
from orchestra.runtime.run.provenance import provenance
from orchestra.runtime.select import select
from orchestra.verbs.group import say, warn
from orchestra.verbs.options import profile_option, project_of, suite_option

Samples = Mapping[str, tuple[float, ...]]


@click.group(
    epilog="\b\nExamples:\n  orchestra baseline show\n  orchestra baseline accept B004\n"
    "  orchestra baseline accept --runs 20\n  orchestra baseline reset --all"
)
def baseline() -> None:
    """Show or change the usual durations of tests, per method, browser and machine shape."""


def _chosen(ctx: click.Context, suite: str | None, profile: str, words: Sequence[str]) -> tuple[Project, Plan, Path]:
    project = project_of(ctx)
    name = project.choose(suite)
    plan = dag.load_plan(project, name, profile)
    select(plan, words)  # a selection without a match is reported, with suggestions
    return project, plan, project.root / PLAN_FOLDER / name


def _of(samples: Samples, plan: Plan, words: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return the samples of the selected tests; without words of all, also of tests that the plan no longer has."""
    wanted = set(select(plan, words)) if words else None
    return {key: taken for key, taken in samples.items() if wanted is None or key.rsplit(" ", 2)[0] in wanted}


@baseline.command(epilog="\b\nExample:\n  orchestra baseline show B001..B004")
@click.argument("selection", nargs=-1, metavar="[TEST]...")
@suite_option
@profile_option
@click.pass_context
def show(ctx: click.Context, selection: tuple[str, ...], *, suite: str | None, profile: str) -> int:
    """Print each baseline: runs, median and MAD, and what counts as slower."""
    _, plan, home = _chosen(ctx, suite, profile, selection)
    samples = _of(baselines.load(home / baselines.FILE), plan, selection)
    if not samples:
        raise UsageError(
            "no baseline for the selected tests",
            "a run with exit code 0 measures one; `orchestra baseline accept` sets it",
        )
    heads = ("baseline", "runs", "median s", "MAD s", "slower than s", "faster than s")
    say(draw.terminal_table(heads, [_row(key, samples[key], plan.baseline) for key in sorted(samples)]))
    return EXIT_OK


def _row(key: str, taken: Sequence[float], rule: Baseline) -> tuple[str, ...]:
    usual = baselines.usual(taken[-rule.window :])
    limits = baselines.bounds(usual, rule)
    fast = "-" if limits is None or limits.fast <= 0 else f"{limits.fast:.3f}"
    slow = f"after {rule.min_runs} runs" if limits is None else f"{limits.slow:.3f}"
    return key, str(usual.runs), f"{usual.median:.3f}", f"{usual.mad:.3f}", slow, fast


@baseline.command(epilog="\b\nExamples:\n  orchestra baseline accept B004\n  orchestra baseline accept --runs 20")
@click.argument("selection", nargs=-1, metavar="[TEST]...")
@suite_option
@profile_option
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
    ctx: click.Context, selection: tuple[str, ...], *, suite: str | None, profile: str, runs: int, machine: str
) -> int:
    """Make what the latest runs measured the baseline, in the place of what was."""
    project, plan, home = _chosen(ctx, suite, profile, selection)
    shape = machine or machine_shape(provenance(project.root, os.environ, __version__))
    records, refused = history.refresh(home)
    for sentence in refused:
        warn(f"note: {unbroken(sentence)}")
    tasks = set(select(plan, selection))
    found = baselines.accepted(records, tasks, shape, runs, plan.baseline.window)
    if not found:
        seen = ", ".join(sorted({record.machine for record in records})) or "no run at all"
        raise UsageError(f'no passing run of the selected tests on "{shape}"', f"there is {seen}; see --machine")
    old = baselines.load(home / baselines.FILE)
    number = f"{len(found)} accepted, of the latest {'run' if runs == 1 else f'{runs} runs'} of each"
    _replace(home, old, {**old, **found}, number)
    for key in sorted(found):
        before = f", was {baselines.usual(old[key]).median:.3f} s" if key in old else ""
        usual = baselines.usual(found[key])
        say(unbroken(f"{key}: median {usual.median:.3f} s over {usual.runs}{before}"))
    return EXIT_OK


@baseline.command(epilog="\b\nExamples:\n  orchestra baseline reset B004\n  orchestra baseline reset --all")
@click.argument("selection", nargs=-1, metavar="[TEST]...")
@suite_option
@profile_option
@click.option("--all", "everything", is_flag=True, help="All baselines, of every test and machine.")
@click.pass_context
def reset(ctx: click.Context, selection: tuple[str, ...], *, suite: str | None, profile: str, everything: bool) -> int:
    """Delete baselines: the next good runs measure them again."""
    if not selection and not everything:
        raise UsageError("which baselines?", "name tests, or write --all")
    _, plan, home = _chosen(ctx, suite, profile, selection)
    if everything:
        # Also one that cannot be read, because deleting it is the fix.
        _replace(home, {}, {}, "all forgotten")
        say("all baselines are deleted")
        return EXIT_OK
    old = baselines.load(home / baselines.FILE)
    gone = _of(old, plan, selection)
    _replace(home, old, {key: taken for key, taken in old.items() if key not in gone}, f"{len(gone)} forgotten")
    for key in sorted(gone):
        say(unbroken(f"{key}: forgotten"))
    return EXIT_OK


def _replace(home: Path, old: Samples, new: Samples, reason: str) -> None:
    """Write the baseline, with an event in the ledger of the last run, which is sealed again. No run may be in
    progress.

    Raises:
        LockedError: one is.
        MachineError: the disk refuses.
    """
    lock = Lock(home / "lock", Holder(os.getpid(), "baseline", utc_stamp(datetime.now(UTC))))
    try:
        baselines.save(home / baselines.FILE, new)
        author = author_of(home.parent.parent, os.environ)
        if last := last_ended(home):
            with Writer(last / LEDGER, now=lambda: datetime.now(UTC), author=author) as writer:
                writer.append(
                    BaselineChanged(
                        digest=baselines.digest_of(new),
                        previous=baselines.digest_of(old),
                        reason=f"orchestra baseline: {reason}",
                    )
                )
                writer.seal()
    finally:
        lock.release()
