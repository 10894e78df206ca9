"""A run as JUnit XML, as CI systems read it. Pure.

Only elements and attributes of Jenkins' junit-10.xsd occur, the strictest schema in use. Data without an element is in
`system-out` in a widely read form: `[[ATTACHMENT|path]]`, `[[PROPERTY|name=value]]`. The standard library writes it:
the packages for this format leave illegal characters unescaped, or choose another writer if lxml is installed.

    passed                      no child
    flaky                       `flakyFailure` for each attempt that did not pass
    unchanged, skipped          `skipped`
    failed, timeout             `failure`, and `rerunFailure` for earlier attempts
    error, blocked, interrupted `error`: they fail the run, so a reader of this file alone must see red
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from orchestra import draw
from orchestra.ledger.case import Case
from orchestra.ledger.event import AttemptFinished
from orchestra.printing import as_xml
from orchestra.report.console.lines import place_of_evidence
from orchestra.report.findings import finding_text
from orchestra.report.rows import Report, Row, explained, files_of, message_of

_CHILD: Mapping[str, str] = {
    "unchanged": "skipped",
    "skipped": "skipped",
    "failed": "failure",
    "timeout": "failure",
    "error": "error",
    "blocked": "error",
    "interrupted": "error",
}


_RETRIES = 20
"""So many retries of a case are written; a runner reports how many there were, not what came of each."""


def junit(report: Report, folder: str) -> str:
    """Return the text of junit.xml.

    Args:
        report: of the run.
        folder: the run's, relative to the project root, where CI systems look for attachments.
    """
    root = ET.Element("testsuites", {"name": legal(report.suite), **_all_totals(report.rows)})
    for method in report.methods:
        rows = [row for row in report.rows if row.method == method]
        totals = {**_totals(rows), "skipped": str(_count(rows, "skipped"))}
        suite = ET.SubElement(root, "testsuite", {"name": legal(f"{report.suite}.{method}"), **totals})
        if report.started:
            suite.set("timestamp", legal(report.started.partition(".")[0]))
        properties = ET.SubElement(suite, "properties")
        for name, value in _facts(report):
            ET.SubElement(properties, "property", {"name": legal(name), "value": legal(value)})
        for row in rows:
            _testcase(suite, report.suite, row, folder)
        for row in rows:
            if row.cases:
                _cases(root, report, row, folder)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{as_xml(ET.tostring(root, encoding="unicode"))}\n'


def legal(text: str) -> str:
    """Return the text as XML can hold it and a parser gives it back: controls made visible, line ends as line feeds."""
    return draw.visible(text).replace("\r\n", "\n").replace("\r", "\n")


def name_of(row: Row) -> str:
    """Id and title of a test on one line, as other programs show it."""
    return draw.one_line(f"{row.test} {row.title}")


def trace(failure: AttemptFinished) -> str:
    """Return the known details of a failed attempt, one per line."""
    parts = explained(failure, ("message", "at", "step", "expected", "found", "hint"))
    return "\n".join(text if name == "message" else f"{name}: {text}" for name, text in parts)


def _testcase(suite: ET.Element, suite_name: str, row: Row, folder: str) -> None:
    classname = legal(f"{suite_name}.{row.method}")
    case = ET.SubElement(suite, "testcase", {"classname": classname, "name": name_of(row), "time": _time(row.seconds)})
    if row.group:
        case.set("group", legal(row.group))
    tag = _tag(row)
    if tag is not None:
        error = row.failure.error if row.failure is not None else None
        kind = error.kind if error is not None else row.verdict
        message = f"excused ({row.excused}): {row.message}" if row.excused else row.message
        child = ET.SubElement(case, tag, {"type": legal(kind), "message": legal(message)})
        text = trace(row.failure) if row.failure is not None else f"at: {row.place}" if row.place else ""
        child.text = legal(text) or None
    again = "flakyFailure" if row.verdict == "flaky" else "rerunFailure"
    for failure in row.failures if row.failure is None else row.failures[:-1]:
        kind = failure.error.kind if failure.error is not None else failure.outcome
        body = {"type": legal(kind), "message": legal(message_of(failure))}
        ET.SubElement(ET.SubElement(case, again, body), "stackTrace").text = legal(trace(failure))
    output = [f"[[PROPERTY|{name}={draw.one_line(value)}]]" for name, value in _of_test(row)]
    evidence = dict.fromkeys((*(one for failure in row.failures for one in failure.evidence), *row.files))
    shown = [one for one in evidence if one.kind == "screenshot"][-1:]  # GitLab shows the first file alone
    evidence = dict.fromkeys((*shown, *evidence))
    output += [f"[[ATTACHMENT|{draw.one_line(place_of_evidence(one, folder))}]]" for one in evidence]
    ET.SubElement(case, "system-out").text = "\n".join(output)
    if row.findings:
        findings = [f"{finding.level} {finding.layer}: {finding_text(finding)}" for finding in row.findings]
        ET.SubElement(case, "system-err").text = legal("\n".join(map(draw.one_line, findings)))


def _cases(root: ET.Element, report: Report, row: Row, folder: str) -> None:
    """Add the cases of a wrapped runner as a suite of their own."""
    name = legal(f"{report.suite}.{row.method}.{row.test}")
    tags = [_case_tag(case) for case in row.cases]
    totals = {
        "tests": str(len(tags)),
        "failures": str(tags.count("failure")),
        "errors": str(tags.count("error")),
        "skipped": str(tags.count("skipped")),
        "time": _time(sum(case.seconds for case in row.cases)),
    }
    suite = ET.SubElement(root, "testsuite", {"name": name, **totals})
    for case, tag in zip(row.cases, tags, strict=True):
        shown = {"classname": name, "name": draw.one_line(case.name), "time": _time(case.seconds)}
        child = ET.SubElement(suite, "testcase", shown)
        if tag is not None:
            message = f"excused ({case.excused}): {case.message}" if case.excused else case.message
            body = {"type": legal(case.cause or case.verdict), "message": legal(message)}
            ET.SubElement(child, tag, body).text = legal("\n".join(case.more)) or None
        again = "flakyFailure" if case.verdict == "flaky" else "rerunFailure"
        for _ in range(min(case.retries, _RETRIES)):
            body = {"type": legal(case.cause or case.verdict), "message": legal(case.message)}
            ET.SubElement(ET.SubElement(child, again, body), "stackTrace")
        files = [f"[[ATTACHMENT|{draw.one_line(f'{folder}/{path}')}]]" for path in files_of(row, case)]
        if files:
            ET.SubElement(child, "system-out").text = "\n".join(files)


def _case_tag(case: Case) -> str | None:
    return "skipped" if case.excused else _CHILD.get(case.verdict)


def _of_test(row: Row) -> list[tuple[str, str]]:
    parts = [
        ("verdict", row.verdict),
        ("attempts", str(row.attempts)),
        ("speed_class", row.speed_class),
        *(("degraded", item) for item in row.degraded),
        ("excused", row.excused),
        ("output", row.output),
    ]
    return [(name, value) for name, value in parts if value]


def _facts(report: Report) -> list[tuple[str, str]]:
    facts = [
        ("run", report.run),
        ("plan_digest", report.plan_digest),
        ("source_digest", report.source_digest),
        ("profile", report.profile),
        ("shard", report.shard),
        ("exit_code", "" if report.exit_code is None else str(report.exit_code)),
        *((f"provenance.{name}", value) for name, value in report.provenance),
    ]
    return [(name, value) for name, value in facts if value]


def _all_totals(rows: Sequence[Row]) -> dict[str, str]:
    """Return the totals of rows and cases; the time is that of the rows, which holds that of their cases."""
    tags = [_case_tag(case) for row in rows for case in row.cases]
    return {
        "tests": str(len(rows) + len(tags)),
        "failures": str(_count(rows, "failure") + tags.count("failure")),
        "errors": str(_count(rows, "error") + tags.count("error")),
        "time": _time(sum(row.seconds for row in rows)),
    }


def _totals(rows: Sequence[Row]) -> dict[str, str]:
    return {
        "tests": str(len(rows)),
        "failures": str(_count(rows, "failure")),
        "errors": str(_count(rows, "error")),
        "time": _time(sum(row.seconds for row in rows)),
    }


def _count(rows: Sequence[Row], tag: str) -> int:
    return sum(_tag(row) == tag for row in rows)


def _tag(row: Row) -> str | None:
    """Return the child element of a test case: JUnit has none for an excused failure, and `skipped` fails nothing."""
    return "skipped" if row.excused else _CHILD.get(row.verdict)


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"
