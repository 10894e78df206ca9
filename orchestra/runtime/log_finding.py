"""Errors in the logs of services while an attempt ran: lines that a pattern of the spec fits. May import `finding`, `window`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestra.plan import Test
from orchestra.runtime.attempt import Finding, Result
from orchestra.runtime.finding import errors_of, failed_by, finding
from orchestra.runtime.window import Mark, Part, parts

LINE_LETTERS = 500

_STAMP = re.compile(r"\d\d:\d\d:\d\d\.\d{3} ")
"""What `service.Journal` puts before each line: the service did not write it, so no pattern has to know of it."""


def patterns_of(test: Test, method: str) -> Mapping[str, tuple[str, ...]]:
    """What is looked for in logs, by component; nothing where the layer is ignored."""
    errors = errors_of(test, method)
    return {} if errors.service_logs == "ignore" else errors.log_patterns


def with_log_findings(result: Result, test: Test, method: str, run: Path, begun: Mapping[str, Mark]) -> Result:
    """The result with what the services that the test requires wrote since its start, where a pattern fits a line.

    Args:
        result: of the attempt.
        test: its own.
        method: its own.
        run: the run's folder.
        begun: where the logs ended when it began, by component.
    """
    errors, found = errors_of(test, method), list[Finding]()
    for name, patterns in patterns_of(test, method).items():
        if name not in begun:
            continue
        for part in parts(run, name, begun[name]):
            for line, text in _fitting(part, patterns):
                where = f"{part.log.relative_to(run)}:{line}"
                one = finding(errors, "service_logs", f"{name}: {text}", where)
                found += [] if one is None else [one]
    return failed_by(result, found, f"/tests/{test.of or test.id}") if found else result


def _fitting(part: Part, patterns: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Number and text of each line that a pattern fits."""
    first: int | None = None
    for index, stamped in enumerate(part.data.decode(errors="replace").split("\n")):
        line = _STAMP.sub("", stamped, count=1)
        if any(re.search(pattern, line) for pattern in patterns):
            if first is None:  # counted only for a log in which there is something
                first = _lines_before(part) + 1
            yield first + index, line.strip()[:LINE_LETTERS]


def _lines_before(part: Part) -> int:
    try:
        with part.log.open("rb") as file:
            return file.read(part.start).count(b"\n")
    except OSError:
        return 0
