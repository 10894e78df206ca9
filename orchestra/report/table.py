"""Tables and figures of a report, in words and cells. Pure. May import `rows`, `draw` and `errors`.

One source for the terminal and for Markdown: `cells` gives raw text, each form makes it harmless in its own way.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestra import draw
from orchestra.errors import EXIT_BUG, EXIT_FAILED, EXIT_MACHINE, EXIT_OK, EXIT_USAGE
from orchestra.ledger.event import VERDICTS
from orchestra.report.rows import GOOD, Report, Row

MOST_ROWS = 200
"""On a terminal, a table longer than this shows only the tests that did not plainly pass; summary.md has them all."""
_LEAST_TITLE = 12
# Where a figure would be rounded up to the next unit.
_A_SECOND = 0.9995
_A_MINUTE = 59.95

_MEANING = {
    EXIT_OK: "all good",
    EXIT_FAILED: "tests or gates failed",
    EXIT_USAGE: "spec, plan or command line wrong",
    EXIT_MACHINE: "servers, tools, browser or machine not fit",
    EXIT_BUG: "a bug of orchestra",
}


def duration(seconds: float) -> str:
    """A duration for people: `412 ms`, `1.2 s`, `2 min 05 s`."""
    if seconds < _A_SECOND:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _A_MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s"


def cell(row: Row | None) -> str:
    """Mark, duration and verdict of a test by a method; `-` when it was not selected."""
    if row is None:
        return "-"
    time = duration(row.seconds) if row.attempts else ""
    return " ".join(part for part in (row.mark, time, row.verdict) if part)


def by_test(report: Report) -> dict[str, dict[str, Row]]:
    """The rows of each test by method, tests in the order in which the selection names them first."""
    found: dict[str, dict[str, Row]] = {}
    for row in report.rows:
        found.setdefault(row.test, {})[row.method] = row
    return found


def cells(report: Report, *, only: Callable[[Row], bool] | None = None) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table tests by methods, raw text.

    Args:
        report: of the run.
        only: a test is left out when this holds for none of its rows.
    """
    table = []
    for test, rows in by_test(report).items():
        if only is None or any(map(only, rows.values())):
            title = next(iter(rows.values())).title
            table.append([test, title, *(cell(rows.get(method)) for method in report.methods)])
    return ["test", "title", *report.methods], table


def render_table(report: Report, form: Literal["terminal", "markdown"], width: int | None = None) -> str:
    """The table tests by methods as text for a terminal of `width` columns, or as a table of Markdown."""
    if form == "terminal":
        return terminal_tests(report, width)
    heads, rows = cells(report)
    escaped = [[draw.markdown(draw.one_line(text)) for text in row] for row in rows]
    return draw.markdown_table([draw.markdown(head) for head in heads], escaped)


def terminal_tests(report: Report, width: int | None = None) -> str:
    """The table for a terminal. Titles are cut to fit its width; a very long table says what it leaves out."""
    heads, rows = cells(report)
    left_out = 0
    if len(rows) > MOST_ROWS:
        everything = len(rows)
        heads, rows = cells(report, only=lambda row: row.verdict != "passed")
        left_out = everything - len(rows)
    if width is not None:
        others = (heads[0], *heads[2:])
        columns = zip(others, *((row[0], *row[2:]) for row in rows), strict=True)
        taken = sum(2 + max(map(draw.width, map(draw.one_line, column))) for column in columns)
        room = max(_LEAST_TITLE, width - taken)
        rows = [[row[0], draw.clip(draw.one_line(row[1]), room), *row[2:]] for row in rows]
    text = draw.terminal_table(heads, rows)
    return f"{text}\n({left_out} tests that passed are not shown here)" if left_out else text


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Rows by verdict, all nine words."""
    found: dict[str, int] = dict.fromkeys(VERDICTS, 0)
    for row in rows:
        found[row.verdict] += 1
    return found


def counted(rows: Sequence[Row]) -> str:
    """The counts in words: `14 passed, 1 failed, 1 blocked; 16 in all`."""
    words = [f"{number} {verdict}" for verdict, number in counts(rows).items() if number]
    return f"{', '.join(words)}; {len(rows)} in all" if words else "none selected"


def values_text(values: Sequence[tuple[str, object]]) -> str:
    """The metrics that a gate read: `failed = 2, pass_rate = 0.875`."""
    return ", ".join(f"{name} = {_number(value)}" for name, value in values)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if value != int(value) else f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the tests that ran by more than one method, those with the same outcome (good or not) by all."""

    same: int
    compared: int
    disagreeing: tuple[tuple[Row, ...], ...] = ()

    def lines(self) -> Iterator[str]:
        """In words; nothing when no test ran by two methods."""
        if self.compared:
            yield f"{self.same} of {self.compared} tests agree"
        for rows in self.disagreeing:
            yield f"{rows[0].test} disagrees: {', '.join(f'{row.method} {row.verdict}' for row in rows)}"


def agreement(report: Report) -> Agreement:
    """How far the methods agree. The definition is that of the metric `agreement`."""
    ran = [tuple(row for row in rows.values() if row.attempts) for rows in by_test(report).values()]
    pairs = [rows for rows in ran if len(rows) > 1]
    apart = tuple(rows for rows in pairs if len({row.verdict in GOOD for row in rows}) > 1)
    return Agreement(len(pairs) - len(apart), len(pairs), apart)


@dataclass(frozen=True, slots=True)
class Overhead:
    """What a method takes more than the first one, over the tests that passed by both.

    Attributes:
        method, base: ids.
        tests: how many were compared.
        ratio: median of the tests' ratios of seconds, None when the base took no measurable time.
        seconds: median of the tests' differences, in seconds.
    """

    method: str
    base: str
    tests: int
    ratio: float | None
    seconds: float

    def text(self) -> str:
        """In words."""
        sign = "-" if self.seconds < 0 else "+"
        ratio = f"median {self.ratio:.2f} x, " if self.ratio is not None else ""
        number = f"{self.tests} test{'s' * (self.tests != 1)}"
        more = f"{sign}{duration(abs(self.seconds))}"
        return f"{self.method} against {self.base}: {ratio}{more} a test ({number} passed by both)"


def overhead(report: Report) -> tuple[Overhead, ...]:
    """The overhead of each method over the first."""
    if not report.methods:
        return ()
    base, *others = report.methods
    found = []
    for method in others:
        pairs = [
            (rows[base].seconds, rows[method].seconds)
            for rows in by_test(report).values()
            if base in rows and method in rows and _executed_well(rows[base]) and _executed_well(rows[method])
        ]
        if pairs:
            ratios = [second / first for first, second in pairs if first > 0]
            ratio = statistics.median(ratios) if ratios else None
            more = statistics.median(second - first for first, second in pairs)
            found.append(Overhead(method, base, len(pairs), ratio, more))
    return tuple(found)


def _executed_well(row: Row) -> bool:
    return row.attempts > 0 and row.verdict in GOOD


def exit_meaning(report: Report) -> str:
    """The exit code and what it means; that a run has none is said, too."""
    code = report.exit_code
    if code is None:
        return "none: the run did not finish; what has no verdict is listed as never ran"
    if report.interrupted and code not in _MEANING:
        return f"{code}: interrupted by {report.interrupted}"
    return f"{code}: {_MEANING.get(code, 'not a code of orchestra')}"
