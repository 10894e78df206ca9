"""The file of Playwright Test's reporter `json`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from orchestra.ledger.case import CaseVerdict
from orchestra.runtime.cases.report import Report, ReportError
from orchestra.runtime.cases.text import Mask, reason_of, seconds_of


class _Error(msgspec.Struct):
    message: str = ""
    value: str = ""

    @property
    def reason(self) -> str:
        """Its text, without lines of the source and places of the stack; a value that is no error has only itself."""
        return reason_of("", self.message or self.value)


class _Attachment(msgspec.Struct):
    path: str = ""


class _Result(msgspec.Struct):
    status: str = ""
    duration: float = 0.0
    retry: int = 0
    error: _Error | None = None
    errors: list[_Error] = []
    attachments: list[_Attachment] = []

    @property
    def reasons(self) -> list[str]:
        """Return the reasons why it did not pass. `error` is the first of `errors`, without lines of the source."""
        first = [self.error] if self.error is not None else self.errors[:1]
        return [one.reason for one in (*first, *self.errors[1:])]


class _Annotation(msgspec.Struct):
    type: str = ""
    description: str = ""


class _Test(msgspec.Struct):
    status: Literal["expected", "unexpected", "flaky", "skipped"]
    expected: str = msgspec.field(default="passed", name="expectedStatus")
    project: str = msgspec.field(default="", name="projectName")
    results: list[_Result] = []
    annotations: list[_Annotation] = []


class _Spec(msgspec.Struct):
    title: str
    tests: list[_Test]


class _Suite(msgspec.Struct):
    title: str
    specs: list[_Spec] = []
    suites: list[_Suite] = []


class _File(msgspec.Struct):
    suites: list[_Suite]
    errors: list[_Error] = []


_BAD: dict[str, CaseVerdict] = {"timedOut": "timeout", "interrupted": "interrupted"}
_DECODER = msgspec.json.Decoder(_File)


def read_playwright(data: bytes, mask: Mask) -> Report:
    """Return what a file of the reporter `json` reports.

    Raises:
        ReportError: it is none, or beyond a limit.
    """
    try:
        file = _DECODER.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ReportError(f"is no file of Playwright's reporter json ({error})") from error
    report = Report(mask)
    for parts, test in _tests(file.suites, ()):
        _add(report, parts, test)
    for one in file.errors:
        report.error(one.reason)
    return report


def _tests(suites: Sequence[_Suite], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _Test]]:
    for suite in suites:
        parts = (*above, suite.title)
        for spec in suite.specs:
            for test in spec.tests:
                project = (f"[{test.project}]",) if test.project else ()
                yield (*project, *parts, spec.title), test
        yield from _tests(suite.suites, parts)


def _add(report: Report, parts: Sequence[str], test: _Test) -> None:
    last = test.results[-1] if test.results else _Result()
    verdict, messages = _verdict_of(test, last)
    report.add(
        report.case(
            parts,
            verdict,
            seconds=seconds_of(str(last.duration / 1000)),
            retries=max(0, last.retry),
            messages=messages,
            attachments=[
                os.path.normpath(attachment.path)
                for result in test.results
                for attachment in result.attachments
                if attachment.path
            ],
        )
    )


def _verdict_of(test: _Test, last: _Result) -> tuple[CaseVerdict, Sequence[str]]:
    if last.status == "interrupted":
        return "interrupted", last.reasons or ["it was interrupted"]
    if test.status == "skipped":
        return "skipped", [_why(test) if test.results else "it did not run"]
    if test.status == "expected":
        return "passed", [] if test.expected == "passed" else [f"expected failure: {''.join(last.reasons[:1])}"]
    if test.status == "flaky":
        return "flaky", next((result.reasons[:1] for result in test.results if result.reasons), [])
    if last.status == "passed":
        return "failed", [f"it passed, and is expected to end as {test.expected}"]
    return _BAD.get(last.status, "failed"), last.reasons


def _why(test: _Test) -> str:
    return next((annotation.description for annotation in test.annotations if annotation.type in {"skip", "fixme"}), "")
