"""A run as Markdown, for pull requests and people. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote

from orchestra import draw
from orchestra.draw import duration
from orchestra.ledger.case import Case
from orchestra.ledger.event import AttemptFinished
from orchestra.ledger.outcome import FINE
from orchestra.ledger.parts import Evidence
from orchestra.report import by_hand, machine
from orchestra.report.compare.text import agreement_lines, compared_lines
from orchestra.report.console.table import (
    counted,
    exit_meaning,
    gate_remark,
    incident_parts,
    pace_text,
    render_table,
    values_text,
)
from orchestra.report.findings import HEADS
from orchestra.report.rows import GateRow, Report, Row, explained, message_of

_FINDINGS = 100
_CASES = 500


def markdown(report: Report, folder: str, *, linked: bool = True) -> str:
    """Return the text of summary.md, which lies in the run's folder: links to evidence are relative to it.

    Args:
        report: of the run.
        folder: the run's, relative to the project root, to name it.
        linked: link to evidence; where the text is read apart from the folder, links lead nowhere, and paths are named.
    """
    return "\n".join(_lines(report, folder, _link if linked else partial(_path, folder))) + "\n"


def _lines(report: Report, folder: str, link: Callable[[Evidence], str]) -> Iterator[str]:
    yield f"# {_inline(report.title)}"
    yield ""
    yield f"- exit {_inline(exit_meaning(report))}"
    yield f"- {_inline(counted(report.rows))}"
    if report.seconds is not None:
        yield f"- {duration(report.seconds)}"
    yield f"- run {draw.code(report.run)} in {draw.code(folder)}"
    if report.unchecked:
        yield "- no certificate of a server was checked: `ignore_https_errors`"
    if report.plan_changed:
        yield "- the plan was recompiled after this run: titles may be those of the later one"
    yield ""
    yield render_table(report, "markdown")
    yield from _bad(report, link)
    yield from _remarks(report)
    yield from _cases(report)
    yield from _findings(report)
    yield from _gates(report)
    yield from _paces(report)
    yield from _methods(report)
    yield from _by_hand(report, link)
    yield from _network(report)
    yield from _incidents(report)
    yield from _services(report)
    yield from _time(report)
    yield from _machine(report)
    yield from _provenance(report)
    yield from _advice(report)


def _bad(report: Report, link: Callable[[Evidence], str]) -> Iterator[str]:
    bad = [row for row in report.rows if row.verdict not in FINE]
    if bad:
        yield from ("", "## What did not pass")
    for row in bad:
        yield from ("", f"### {_inline(f'{row.task} {row.title}')}", "")
        yield f"- verdict: {row.verdict}{f' after {row.attempts} attempts' if row.attempts > 1 else ''}"
        yield from _item("excused", row.excused)
        if row.place:
            yield f"- at: {draw.code(row.place)}"
        if row.failure is None:
            yield from _item("reason", row.reason)
        else:
            yield from _failure(row.failure, link)


def _failure(failure: AttemptFinished, link: Callable[[Evidence], str]) -> Iterator[str]:
    for name, text in explained(failure, ("step", "message", "expected", "found", "hint")):
        yield from _item(name, text)
    if failure.evidence:
        yield f"- evidence: {', '.join(map(link, failure.evidence))}"


def _remarks(report: Report) -> Iterator[str]:
    """Flaky, degraded, unchanged and skipped tests: not failures, and not to be passed over."""
    remarks = [text for row in report.rows if row.verdict in FINE for text in _remark(row)]
    if remarks:
        yield from ("", "## Remarks", "", *remarks)


def _remark(row: Row) -> Iterator[str]:
    if row.reason:
        yield f"- {_inline(row.task)} {row.verdict}: {_inline(row.reason)}"
    for failure in row.failures:
        yield f"- {_inline(row.task)} attempt {failure.attempt} {failure.outcome}: {_inline(message_of(failure))}"
    for item in row.degraded:
        yield f"- {_inline(row.task)} degraded: {_inline(item)}"
    if row.incidents:
        yield f"- {_inline(row.task)} overlapped: {_inline(', '.join(row.incidents))}"


def _cases(report: Report) -> Iterator[str]:
    """Yield the cases of wrapped runners: how many of each test, and each one that did not simply pass."""
    wrapped = [row for row in report.rows if row.cases]
    if wrapped:
        yield from ("", "## Cases", "")
        yield from (f"- {_inline(f'{row.task}: {row.cases_text}')}" for row in wrapped)
    cases = [(row, case) for row in wrapped for case in row.odd_cases]
    if cases:
        heads = ("test", "case", "verdict", "seconds", "retries", "reason", "excused")
        rows = [(row.task, *_case(case)) for row, case in cases[:_CASES]]
        yield from ("", draw.markdown_table(heads, [list(map(_cell, row)) for row in rows]))
    if cases[_CASES:]:
        yield from ("", f"And {len(cases) - _CASES} more; `junit.xml` and `ctrf.json` have all.")


def _case(case: Case) -> tuple[str, ...]:
    reasons = "\n".join((case.message, *case.more))
    return case.name, case.verdict, f"{case.seconds:.3f}", str(case.retries or ""), reasons, case.excused


def _cell(text: str) -> str:
    return "<br>".join(draw.markdown(part) for part in draw.visible(text).splitlines())


def _findings(report: Report) -> Iterator[str]:
    """Yield the section of errors outside assertions."""
    findings = [(row, finding) for row in report.rows for finding in row.findings]
    if findings:
        rows = [
            (row.task, one.layer, one.level, str(one.count), one.text, one.where) for row, one in findings[:_FINDINGS]
        ]
        heads = ("test", "layer", "level", "times", "what", "where")
        yield from ("", "## Errors outside assertions", "")
        yield draw.markdown_table(heads, [list(map(_inline, row)) for row in rows])
    if findings[_FINDINGS:]:
        yield from ("", f"And {len(findings) - _FINDINGS} more; `orchestra show TEST --run RUN` has them.")


def _network(report: Report) -> Iterator[str]:
    if report.network:
        rows = [list(map(_inline, row.cells())) for row in report.network]
        yield from ("", "## Network", "", draw.markdown_table(HEADS, rows))


def _gates(report: Report) -> Iterator[str]:
    quiet = [gate.name for gate in report.gates if gate.quiet]
    if report.gates:
        yield from ("", "## Gates")
    if quiet:
        state = "that passed" if not report.shard else "that are evaluated when the shards are merged"
        yield from ("", f"Standard gates {state}: {', '.join(map(_inline, quiet))}.")
    if len(quiet) < len(report.gates):
        heads = ("gate", "result", "condition", "values", "message")
        rows = [
            (
                _inline(f"{gate.phase}:{gate.name}"),
                gate.result,
                draw.code_cell(gate.expression),
                _inline(values_text(gate.values)),
                _inline(_said(gate)),
            )
            for gate in report.gates
            if not gate.quiet
        ]
        yield from ("", draw.markdown_table(heads, rows))


def _said(gate: GateRow) -> str:
    return gate_remark(gate.result, gate.expression, gate.message)


def _paces(report: Report) -> Iterator[str]:
    if report.paces:
        yield from ("", "## Pace", "", *(f"- {_inline(f'{pace.task} {pace_text(pace)}')}" for pace in report.paces))


def _methods(report: Report) -> Iterator[str]:
    comparisons = [comparison for comparison in report.comparisons if comparison.tests]
    if comparisons:
        yield from ("", "## Methods compared")
    if report.agreements:
        yield ""
        yield from agreement_lines(report.agreements, "markdown")
    for one in comparisons:
        yield ""
        yield from compared_lines(one, "markdown")


def _by_hand(report: Report, link: Callable[[Evidence], str]) -> Iterator[str]:
    if report.by_hand:
        rows = []
        for one in report.by_hand:
            *texts, _ = one.cells("")
            rows.append([*map(_inline, texts), ", ".join(map(link, one.evidence))])
        yield from ("", f"## {by_hand.TITLE}", "", by_hand.NOTE, "", draw.markdown_table(by_hand.HEADS, rows))


def _incidents(report: Report) -> Iterator[str]:
    if report.incidents:
        heads = ("incident", "lasted", "outcome", "tests", "reason")
        rows = [list(map(_inline, incident_parts(incident))) for incident in report.incidents]
        yield from ("", "## Incidents", "", draw.markdown_table(heads, rows))


def _services(report: Report) -> Iterator[str]:
    if report.services:
        heads = ("component", "last state", "address", "recovery", "reason")
        rows = [
            (row.component, row.state, row.url, ", then ".join(row.recovery_steps), row.reason)
            for row in report.services
        ]
        yield from (
            "",
            "## Servers and tools",
            "",
            draw.markdown_table(heads, [list(map(_inline, row)) for row in rows]),
        )


def _time(report: Report) -> Iterator[str]:
    """Where the time of the run went: rows that add up to it."""
    if rows := machine.spent(report):
        yield from ("", "## Time", "", draw.markdown_table(machine.SPENT_HEADS, rows))


def _machine(report: Report) -> Iterator[str]:
    """Yield the resource use of the run and of each worker."""
    if report.use is None:
        return
    yield from ("", "## Machine", "", *(f"- {line}" for line in machine.used(report.use)))
    if rows := machine.workers(report.use):
        yield from ("", draw.markdown_table(machine.WORKER_HEADS, [list(map(_inline, row)) for row in rows]))


def _provenance(report: Report) -> Iterator[str]:
    facts = [
        ("started", report.started),
        ("ended", report.ended),
        ("profile", report.profile),
        ("shard", report.shard),
        ("resumed", f"{report.resumes} time{'s' * (report.resumes != 1)}" if report.resumes else ""),
        ("plan", report.plan_digest),
        ("spec", report.source_digest),
        *report.provenance,
    ]
    rows = [[_inline(name), _inline(value)] for name, value in facts if value]
    if rows:
        yield from ("", "## Provenance", "", draw.markdown_table(("what", "value"), rows))


def _advice(report: Report) -> Iterator[str]:
    if report.advice:
        heads = ("rule", "of", "saves a run", "because")
        rows = [(one.rule, one.about, f"{one.saved:.1f} s", one.evidence) for one in report.advice]
        yield from ("", "## Advice", "", draw.markdown_table(heads, [list(map(_inline, row)) for row in rows]))


def _inline(text: str) -> str:
    return draw.markdown(draw.one_line(text))


def _item(name: str, text: str) -> Iterator[str]:
    if text:
        yield f"- {name}: {'<br>'.join(draw.markdown(part) for part in draw.visible(text).splitlines())}"


def _path(folder: str, one: Evidence) -> str:
    return draw.code(f"{folder}/{one.path}")


def _link(one: Evidence) -> str:
    return f"[{_inline(one.kind)}]({quote(one.path, errors='replace')})"
