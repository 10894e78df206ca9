"""A run in a session of its own, which outlives the process that asked for it.

The run reports on its stdout: its id when its record is open, and that it has begun when the gates before the first
test let it start a server or a test. From the first report on it prints into the folder of its record.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from orchestra import nofollow
from orchestra.ledger.disk import open_log
from orchestra.ledger.event import AttemptStarted, Event, ServiceChanged
from orchestra.ledger.view import View
from orchestra.runtime import interpreter

CONSOLE: Final = "console.log"
"""In the folder of a detached run: the lines that a run prints."""

BOUND_SECONDS: Final = 60.0
"""A run whose record is open is reported as begun after this time, even if neither a server nor a test has started."""

_LOOK_SECONDS = 0.05
_BEGUN = "begun"


class Start(NamedTuple):
    """The start of a run.

    Attributes:
        run: its id; empty if it was refused before its record was open.
        code: its exit code, if it ended before it began; else None.
        printed: the text for people of a run that ended before it began.
    """

    run: str
    code: int | None = None
    printed: str = ""


class Herald:
    """In the process of the run: reports to the process that started it. An observer."""

    def __init__(self, folder: Path) -> None:
        self._begun = False
        with open_log(folder / CONSOLE) as log:
            self._report = os.dup(1)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.write(self._report, f"{folder.name}\n".encode())

    def see(self, event: Event, view: View) -> None:
        """Report the beginning."""
        del view
        body = event.body
        starts = isinstance(body, AttemptStarted) or (isinstance(body, ServiceChanged) and body.state == "starting")
        if starts and not self._begun:
            self._begun = True
            os.write(self._report, f"{_BEGUN}\n".encode())

    def close(self, view: View) -> None:
        """Do nothing: the exit code reports the end."""


def start(words: Sequence[str], root: Path, home: Path, environment: Mapping[str, str]) -> Start:
    """Start a run, and return when it has begun or ended.

    Args:
        words: of the command line, after `orchestra`.
        root: the project root.
        home: `.orchestra/<suite>`, absolute.
        environment: of the run.
    """
    with tempfile.TemporaryFile() as reports, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [*interpreter.own("orchestra"), *words],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=reports,
            stderr=errors,
            start_new_session=True,
        )
        try:
            begun, deadline = False, time.monotonic() + BOUND_SECONDS
            while not begun and process.poll() is None:
                time.sleep(_LOOK_SECONDS)
                lines = _lines(reports)
                begun = _BEGUN in lines or (bool(lines) and time.monotonic() > deadline)
        except BaseException:  # the user gives up before the run has begun
            process.terminate()
            raise
        run, *more = [*_lines(reports), ""]
        if begun or _BEGUN in more:
            process.returncode = process.returncode or 0  # it outlives this process on purpose: no warning about it
            return Start(run)
        printed = nofollow.read(home / "runs" / run / CONSOLE).decode(errors="replace") if run else ""
        return Start(run, process.returncode, "".join([*_text(errors), printed]))


def _text(file: BinaryIO) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")


def _lines(file: BinaryIO) -> list[str]:
    """Return the whole lines of a file that another process writes."""
    return [line[:-1] for line in _text(file).splitlines(keepends=True) if line.endswith("\n")]
