"""Implement the verb history: results of earlier runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestra.current import current_plan
from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import baseline as baselines
from orchestra.ledger import history as run_history
from orchestra.ledger.case import MARK
from orchestra.ledger.failure_odds import Odds, failure_odds
from orchestra.ledger.flaky import flaky as flaky_tests
from orchestra.ledger.lock import Holder, Lock
from orchestra.ledger.log import utc_stamp
from orchestra.ledger.retention import KEEP, Limits, Retention, prune, retention
from orchestra.plan import Plan
from orchestra.printing import unbroken
from orchestra.project import PLAN_FOLDER
from orchestra.report.advice import recovery_steps
from orchestra.report.advice.policies import policies
from orchestra.report.advice.trends import executions_of, flaky_table, overview, story
from orchestra.runtime.logins import remove_left
from orchestra.runtime.select import select
from orchestra.runtime.servers import own_folders
from orchestra.verbs.group import say, say_json, warn
from orchestra.verbs.health import RECOVERY_RUNS, sound_view
from orchestra.verbs.options import methods_option, profile_option, project_of, suite_option
from orchestra.verbs.run_records import records_of


@click.command(
    epilog="\b\nExamples:\n  orchestra history              every test: verdicts, durations, slope\n"
    "  orchestra history B004         one test: levels, changes, since when it fails\n"
    "  orchestra history --flaky      tests that gave both outcomes on the same inputs\n"
    "  orchestra history --failures   which failures pass when they are tried again, and what that suggests\n"
    "  orchestra history --prune      remove the folders of old runs; --dry-run shows which"
)
@click.argument("selection", nargs=-1, metavar="[TEST]...")
@suite_option
@profile_option
@methods_option
@click.option("--flaky", "only_flaky", is_flag=True, help="Only flaky tests, those with the greatest impact first.")
@click.option(
    "--failures", is_flag=True, help="Kinds of failure, transient or permanent, and the policy that they suggest."
)
@click.option("--runs", type=click.IntRange(min=1), metavar="N", help="Only the latest N runs (default: all).")
@click.option("--machine", default="", metavar="SHAPE", help="Only runs on this machine shape (default: all).")
@click.option("--rebuild", is_flag=True, help="Rebuild the cache from the existing ledgers.")
@click.option("--json", "as_json", is_flag=True, help="JSON output: the executions, one run per line.")
@click.option(
    "--prune", "pruning", is_flag=True, help="Remove the folders of old runs; the cache retains their executions."
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"With --prune: number of latest runs to retain (default: `keep_runs` of the spec, else {KEEP}).",
)
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="With --prune: retain no run that is older (default: `keep_runs` of the spec).",
)
@click.option("--dry-run", is_flag=True, help="With --prune: print the folders, remove nothing.")
@click.pass_context
def history(
    ctx: click.Context,
    selection: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    methods: tuple[str, ...],
    only_flaky: bool,
    failures: bool,
    runs: int | None,
    machine: str,
    rebuild: bool,
    as_json: bool,
    pruning: bool,
    keep: int | None,
    days: float | None,
    dry_run: bool,
) -> int:
    """Show the results of earlier runs: verdicts, durations, slope, changes of level, since when a test fails,
    flakiness.
    """
    project = project_of(ctx)
    name = project.choose(suite)
    if pruning:
        if selection or methods or only_flaky or failures or runs or machine or rebuild or as_json:
            raise UsageError(
                "--prune removes runs and shows no tests", "give it --keep, --days, --dry-run or --suite only"
            )
        limits = Limits(keep or 0, days or 0.0) if keep or days else _limits(current_plan(project, name, profile))
        return _prune(project.root / PLAN_FOLDER / name, limits, dry_run=dry_run)
    if keep or days or dry_run:
        raise UsageError("--keep, --days and --dry-run need --prune", "add --prune, or remove them")
    if only_flaky and failures:
        raise UsageError("--flaky and --failures exclude each other", "ask for one of them")
    plan = current_plan(project, name, profile)
    tasks = select(plan, selection, methods)
    home = project.root / PLAN_FOLDER / name
    records = records_of(home, rebuild=rebuild)
    records = [record for record in records if machine in {"", record.machine}][-(runs or run_history.KEPT_RUNS) :]
    if failures:
        _failures(plan, home, failure_odds(records, tasks), as_json=as_json)
        return EXIT_OK
    if as_json:
        for record in records:
            say_json(json.dumps(run_history.plain(record, set(tasks)), sort_keys=True, ensure_ascii=False))
        return EXIT_OK
    known = [task for task in tasks if executions_of(task, records)]
    if not known:
        raise UsageError("no run has executed the selected tests", "start one with `orchestra run`")
    if only_flaky:
        flaky = [test for test in flaky_tests(records) if test.task.partition(MARK)[0] in set(known)]
        say(flaky_table(flaky) if flaky else "no test is flaky")
    elif selection:
        samples = baselines.known(home)
        say("\n\n".join(story(task, records, samples, plan.baseline) for task in known))
    else:
        say(overview(known, records))
    return EXIT_OK


def _failures(plan: Plan, home: Path, odds: Sequence[Odds], *, as_json: bool) -> None:
    """Print the odds of earlier failures, and the policies that they suggest."""
    if as_json:
        for one in odds:
            row = {**one._asdict(), "cause": one.cause, "chance": one.chance, "odds": one.odds}
            say_json(json.dumps(row, sort_keys=True))
        return
    files = sorted(home.glob("runs/[0-9]*/events.jsonl"))[-RECOVERY_RUNS:]
    say(policies(plan, odds, recovery_steps.collect(map(sound_view, files))))


def _limits(plan: Plan) -> Limits:
    """Return the limits of the spec, else the default."""
    kept = plan.keep_runs
    return Limits(kept.count, kept.days) if kept.count or kept.days else Limits()


def _prune(home: Path, limits: Limits, *, dry_run: bool) -> int:
    """Remove old runs of a suite, or only print their names.

    Raises:
        LockedError: a run is under way.
        MachineError: the disk refuses.
    """
    if dry_run:
        _print_runs(retention(home, limits), "would be removed")
        return EXIT_OK
    with Lock(home / "lock", Holder(os.getpid(), "prune", utc_stamp(datetime.now(UTC)))):
        removed, refused = prune(home, limits)
        remove_left(home)
        own_folders.remove_left(home)
    for sentence in refused:
        warn(f"note: {unbroken(sentence)}")
    _print_runs(removed, "removed")
    return EXIT_OK


def _print_runs(runs: Retention, done: str) -> None:
    for name in runs.gone:
        say(f"{name}  {done}")
    for name, reason in runs.held.items():
        say(f"{name}  retained: {unbroken(reason)}")
    say(f"{len(runs.gone)} run{'' if len(runs.gone) == 1 else 's'} {done}, {runs.kept} retained")
