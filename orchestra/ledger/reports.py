"""The files of a report, bound to the record that they were made from. May import the ledger's own parts.

A report is read by people and by CI, who do not read the ledger: one that was changed afterwards is found by an audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestra.ledger.author import Author
from orchestra.ledger.disk import disk_error, file_digest
from orchestra.ledger.event import Event
from orchestra.ledger.log import Writer
from orchestra.ledger.runs import LEDGER, STATE
from orchestra.ledger.state import Fold, write_state


def reports_body(folder: Path, files: Iterable[Path]) -> dict[str, Any]:
    """Return the body of `reports` for files in a run's folder. Raises MachineError when one cannot be read."""
    bound = []
    for file in sorted(files):
        try:
            digest, size = file_digest(file)
        except OSError as error:
            raise disk_error(error, file, "read") from error
        bound.append({"path": str(file.relative_to(folder)), "digest": digest, "bytes": size, "kind": "report"})
    return {"files": bound}


def bind_reports(folder: Path, files: Iterable[Path], now: Callable[[], datetime], author: Author) -> None:
    """Bind files that were written anew to the record of a run that has ended, and seal it again.

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
    fold, last = Fold(), ""
    before: Mapping[str, Any] = {}

    def seen(event: Event) -> None:
        nonlocal last, before
        fold.add(event)
        last = event.type
        before = event.body if event.type == "reports" else before

    with Writer(folder / LEDGER, now=now, seen=seen, author=author) as writer:
        body = reports_body(folder, files)
        if last != "seal" or body == before:
            return
        fold.add(writer.append("reports", body))
        fold.add(writer.seal())
    write_state(folder / STATE, fold.state())
