"""Which tests `orchestra run` runs: the words of its selection, then the options that leave some of their tests.

An option that leaves tests follows the words and the other options: a test runs if it is selected and each of them leaves it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestra.errors import UsageError
from orchestra.ledger.event import Selector
from orchestra.ledger.outcome import FINE
from orchestra.ledger.runs import find_run
from orchestra.ledger.view import look
from orchestra.plan import Plan, Test
from orchestra.project import Project
from orchestra.runtime.select import among, excludes, named, select, titled
from orchestra.runtime.since import reasons, revision
from orchestra.steps.look import looks
from orchestra.steps.step import Step
from orchestra.suggest import did_you_mean
from orchestra.verbs.group import warn

_SHOWN = 5
ALL_LOOKS = "*"
"""The value of `--update-looks` without a name."""


@dataclass(frozen=True, slots=True)
class Failures:
    """The tests of a run that were not green, in the order of its selection.

    Attributes:
        run: its id.
        tasks: their tasks.
        profile: with which it ran.
    """

    run: str
    tasks: tuple[str, ...]
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The tests that a command line asks for.

    Attributes:
        words: of the selection.
        methods: of `--method`.
        titles: of `-k`.
        failures: of `--last-failed` and `--failed-in`; None without them.
        since: the revision of `--since`; empty without it.
        looks: of `--update-looks`: names of tests and of expected pictures, or `*`.
    """

    words: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    failures: Failures | None = None
    since: str = ""
    looks: tuple[str, ...] = ()

    def words_of_options(self) -> list[str]:
        """Return the options as words of a command line."""
        return [
            *(f"--method={method}" for method in self.methods),
            *(f"-k{text}" for text in self.titles),
            *([f"--failed-in={self.failures.run}"] if self.failures is not None else []),
            *([f"--since={self.since}"] if self.since else []),
        ]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The selected tasks, in the plan's order, and by which words and options they were selected."""

    tasks: list[str]
    by: tuple[Selector, ...] = ()


def failures_of(home: Path, word: str) -> Failures:
    """Return the tests of a run that were not green.

    Args:
        home: `.orchestra/<suite>`, absolute.
        word: `last`, or an id of a run or a part of one.

    Raises:
        UsageError: there is no such run.
        LedgerError: its ledger is damaged.
    """
    folder = find_run(home, word)
    view = look(folder, steps=False)
    given = view.verdicts
    tasks = (task for task in view.selection if task not in given or given[task].verdict not in FINE)
    profile = view.start.profile if view.start is not None else None
    return Failures(folder.name, tuple(tasks), profile or "")


def choose(plan: Plan, choice: Choice, project: Project | None = None) -> Chosen:
    """Return the tests of a choice; none if nothing that they rest on has changed since a revision.

    Args:
        plan: the compiled suite.
        choice: of the command line.
        project: of the suite, whose work tree git is asked about.

    Raises:
        UsageError: nothing answers to a word, or nothing is left.
    """
    allowed = choice.methods or tuple(method.id for method in plan.methods)
    tasks = select(plan, choice.words, choice.methods)
    by = [
        Selector(word, "removes" if excludes(word) else "adds", len(named(plan, word, allowed)))
        for word in choice.words
    ]
    if choice.methods:
        option = shlex.join(word for method in choice.methods for word in ("--method", method))
        by.append(Selector(option, "leaves", len(tasks)))
    if choice.titles:
        before, tasks = tasks, titled(plan, tasks, choice.titles)
        if not tasks:
            raise _untitled(plan, before, choice.titles)
        by.append(Selector(shlex.join(word for text in choice.titles for word in ("-k", text)), "leaves", len(tasks)))
    if choice.failures is not None:
        tasks = _failed(plan, tasks, choice.failures)
        by.append(Selector(f"--failed-in {choice.failures.run}", "leaves", len(tasks)))
    if choice.since and project is not None:
        then = revision(project.root, choice.since, project.plan_file(plan.suite, plan.profile))
        every = reasons(project.root, plan, then)
        tasks = among(tasks, every)
        why = {task: every[task] for task in tasks}
        by.append(Selector(f"--since {choice.since} ({then.commit[:12]})", "leaves", len(tasks), why))
    if choice.looks:
        tasks = _with_looks(plan, tasks, choice.looks)
        by.append(Selector(shlex.join(f"--update-looks={name}" for name in choice.looks), "leaves", len(tasks)))
    return Chosen(tasks, tuple(by))


def _with_looks(plan: Plan, tasks: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the tasks whose expected pictures are to be written."""
    pictures = {
        test.id: {ALL_LOOKS, test.id, test.of, *looks(parts(test))} for test in plan.tests if looks(parts(test))
    }
    left = [task for task in tasks if pictures.get(task.partition(":")[2], set()) & set(wanted)]
    for name in wanted:
        if not any(name in pictures.get(task.partition(":")[2], ()) for task in tasks):
            named = sorted(set().union(*pictures.values()) - {ALL_LOOKS, ""})
            message = f'no selected test has the look "{name}"' if name != ALL_LOOKS else "no selected test has a look"
            raise UsageError(
                f"nothing to run: {message}{did_you_mean(name, named)}", "`expect: {look: NAME}` makes one"
            )
    return left


def parts(test: Test) -> tuple[Step, ...]:
    """Return all steps of a test."""
    return (*test.before, *test.steps, *test.finally_)


def _untitled(plan: Plan, tasks: Sequence[str], texts: Sequence[str]) -> UsageError:
    ids = {task.partition(":")[2] for task in tasks}
    titles = [f'{test.id} "{test.title}"' for test in plan.tests if test.id in ids]
    listed = " or ".join(f'"{text}"' for text in texts)
    return UsageError(
        f"nothing to run: no title holds {listed}; there are {_listed(titles)}", "see `orchestra run --list`"
    )


def _failed(plan: Plan, tasks: Sequence[str], failures: Failures) -> list[str]:
    """Return the tasks that were not green in a run, with a note for those that the plan no longer has."""
    there = set(select(plan, ()))
    lost = [task for task in failures.tasks if task not in there]
    left = among(tasks, set(failures.tasks))
    known = among(failures.tasks, there)
    if lost and not known:
        raise UsageError(
            f"nothing to run: the spec no longer has what was not green in run {failures.run}: {_listed(lost)}",
            "see `orchestra run --list`",
        )
    if not left:
        raise UsageError(
            f"nothing to run: what was not green in run {failures.run} is not selected: {_listed(known)}",
            "remove words of the selection, --method or -k",
        )
    if lost:
        warn(f"note: the spec no longer has {_listed(lost)} of run {failures.run}")
    return left


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
