"""Show a run in progress on stderr.

`Plain` writes one line per event, for pipes and logs; `screen.Screen` draws at the bottom of a terminal. In
both, `see` only stores data: a thread writes, so a reader that pauses delays only itself.
"""

from __future__ import annotations

import queue
import statistics
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, TextIO

from orchestra.draw import duration
from orchestra.ledger.event import (
    AttemptFinished,
    AttemptStarted,
    Event,
    VerdictGiven,
)
from orchestra.ledger.running_step import RunningStep
from orchestra.ledger.view import View
from orchestra.plan import Plan
from orchestra.printing import printed
from orchestra.report.console import lines
from orchestra.report.fold import Rows, report
from orchestra.report.rows import Report, Row

QUIET_SECONDS = 60.0
"""The time without a line after which a log lists the running tests."""
SHOWN_RUNNING = 8
"""So many running tests are named, the others counted."""


class Feed:
    """The common state of both forms during a run.

    Args:
        plan: the suite.
        folder: the run's, relative to the project root.
        read_on: the paths to name at the end.
        clock: monotonic seconds.
        steps: returns the running step of each task.
        known: seconds that a task took in an earlier run.
    """

    def __init__(
        self,
        plan: Plan,
        folder: str,
        read_on: Callable[[], Sequence[str]],
        clock: Callable[[], float] = time.monotonic,
        *,
        steps: Callable[[], Mapping[str, RunningStep]] = dict,
        known: Mapping[str, float] | None = None,
    ) -> None:
        self.clock = clock
        self.steps = steps
        self._known = known or {}
        self.running: dict[str, float] = {}
        self.nodes: dict[str, str] = {}
        self.rows = Rows(plan)
        self._plan = plan
        self._folder = folder
        self._read_on = read_on

    def take(self, event: Event, view: View) -> tuple[Row | None, list[str]]:
        """Process an event: the row of a verdict, and the lines to print."""
        match event.body:
            case AttemptStarted(task=task, node=node):
                self.nodes[task] = node
                self.running[task] = self.clock()
            case AttemptFinished(task=task):
                self.running.pop(task, None)
            case VerdictGiven(task=task):
                row = self.rows.row(view, task)
                return row, list(lines.verdict_lines(row, self._folder))
        text = lines.event_line(event.body)
        return None, [text] if text else []

    def running_line(self) -> str:
        """Return the running tests, the longest first; empty if there are none."""
        now, steps = self.clock(), self.steps()
        running = ((task, duration(now - since), steps.get(task)) for task, since in list(self.running.items()))
        parts = [
            " ".join((task, took, *self.on(task), *([f"in {step.words()}"] if step is not None else ())))
            for task, took, step in running
        ]
        more = [f"and {len(parts) - SHOWN_RUNNING} more"] if len(parts) > SHOWN_RUNNING else []
        return lines.line("running", *parts[:SHOWN_RUNNING], *more) if parts else ""

    def on(self, task: str) -> tuple[str, ...]:
        """Return where a running test is, in words; none on one machine."""
        node = self.nodes.get(task)
        return (f"on {node}",) if node else ()

    def step(self, step: RunningStep | None) -> str:
        """Return a running step in words; empty for none."""
        return lines.step_words(step, self.rows.tests.get(step.task.partition(":")[2])) if step is not None else ""

    def left(self, waiting: Collection[str], finished: Mapping[str, float]) -> float | None:
        """Return the seconds until the last test ends, as many at a time as now; None where nothing is known.

        Args:
            waiting: tasks that have not begun.
            finished: seconds of those that ran.
        """
        known = {**self._known, **finished}
        if not known:
            return None
        usual, now = statistics.median(known.values()), self.clock()
        left = sum(known.get(task, usual) for task in waiting)
        left += sum(max(0.0, known.get(task, usual) - (now - since)) for task, since in self.running.items())
        return left / max(1, len(self.running))

    def title(self, task: str) -> str:
        """Return the title of a task's test."""
        test = self.rows.tests.get(task.partition(":")[2])
        return test.title if test is not None else ""

    def closing(self, view: View, width: int | None = None) -> tuple[Report, list[str]]:
        """Return the report of the run, and the lines that close it."""
        found = report(self._plan, view)
        return found, list(lines.closing(found, self._read_on(), width))


class Commands(NamedTuple):
    """Commands to a CI that reads the log, around the lines of a run: lines that are written as they are."""

    first: Sequence[str]
    before_closing: Sequence[str]
    last: Callable[[], Sequence[str]]


class Plain:
    """One line an event, in the order of the ledger.

    Args:
        feed: what is known of the run.
        out: where to write.
        quiet_seconds: the time without a line after which the running tests are listed; None for never.
        commands: to the CI that reads `out`.
    """

    def __init__(
        self,
        feed: Feed,
        out: TextIO,
        quiet_seconds: float | None = QUIET_SECONDS,
        commands: Commands | None = None,
    ) -> None:
        self._feed = feed
        self._out = out
        self._quiet = quiet_seconds
        self._commands = commands
        self._queue: queue.SimpleQueue[tuple[Sequence[str], bool] | None] = queue.SimpleQueue()
        if commands is not None:
            self._queue.put((commands.first, True))
        self._thread = threading.Thread(target=self._work, name="console", daemon=True)
        self._thread.start()

    def see(self, event: Event, view: View) -> None:
        """One event."""
        _, texts = self._feed.take(event, view)
        if texts:
            self._queue.put((texts, False))

    def close(self, view: View) -> None:
        """Write what is left and the end of the run."""
        closing = self._feed.closing(view)[1]
        if self._commands is not None:
            self._queue.put((self._commands.before_closing, True))
        self._queue.put((closing, False))
        if self._commands is not None:
            self._queue.put((self._commands.last(), True))
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                due = self._queue.get(timeout=self._quiet)
            except queue.Empty:
                due = ([text] if (text := self._feed.running_line()) else [], False)
            if due is None:
                return
            texts, commands = due
            with suppress(OSError, ValueError):  # the reader has gone, or the stream is closed: the run goes on
                self._out.write("".join(f"{text if commands else printed(text)}\n" for text in texts))
                self._out.flush()
