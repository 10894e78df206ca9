"""Which runs are kept, and how others go. May import `runs`, `history`, `glance`, `disk`.

`doomed` is pure. A run goes whole: its ledger without its evidence would be no record. Its folder gets another name first,
so that a crash leaves no half of it under its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from orchestra.ledger import history
from orchestra.ledger.disk import disk_error
from orchestra.ledger.glance import under_way
from orchestra.ledger.runs import LAST, runs_of

KEEP = 20
"""Runs that are kept when nobody says otherwise: as many as a baseline looks back on."""

_REMOVED = ".removed-"


def doomed(names: Sequence[str], keep: int, held: Collection[str]) -> list[str]:
    """The runs to remove, of names sorted with the newest first: all behind the newest `keep`, but those that are held."""
    return [name for name in names[max(keep, 1) :] if name not in held]


def prune(home: Path, keep: int = KEEP) -> list[str]:
    """Remove old runs, and give their ids. The suite's lock must be held.

    What stays besides the newest: the run that `last` names, one that is under way, and those on whose pass an `unchanged`
    may rest.

    Args:
        home: `.orchestra/<suite>`, absolute.
        keep: how many of the newest stay; at least one does.

    Raises:
        MachineError: the disk refuses.
    """
    runs = home / "runs"
    held = {past.run for past in history.load(home / "history.json").values() if past.inputs}
    if (runs / LAST).is_symlink():
        held.add((runs / LAST).readlink().name)
    names = doomed(runs_of(home), keep, held)
    names = [name for name in names if not under_way(runs / name)]
    for name in names:
        folder = runs / name
        try:
            folder.rename(runs / f"{_REMOVED}{name}")
        except OSError as error:
            raise disk_error(error, folder, "remove") from error
    for left in runs.glob(f"{_REMOVED}*"):  # of a prune that was cut off, too
        try:
            shutil.rmtree(left)
        except OSError as error:
            raise disk_error(error, left, "remove") from error
    return names
