"""The additions of a run to its job in GitHub Actions: annotations on lines of the spec, its summary, a group in the log.

Only the lines that this module makes are commands to the runner of GitHub: all other text passes through `printed`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from orchestra.draw import visible
from orchestra.ledger.outcome import FINE
from orchestra.report.console.table import exit_meaning, run_again, values_text
from orchestra.report.formats.markdown import markdown
from orchestra.report.rows import Report, Row, explained, position

MOST: Final = 10
"""Annotations of a level that GitHub shows for a step; it drops further ones without a word."""

MOST_SUMMARY: Final = 1_000_000
"""Bytes of the summary of a step; GitHub refuses a summary of more than 1 MiB, the whole of it."""

_CUT: Final = "\n\nThe summary is cut here: GitHub takes no more. `summary.md` in the folder of the run has all.\n"


def command(name: str, text: str, **properties: str) -> str:
    """Return a command to the runner of GitHub Actions, escaped as it wants it; a property without a value is left out."""
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
    return f"::{name}{' ' if listed else ''}{listed}::{_data(text)}"


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


class Github(NamedTuple):
    """The job of GitHub Actions that executes a run.

    Attributes:
        below: the project root, relative to the checkout, which places of annotations are relative to.
        summary: the file of the job's summary; None where there is none.
    """

    below: str = ""
    summary: Path | None = None

    def annotations(self, report: Report) -> list[str]:
        """Return the commands that annotate the spec: an error for each failed test and gate, a warning for a flaky test."""
        errors = [*self._failures(report), *_gates(report)]
        if not errors and report.exit_code:
            errors = [command("error", f"exit {exit_meaning(report)}", title=report.suite)]
        flaky = [row for row in report.rows if row.verdict == "flaky"]
        warnings = [self._annotation("warning", [row], row.reason or "passed on a later attempt") for row in flaky]
        return [*_most("error", errors), *_most("warning", warnings)]

    def _failures(self, report: Report) -> Iterator[str]:
        """Yield an error for each failure; methods that fail alike at the same place share one."""
        alike: dict[tuple[str, str, str], list[Row]] = {}
        for row in report.rows:
            if row.verdict not in FINE and not row.excused:
                alike.setdefault((row.test, row.place, row.message), []).append(row)
        for (test, _, message), rows in alike.items():
            text = "\n".join((message or rows[0].verdict, *_explained(rows[0])))
            repeat = f"{run_again(report)} {shlex.quote(test)}"
            yield self._annotation("error", rows, f"{text}\nrepeat: {repeat}")

    def _annotation(self, level: str, rows: Sequence[Row], text: str) -> str:
        first = rows[0]
        at = position(first.place)
        file, line, column = (at.file, str(at.line), str(at.column)) if at is not None else ("", "", "")
        methods = ", ".join(row.method for row in rows)
        title = f"{first.test} {first.title} ({methods}): {first.verdict}"
        path = f"{self.below}/{file}" if self.below and file else file
        return command(level, text, file=path, line=line, col=column, title=title)

    def write_summary(self, report: Report, folder: str) -> str:
        """Add the report to the summary of the job; return why that was not possible, or nothing."""
        if self.summary is None:
            return ""
        try:
            with self.summary.open("ab") as file:
                left = MOST_SUMMARY - file.tell()
                content = markdown(report, folder, linked=False).encode(errors="replace")
                if len(content) > left:
                    whole = content[: max(0, left - len(_CUT.encode()))].rpartition(b"\n")[0]
                    content = whole + _CUT.encode()
                file.write(content)
        except OSError as error:
            return f"the summary of the job could not be written: {error.strerror}"
        return ""


def github(root: Path, environment: Mapping[str, str]) -> Github | None:
    """Return the job of GitHub Actions that this process belongs to; None outside of one.

    Args:
        root: the project root.
        environment: of the process.
    """
    if environment.get("GITHUB_ACTIONS") != "true":
        return None
    below, summary = "", environment.get("GITHUB_STEP_SUMMARY")
    if checkout := environment.get("GITHUB_WORKSPACE"):
        path = os.path.relpath(root.resolve(), Path(checkout).resolve())
        below = "" if path == "." or path.startswith("..") else Path(path).as_posix()
    return Github(below, Path(summary) if summary else None)


def _explained(row: Row) -> Iterator[str]:
    if row.failure is not None:
        for name, text in explained(row.failure, ("step", "expected", "found", "hint")):
            yield f"{name}: {text}"


def _gates(report: Report) -> Iterator[str]:
    for gate in report.gates:
        if gate.result == "failed":
            text = "\n".join(part for part in (gate.expression, values_text(gate.values), gate.message) if part)
            yield command("error", text, title=f"gate {gate.phase}:{gate.name} failed")


def _most(level: str, commands: list[str]) -> list[str]:
    """Return no more commands than GitHub shows, of which the last then counts the rest."""
    if len(commands) <= MOST:
        return commands
    rest = len(commands) - MOST + 1
    return [*commands[: MOST - 1], command(level, f"{rest} more are in the summary of the job", title="and more")]
