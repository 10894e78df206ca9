"""The file of pytest's plug-in pytest-reportlog (`--report-log`): a JSON object a line.

Of pytest's reports it is the one that holds reruns, phases and the end of the session; its plug-in is maintained by the
makers of pytest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from orchestra.ledger.case import CaseVerdict
from orchestra.runtime.cases.report import CASES, Report, ReportError
from orchestra.runtime.cases.text import Mask, pytest_errors, seconds_of

_ENDED: Final = {
    2: "pytest was interrupted before its end",
    3: "pytest met an error of its own",
    4: "pytest was called wrongly",
}
"""By the exit status of a session. Its cases show 0 and 1, and their absence 5."""

_AGAIN = frozenset({"rerun", "retried"})
_REPORTS = frozenset({"TestReport", "SubTestReport", "CollectReport"})
_PARTS = re.compile(r"^contains \d+ failed subtests?$")


class _Context(msgspec.Struct):
    msg: str | None = None
    kwargs: dict[str, Any] = {}


class _Line(msgspec.Struct):
    report: str = msgspec.field(default="", name="$report_type")
    nodeid: str = ""
    when: str = ""
    outcome: str = ""
    duration: float = 0.0
    rerun: int = 0
    longrepr: msgspec.Raw = msgspec.Raw(b"null")
    wasxfail: str | None = None
    context: _Context | None = msgspec.field(default=None, name="_subtest.context")
    exitstatus: int = 0


class _Crash(msgspec.Struct):
    message: str = ""


class _Long(msgspec.Struct):
    reprcrash: _Crash | None = None


@dataclass
class _Node:
    """A test as its phases come in; they may be mixed with those of others."""

    seconds: float = 0.0
    retries: int = 0
    verdict: CaseVerdict = "passed"
    messages: list[str] = field(default_factory=list)
    first: str = ""
    ended: bool = False

    def take(self, line: _Line) -> None:
        """Take one phase."""
        if line.rerun > self.retries:
            self.seconds, self.retries = 0.0, line.rerun
        self.seconds += max(0.0, line.duration) if line.report != "SubTestReport" else 0.0
        self.ended = line.when in {"teardown", ""}
        if line.outcome in _AGAIN:
            self.retries, self.first = max(1, self.retries), self.first or _message(line)
        elif line.outcome == "failed":
            self._failed(line)
        elif line.outcome == "skipped" and self.verdict == "passed" and line.report != "SubTestReport":
            expected = line.wasxfail is not None
            self.verdict = "passed" if expected else "skipped"
            self.messages = [f"expected failure: {line.wasxfail}" if expected else _message(line)]

    def _failed(self, line: _Line) -> None:
        message = _message(line)
        if not (self.messages and self.verdict == "failed" and _PARTS.match(message)):
            self.messages = [*self.messages, message] if self.verdict in {"failed", "error"} else [message]
        if self.verdict != "failed":
            self.verdict = "failed" if line.when == "call" else "error"


def _message(line: _Line) -> str:
    """Return why a phase did not pass, from one of the three shapes of a `longrepr`."""
    long = msgspec.json.decode(line.longrepr)
    if isinstance(long, list):
        return str(long[-1]).removeprefix("Skipped: ") if long else ""
    if isinstance(long, str):
        return pytest_errors(long) or long
    crash = msgspec.convert(long, _Long).reprcrash if long is not None else None
    message = crash.message if crash is not None else ""
    if line.context is None:
        return message
    words = [*([line.context.msg] if line.context.msg else []), *(f"{k}={v}" for k, v in line.context.kwargs.items())]
    return f"({', '.join(words)}) {message}"


def read_reportlog(lines: Iterable[bytes], mask: Mask) -> Report:
    """Return the cases of a report log of pytest.

    Raises:
        ReportError: it is none, or beyond a limit.
    """
    report, nodes = Report(mask), dict[str, _Node]()
    decode = msgspec.json.Decoder(_Line).decode
    status: int | None = None
    begun = False
    for number, text in enumerate(lines, 1):
        try:
            line = decode(text)
            if not begun and line.report != "SessionStart":
                raise ReportError("is no file of pytest --report-log: it does not begin with the start of a session")
            begun = True
            if line.report == "SessionFinish":
                status = line.exitstatus
            elif line.report in _REPORTS and (line.report != "CollectReport" or line.outcome != "passed"):
                nodes.setdefault(line.nodeid, _Node()).take(line)
        except msgspec.MsgspecError as error:
            if begun and not text.endswith(b"\n"):
                break  # half a line: pytest ended while it wrote
            raise ReportError(f"is no file of pytest --report-log (line {number}: {error})") from error
        if len(nodes) > CASES:
            raise ReportError(f"has more than {CASES} cases: run the suite in parts")
    for name, node in nodes.items():
        _add(report, name, node)
    if not begun:
        raise ReportError("is empty")
    if status is None:
        report.error("pytest ended before its session did")
    elif status in _ENDED:
        report.error(f"{_ENDED[status]} (exit status {status})")
    return report


def _add(report: Report, name: str, node: _Node) -> None:
    verdict, messages = node.verdict, list(dict.fromkeys(node.messages))
    if not node.ended and verdict == "passed":
        verdict, messages = "interrupted", ["it did not end"]
    elif verdict == "passed" and node.retries:
        verdict, messages = "flaky", [node.first]
    seconds = seconds_of(str(node.seconds))
    report.add(report.case([name], verdict, seconds=seconds, retries=node.retries, messages=messages))
