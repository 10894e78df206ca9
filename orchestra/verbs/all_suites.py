"""`orchestra run --all-suites`: one run for each suite, one after the other, with the services that they have alike."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from orchestra.draw import duration, terminal_table
from orchestra.errors import EXIT_OK, EXIT_SIGINT, OrchestraError, UsageError
from orchestra.ledger.quick import known_fields
from orchestra.ledger.runs import last_ended
from orchestra.plan import Plan
from orchestra.printing import letter, unbroken
from orchestra.project import PLAN_FOLDER, Project
from orchestra.runtime import dag, inherited
from orchestra.runtime.dag import Launch
from orchestra.runtime.run.session import Options
from orchestra.runtime.select import excludes, named, with_needs
from orchestra.runtime.servers import lending
from orchestra.runtime.servers.shared import Shared
from orchestra.verbs.choosing import Choice, Chosen, choose
from orchestra.verbs.group import say, warn
from orchestra.verbs.proven import attended, proven_plan

_NOT_RUN = "not run"


class _Part(NamedTuple):
    """A suite that is to run: its plan and its selected tasks."""

    plan: Plan
    chosen: Chosen


class _Ended(NamedTuple):
    """How the run of a suite ended, for the summary."""

    suite: str
    code: int | None
    run: str
    verdicts: str
    seconds: float

    def cells(self) -> tuple[str, ...]:
        """Return the row of the summary."""
        code = _NOT_RUN if self.code is None else str(self.code)
        return self.suite, code, self.verdicts, duration(self.seconds) if self.code is not None else "", self.run


def run_all(project: Project, choice: Choice, profile: str, options: Options, observe: dag.Watch) -> int:
    """Run every suite that has a selected test, print a summary, and return the worst exit code.

    Args:
        project: whose suites.
        choice: the selection; a word must mean a test of one suite at least, and a suite without any of its methods
            does not run.
        profile: of every suite, empty for none.
        options: of each run.
        observe: makes the observers of a run.

    Raises:
        UsageError: there is no suite, or nothing is selected.
        PlanError: a plan is stale.
    """
    parts = _parts(project, choice, profile)
    if not parts:
        warn(f"nothing to run: nothing that a test rests on has changed since {choice.since}")
        return EXIT_OK
    components = tuple(row for part in parts for row in part.plan.components)
    plan = msgspec.structs.replace(parts[0].plan, components=components)
    inherits = inherited.of_plan(project.root, plan, os.environ)
    suites = {part.plan.suite: (part.plan, _required(part)) for part in parts}
    ended: list[_Ended] = []
    with _signals():
        services = Shared(project.root, project.root / PLAN_FOLDER / lending.FOLDER, suites, inherits)
        try:
            _announce(services)
            for number, part in enumerate(parts):
                later = [other.plan.suite for other in parts[number + 1 :]]
                for reason in services.prepare(part.plan.suite, later):
                    warn(f"note: {unbroken(reason)}, so {part.plan.suite} starts its own")
                ended.append(_run(Launch(project, observe, options, profile), part, services))
                if (ended[-1].code or 0) >= EXIT_SIGINT:
                    break
        finally:
            services.close()
    ended += [_Ended(part.plan.suite, None, "", "", 0.0) for part in parts[len(ended) :]]
    sys.stdout.flush()
    say(terminal_table(("suite", "exit", "tests", "time", "run"), [one.cells() for one in ended]))
    return max(one.code for one in ended if one.code is not None)


def _parts(project: Project, choice: Choice, profile: str) -> list[_Part]:
    names = project.suites()
    if not names:
        project.choose(None)  # reports it
    plans = [proven_plan(project, name, profile, renew=attended()) for name in names]
    words, methods = choice.words, choice.methods
    adds = [word for word in words if not excludes(word)]
    refused: UsageError | None = None
    meant: set[str] = set()
    parts: list[_Part] = []
    unchanged = False
    for plan in plans:
        known = [method.id for method in plan.methods]
        mine = tuple(method for method in methods if method in known)
        fitting: list[str] = []
        for word in words:
            try:
                fitting += [word] if named(plan, word, known) else []
            except UsageError as error:
                refused = error
        meant.update(fitting)
        if (not adds or not set(fitting).isdisjoint(adds)) and (mine or not methods):
            with suppress(UsageError):  # the methods and the titles that are left run nothing of it
                chosen = choose(plan, replace(choice, words=tuple(fitting), methods=mine), project)
                unchanged = unchanged or not chosen.tasks
                parts += [_Part(plan, chosen)] if chosen.tasks else []
    if unknown := [word for word in words if word not in meant]:
        hint = refused.hint if refused is not None else ""
        raise UsageError(f'no suite has a test, group, tag or glob "{unknown[0]}"', hint)
    if lost := [method for method in methods if not any(method == one.id for plan in plans for one in plan.methods)]:
        raise UsageError(f'no suite has the method "{lost[0]}"', "see `orchestra plan --suite NAME`")
    if not parts and not unchanged:
        raise UsageError("nothing is selected in any suite", "see `orchestra run --suite NAME --list`")
    return parts


def _required(part: _Part) -> set[str]:
    """Return the rows of the health matrix that the selected tests require."""
    ids = {task.partition(":")[2] for task in with_needs(part.plan, part.chosen.tasks)}
    return {name for test in part.plan.tests if test.id in ids for name in test.requires}


def _announce(services: Shared) -> None:
    names = {suite: rows for suite, rows in services.names().items() if rows}
    if names:
        listed = "; ".join(f"{', '.join(rows)} of {suite}" for suite, rows in names.items())
        warn(f"shared: {unbroken(listed)}")


def _run(launch: Launch, part: _Part, services: Shared) -> _Ended:
    """Run one suite. An error of it does not keep the others from running."""
    suite, begun = part.plan.suite, time.monotonic()
    home = launch.project.root / PLAN_FOLDER / suite
    before = last_ended(home)
    launch.options = replace(launch.options, shared=services.lent(suite), selected_by=part.chosen.by)
    try:
        code = dag.run(launch, suite, part.plan, part.chosen.tasks)
    except OrchestraError as error:
        warn(letter(error.message, error.hint))
        code = error.exit_code
    last = last_ended(home)
    made = last if last != before else None
    return _Ended(suite, code, made.name if made else "", _verdicts(made) if made else "", time.monotonic() - begun)


def _verdicts(folder: Path) -> str:
    counts = known_fields(os.fspath(folder), {"counts"}).get("counts", {})
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


@contextmanager
def _signals() -> Iterator[None]:
    """Let the signals that end a run end the services, too, where they come between two runs."""

    def stop(number: int, frame: object) -> None:
        del frame
        raise SystemExit(128 + number)

    handlers = {number: signal.signal(number, stop) for number in dag.SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
