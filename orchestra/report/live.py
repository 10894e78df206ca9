"""A run as it is now, for the page that follows it: its ledger, read as it grows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from orchestra.ledger.lock import under_way
from orchestra.ledger.parts import Evidence
from orchestra.ledger.reading import Tail
from orchestra.ledger.running_step import running_steps
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.view import View
from orchestra.pause import pause_seconds
from orchestra.plan import Plan
from orchestra.report import loading
from orchestra.report.advice.waits import Waits
from orchestra.report.console.lines import step_words
from orchestra.report.page import encoded, page
from orchestra.report.page_data import Page, Progress
from orchestra.report.rows import Report

SHARE: Final = 100
"""The data are made again after so many times the processor time that this took: a page that is followed takes 1 % of a core."""

LEAST_SECONDS: Final = 1.0
"""The data of a run under way are made again after this time at the earliest."""

MOST_SECONDS: Final = 30.0
"""And after this time at the latest, where something has changed: those of ten thousand tests take a third of a second."""


class Made(NamedTuple):
    """A page and its data: of which event, whether the run was under way, and when they may be made again."""

    page: Page
    data: bytes
    of: tuple[int, bool]
    due: float


class Live:
    """Reads a run, under way or ended, for several threads.

    Args:
        root: the project root.
        folder: the run's.
        plan: that it executes.
        clock: in seconds.
    """

    def __init__(self, root: Path, folder: Path, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self._root, self._folder, self._plan, self._clock = root, folder, plan, clock
        self._tests = {test.id: test for test in plan.tests}
        self._tail, self._view, self._waits = Tail(folder / LEDGER), View(), Waits(plan.tests)
        self._lock = threading.Lock()
        self._going = True
        self._made: Made | None = None
        self._before: Report | None = None

    def poll(self) -> tuple[int, bool]:
        """Read what is new, and return the number of the latest event and whether the run is under way.

        Raises:
            LedgerError: the ledger is damaged.
            MachineError: it cannot be read.
        """
        with self._lock:
            return self._poll()

    def _poll(self) -> tuple[int, bool]:
        self._going = under_way(self._folder)  # asked before the file is read, so that its last event is not missed
        for event in self._tail.poll():
            self._view.see(event)
            self._waits.see(event)
        return self._view.seq, self._going

    def steps(self) -> str:
        """Return the running steps as JSON on one line: by task its words, and the seconds of the epoch of its begin."""
        tests, steps = self._tests, running_steps(self._folder)
        words = {task: (step_words(one, tests.get(task.partition(":")[2])), one.since) for task, one in steps.items()}
        return msgspec.json.encode(words).decode()

    def now(self) -> Made:
        """Return the page, made again when events came; of a run under way not more often than it may cost. Raises as `poll`."""
        with self._lock:
            of, begun, worked = self._poll(), self._clock(), time.thread_time()
            if self._made is not None and (self._made.of == of or (self._going and begun < self._made.due)):
                return self._made
            made = self._page()
            took = time.thread_time() - worked
            due = begun + pause_seconds(took, parts=SHARE, least=LEAST_SECONDS, most=MOST_SECONDS)
            self._made = Made(made, encoded(made), of, due)
            return self._made

    def _page(self) -> Page:
        folder = loading.relative(self._folder, self._root)
        if not self._going:
            report = loading.ended(self._root, self._folder, self._plan, self._view, self._waits)
            return page(report, folder, served=True)
        self._before = loading.under_way(self._root, self._folder, self._plan, self._view, self._before)
        current = self._view.current
        nodes = {task: seen.body.node for task, seen in current.items()}
        progress = Progress(frozenset(current), frozenset(self._view.pending), nodes)
        return page(self._before, folder, progress=progress, served=True)

    def file(self, digest: str) -> Evidence | None:
        """Return the file of evidence with this digest; None where the record names none: nothing else may be shown."""
        with self._lock:
            attempts = (seen.body for life in self._view.lives.values() for seen in life.attempts)
            return next((one for body in attempts for one in body.evidence if one.digest == digest), None)
