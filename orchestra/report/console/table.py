"""Tables and figures of a report, in words and cells. Pure.

One source for the terminal and for Markdown; each form makes text harmless in its own way.
"""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestra import draw
from orchestra.draw import duration
from orchestra.errors import EXIT_BUG, EXIT_FAILED, EXIT_MACHINE, EXIT_OK, EXIT_USAGE
from orchestra.ledger.event import VERDICTS, Compared
from orchestra.ledger.outcome import FINE, GOOD, compared, with_cases
from orchestra.report.rows import IncidentRow, Report, Row

MOST_ROWS = 40
"""On a terminal, a table longer than this shows only the tests that did not plainly pass; summary.md has them all."""

NAMED = 30
"""Tests that a command names."""

_LEAST_TITLE = 12

_MEANING = {
    EXIT_OK: "all good",
    EXIT_FAILED: "tests or gates failed",
    EXIT_USAGE: "spec, plan or command line invalid",
    EXIT_MACHINE: "servers, tools, browser or machine not healthy",
    EXIT_BUG: "a bug of orchestra",
}


def parts(row: Row | None) -> tuple[str, str, str]:
    """Mark, duration and verdict of a test by a method; a dash when it was not selected.

    A failed test has its speed class in the data and shows no mark: a smiling face next to `failed` would mislead.
    """
    if row is None:
        return "", "", "-"
    return "" if row.verdict == "failed" else row.mark, duration(row.seconds) if row.attempts else "", row.verdict


def by_test(report: Report) -> dict[str, dict[str, Row]]:
    """Return the rows of each test by method, tests in the order in which the selection names them first."""
    by_test: dict[str, dict[str, Row]] = {}
    for row in report.rows:
        by_test.setdefault(row.test, {})[row.method] = row
    return by_test


def render_table(report: Report, form: Literal["terminal", "markdown"], width: int | None = None) -> str:
    """Return the table tests by methods: one row a test, for each method mark, duration and verdict.

    Args:
        report: of the run.
        form: for a terminal in aligned columns, or as a table of Markdown.
        width: columns of the terminal, None for as many as it takes; titles are cut to fit.
    """
    tests = by_test(report)
    if form == "markdown":
        heads = ["test", "title", *report.methods]
        rows = [
            [test, _title(rows), *(" ".join(filter(None, parts(rows.get(one)))) for one in report.methods)]
            for test, rows in tests.items()
        ]
        escaped = [[draw.markdown(draw.one_line(text)) for text in row] for row in rows]
        return draw.markdown_table([draw.markdown(draw.one_line(head)) for head in heads], escaped)
    left_out = 0
    if len(tests) > MOST_ROWS:
        shown = {test: rows for test, rows in tests.items() if not all(map(_plain, rows.values()))}
        left_out = len(tests) - len(shown)
        tests = shown
    tests = dict(sorted(tests.items(), key=lambda one: all(row.verdict in FINE for row in one[1].values())))
    heads = ["test", "title", *(text for method in report.methods for text in (method, "", ""))]
    rows = [
        [test, _title(rows), *(text for one in report.methods for text in _parts(rows.get(one)))]
        for test, rows in tests.items()
    ]
    table = draw.terminal_table(heads, rows if width is None else _fitted(heads, rows, width))
    return f"{table}\n({left_out} tests that passed are not shown here)" if left_out else table


def _plain(row: Row) -> bool:
    return row.verdict == "passed" and not row.degraded


def _parts(row: Row | None) -> tuple[str, str, str]:
    """Return the parts of a cell, with a verdict that names an excused and a degraded test."""
    mark, time, verdict = parts(row)
    if row is None:
        return mark, time, verdict
    more = [word for word, applies in (("excused", row.excused), ("degraded", row.degraded)) if applies]
    return mark, time, f"{verdict} ({', '.join(more)})" if more else verdict


def commands(report: Report) -> Iterator[str]:
    """Yield the commands that take one further: what failed again, by each method where methods differ."""
    bad: dict[str, list[str]] = {}
    for row in report.rows:
        if row.verdict not in FINE and row.verdict != "blocked" and not row.excused:
            bad.setdefault(row.method, []).append(row.test)
    if report.exit_code is None or report.interrupted:
        yield f"{report.tool} run --suite {report.suite} --resume {report.run}"
    for method, tests in bad.items():
        yield f"{run_again(report)} {' '.join(map(shlex.quote, tests[:NAMED]))} --method {method}"


def run_again(report: Report, option: str = "") -> str:
    """Return the words that begin each command that runs tests of a report again: as that run did."""
    profile = f" --profile {report.profile}" if report.profile else ""
    return f"{report.tool} run{option} --suite {report.suite}{profile}"


def _title(rows: Mapping[str, Row]) -> str:
    return next(iter(rows.values())).title


def _fitted(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Return the rows with titles cut so that a line takes at most `width` columns, if titles can be cut that far."""
    columns = [column for number, column in enumerate(zip(heads, *rows, strict=True)) if number != 1]
    taken = sum(2 + max(draw.width(draw.one_line(text)) for text in column) for column in columns)
    room = max(_LEAST_TITLE, width - taken)
    return [[row[0], _clip(draw.one_line(row[1]), room), *row[2:]] for row in rows]


def _clip(text: str, columns: int) -> str:
    """Return the text cut to so many columns; `draw.clip` counts characters, and wide ones take two columns."""
    if draw.width(text) <= columns:
        return text
    length = columns
    while draw.width(short := draw.clip(text, length)) > columns:
        length -= 1
    return short


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Rows by verdict, all nine words."""
    counts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
    for row in rows:
        counts[row.verdict] += 1
    return counts


def counted(rows: Sequence[Row]) -> str:
    """Return the counts in words: `14 passed, 1 failed, 1 blocked; 16 in all`."""
    words = [f"{number} {verdict}" for verdict, number in counts(rows).items() if number]
    return f"{', '.join(words)}; {len(rows)} in all" if words else "none selected"


def values_text(values: Sequence[tuple[str, object]]) -> str:
    """Return the metrics that a gate read: `failed = 2, pass_rate = 0.875`."""
    return ", ".join(f"{name} = {_number(value)}" for name, value in values)


def gate_remark(result: str, expression: str, message: str) -> str:
    """Return the text of a gate besides its condition; empty if it passed or would only repeat the condition."""
    return "" if result == "passed" or message.endswith(f": {expression}") else message


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
    """Return the agreement of the methods, as the metric `agreement` defines it."""
    executed = ((row.method, row.test, row.verdict, row.cases, row) for row in report.rows if row.attempts)
    pairs = compared(with_cases(executed, lambda row, case: replace(row, test=case.of, verdict=case.verdict)))
    apart = tuple(rows for agree, rows in pairs if not agree)
    return Agreement(len(pairs) - len(apart), len(pairs), apart)


@dataclass(frozen=True, slots=True)
class Overhead:
    """The additional time of a method over the first one, for the tests that passed by both.

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
    """Return the overhead of each method over the first."""
    if not report.methods:
        return ()
    base, *others = report.methods
    overheads = []
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
            overheads.append(Overhead(method, base, len(pairs), ratio, more))
    return tuple(overheads)


def _executed_well(row: Row) -> bool:
    return row.attempts > 0 and row.verdict in GOOD


def incident_parts(row: IncidentRow) -> tuple[str, ...]:
    """Return an incident in words: its id, how long and how it ended, what it touched, what was seen."""
    by = f" by {', then '.join(row.recovery_steps)}" if row.recovery_steps else ""
    ended = f"{row.outcome}{by}" if row.outcome in {"recovered", "failed"} else row.outcome
    number = len(row.tests)
    touched = f"{number} test{'s' * (number != 1)} overlapped" if number else "no test overlapped"
    return row.id, duration(row.seconds) if row.seconds is not None else "", ended, touched, row.reason


def pace_text(compared: Compared) -> str:
    """Return a suspicious duration in words, with every number that the finding rests on."""
    taken = ", ".join(f"{seconds:.3g}" for seconds in (compared.seconds, *compared.repeats))
    confirmed = compared.result != "unconfirmed"
    finding = f"{compared.suspected} than its baseline" if confirmed else f"looked {compared.suspected}, not confirmed"
    usual = f"median {compared.median_seconds:.3g} s, MAD {compared.mad_seconds:.2g} s over {compared.runs} runs"
    why = f"; {compared.reason}" if compared.reason else ""
    return f"{finding}: {taken} s; {usual}; limit {compared.limit_seconds:.3g} s{why}"


def exit_meaning(report: Report) -> str:
    """Return the exit code and its meaning, also for a run without one."""
    code = report.exit_code
    if code is None:
        return "none: the run did not finish; tests without a verdict are listed as never ran"
    if report.interrupted and code not in _MEANING:
        return f"{code}: interrupted by {report.interrupted}"
    return f"{code}: {_MEANING.get(code, 'not a code of orchestra')}"
