"""The records of earlier runs, as the verbs read them that compare a test over runs."""

from __future__ import annotations

from pathlib import Path

from orchestra.ledger import history
from orchestra.ledger.run_record import RunRecord
from orchestra.printing import unbroken
from orchestra.verbs.group import warn


def records_of(home: Path, *, rebuild: bool = False) -> list[RunRecord]:
    """Return the records of the runs of a suite, in the order of time, with a note for each ledger that cannot be read.

    Args:
        home: the folder of the suite.
        rebuild: delete their cache first, with the runs whose ledgers are gone.
    """
    records, refused = history.refresh(home, rebuild=rebuild)
    for sentence in refused:
        warn(f"note: {unbroken(sentence)}")
    return records
