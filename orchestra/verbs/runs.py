"""The verbs that run and that look at the machine: run, doctor."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from orchestra.errors import EXIT_MACHINE, EXIT_OK, OrchestraError, UsageError
from orchestra.ledger.runs import LAST
from orchestra.ledger.view import Observer
from orchestra.plan import Plan
from orchestra.printing import unbroken
from orchestra.project import PLAN_FOLDER, Project
from orchestra.report import watch
from orchestra.report.console.lines import line
from orchestra.runtime import dag
from orchestra.runtime.agent_setup import examine_agents, lines_for_agents
from orchestra.runtime.dag import Launch
from orchestra.runtime.doctor import Finding, examine
from orchestra.runtime.load_plan import load_plan
from orchestra.runtime.run import detached as detaching
from orchestra.runtime.run.detached import Herald
from orchestra.runtime.run.session import Options
from orchestra.runtime.select import select, with_needs
from orchestra.verbs.all_suites import run_all
from orchestra.verbs.chosen_run import home_of
from orchestra.verbs.group import say, say_json, warn
from orchestra.verbs.live_page import LivePage
from orchestra.verbs.options import brief_option, methods_option, profile_option, project_of, suite_option
from orchestra.verbs.proven import proven_plan
from orchestra.verbs.resuming import Target, last_failures, target
from orchestra.verbs.sharding import ShardType, shard_of
from orchestra.verbs.status import json_at_end

DETACHED = "--detached"
"""The word by which `--detach` asks the process of the run to report to it."""


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
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


@click.command(
    epilog="\b\nExamples:\n  orchestra run                      every test by every method\n"
    "  orchestra run B004..B009 tag:smoke  some of them, and what they need\n"
    "  orchestra run basics --method mcp   a group by one method\n"
    "  orchestra run --all-suites          every suite, with a summary\n"
    "  orchestra run --list                what there is\n"
    "  orchestra run --resume              resume the newest run, without its passed tests\n"
    "  orchestra run --last-failed         the tests that were not green in the newest run\n"
    "  orchestra run --open                follow it in the browser\n"
    "  orchestra run --detach              start it, and return; `orchestra wait` follows it\n"
    "  orchestra run --shard 2/4           the second of four parts; `orchestra merge` puts them together\n"
    "\n\b\nA selection is an id, a glob, a range A..B, a group, tag:NAME, or METHOD:ID."
)
@click.argument("selection", nargs=-1, shell_complete=_tests)
@suite_option
@profile_option
@methods_option
@click.option(
    "--all-suites", is_flag=True, help="Every suite, one run each; services that they have alike are started once."
)
@click.option("--list", "listing", is_flag=True, help="Print the selected tests and stop.")
@click.option("--dry-run", is_flag=True, help="Print the tests that would run, in order, with their needs, and stop.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Number of parallel tests for each method (default: that of the spec).",
)
@click.option("--headed", is_flag=True, help="Show the browser.")
@click.option("--force", is_flag=True, help="Also run tests whose inputs have not changed.")
@click.option("--resume", metavar="[RUN]", is_flag=False, flag_value=LAST, help="Resume a run (default: the newest).")
@click.option(
    "--allow-changed", is_flag=True, help="With --resume: accept a changed spec and run the changed tests again."
)
@click.option("--trust", is_flag=True, help="With --resume: trust a record that you did not write on this machine.")
@click.option("--detach", is_flag=True, help="Return when the run has begun; it goes on in a session of its own.")
@click.option("--detached", is_flag=True, hidden=True)
@click.option(
    "--json", "as_json", is_flag=True, help="JSON on stdout at the end: the state of the run, as `status` has it."
)
@click.option("--last-failed", is_flag=True, help="Only the tests that were not green in the newest run.")
@click.option(
    "--shard",
    type=ShardType(),
    help="Only part I of N of the selection, split by `baseline.json` (default: all of it); `orchestra plan` shows each.",
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
    all_suites: bool,
    listing: bool,
    dry_run: bool,
    workers: int | None,
    headed: bool,
    force: bool,
    resume: str | None,
    allow_changed: bool,
    trust: bool,
    detach: bool,
    detached: bool,
    as_json: bool,
    last_failed: bool,
    shard: tuple[int, int] | None,
    opened: bool,
    brief: bool | None,
) -> int:
    """Run tests, and what they need, with services, retries, gates and a record of everything."""
    project = project_of(ctx)
    if all_suites:
        unfit: list[tuple[object, str]] = [
            (suite, "suite"),
            (resume, "resume"),
            (listing, "list"),
            (dry_run, "dry-run"),
            (detach, "detach"),
            (as_json, "json"),
            (shard, "shard"),
        ]
        unfit += [(allow_changed, "allow-changed"), (trust, "trust"), (last_failed, "last-failed"), (opened, "open")]
        if others := [f"--{word}" for value, word in unfit if value]:
            message = f"--all-suites starts a new run of each suite, and waits for them; {others[0]} does not fit"
            raise UsageError(message, f"remove {', '.join(others)}, or --all-suites")
        options = Options(argv=("orchestra", *sys.argv[1:]), workers=workers, headed=headed, force=force)
        return run_all(project, selection, methods, profile, options, partial(watch.observers, brief=brief))
    name = home_of(project, suite, () if resume is None else (resume,)).name
    _check_follower(detach=detach, shown=listing or dry_run, opened=opened, as_json=as_json)
    for option, given in (("--allow-changed", allow_changed), ("--trust", trust)):
        if given and resume is None:
            raise UsageError(f"{option} needs --resume", "add --resume, or remove it")
    home = project.root / PLAN_FOLDER / name
    goal = _goal(home, selection, methods, profile, resume=resume, last_failed=last_failed, sharded=shard is not None)
    if goal is None:
        return EXIT_OK
    asked, run_id, selection, profile = selection, goal.run, goal.selection, goal.profile
    plan = load_plan(project, name, profile) if listing or dry_run else proven_plan(project, name, profile)
    tasks: Sequence[str] = select(plan, () if run_id else selection, methods)
    if run_id:  # a task that the plan lost is refused by the run, which knows what it was
        tasks = [task for task in tasks if task in set(selection)] or tasks
    part, tasks = shard_of(project, plan, tasks, shard)
    if listing or dry_run:
        _print_tasks(plan, tasks, with_needs(plan, tasks) if dry_run else tasks)
        return EXIT_OK
    options = Options(
        argv=("orchestra", *("--detach" if word == DETACHED else word for word in sys.argv[1:])),
        workers=workers,
        headed=headed,
        force=force,
        resume=run_id,
        allow_changed=allow_changed,
        trust=trust,
        shard=part,
    )
    if detach:
        words = [*_words(options), f"--suite={name}", *(f"--method={method}" for method in methods)]
        words += [f"--profile={profile}"] if profile else []
        words += [] if brief is None else ["--brief" if brief else "--full"]
        return _detach(project, plan, [*words, "--", *(asked or (() if run_id else selection))])
    page = LivePage()
    observers = _heralded if detached else page.observers if opened else watch.observers
    followed = _Followed(partial(observers, brief=brief))
    code = dag.run(Launch(project, followed.observers, options, profile), name, plan, tasks)
    if as_json and followed.folder is not None:
        say_json(json_at_end(followed.folder), end="")
    page.end(code)
    return code


class _Followed:
    """The run that a command follows: its folder is known once it has begun."""

    def __init__(self, observers: Callable[[Path, Plan, Path], Sequence[Observer]]) -> None:
        self._observers = observers
        self.folder: Path | None = None

    def observers(self, root: Path, plan: Plan, folder: Path) -> Sequence[Observer]:
        """Return the observers of the run that begins in a folder."""
        self.folder = folder
        return self._observers(root, plan, folder)


def _check_follower(*, detach: bool, shown: bool, opened: bool, as_json: bool) -> None:
    """Refuse options of a command that follows its run where it follows none.

    Args:
        detach: it returns when the run has begun.
        shown: it starts no run, and shows the tests.
        opened: it serves the page of the run.
        as_json: it prints the state of the run at its end.

    Raises:
        UsageError: an option does not fit.
    """
    if detach and shown:
        raise UsageError("--detach starts a run, --list and --dry-run do not", "remove one of them")
    if opened and (detach or shown):
        raise UsageError(
            "--open serves the page of a run that this command follows", "remove --open, or the other option"
        )
    if as_json and (detach or shown):
        raise UsageError(
            "--json prints the state of a run that this command follows",
            "remove --json, or the other option; `orchestra status --json` prints it at any time",
        )


def _print_tasks(plan: Plan, selected: Collection[str], shown: Iterable[str]) -> None:
    """Print tasks with their titles, and which of them only the needs of others add."""
    titles = {test.id: test.title for test in plan.tests}
    for task in shown:
        pulled = "" if task in selected else "  (needed)"
        say(unbroken(f"{task}  {titles[task.partition(':')[2]]}{pulled}"))


def _goal(
    home: Path,
    selection: tuple[str, ...],
    methods: tuple[str, ...],
    profile: str,
    *,
    resume: str | None,
    last_failed: bool,
    sharded: bool,
) -> Target | None:
    """Return which tests run, of which run; None if there is nothing to run, which is reported.

    Raises:
        UsageError: there are two selections.
    """
    if sharded and (resume is not None or last_failed):
        why = "--last-failed: that differs between machines" if last_failed else "--resume: a run resumes its own shard"
        raise UsageError(f"--shard does not go with {why}", "remove one of them")
    if resume is not None and (selection or methods or last_failed):
        raise UsageError("a resumed run has its own selection", "remove SELECTION, --method and --last-failed")
    if resume is not None:
        goal = target(home, resume, profile)
        if goal.why:
            warn(f"nothing to resume: {goal.why}; a new run starts")
        return goal
    if not last_failed:
        return Target(selection=selection, profile=profile)
    if selection or methods:
        raise UsageError("the last failures are a selection", "remove SELECTION and --method, or --last-failed")
    before = last_failures(home)
    if not before.tasks:
        warn(f"nothing to run: all tests of run {before.run} are green")
        return None
    return Target(selection=before.tasks, profile=profile or before.profile)


def _words(options: Options) -> list[str]:
    """Return the options of a run as words of its command line."""
    return [
        *([f"--workers={options.workers}"] if options.workers is not None else []),
        *(["--headed"] if options.headed else []),
        *(["--force"] if options.force else []),
        *([f"--resume={options.resume}"] if options.resume else []),
        *(["--allow-changed"] if options.allow_changed else []),
        *(["--trust"] if options.trust else []),
        *([f"--shard={options.shard.name}"] if options.shard is not None else []),
    ]


def _heralded(root: Path, plan: Plan, folder: Path, *, brief: bool | None) -> Sequence[Observer]:
    """Return the observers of a detached run; from here on it prints into its folder."""
    herald = Herald(folder)
    return (herald, *watch.observers(root, plan, folder, brief=brief, in_job=False))


def _detach(project: Project, plan: Plan, words: Sequence[str]) -> int:
    """Start a run in a session of its own; print its id and the commands that follow and stop it.

    A run that is refused, or ends before its first test, ends this with its own output and exit code.
    """
    suite, tool = plan.suite, plan.outputs.launcher
    started = detaching.start(["run", DETACHED, *words], project.root, project.root / PLAN_FOLDER / suite, os.environ)
    if started.code is not None:
        warn(started.printed.rstrip("\n"))
        return started.code
    say(line("run", started.run, suite, "has begun"))
    for word, verb in (("follow", "wait"), ("stop", "stop")):
        say(line(word, f"{tool} {verb} {started.run} --suite {suite}"))
    return EXIT_OK


@click.command(epilog="\b\nExamples:\n  orchestra doctor\n  orchestra doctor --agents  the needs of coding agents")
@click.option("--agents", is_flag=True, help="Report the needs of coding agents instead, and lines for AGENTS.md.")
@click.pass_context
def doctor(ctx: click.Context, *, agents: bool) -> int:
    """Check this machine and this project, and report missing parts. Exit 3 if a required part is missing."""
    project = project_of(ctx)
    if not agents:
        return _report(examine(project, os.environ))
    plans = [load_plan(project, suite) for suite in project.suites()]
    code = _report(examine_agents(project.root, plans, os.environ))
    if lines := lines_for_agents(plans):
        say("\nlines for AGENTS.md:\n")
        say("\n".join(lines))
    return code


def _report(findings: Iterable[Finding]) -> int:
    """Print findings as they come, and return the exit code."""
    broken = 0
    for finding in findings:
        broken += finding.state == "broken"
        say(unbroken(f"{finding.state:<8} {finding.subject:<16} {finding.found}"))
        if finding.hint:
            say(unbroken(f"{'':<25} hint: {finding.hint}"))
    return EXIT_MACHINE if broken else EXIT_OK
