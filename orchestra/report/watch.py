"""Who watches a run: the console, and the files that are written when it ends. May import the report's own parts.

`write` makes the same files later, from the ledger alone.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from orchestra.errors import MachineError, OrchestraError
from orchestra.ledger import baseline, history
from orchestra.ledger.disk import replace_file
from orchestra.ledger.event import Event
from orchestra.ledger.log import read
from orchestra.ledger.runs import LEDGER
from orchestra.places import Places
from orchestra.plan import Plan
from orchestra.report.advice import Known, advise
from orchestra.report.compare import Comparison, with_baselines
from orchestra.report.console import Feed, Plain, Screen
from orchestra.report.ctrf import ctrf
from orchestra.report.fold import Collector
from orchestra.report.junit import junit
from orchestra.report.markdown import markdown
from orchestra.report.rows import Report

ADVISED_RUNS = 30
"""The earlier runs that advice looks at."""


class Observer(Protocol):
    """Somebody who is shown each event once it is written."""

    def see(self, event: Event) -> None:
        """One event."""

    def close(self) -> None:
        """The run is over and sealed."""


FORMS: Mapping[str, Callable[[Report, str], str]] = {"summary.md": markdown, "junit.xml": junit, "ctrf.json": ctrf}
"""The files of a report by name; each is made of the report and the run's folder, relative to the project root."""


def write(root: Path, plan: Plan, folder: Path) -> tuple[Path, ...]:
    """Write the files of a report from the ledger of a run, and give their paths.

    Raises:
        LedgerError: the ledger is damaged.
        MachineError: it cannot be read, or a file cannot be written.
    """
    return _write(root, folder, report_of(root, plan, folder))


def report_of(root: Path, plan: Plan, folder: Path) -> Report:
    """The report of a run from its ledger. Raises as `write`."""
    return _advised(_collector(root, plan, folder), folder)


def _advised(collector: Collector, folder: Path) -> Report:
    """The report, with the advice that this run and those before it give rise to."""
    report = collector.report()
    facts = collector.start.get("provenance", {})
    earlier = history.before(folder.parent.parent, folder.name, ADVISED_RUNS)
    here = tuple(record for record in earlier if record.machine == history.machine_shape(facts))
    workers = collector.start.get("workers", 0)
    waits = [
        dataclasses.replace(wait, place=collector.place_of(wait.place) or wait.place)
        for wait in collector.waits.values()
        if wait.expired  # looking a place up reads the spec, and of the others nothing is said
    ]
    known = Known(collector.plan, report, here, workers, waits)
    return dataclasses.replace(report, advice=advise(known), comparisons=_usual(collector.plan, report, folder, facts))


def _usual(plan: Plan, report: Report, folder: Path, facts: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """The comparisons of methods with the baselines of both; without them when the file is damaged, which the run has said."""
    if not report.comparisons:
        return ()
    try:
        samples = baseline.load(folder.parent.parent / baseline.FILE)
    except MachineError:
        return report.comparisons
    machine = history.machine_shape(facts)
    return tuple(with_baselines(one, samples, machine, plan.baseline) for one in report.comparisons)


def observers(root: Path, plan: Plan, folder: Path) -> Sequence[Observer]:
    """Who watches a run: the writer of its files, then the console, which names them.

    Args:
        root: the project root.
        plan: the suite.
        folder: the run's; of a run that is resumed it holds a ledger already.

    Raises:
        LedgerError: that ledger is damaged.
        MachineError: it cannot be read.
    """
    # Looking a place up reads the spec; while the run goes on, those that the events carry must do.
    seen = _fed(Collector(plan), folder)
    files = _Files(root, folder, seen)
    feed = Feed(plan, seen, relative(folder, root), lambda: files.read_on)
    return (files, Screen(feed, sys.stderr) if _live() else Plain(feed, sys.stderr))


def relative(path: Path, root: Path) -> str:
    """The path relative to the root when it lies inside, for people and for CI."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _live() -> bool:
    """Whether stderr is a terminal that can be drawn on, with a person before it."""
    return (
        sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"} and not os.environ.get("CI")
    )


def _collector(root: Path, plan: Plan, folder: Path) -> Collector:
    return _fed(Collector(plan, _places(root, plan)), folder)


def _places(root: Path, plan: Plan) -> Callable[[str], str]:
    places = Places(root, plan.sources)
    return lambda pointer: places.text((pointer,))


def _fed(collector: Collector, folder: Path) -> Collector:
    """The collector with the events that the run's folder holds already."""
    if (folder / LEDGER).exists():
        for event in read(folder / LEDGER):
            if event.type != "reports":  # what was written of a run is no part of it: else each report had another end
                collector.see(event)
    return collector


def _write(root: Path, folder: Path, report: Report) -> tuple[Path, ...]:
    for name, form in FORMS.items():
        replace_file(folder / name, form(report, relative(folder, root)).encode(errors="backslashreplace"))
    return tuple(folder / name for name in FORMS)


class _Files:
    """Writes the files when the run is over, from what the console has collected: a run need not be kept twice."""

    def __init__(self, root: Path, folder: Path, collector: Collector) -> None:
        self._root = root
        self._folder = folder
        self._collector = collector
        self.read_on: list[str] = []
        self.written: tuple[Path, ...] = ()

    def see(self, event: Event) -> None:
        """One event: the console takes it in."""

    def close(self) -> None:
        """Write. A disk that refuses does not undo the run: the ledger is closed already, so it is said instead."""
        try:
            seen = self._collector
            placed = dataclasses.replace(seen, place_of=_places(self._root, seen.plan))
            self.written = paths = _write(self._root, self._folder, _advised(placed, self._folder))
        except OrchestraError as error:
            self.read_on = [f"{error.message}; the ledger is whole: {relative(self._folder / LEDGER, self._root)}"]
        else:
            self.read_on = [relative(path, self._root) for path in paths] or [relative(self._folder, self._root)]
