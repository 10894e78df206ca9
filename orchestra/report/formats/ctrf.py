"""A run as JSON in the Common Test Report Format (ctrf.io). Pure.

`rawStatus` is our verdict. A verdict that fails the run is `failed` there, so that a reader of this file alone sees it:
blocked and interrupted tests, too. A test that was not executed because nothing changed is `skipped`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import msgspec

from orchestra import draw
from orchestra.ledger.case import BAD, Case
from orchestra.ledger.event import AttemptFinished
from orchestra.ledger.outcome import FINE
from orchestra.ledger.parts import Evidence
from orchestra.printing import as_json
from orchestra.report.console.lines import place_of_evidence
from orchestra.report.findings import finding_text
from orchestra.report.formats.junit import name_of, trace
from orchestra.report.rows import Report, Row, files_of, message_of, position

SPEC_VERSION = "0.0.0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TESTS = '"tests": []'
_STATUSES = ("passed", "failed", "skipped", "pending", "other")

# Not the machine's table of types: the same run gives the same file everywhere.
_TYPES: Mapping[str, str] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".xml": "application/xml",
    ".html": "text/html",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".log": "text/plain",
    ".txt": "text/plain",
    ".zip": "application/zip",
    ".webm": "video/webm",
}


def ctrf(report: Report, folder: str) -> str:
    """Return the text of ctrf.json.

    Args:
        report: of the run.
        folder: the run's, relative to the project root.
    """
    tests = [test for row in report.rows for test in (_test(report.suite, row, folder), *_cases(report, row, folder))]
    found = [test["status"] for test in tests]
    summary: dict[str, Any] = {"tests": len(tests), **{status: found.count(status) for status in _STATUSES}}
    summary |= {"flaky": sum("flaky" in test for test in tests), "suites": len(report.methods)}
    summary |= {"start": _stamp(report.started), "stop": _stamp(report.ended)}
    if report.seconds is not None:
        summary["duration"] = _milliseconds(report.seconds)
    version = dict(report.provenance).get("orchestra", "")
    document = {
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        **({"timestamp": report.ended} if report.ended else {}),
        "generatedBy": "orchestra",
        "results": {
            "tool": {"name": "orchestra", **({"version": version} if version else {})},
            "summary": summary,
            "tests": [],
            "environment": _environment(report),
            "extra": {
                "run": report.run,
                "plan_digest": report.plan_digest,
                **({"shard": report.shard} if report.shard else {}),
                "exit_code": report.exit_code,
                "gates": {f"{gate.phase}:{gate.name}": gate.result for gate in report.gates},
            },
        },
    }
    # One line a test: indented they take a third more. The encoder of `json` is in Python when it indents.
    head, _, rest = msgspec.json.format(_encoded(document), indent=1).decode().partition(_NO_TESTS)
    lines = b",\n".join(map(_encoded, tests)).decode()
    between = f"{_NO_TESTS[:-1]}\n{lines}\n  ]" if tests else _NO_TESTS
    return as_json(f"{head}{between}{rest}\n")


def _encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def _test(suite: str, row: Row, folder: str) -> dict[str, Any]:
    test: dict[str, Any] = {
        "name": name_of(row),
        "status": _status(row),
        "duration": _milliseconds(row.seconds),
        "suite": [suite, row.method, *reversed(row.outer), *([row.group] if row.group else [])],
        "rawStatus": row.verdict,
        "type": "e2e",
    }
    if row.message:
        test["message"] = draw.visible(row.message)
    if row.failure is not None:
        test["trace"] = draw.visible(trace(row.failure))
    if row.tags:
        test["tags"] = list(row.tags)
    if (at := position(row.place)) is not None:
        test |= {"filePath": at.file, "line": at.line}
    if row.attempts > 1:
        test["retries"] = row.attempts - 1
        earlier = row.failures if row.failure is None else row.failures[:-1]
        test["retryAttempts"] = [_attempt(failure, folder) for failure in earlier]
    if row.verdict == "flaky":
        test["flaky"] = True
    if row.files:
        test["attachments"] = [_attachment(one, folder) for one in row.files]
    extra = {
        "speed_class": row.speed_class,
        "degraded": list(row.degraded),
        "excused": row.excused,
        "output": row.output,
        "findings": [
            f"{finding.level} {finding.layer}: {draw.visible(finding_text(finding))}" for finding in row.findings
        ],
    }
    if any(extra.values()):
        test["extra"] = {name: value for name, value in extra.items() if value}
    return test


def _cases(report: Report, row: Row, folder: str) -> Iterator[dict[str, Any]]:
    """Yield the cases of a wrapped runner, after their test."""
    for case in row.cases:
        test: dict[str, Any] = {
            "name": draw.one_line(case.name),
            "status": _case_status(case),
            "duration": _milliseconds(case.seconds),
            "suite": [report.suite, row.method, row.test],
            "rawStatus": case.verdict,
            "type": "e2e",
        }
        if case.message:
            test["message"] = draw.visible(case.message)
        if case.more:
            test["trace"] = draw.visible("\n".join(case.more))
        if case.retries:
            test["retries"] = case.retries
        if case.verdict == "flaky":
            test["flaky"] = True
        files = set(files_of(row, case))
        if files:
            test["attachments"] = [_attachment(one, folder) for one in row.evidence if one.path in files]
        extra = {"case_of": row.task, "excused": case.excused, "cause": case.cause, "compared_with": case.of}
        yield {**test, "extra": {name: value for name, value in extra.items() if value}}


def _case_status(case: Case) -> str:
    if case.excused:
        return "other"
    return "failed" if case.verdict in BAD else "skipped" if case.verdict == "skipped" else "passed"


def _status(row: Row) -> str:
    if row.verdict in {"skipped", "unchanged"}:
        return "skipped"
    if row.excused:
        return "other"
    return "passed" if row.verdict in FINE else "failed"


def _attempt(failure: AttemptFinished, folder: str) -> dict[str, Any]:
    return {
        "attempt": failure.attempt,
        "status": "failed",
        "message": draw.visible(message_of(failure)),
        "trace": draw.visible(trace(failure)),
        "attachments": [_attachment(one, folder) for one in failure.evidence],
    }


def _attachment(one: Evidence, folder: str) -> dict[str, str]:
    kind = _TYPES.get(PurePosixPath(one.path).suffix.lower(), "application/octet-stream")
    return {"name": one.kind, "contentType": kind, "path": place_of_evidence(one, folder)}


def _environment(report: Report) -> dict[str, Any]:
    facts = dict(report.provenance)
    named = {"commit": facts.get("git.commit"), "branchName": facts.get("git.branch"), "osVersion": facts.get("system")}
    given: dict[str, Any] = {name: value for name, value in named.items() if value}
    if report.profile:
        given["testEnvironment"] = report.profile
    return {"reportName": draw.one_line(report.title), **given, "extra": facts}


def _stamp(moment: str) -> int:
    return (datetime.fromisoformat(moment) - _EPOCH) // timedelta(milliseconds=1) if moment else 0


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
