"""`orchestra run --repeat`, `--until-fail` and `--burn-in`: runs of the same tests, one after the other, each with a record."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from orchestra.draw import terminal_table
from orchestra.errors import EXIT_OK, EXIT_SIGINT
from orchestra.ledger.event import BurnIn, Selector
from orchestra.ledger.outcome import GOOD
from orchestra.ledger.runs import last_ended
from orchestra.ledger.view import look
from orchestra.plan import Plan
from orchestra.project import PLAN_FOLDER, Project
from orchestra.report.console.lines import line
from orchestra.runtime import dag
from orchestra.runtime.dag import Launch
from orchestra.runtime.select import task_name
from orchestra.runtime.since import reasons, revision
from orchestra.verbs.group import say, warn

NEW, CHANGED = 10, 5
"""The executions of a test that a revision does not have, and of one that may have another result than there."""


@dataclass(slots=True)
class Tally:
    """Counts over several runs.

    Attributes:
        good: passes of each task.
        executed: executions of each task.
        codes: exit codes of the runs.
        recorded: number of the runs that have a record; one that was refused or interrupted before has none.
        failed: ids of the runs that were not good.
    """

    good: Counter[str] = field(default_factory=Counter)
    executed: Counter[str] = field(default_factory=Counter)
    codes: list[int] = field(default_factory=list)
    recorded: int = 0
    failed: list[str] = field(default_factory=list)

    def add(self, home: Path, run_once: Callable[[], int]) -> bool:
        """Carry out a run and count it. Return whether another one may follow: it was neither refused nor interrupted."""
        before = last_ended(home)
        self.codes.append(run_once())
        last = last_ended(home)
        if last is None or last == before:  # refused before its record was open
            return False
        self.recorded += 1
        if self.codes[-1]:
            self.failed.append(last.name)
        for task, given in look(last, steps=False).verdicts.items():
            if given.attempts:
                self.executed[task] += 1
                self.good[task] += given.verdict in GOOD
        return self.codes[-1] < EXIT_SIGINT

    def counts(self, wanted: Mapping[str, int]) -> dict[str, BurnIn]:
        """Return what is known of the tasks to burn in, for the record of the next run."""
        return {
            task: BurnIn(wanted=times, executed=self.executed[task], good=self.good[task])
            for task, times in wanted.items()
        }

    def show(self) -> None:
        """Print how often each task was good."""
        sys.stdout.flush()
        say("")
        failed = ", ".join(self.failed) or "none"
        say(line("repeated", f"{self.recorded} run{'s' * (self.recorded != 1)}, {len(self.failed)} not good: {failed}"))
        say(
            terminal_table(
                ("test", "passed"), [(task, f"{self.good[task]} of {self.executed[task]}") for task in self.executed]
            )
        )


def several(
    launch: Launch, plan: Plan, tasks: Sequence[str], *, times: int | None, until_fail: bool, since: str = ""
) -> int:
    """Run tests several times, print how often each was good, and return the worst exit code.

    Args:
        launch: of each run.
        plan: the suite.
        tasks: the selected ones.
        times: so many runs; None for no limit.
        until_fail: stop after the first run that is not good.
        since: burn in what differs from this revision of git; empty for `repeat`.

    Raises:
        UsageError: git does not know the revision.
    """
    home = launch.project.root / PLAN_FOLDER / plan.suite
    options = dataclasses.replace(launch.options, force=True)
    if not since:
        launch.options = options
        return repeat(home, lambda: dag.run(launch, plan.suite, plan, tasks), times=times, until_fail=until_fail)
    wanted = executions(launch.project, plan, tasks, since)
    if not wanted:
        warn(f"nothing to burn in: nothing that the selected tests rest on has changed since {since}")
        return EXIT_OK

    def run_of(chosen: Sequence[str], counts: Mapping[str, BurnIn]) -> int:
        by = (*options.selected_by, Selector(f"--burn-in {since}", "leaves", len(chosen)))
        launch.options = dataclasses.replace(options, retries=options.retries or 0, selected_by=by, burn_in=counts)
        return dag.run(launch, plan.suite, plan, chosen)

    return burn_in(home, run_of, wanted)


def repeat(home: Path, run_once: Callable[[], int], *, times: int | None, until_fail: bool) -> int:
    """Run tests several times, print how often each was good, and return the worst exit code.

    Args:
        home: `.orchestra/<suite>`, absolute.
        run_once: carries out one run, and returns its exit code.
        times: so many runs; None for no limit.
        until_fail: stop after the first run that is not good.
    """
    tally = Tally()
    while times is None or len(tally.codes) < times:
        if not tally.add(home, run_once) or (until_fail and tally.codes[-1]):
            break
    tally.show()
    return max(tally.codes)


def executions(project: Project, plan: Plan, tasks: Sequence[str], since: str) -> dict[str, int]:
    """Return how often each task is executed to burn it in; a task without a change is left out.

    Args:
        project: of the plan.
        plan: the suite.
        tasks: the selected ones.
        since: a revision of git.

    Raises:
        UsageError: git does not know it.
    """
    then = revision(project.root, since, project.plan_file(plan.suite, plan.profile))
    why = reasons(project.root, plan, then)
    tests = then.plan.tests if then.plan is not None else ()
    known = {task_name(method, test.id) for test in tests for method in test.methods}
    return {task: CHANGED if task in known else NEW for task in tasks if task in why}


def burn_in(home: Path, run_of: Callable[[Sequence[str], Mapping[str, BurnIn]], int], wanted: Mapping[str, int]) -> int:
    """Run each task as often as wanted, print the verdict, and return the worst exit code.

    Args:
        home: `.orchestra/<suite>`, absolute.
        run_of: carries out one run of tasks, of which so much is known, and returns its exit code.
        wanted: the number of executions by task.
    """
    tally = Tally()
    for number in range(max(wanted.values())):
        tasks = [task for task, times in wanted.items() if times > number]
        if not tally.add(home, partial(run_of, tasks, tally.counts(wanted))):
            break
    tally.show()
    burned = [task for task, times in wanted.items() if tally.good[task] == times]
    rest = [f"{task} {tally.good[task]} of {times}" for task, times in wanted.items() if task not in burned]
    say(line("burned in", f"{len(burned)} of {len(wanted)} tests", f"not: {', '.join(rest)}" if rest else ""))
    return max(tally.codes)
