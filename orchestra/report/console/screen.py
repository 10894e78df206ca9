"""Draw a run on a terminal: progress, running tests and the last verdicts at its bottom, all else above them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestra.draw import duration, width
from orchestra.ledger.event import Event, GateJudged, ServiceChanged, VerdictGiven
from orchestra.ledger.outcome import FINE
from orchestra.ledger.running_step import RunningStep
from orchestra.ledger.view import View
from orchestra.printing import printed
from orchestra.report.console import lines
from orchestra.report.console.display import SHOWN_RUNNING, Feed

REFRESH_SECONDS = 0.1
FORECAST_SECONDS = 2.0
"""The forecast is made again after this time at the earliest: it looks at every test that waits."""
_SHOWN_RECENT = 4
_BAR_COLUMNS = 30
_HEAD_COLUMNS = 4
"""Progress, its bar, the time, and the forecast; the verdicts follow."""
_MINUTE = 60
_LEAST_TITLE = 8
"""A title that would be shorter than this is left out of its line."""

_STYLES: Mapping[str, str] = {
    "passed": "green",
    "unchanged": "green",
    "flaky": "yellow",
    "retry": "yellow",
    "warned": "yellow",
    "skipped": "dim",
    "failed": "bold red",
    "timeout": "bold red",
    "error": "bold red",
    "blocked": "red",
    "interrupted": "bold yellow",
    "incident": "bold yellow",
}


class Screen:
    """A live display at the bottom of a terminal; what is not a plain pass stays above it.

    Args:
        feed: what is known of the run.
        out: a terminal.
        refresh_seconds: how often the display is drawn, at most.
    """

    def __init__(self, feed: Feed, out: TextIO, refresh_seconds: float = REFRESH_SECONDS) -> None:
        self._feed = feed
        self._refresh = refresh_seconds
        self._console = Console(file=out, markup=False, emoji=False, highlight=False)
        self._lock = threading.Lock()
        self._texts: list[str] = []
        self._recent: deque[str] = deque(maxlen=_SHOWN_RECENT)
        self._services: dict[str, str] = {}
        self._begun = feed.clock()
        self._forecast: tuple[float, float | None] = (-FORECAST_SECONDS, None)
        self._view = View()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="console", daemon=True)
        self._thread.start()

    def see(self, event: Event, view: View) -> None:
        """One event."""
        with self._lock:
            self._view = view
            row, texts = self._feed.take(event, view)
            self._foresee()
            match event.body:
                case VerdictGiven() if row is not None and row.verdict in FINE and not row.degraded:
                    self._recent.append(texts[0])
                case ServiceChanged(component=name, state="starting" | "unhealthy"):
                    self._services[name] = texts[0]
                case ServiceChanged(component=name, state=state):
                    self._services.pop(name, None)
                    self._texts += texts if state == "failed" else []
                case GateJudged(result="passed" | "not_applicable"):
                    pass
                case _:
                    self._texts += texts

    def close(self, view: View) -> None:
        """Take the display away and write the end of the run."""
        self._stop.set()
        self._thread.join()
        with suppress(OSError, ValueError):
            report, texts = self._feed.closing(view, self._console.width)
            styles = {
                **_STYLES,
                **{row.test: _STYLES[row.verdict] for row in reversed(report.rows) if row.verdict not in FINE},
            }
            self._print(texts, styles)

    def _work(self) -> None:
        with suppress(OSError, ValueError):  # the terminal has gone: the run goes on
            display = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
            with display:
                self._console.show_cursor(True)  # so that it is there whatever ends the run
                while not self._stop.wait(self._refresh):
                    self._draw(display)
                self._draw(display)

    def _draw(self, display: Live) -> None:
        with self._lock:
            texts, self._texts = self._texts, []
            picture = self._picture()
        if texts:
            self._print(texts, _STYLES)
        display.update(picture, refresh=True)

    def _print(self, texts: Iterable[str], styles: Mapping[str, str]) -> None:
        """Print lines in one call, because each call of rich redraws the display."""
        shown = []
        for text in map(printed, texts):
            first = text.partition(" ")[0]
            shown.append(Text.assemble((first, styles.get(first, "")), text[len(first) :]))
        self._console.print(Text("\n").join(shown), soft_wrap=True)

    def _picture(self) -> Group:
        """Return the display: progress, servers under way, running tests, last verdicts. Called under the lock."""
        now = self._feed.clock()
        verdicts = {verdict: number for verdict, number in self._view.counts.items() if number}
        total, done = len(self._feed.rows.selection(self._view)), sum(verdicts.values())
        head = Table.grid(padding=(0, 1))
        for _ in range(_HEAD_COLUMNS):
            head.add_column(no_wrap=True)
        head.add_column()  # the verdicts are cut where the window is narrow
        words = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
        colour = "green" if FINE.issuperset(verdicts) else "red"
        columns = min(_BAR_COLUMNS, self._console.width // 5)
        bar = ProgressBar(total or 1, done, width=columns, complete_style=colour, finished_style=colour)
        elapsed = _elapsed(now - self._begun)
        head.add_row(
            Text(f"{done}/{total}"),
            bar,
            Text(elapsed),
            Text(self._left(now)),
            Text(words, no_wrap=True, overflow="ellipsis"),
        )
        running = list(self._feed.running.items())
        steps = self._feed.steps()
        tests = [self._running(task, now - since, steps.get(task)) for task, since in running[:SHOWN_RUNNING]]
        if len(running) > SHOWN_RUNNING:
            tests.append(lines.line("running", f"and {len(running) - SHOWN_RUNNING} more"))
        shown = [*self._recent, *self._services.values(), *tests]
        return Group(*(Text(printed(text), no_wrap=True, overflow="ellipsis") for text in shown), head)

    def _running(self, task: str, seconds: float, step: RunningStep | None) -> str:
        """Return the line of a running test: the title is cut so that the step is seen."""
        title, rest = self._feed.title(task), (_elapsed(seconds), *self._feed.on(task), self._feed.step(step))
        text = lines.line("running", task, title, *rest)
        over = width(text) - self._console.width
        if over <= 0 or step is None:
            return text
        kept = len(title) - over - 1
        return lines.line("running", task, f"{title[:kept]}…" if kept >= _LEAST_TITLE else "", *rest)

    def _foresee(self) -> None:
        """Make the forecast of the end from the view, in the thread that changes it."""
        now, view = self._feed.clock(), self._view
        if now - self._forecast[0] >= FORECAST_SECONDS:
            finished = {task: given.seconds for task, given in view.verdicts.items() if given.attempts}
            left = self._feed.left(view.pending, finished) if view.pending or view.current else None
            self._forecast = (now, None if left is None else now + left)

    def _left(self, now: float) -> str:
        """Return the forecast of the end; empty where nothing is known, or when it has passed."""
        end = self._forecast[1]
        return f"about {_elapsed(end - now)} left" if end is not None and end - now >= 1 else ""


def _elapsed(seconds: float) -> str:
    """Return a time that goes on, in whole seconds: the tenths would only flicker."""
    whole = int(seconds)
    return f"{whole} s" if whole < _MINUTE else duration(whole)
