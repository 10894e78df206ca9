"""The lines of a run for a reader that pays for each: counts, the tests that are not green, the next command. Pure.

A line of text that can hold words of the product (its page, its output, its messages) is marked with `|`, so that a
reader that obeys text cannot take it for one of ours. Long texts and long lists are cut; the record has them whole.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from orchestra.draw import clip, duration, one_line, visible
from orchestra.ledger.event import (
    Event,
    GateJudged,
    Incident,
    Interrupted,
    NodeChanged,
    Note,
    RolledBack,
    RunResumed,
    RunStarted,
    ServiceChanged,
)
from orchestra.ledger.outcome import FINE
from orchestra.ledger.parts import Evidence
from orchestra.ledger.view import View
from orchestra.plan import Plan
from orchestra.report.console.display import Feed
from orchestra.report.console.lines import event_line, expected_text, line
from orchestra.report.console.table import agreement, counted, exit_meaning, gate_remark, run_again, values_text
from orchestra.report.findings import finding_text
from orchestra.report.fold import report
from orchestra.report.rows import Report, Row, explained

AGENT_VARIABLES: Final = (
    *("AI_AGENT", "ANTIGRAVITY_AGENT", "AUGMENT_AGENT", "CLAUDECODE", "CLINE_ACTIVE", "CODEX_CI", "CODEX_SANDBOX"),
    *("CODEX_THREAD_ID", "COPILOT_CLI", "CURSOR_AGENT", "GEMINI_CLI", "GOOSE_TERMINAL", "OPENCODE"),
)
"""Variables that coding agents set for the programs that they start; one with a value makes the short form the default."""

WHOLE: Final = 5
"""So many tests that are not green are shown with step, place, expected, found and evidence."""

NAMED: Final = 15
"""So many are shown at all; `orchestra show --failed` shows the others."""

TEXT_LINES: Final = 4
TEXT_LENGTH: Final = 240
LIST_LENGTH: Final = 240
_ODD_CASES = 3
_PRODUCT = frozenset({"message", "found"})


class Brief(Feed):
    """The state of the short form during a run.

    Args:
        plan: the suite.
        folder: the run's, relative to the project root.
        read_on: the paths of the files of the report; those of `summary.md` are named at the end.
    """

    def __init__(self, plan: Plan, folder: str, read_on: Callable[[], Sequence[str]]) -> None:
        super().__init__(plan, folder, read_on)
        self._bad = 0

    def take(self, event: Event, view: View) -> tuple[Row | None, list[str]]:
        """Process an event: the row of a verdict, and the lines to print."""
        row, _ = super().take(event, view)
        match event.body:
            case _ if row is not None:
                return row, self._verdict(row)
            case (
                RunStarted() | RunResumed() | Incident() | NodeChanged() | Note() | Interrupted() | RolledBack() as body
            ):
                return None, [_cut(event_line(body))]
            case ServiceChanged(state="failed") as body:
                return None, [_cut(event_line(body))]
            case GateJudged(result="failed", phase="during") as body:
                return None, [_cut(event_line(body))]
        return None, []

    def _verdict(self, row: Row) -> list[str]:
        if row.verdict in FINE:
            return []
        self._bad += 1
        if self._bad > NAMED:
            return []
        return list(verdict_lines(row, self._folder, whole=self._bad <= WHOLE))

    def closing(self, view: View, width: int | None = None) -> tuple[Report, list[str]]:
        """Return the report of the run, and the lines that close it."""
        del width
        found = report(self._plan, view)
        return found, [_cut(text) for text in closing(found, self._read_on())]


def verdict_lines(row: Row, folder: str, *, whole: bool) -> Iterator[str]:
    """Yield the lines of a verdict that is not green.

    Args:
        row: of the task.
        folder: the run's, relative to the project root.
        whole: with its explanation; a test that did not run has none.
    """
    time = duration(row.seconds) if row.attempts else ""
    reason = row.reason if row.failure is None else "" if whole else f"| {row.message}"
    yield _cut(line(row.verdict, row.task, row.title, time, clip(one_line(reason), TEXT_LENGTH)))
    if row.excused:
        yield _detail("excused", row.excused)
    if row.failure is None or not whole:
        return
    if row.place:
        yield _detail("at", row.place)
    for name, text in explained(row.failure, ("step", "message", "expected", "found")):
        yield from _text(name, text, product=name in _PRODUCT)
    for case in row.odd_cases[:_ODD_CASES]:
        yield from _text(case.verdict, case.line, product=True)
    if row.odd_cases[_ODD_CASES:]:
        yield _detail("", f"and {len(row.odd_cases) - _ODD_CASES} more cases")
    for finding in row.findings[:1]:
        more = f" (and {len(row.findings) - 1} more)" if row.findings[1:] else ""
        yield from _text("outside", f"{finding.layer}: {finding_text(finding)}{more}", product=True)
    if row.failure.evidence:
        yield _detail("evidence", _files(row.failure.evidence, folder))


def closing(report: Report, paths: Sequence[str]) -> Iterator[str]:
    """Yield the end of a run: counts, gates that did not pass, the exit code and its meaning, the command for the failures.

    Args:
        report: of the run.
        paths: of the files of the report, relative to the project root.
    """
    yield line("tests", counted(report.rows))
    bad = [row for row in report.rows if row.verdict not in FINE]
    if bad[NAMED:]:
        yield line("", f"{NAMED} of {len(bad)} that are not green are named; {report.tool} show --failed shows more")
    for verdict in ("flaky", "skipped"):
        rows = [row for row in report.rows if row.verdict == verdict]
        names = (f"{row.task} ({one_line(row.reason)})" if row.reason else row.task for row in rows)
        if rows:
            yield line(verdict, clip(", ".join(names), LIST_LENGTH))
    for gate in report.gates:
        if gate.result not in {"passed", "not_applicable"} and not gate.quiet:
            values = values_text(gate.values)
            said = gate_remark(gate.result, gate.expression, gate.message)
            yield line(
                "gate", f"{gate.phase}:{gate.name}", gate.result, gate.expression, values and f"({values})", said
            )
    if any(agreement(report).disagreeing):
        for text in agreement(report).lines():
            yield line("methods", text)
    if report.seconds is not None:
        yield line("time", duration(report.seconds), expected_text(report.expected))
    yield line("exit", exit_meaning(report))
    if bad and report.exit_code is not None:
        yield line("again", run_again(report, " --last-failed"))
    for path in paths:
        if path.endswith(".md"):
            yield line("see", path)


def _files(evidence: Sequence[Evidence], folder: str) -> str:
    """Return files of evidence by their folder, which most of them share."""
    by_folder: dict[str, list[str]] = {}
    for one in evidence:
        if one.kind == "picture":  # of each step: the screenshot of the failure is enough here
            continue
        place, name = posixpath.split(posixpath.normpath(f"{folder}/{one.place}"))
        by_folder.setdefault(place, []).append(name)
    return "; ".join(f"{place}: {', '.join(names)}" for place, names in by_folder.items())


def _text(name: str, text: str, *, product: bool) -> Iterator[str]:
    """Yield a text of several lines, cut; marked if it can hold words of the product."""
    lines = [part.strip() for part in visible(text).splitlines() if part.strip()]
    for number, part in enumerate(lines[:TEXT_LINES]):
        cut = "…" if number == TEXT_LINES - 1 and lines[TEXT_LINES:] else ""
        yield _detail("" if number else name, f"{'| ' if product else ''}{clip(part, TEXT_LENGTH)}{cut}")


def _detail(name: str, text: str) -> str:
    return f"    {one_line(name):<11} {one_line(text)}".rstrip()


def _cut(text: str) -> str:
    return clip(text, 2 * TEXT_LENGTH)
