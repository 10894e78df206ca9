"""Create the observers of a run: the console, and the writer of the files at its end.

`write` makes the same files later, from the ledger alone.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestra.errors import OrchestraError
from orchestra.ledger import history
from orchestra.ledger.disk import replace_file
from orchestra.ledger.event import Event
from orchestra.ledger.reading import read
from orchestra.ledger.running_step import running_steps
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.view import Observer, View
from orchestra.plan import Plan
from orchestra.plugins import PluginError
from orchestra.report.advice.waits import Waits
from orchestra.report.console.brief import AGENT_VARIABLES, Brief
from orchestra.report.console.display import QUIET_SECONDS, Commands, Feed, Plain
from orchestra.report.forms import Form, forms_of, page
from orchestra.report.github import Github, command, github
from orchestra.report.loading import ended, relative, report_of
from orchestra.report.rows import Report


class Written(NamedTuple):
    """The files of a report that were written, and why those of plug-ins were not."""

    paths: tuple[Path, ...] = ()
    faults: tuple[str, ...] = ()


def write(root: Path, plan: Plan, folder: Path) -> Written:
    """Write the files of a report from the ledger of a run.

    Raises:
        LedgerError: the ledger is damaged.
        MachineError: it cannot be read, a file cannot be written, or a plug-in cannot be loaded.
    """
    forms = forms_of(plan, root)
    return _write(root, folder, report_of(root, plan, folder), forms)


def observers(
    root: Path, plan: Plan, folder: Path, *, brief: bool | None = None, in_job: bool = True, drawn: bool = True
) -> Sequence[Observer]:
    """Return the observers of a run: the writer of its files, then the console, which names them.

    Args:
        root: the project root.
        plan: the suite.
        folder: the run's; of a run that is resumed it holds a ledger already.
        brief: print the short form; None leaves it to the environment.
        drawn: draw on a terminal; a run that asks the person there prints lines instead.
        in_job: in GitHub Actions, annotate the job; a detached run prints into a file, and its job may have ended.

    Raises:
        LedgerError: that ledger is damaged.
        MachineError: it cannot be read.
        PluginError: a report format cannot be loaded.
    """
    job = github(root, os.environ) if in_job else None
    files = _Files(root, folder, plan, job)
    group = command("group", f"Tests of {plan.suite}")
    commands = Commands([group], ["::endgroup::"], lambda: files.annotations) if job is not None else None
    if for_agent() if brief is None else brief:
        return (files, Plain(Brief(plan, relative(folder, root), lambda: files.read_on), sys.stderr, None, commands))
    live = drawn and _live()
    earlier = history.load(folder.parent.parent / history.LAST) if live else {}
    feed = Feed(
        plan,
        relative(folder, root),
        lambda: files.read_on,
        steps=lambda: running_steps(folder),
        known={task: one.seconds for task, one in earlier.items()},
    )
    if live:
        from orchestra.report.console.screen import Screen  # noqa: PLC0415 - rich is a twentieth of a start: for terminals only

        return files, Screen(feed, sys.stderr)
    return files, Plain(feed, sys.stderr, QUIET_SECONDS if drawn else None, commands)


def for_agent() -> bool:
    """Return whether a coding agent started this process: the short form of output is the default then."""
    return any(os.environ.get(name) for name in AGENT_VARIABLES)


def _live() -> bool:
    """Return True if stderr is a terminal that can be drawn on, with a person before it."""
    return (
        sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"} and not os.environ.get("CI")
    )


def _write(root: Path, folder: Path, report: Report, forms: Mapping[str, Form]) -> Written:
    """Write each form; one of a plug-in that fails costs no other."""
    paths, faults = [], []
    for form in forms.values():
        try:
            text = form.make(report, relative(folder, root))
        except PluginError as error:
            faults.append(error.message)
            continue
        replace_file(folder / form.file, text.encode(errors="backslashreplace"))
        paths.append(folder / form.file)
    return Written(tuple(paths), tuple(faults))


class _Files:
    """Writes the files when the run is over."""

    def __init__(self, root: Path, folder: Path, plan: Plan, job: Github | None = None) -> None:
        self._root, self._folder, self._plan, self._job = root, folder, plan, job
        self._forms = forms_of(plan, root)  # a plug-in that cannot be loaded ends the run before it begins
        self._waits = Waits(plan.tests)
        self._warmed = False
        self.read_on: list[str] = []
        self.annotations: list[str] = []
        self.written: tuple[Path, ...] = ()
        if (folder / LEDGER).exists():
            for event in read(folder / LEDGER):
                self._waits.see(event)

    def see(self, event: Event, view: View) -> None:
        """One event."""
        del view
        self._waits.see(event)
        if not self._warmed and event.type == "attempt_started":
            self._warmed = True
            threading.Thread(target=page, name="imports of the report").start()

    def close(self, view: View) -> None:
        """Write the files. A disk error does not undo the run, because the ledger is closed already, so it is reported."""
        try:
            found = ended(self._root, self._folder, self._plan, view, self._waits)
            self.written, faults = _write(self._root, self._folder, found, self._forms)
        except OrchestraError as error:
            self.read_on = [f"{error.message}; the ledger is whole: {relative(self._folder / LEDGER, self._root)}"]
        else:
            paths = [relative(path, self._root) for path in self.written] or [relative(self._folder, self._root)]
            self.read_on = [*paths, *faults]
            if self._job is not None:
                self.annotations = self._job.annotations(found)
                fault = self._job.write_summary(found, relative(self._folder, self._root))
                self.read_on += [fault] if fault else []
