"""What people see while a run goes on: plain lines here, a live display on a terminal. May import `lines`, `rows`, rich."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from orchestra.ledger.event import Event
from orchestra.plan import Plan
from orchestra.report import lines
from orchestra.report.rows import Collector


class Plain:
    """One line an event, for pipes and logs."""

    def __init__(
        self, plan: Plan, collector: Collector, folder: str, out: TextIO, read_on: Callable[[], list[str]]
    ) -> None:
        self._tests = {test.id: test for test in plan.tests}
        self._collector = collector
        self._folder = folder
        self._out = out
        self._read_on = read_on

    def see(self, event: Event) -> None:
        """One event."""
        self._collector.see(event)
        if event.type == "verdict":
            row = self._collector.row(event.body["task"], self._tests)
            self._out.write("".join(f"{text}\n" for text in lines.verdict_lines(row, self._folder)))
        elif text := lines.event_line(event):
            self._out.write(f"{text}\n")

    def close(self) -> None:
        """The closing table."""
        report = self._collector.report()
        self._out.write("".join(f"{text}\n" for text in lines.closing(report, self._read_on())))
        self._out.flush()


def relative(path: Path, root: Path) -> str:
    """The path relative to the root when it lies inside, for people and for CI."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
