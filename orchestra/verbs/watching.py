"""`orchestra run --watch`: after each save run the tests that rest on the change, and those that failed."""

from __future__ import annotations

import dataclasses
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestra.diagnostic import listed
from orchestra.errors import EXIT_OK, EXIT_SIGINT, OrchestraError, SpecError, UsageError
from orchestra.ledger.event import Selector
from orchestra.ledger.runs import LAST
from orchestra.plan import Plan
from orchestra.printing import letter, unbroken
from orchestra.project import PLAN_FOLDER, Project
from orchestra.report.console.lines import line
from orchestra.runtime import dag, inherited
from orchestra.runtime.dag import Launch
from orchestra.runtime.engine.spare import Spares
from orchestra.runtime.select import among, with_needs
from orchestra.runtime.servers import up
from orchestra.runtime.servers.shared import WATCH, Shared
from orchestra.runtime.servers.up import UpRow
from orchestra.runtime.since import Revision, Stamps, reasons, stamps
from orchestra.verbs.choosing import Choice, choose, failures_of
from orchestra.verbs.group import warn
from orchestra.verbs.opening import opener, start
from orchestra.verbs.proven import proven_plan

FOLDER = "watched"
"""The folder of a suite for what stays up between the runs of a watch."""

LOOK_SECONDS = 0.03
"""The pause between two looks at the files; a look at many files takes its time, and the pause is ten times as long."""

SETTLE_SECONDS = 0.05
"""The time without a change after which a change is whole: an editor writes several files, or one in parts."""

_ALL, _FAILED, _OPEN, _QUIT = "a", "f", "o", "q"


class Services:
    """The services of a suite, which stay up between its runs. Those of other files than are there now are started again.

    Args:
        project: of the suite.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._shared: Shared | None = None
        self._of: tuple[object, ...] = ()

    def lent(self, plan: Plan, tasks: Sequence[str]) -> dict[str, UpRow]:
        """Return the rows that a run may use, each healthy.

        Args:
            plan: of the run.
            tasks: whose services stay up.
        """
        root, home = self._project.root, self._project.root / PLAN_FOLDER / plan.suite
        ids = {task.partition(":")[2] for task in with_needs(plan, tasks)}
        required = sorted({name for test in plan.tests if test.id in ids for name in test.requires})
        of = (plan.suite, plan.components, plan.tls, plan.secrets, required)
        if of != self._of or up.read(home) is not None:
            self.close()
        if up.read(home) is not None:  # the run uses what `orchestra up` has started
            return {}
        if self._shared is None:
            inherits = inherited.of_plan(root, plan, os.environ)
            suites = {plan.suite: (plan, required)}
            self._shared, self._of = Shared(root, home / FOLDER, suites, inherits, by=WATCH), of
        elif old := self._shared.end_old():
            warn(line("restart", ", ".join(old), "its files have changed"))
        for reason in self._shared.prepare(plan.suite, ()):
            warn(f"note: {unbroken(reason)}, so the run starts its own")
        return self._shared.lent(plan.suite)

    def close(self) -> None:
        """End them."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None


@dataclass(slots=True)
class Watched:
    """A suite whose files are watched.

    Attributes:
        root: the project root.
        home: `.orchestra/<suite>`, absolute.
        load: returns the plan as it is now, compiled again if it is stale.
        choose: returns the tasks of the command line in a plan.
        execute: carries out a run, and returns its exit code.
        plan: of the last run; None before the first one.
        files: the files that its tests rest on, as they were when it began.
        seen: the same files at the last look, after a mistake in the spec, too.
        code: the exit code of the last run.
    """

    root: Path
    home: Path
    load: Callable[[], Plan]
    choose: Callable[[Plan], list[str]]
    execute: Callable[[Plan, Sequence[str]], int]
    plan: Plan | None = None
    files: Stamps = field(default_factory=dict)
    seen: Stamps = field(default_factory=dict)
    code: int = EXIT_OK

    def run(self, which: str = "") -> None:
        """Run all tests of the command line, those that failed, or those that a change touched and those that failed.

        A mistake is printed, and the last plan stays: the next save may fix it.

        Args:
            which: a key; empty after a change.
        """
        if self.plan is not None:
            self.seen = stamps(self.root, self.plan)
        try:
            plan = self.load()
            self.seen = stamps(self.root, plan)
            tasks = self._tasks(plan, which)
        except SpecError as error:
            warn("\n".join(listed(error.diagnostics)))
            return
        except OrchestraError as error:
            warn(letter(error.message, error.hint))
            return
        self.files = self.seen
        if not tasks:
            warn(line("watching", "no test failed" if which == _FAILED else "no test rests on this change"))
            return
        self.plan = plan
        self.code = self.execute(plan, tasks)

    def _tasks(self, plan: Plan, which: str) -> list[str]:
        tasks = self.choose(plan)
        if which == _ALL or self.plan is None:
            return tasks
        failed = set(failures_of(self.home, LAST).tasks)
        if which == _FAILED:
            return among(tasks, failed)
        changed = {path for path in {*self.files, *self.seen} if self.files.get(path) != self.seen.get(path)}
        since = Revision("the last run", "", self.files.keys(), changed, plan=self.plan)
        return among(tasks, reasons(self.root, plan, since).keys() | failed)

    def changed(self) -> bool:
        """Return whether a file has changed since the last look of a run, once no file changes any more."""
        if self.plan is None:
            return False
        now = stamps(self.root, self.plan)
        if now == self.seen:
            return False
        while True:  # a storm of changes is one change
            time.sleep(SETTLE_SECONDS)
            later = stamps(self.root, self.plan)
            if later == now:
                return True
            now = later


def watch(watched: Watched) -> int:
    """Run tests, then again after each change and by keys, until a key ends it. Return the exit code of the last run.

    Raises:
        UsageError: there is no terminal for the keys.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("--watch needs a terminal: it is ended by a key", "run without --watch")
    watched.run(_ALL)
    if watched.plan is None:
        return watched.code or UsageError.exit_code
    with _keys():
        while watched.code < EXIT_SIGINT:
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
            warn(line("watching", "a all", "f failed", "o open the report", "q quit"))
            key = _wait(watched)
            if key == _QUIT:
                break
            if key == _OPEN:
                _open_report(watched)
            else:
                watched.run(key)
    return watched.code


def watch_suite(launch: Launch, choice: Choice, name: str) -> int:
    """Run a suite again after each change of its files, with services and workers that stay up."""
    root, services = launch.project.root, Services(launch.project)
    spares = Spares(root, root / PLAN_FOLDER / name / FOLDER)
    launch.options = dataclasses.replace(launch.options, spares=spares)
    try:
        return watch(_watched(launch, choice, name, services))
    finally:
        spares.close()
        services.close()


def _watched(launch: Launch, choice: Choice, name: str, services: Services) -> Watched:
    """Return the suite of a run, to be run again after each change of its files."""
    project, profile, options = launch.project, launch.profile, launch.options

    def execute(plan: Plan, tasks: Sequence[str]) -> int:
        every = choose(plan, choice, project)
        by = (*every.by, Selector("--watch", "leaves", len(tasks)))
        lent = services.lent(plan, every.tasks)
        launch.options = dataclasses.replace(options, force=True, selected_by=by, shared=lent)
        return dag.run(launch, name, plan, tasks)

    return Watched(
        root=project.root,
        home=project.root / PLAN_FOLDER / name,
        load=lambda: proven_plan(project, name, profile, renew=True),
        choose=lambda plan: choose(plan, choice, project).tasks,
        execute=execute,
    )


def _wait(watched: Watched) -> str:
    """Wait for a key or a change, and return the key; empty for a change."""
    while True:
        begun = time.monotonic()
        if watched.changed():
            return ""
        pause = max(LOOK_SECONDS, 10 * (time.monotonic() - begun))
        if select.select([sys.stdin], [], [], pause)[0]:
            key = os.read(sys.stdin.fileno(), 1).decode(errors="replace").lower()
            if key in {_ALL, _FAILED, _OPEN, _QUIT}:
                return key
            if key in {"", "\x04"}:  # the terminal is gone, or its input has ended
                return _QUIT


def _open_report(watched: Watched) -> None:
    file = watched.home / "runs" / LAST / "report.html"
    with suppress(UsageError):
        start(watched.root, opener(watched.root), str(file))
        return
    warn(line("report", str(file)))


@contextmanager
def _keys() -> Iterator[None]:
    """Let keys come without a line end, and not be shown."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    except KeyboardInterrupt:
        return
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
