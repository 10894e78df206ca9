"""The report of cases that a command wrote in its attempt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from orchestra import names
from orchestra.errors import UsageError
from orchestra.ledger.case import Case
from orchestra.plan import Command, ReportKind
from orchestra.runtime.attempt import Request
from orchestra.runtime.cases.read import read
from orchestra.runtime.cases.report import Report, ReportError
from orchestra.runtime.cases.text import Mask
from orchestra.runtime.files import inside
from orchestra.runtime.processes.commands import Finished

OUTSIDE: Final = "(outside of any case)"
"""The name of what failed in no case: an import, a tear-down of the whole suite."""

_WORDS: Final[Mapping[ReportKind, str]] = {
    "junit": "JUnit file",
    "playwright_json": "JSON file of Playwright",
    "pytest_reportlog": "report log of pytest",
}


def lookup(bound: Mapping[str, str], name: str) -> str:
    """Return the value of a late name.

    Raises:
        UsageError: it has none here, for instance an environment variable that is not set.
    """
    if name in bound:
        return bound[name]
    if name.startswith("env."):
        raise UsageError(f"the environment variable {name[4:]} is not set, and the spec uses ${{{name}}}", "set it")
    raise UsageError(f"${{{name}}} has no value here")


class Stamp(NamedTuple):
    """The properties that change when a file is written: an attempt that leaves them unchanged has not written it."""

    device: int
    inode: int
    bytes: int
    modified: int
    changed: int


def stamp(request: Request, command: Command) -> Stamp | None:
    """Return the stamp of a command's report, to be taken before it starts; None where there is no such file."""
    try:
        if command.report is None:
            return None
        facts = _path(request, command.report[1]).stat()
    except (OSError, UsageError, ValueError):
        return None
    return Stamp(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


def _path(request: Request, text: str) -> Path:
    return inside(names.expand(text, lambda name: lookup(request.names, name)), Path(request.root))


def reported_by(
    request: Request, command: Command, finished: Finished, before: Stamp | None, mask: Mask
) -> tuple[Case, ...]:
    """Return the cases that a command reports; what failed in none of them is a case of its own.

    Args:
        request: what was to be done.
        command: that of its test; it has a report.
        finished: how it ended.
        before: the stamp of the report before the attempt.
        mask: takes secrets out of its texts.

    Raises:
        UsageError: the report cannot be read, is of an earlier run, or has no case that was executed.
    """
    kind, text = command.report or ("junit", "")
    path = _path(request, text)
    name = f'{_WORDS[kind]} "{path.name}"'
    stale = before is not None and stamp(request, command) == before
    try:
        report = None if stale else read(path, kind, mask)
    except ReportError as error:
        raise UsageError(f"the {name} {error}") from error
    program = f'"{command.argv[0]}"'
    if report is None:
        ended = "" if finished.exit_code in command.exit_codes else f"ended with exit code {finished.exit_code} and "
        if not stale:
            raise UsageError(f"{program} {ended}wrote no {name}")
        raise UsageError(
            f"{program} {ended}wrote no {name}: the file is as it was before this attempt",
            f"what an earlier run wrote is not read; let it write `{_example(path)}`",
        )
    if all(case.verdict == "skipped" for case in report.cases):
        raise UsageError(f"{program} executed no case: {_why_none(report, name)}")
    return (*report.cases, *_outside(report))


def _example(path: Path) -> str:
    return f"${{attempt.dir}}/{path.name}"


def _why_none(report: Report, name: str) -> str:
    if report.errors:
        return "; ".join(report.errors)
    number = len(report.cases)
    return f"all {number} in the {name} were skipped" if number else f"the {name} has none"


def _outside(report: Report) -> tuple[Case, ...]:
    numbers = range(1, len(report.errors) + 1)
    return tuple(
        Case(name=OUTSIDE if number == 1 else f"{OUTSIDE} ({number})", verdict="error", message=text)
        for number, text in zip(numbers, report.errors, strict=True)
    )
