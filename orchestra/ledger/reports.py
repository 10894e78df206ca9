"""The files of a report, bound to the record that they were made from.

A report is read by people and by CI, who do not read the ledger: one that was changed afterwards is found by an audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from orchestra.ledger.author import Author
from orchestra.ledger.disk import disk_error, file_digest
from orchestra.ledger.event import Reports
from orchestra.ledger.log import Writer
from orchestra.ledger.parts import Evidence
from orchestra.ledger.quick import STATE
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.state import state_of, write_state
from orchestra.ledger.view import View


def reports_of(folder: Path, files: Iterable[Path]) -> Reports:
    """Return the event for files in a run's folder. Raises MachineError when one cannot be read."""
    bound = []
    for file in sorted(files):
        try:
            digest, size = file_digest(file)
        except OSError as error:
            raise disk_error(error, file, "read") from error
        bound.append(Evidence(path=str(file.relative_to(folder)), digest=digest, bytes=size, kind="report"))
    return Reports(files=tuple(bound))


def bind_reports(folder: Path, files: Iterable[Path], now: Callable[[], datetime], author: Author) -> None:
    """Bind rewritten files to the record of a run that has ended, and seal the record again.

    Nothing is done where they are bound as they are, or the record has no end. The suite's lock must be held.

    Args:
        folder: the run's.
        files: of the report, in that folder.
        now: the clock, with a zone.
        author: as of `Writer`.

    Raises:
        LedgerError: the ledger is damaged.
        MachineError: the disk refuses.
    """
    view = View(steps=False)
    with Writer(folder / LEDGER, now=now, seen=view.see, author=author) as writer:
        body = reports_of(folder, files)
        if not view.sealed or (view.reports is not None and view.reports.body == body):
            return
        view.see(writer.append(body))
        view.see(writer.seal())
    write_state(folder / STATE, state_of(view))
