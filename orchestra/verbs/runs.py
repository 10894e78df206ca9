"""The verb that runs: run."""

from __future__ import annotations

import dataclasses
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from orchestra.errors import EXIT_OK, OrchestraError, UsageError
from orchestra.ledger.event import Selector
from orchestra.ledger.runs import LAST
from orchestra.ledger.view import Observer
from orchestra.plan import Plan
from orchestra.printing import unbroken
from orchestra.project import PLAN_FOLDER, Project
from orchestra.report import watch
from orchestra.runtime import dag
from orchestra.runtime.attempt import Pausing
from orchestra.runtime.dag import Launch
from orchestra.runtime.load_plan import load_plan
from orchestra.runtime.run.opening import Options, refuse_address
from orchestra.runtime.select import select, with_needs
from orchestra.verbs import detaching
from orchestra.verbs.all_suites import run_all
from orchestra.verbs.choosing import ALL_LOOKS, Choice, choose, failures_of
from orchestra.verbs.chosen_run import home_of, run_ids
from orchestra.verbs.forecasting import foreseen, memory, summary
from orchestra.verbs.group import say, say_json, warn
from orchestra.verbs.live_page import LivePage
from orchestra.verbs.options import brief_option, methods_option, profile_option, project_of, suite_option
from orchestra.verbs.proven import attended, proven_plan
from orchestra.verbs.repeating import several
from orchestra.verbs.resuming import Target, target
from orchestra.verbs.run_help import EPILOG, GROUPS, Grouped
from orchestra.verbs.sharding import ShardType, shard_of
from orchestra.verbs.status import json_at_end
from orchestra.verbs.unfit import refuse_together

SEEDS = 10_000
"""A seed that is not given is below this number, so that it is quickly typed."""


def _tests(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids, groups and tags of the suite, for the shell's completion; silent when there is no plan to ask."""
    del param
    try:
        project = project_of(ctx)
        plan = load_plan(project, project.choose(ctx.params.get("suite")))
    except OrchestraError:
        return []
    tags = sorted({f"tag:{tag}" for test in plan.tests for tag in test.tags})
    words = [*(test.id for test in plan.tests), *(group.id for group in plan.groups), *tags]
    without = "!" * incomplete.startswith("!")
    return [CompletionItem(without + word) for word in words if word.startswith(incomplete.removeprefix("!"))]


def _seed(ctx: click.Context, param: click.Parameter, word: str | None) -> int | None:
    """Return the seed of `--shuffle`: the given one, or one of its own."""
    del ctx, param
    if word is None:
        return None
    if not word:
        return random.SystemRandom().randrange(SEEDS)
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise UsageError(
            f'--shuffle takes a number below 1000000000 as its seed, not "{word}"',
            "write --shuffle last, or --shuffle=SEED",
        )
    return int(word)


@click.command(
    cls=Grouped,
    groups=GROUPS,
    epilog=EPILOG,
)
@click.argument("selection", nargs=-1, shell_complete=_tests)
@suite_option
@profile_option
@methods_option
@click.option(
    "-k", "titles", multiple=True, metavar="TEXT", help="Only tests with TEXT in their title; can be repeated."
)
@click.option("--last-failed", is_flag=True, help="Only tests that were not green in the newest run.")
@click.option("--failed-in", metavar="RUN", shell_complete=run_ids, help="Only tests that were not green in this run.")
@click.option(
    "--since", metavar="REV", default="", help="Only tests that rest on what has changed since a revision of git."
)
@click.option("--all-suites", is_flag=True, help="Every suite, one run each; equal services are started once.")
@click.option("--shard", type=ShardType(), help="Only part I of N of the selection; `orchestra plan` shows each.")
@click.option("-x", "first_failure", is_flag=True, help="The same as --max-failures 1.")
@click.option("--max-failures", type=click.IntRange(min=1), metavar="N", help="Start no test after N failures.")
@click.option(
    "--retries",
    type=click.IntRange(0, 100),
    metavar="N",
    help="N retries of each test, whatever the cause (default: spec).",
)
@click.option("--isolate-retries", is_flag=True, help="Retry at the end, each test alone (default: spec).")
@click.option(
    "--shuffle",
    metavar="[SEED]",
    is_flag=False,
    flag_value="",
    callback=_seed,
    help="Random order within needs and after.",
)
@click.option("--repeat", "times", type=click.IntRange(min=1), metavar="N", help="N runs, one after the other.")
@click.option("--until-fail", is_flag=True, help="Runs until one is not good, at most those of --repeat.")
@click.option(
    "--burn-in",
    "burned",
    metavar="REV",
    default="",
    help="Tests new since REV 10 times, those that rest on a change 5 times.",
)
@click.option("--watch", "watched", is_flag=True, help="Run again after each save: what changed, and what failed.")
@click.option("--list", "listing", is_flag=True, help="Print the selected tests and stop.")
@click.option("--dry-run", is_flag=True, help="Print the tests that would run, in order, with their needs, and stop.")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Parallel tests for each method (default: spec)."
)
@click.option(
    "--engine", metavar="NAME", default="", help="Engine that carries out tests: local or dask (default: spec)."
)
@click.option("--scheduler", metavar="URL", default="", help="Address of the Dask scheduler (default: spec).")
@click.option("--headed", is_flag=True, help="Show the browser.")
@click.option(
    "--slow", type=click.IntRange(0, 10_000), default=0, metavar="MS", help="Pause before each step on a page."
)
@click.option("--pause-on-fail", is_flag=True, help="Stop at a step that fails, and ask what follows.")
@click.option("--step", is_flag=True, help="Stop before each step.")
@click.option("--until", type=click.IntRange(min=1), metavar="STEP", help="Stop before the step of this number.")
@click.option("--force", is_flag=True, help="Also run tests whose inputs have not changed.")
@click.option(
    "--update-looks",
    metavar="[NAME]",
    is_flag=False,
    flag_value=ALL_LOOKS,
    multiple=True,
    help="Write the expected pictures of a look or a test (default: all).",
)
@click.option(
    "--resume",
    metavar="[RUN]",
    is_flag=False,
    flag_value=LAST,
    shell_complete=run_ids,
    help="Resume a run (default: the newest).",
)
@click.option("--allow-changed", is_flag=True, help="Accept a changed spec and run the changed tests again.")
@click.option("--trust", is_flag=True, help="Trust a record that you did not write on this machine.")
@click.option("--detach", is_flag=True, help="Return when the run has begun; it goes on in a session of its own.")
@click.option("--detached", is_flag=True, hidden=True)
@click.option(
    "--json", "as_json", is_flag=True, help="JSON on stdout at the end: the state of the run, as `status` has it."
)
@click.option("--open", "opened", is_flag=True, help="Serve the page of the run, live, as `orchestra open` does.")
@brief_option
@click.pass_context
def run(
    ctx: click.Context,
    selection: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    methods: tuple[str, ...],
    titles: tuple[str, ...],
    last_failed: bool,
    failed_in: str | None,
    since: str,
    shard: tuple[int, int] | None,
    all_suites: bool,
    first_failure: bool,
    max_failures: int | None,
    retries: int | None,
    isolate_retries: bool,
    shuffle: int | None,
    times: int | None,
    until_fail: bool,
    burned: str,
    watched: bool,
    listing: bool,
    dry_run: bool,
    workers: int | None,
    engine: str,
    scheduler: str,
    headed: bool,
    slow: int,
    pause_on_fail: bool,
    step: bool,
    until: int | None,
    force: bool,
    update_looks: tuple[str, ...],
    resume: str | None,
    allow_changed: bool,
    trust: bool,
    detach: bool,
    detached: bool,
    as_json: bool,
    opened: bool,
    brief: bool | None,
) -> int:
    """Run tests and their needs, with services, retries, gates and a record."""
    refuse_together(ctx)
    project = project_of(ctx)
    options = Options(
        argv=("orchestra", *("--detach" if word == detaching.DETACHED else word for word in sys.argv[1:])),
        workers=workers,
        engine=engine,
        scheduler=scheduler,
        headed=headed,
        slow_ms=slow,
        force=force or bool(update_looks),
        update_looks=update_looks,
        seed=shuffle,
        max_failures=max_failures or int(first_failure),
        retries=retries,
        isolate_retries=isolate_retries,
    )
    if all_suites:
        observe = partial(watch.observers, brief=brief)
        return run_all(
            project, Choice(selection, methods, titles, since=since, looks=update_looks), profile, options, observe
        )
    words = [word for word in (resume, failed_in) if word is not None]
    name = home_of(project, suite, words).name
    home = project.root / PLAN_FOLDER / name
    goal = Target(profile=profile)
    if resume is not None:
        goal = target(home, resume, profile)
        if goal.why:
            warn(f"nothing to resume: {goal.why}; a new run {'of its tests ' if goal.selection else ''}starts")
        options = dataclasses.replace(options, resume=goal.run, allow_changed=allow_changed, trust=trust)
    choice = Choice(selection, methods, titles, since=since, looks=update_looks)
    if last_failed or failed_in is not None:
        failures = failures_of(home, LAST if failed_in is None else failed_in)
        if not failures.tasks:
            warn(f"nothing to run: all tests of run {failures.run} are green")
            return EXIT_OK
        choice = dataclasses.replace(choice, failures=failures)
        goal = Target(profile=profile or failures.profile)
    plan = proven_plan(project, name, goal.profile, renew=attended() and not (listing or dry_run))
    tasks, options = _tasks(project, plan, choice, goal, options)
    if not tasks:
        warn(f"nothing to run: nothing that the selected tests rest on has changed since {since}")
        return EXIT_OK
    part, tasks = shard_of(project, plan, tasks, shard)
    options = dataclasses.replace(options, shard=part)
    if listing or dry_run:
        refuse_address(plan, options)
        return _print_tasks(project, plan, tasks, dry_run=dry_run, workers=workers)
    options = _pausing(options, plan, tasks, project.root, Pausing(pause_on_fail, step, until or 0))
    if detach:
        words = [*detaching.words_of(options), *choice.words_of_options(), *_named(name, goal.profile, brief=brief)]
        words_of_tasks = tasks if goal.selection and not goal.run and options.selected_by else selection
        return detaching.detach(project, plan, [*words, "--", *words_of_tasks])
    page = LivePage()
    usual = partial(watch.observers, drawn=options.pauser is None)
    observers = detaching.observers if detached else page.observers if opened else usual
    followed = _Followed(partial(observers, brief=brief))
    launch = Launch(project, followed.observers, options, goal.profile)
    if times is not None or until_fail or burned:
        return several(launch, plan, tasks, times=times, until_fail=until_fail, since=burned)
    if watched:
        from orchestra.verbs.watching import watch_suite  # noqa: PLC0415 - the compiler, the server of a page, and a terminal

        return watch_suite(launch, choice, name)
    code = dag.run(launch, name, plan, tasks)
    if as_json and followed.folder is not None:
        say_json(json_at_end(followed.folder), end="")
    page.end(code)
    return code


def _pausing(options: Options, plan: Plan, tasks: Sequence[str], root: Path, pausing: Pausing) -> Options:
    """Return the options of a run that pauses where that is asked for, else the same."""
    if pausing == Pausing():
        return options
    from orchestra.verbs.pausing import pausing_options  # noqa: PLC0415 - it compiles what a person types

    return pausing_options(options, plan, tasks, root, pausing)


def _named(suite: str, profile: str, *, brief: bool | None) -> list[str]:
    """Return the suite, the profile and the form of the output as words of a command line."""
    words = [f"--suite={suite}", *([f"--profile={profile}"] if profile else [])]
    return words if brief is None else [*words, "--brief" if brief else "--full"]


def _tasks(
    project: Project, plan: Plan, choice: Choice, goal: Target, options: Options
) -> tuple[Sequence[str], Options]:
    """Return the tasks to run, and the options with how they were selected."""
    if goal.selection:  # a task that the plan lost is refused by a resumed run, which knows what it was
        every, of_run = select(plan, ()), set(goal.selection)
        tasks = [task for task in every if task in of_run] or every
        by = () if goal.run or len(tasks) == len(every) else (Selector("--resume", "leaves", len(tasks)),)
        return tasks, dataclasses.replace(options, selected_by=by)
    chosen = choose(plan, choice, project)
    return chosen.tasks, dataclasses.replace(options, selected_by=chosen.by)


class _Followed:
    """The run that a command follows: its folder is known once it has begun."""

    def __init__(self, observers: Callable[[Path, Plan, Path], Sequence[Observer]]) -> None:
        self._observers = observers
        self.folder: Path | None = None

    def observers(self, root: Path, plan: Plan, folder: Path) -> Sequence[Observer]:
        """Return the observers of the run that begins in a folder."""
        self.folder = folder
        return self._observers(root, plan, folder)


def _print_tasks(project: Project, plan: Plan, selected: Sequence[str], *, dry_run: bool, workers: int | None) -> int:
    """Print tasks with their titles; of a dry run also what runs with them, and on stderr how long all will take."""
    titles = {test.id: test.title for test in plan.tests}
    shown = with_needs(plan, selected) if dry_run else selected
    chosen, closers = set(selected), {name for group in plan.groups for name in group.after_all}
    for task in shown:
        test = task.partition(":")[2]
        pulled = "" if task in chosen else "  (after_all)" if test in closers else "  (needed)"
        say(unbroken(f"{task}  {titles[test]}{pulled}"))
    if dry_run:
        found = foreseen(project, plan, shown, workers)
        warn(f"time: {summary(found)}")
        warn(f"memory: {memory(found)}")
    return EXIT_OK
