"""A JUnit file, read piece by piece: however large it is, it takes no more memory than its cases.

Retries are there where the runner writes them: `flakyFailure` and `rerunFailure` (surefire; Playwright with `includeRetries`),
and the repeated cases of pytest-rerunfailures, which are known by the name of pytest's suite.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

import msgspec

from orchestra.ledger.case import BAD, Case, CaseVerdict
from orchestra.runtime.cases.report import Report, ReportError
from orchestra.runtime.cases.text import RAW_LETTERS, Mask, reason_of, seconds_of

DEPTH: Final = 100
"""Elements inside of each other."""

PYTEST: Final = "pytest"
"""The name of pytest's suite; in it, cases of one name are executions of one test."""

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NOT_XML = bytes([*range(9), 11, 12, *range(14, 32)])
"""Control characters that XML may not hold, and that runners write all the same. That of a colour is spelled as pytest does."""

_VERDICTS: Final[dict[str, CaseVerdict]] = {"failure": "failed", "error": "error"}
_RETRIES = frozenset({"flakyFailure", "flakyError", "rerunFailure", "rerunError"})
_TEXTS = frozenset({*_VERDICTS, *_RETRIES, "skipped"})
_NOT_RUN = frozenset({"notrun", "disabled", "skipped", "pending", "suppressed", "ignored"})
_FAILED = frozenset({"failed", "failure", "error", "broken"})
_ATTACHMENT = re.compile(r"\[\[ATTACHMENT\|([^\]\r\n]+)\]\]")
_OUTPUT_LETTERS = 1_000_000


@dataclass
class _Text:
    """An element inside of a case whose text counts."""

    depth: int
    tag: str
    message: str
    kind: str
    parts: list[str] = field(default_factory=list)
    letters: int = 0

    def add(self, text: str, most: int) -> None:
        if self.letters < most:
            self.parts.append(text)
            self.letters += len(text)

    @property
    def body(self) -> str:
        return "".join(self.parts)

    @property
    def expected(self) -> bool:
        """Return True if it is pytest's word for an expected failure."""
        return self.kind == "pytest.xfail"

    @property
    def reason(self) -> str:
        reason = reason_of(self.message, self.body)
        return f"expected failure: {reason}" if self.expected else reason


@dataclass
class _Open:
    """A case that is being read."""

    depth: int
    attributes: dict[str, str]
    bad: list[_Text] = field(default_factory=list)
    again: int = 0
    flaky: list[_Text] = field(default_factory=list)
    skipped: _Text | None = None
    attachments: list[str] = field(default_factory=list)

    def take(self, text: _Text) -> None:
        """Take an element that has ended."""
        if text.tag == "skipped":
            self.skipped = text
        elif text.tag in _RETRIES:
            self.again += 1
            self.flaky = self.flaky or [text]
        else:
            self.bad.append(text)

    @property
    def key(self) -> tuple[str, str]:
        return self.attributes.get("classname", ""), self.attributes.get("name", "")


class _Reader:
    """Called by the parser, element by element."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._depth = 0
        self._case: _Open | None = None
        self._text: _Text | None = None
        self._output: _Text | None = None
        self._suite = ""
        self._claimed = 0
        self._root = ""
        self._places: dict[tuple[str, str], int] = {}

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise ReportError("has a DOCTYPE, which is not allowed, because it can declare entities")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise ReportError(f"has more than {DEPTH} levels of nested elements")
        tag = tag.rpartition("}")[2]
        self._root = self._root or tag
        if self._case is None:
            if tag == "testcase":
                self._case = _Open(self._depth, attributes)
            elif tag in {"testsuite", "testsuites"}:
                self._suite = attributes.get("name", "")
                self._claimed = max(self._claimed, *(_count(attributes, one) for one in ("failures", "errors")))
        elif tag in _TEXTS and self._text is None:
            message, kind = attributes.get("message", ""), attributes.get("type", "")
            self._text = _Text(self._depth, tag, message, kind)
        elif tag == "system-out" and self._output is None:
            self._output = _Text(self._depth, tag, "", "")

    def data(self, text: str) -> None:
        if self._output is not None:
            self._output.add(text, _OUTPUT_LETTERS)
        elif self._text is not None and self._text.depth == self._depth:
            self._text.add(text, RAW_LETTERS)

    def end(self, _tag: str) -> None:
        case, text, output = self._case, self._text, self._output
        if case is not None and output is not None and output.depth == self._depth:
            case.attachments += (one.strip() for one in _ATTACHMENT.findall(output.body))
            self._output = None
        elif case is not None and text is not None and text.depth == self._depth:
            case.take(text)
            self._text = None
        elif case is not None and case.depth == self._depth:
            self._add(case)
            self._case = None
        self._depth -= 1

    def _add(self, case: _Open) -> None:
        verdict, reasons = _verdict_of(case)
        known = self._places.get(case.key) if self._suite == PYTEST else None
        made = self._report.case(
            case.key,
            verdict,
            seconds=seconds_of(case.attributes.get("time", "0")),
            retries=case.again,
            messages=[reason.reason for reason in reasons],
            cause="".join(reason.kind for reason in reasons[:1]),
            attachments=case.attachments,
        )
        if known is None:
            self._places[case.key] = self._report.add(made)
        else:
            self._report.cases[known] = _joined(self._report.cases[known], made)

    def close(self) -> None:
        if self._root not in {"testsuites", "testsuite"}:
            raise ReportError(f'is no JUnit file: its root is "{self._root}", not "testsuites" or "testsuite"')
        if self._claimed and not any(case.verdict in _VERDICTS.values() for case in self._report.cases):
            self._report.error(f"its suites count {self._claimed} failures, and no case has one")


def _count(attributes: dict[str, str], name: str) -> int:
    return int(seconds_of(attributes.get(name, "0")))


def _verdict_of(case: _Open) -> tuple[CaseVerdict, Sequence[_Text]]:
    """Return the verdict of a case and the elements that give its reasons."""
    words = {case.attributes.get(name, "").casefold() for name in ("status", "result")}
    if case.bad:
        return _VERDICTS[case.bad[0].tag], case.bad
    if case.skipped is not None:
        return ("passed" if case.skipped.expected else "skipped"), [case.skipped]
    if words & _FAILED:
        return "failed", case.flaky
    if words & _NOT_RUN:
        return "skipped", ()
    return ("flaky" if case.again else "passed"), case.flaky


def _joined(before: Case, case: Case) -> Case:
    """Return one case for two executions of a test of pytest.

    pytest-rerunfailures leaves an execution that is tried again as a case that passed, and pytest writes the failure of a
    tear-down after that of its test as a case of its own.
    """
    if before.verdict in BAD:
        more = (case.message, *case.more) if case.verdict in BAD else ()
        return msgspec.structs.replace(before, more=before.more + more)
    verdict = "flaky" if case.verdict == "passed" else case.verdict
    return msgspec.structs.replace(case, name=before.name, verdict=verdict, retries=before.retries + 1)


def read_junit(blocks: Iterable[bytes], mask: Mask) -> Report:
    """Return what a JUnit file reports.

    Args:
        blocks: its bytes, in pieces.
        mask: takes secrets out.

    Raises:
        ReportError: it is no JUnit file, or beyond a limit.
    """
    report = Report(mask)
    reader = _Reader(report)
    parser = ET.XMLParser(target=reader)  # noqa: S314 - it refuses a DOCTYPE, so it has no entities, and builds no tree
    wide = None
    try:
        for block in blocks:
            wide = block.startswith(_UTF16) if wide is None else wide
            parser.feed(block if wide else block.replace(b"\x1b", b"#x1B").translate(None, _NOT_XML))
        parser.close()
    except ET.ParseError as error:
        raise ReportError(f"is not XML ({error})") from error
    return report
