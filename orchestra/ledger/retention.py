"""Which runs are kept, and how others go.

`doomed` is pure. A run goes whole: its ledger without its evidence would be no record. Its folder gets another name first,
so that a crash leaves no half of it under its own. Baselines need no run: their file holds the samples, and
`baseline accept` reads the cache of executions, which is brought up to date before anything goes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestra import nofollow
from orchestra.ledger import history
from orchestra.ledger.disk import disk_error, remove_tree
from orchestra.ledger.lock import under_way
from orchestra.ledger.runs import LEDGER, last_ended, runs_of
from orchestra.ledger.segment import segments
from orchestra.ledger.transaction import recover

KEEP = 20
"""Runs to retain by default: as many as a baseline covers."""

_REMOVED = ".removed-"
_SINCE = b'"unchanged_since":"'


class Retention(NamedTuple):
    """The runs of a suite to remove and to retain.

    Attributes:
        gone: ids of the runs to remove, the newest first.
        held: older runs that stay, the newest first, each with the reason.
        kept: how many stay in all.
    """

    gone: list[str]
    held: dict[str, str]
    kept: int


def doomed(names: Sequence[str], keep: int, held: Collection[str]) -> list[str]:
    """Return the runs to remove, of names sorted with the newest first: all behind the newest `keep`, but those that
    are held.
    """
    return [name for name in names[max(keep, 1) :] if name not in held]


def retention(home: Path, keep: int = KEEP) -> Retention:
    """Return the runs that `prune` would remove and retain. Changes nothing.

    Besides the newest, these runs are retained: the run that `last` names, one in progress, one whose pass an
    `unchanged` of the next run may refer to, and one whose pass an `unchanged` of a retained run refers to.

    Args:
        home: `.orchestra/<suite>`, absolute.
        keep: how many of the newest stay; at least one does.

    Raises:
        MachineError: the disk refuses.
    """
    runs = home / "runs"
    names = runs_of(home)
    why: dict[str, str] = {}
    if last := last_ended(home):
        why[last.name] = "it is the last run that ended"
    for task, execution in history.load(home / history.LAST).items():
        if execution.inputs:
            why.setdefault(execution.run, f"{task} passed there, and is unchanged since")
    for name in names:
        if under_way(runs / name):
            why.setdefault(name, "it is under way")
    looked: set[str] = set()
    while fresh := [name for name in names if name not in looked and name not in doomed(names, keep, why)]:
        looked.update(fresh)
        for name in fresh:
            for task, since in _rests_on(runs / name / LEDGER):
                why.setdefault(since, f"{task} is unchanged in {name} because it passed there")
    gone = doomed(names, keep, why)
    held = {name: why[name] for name in names[max(keep, 1) :] if name in why}
    return Retention(gone, held, len(names) - len(gone))


def _rests_on(ledger: Path) -> list[tuple[str, str]]:
    """Return (task, run) of each `unchanged` of a run. Damaged lines are skipped; an audit reports them."""
    found = []
    for file in segments(ledger):
        try:
            with nofollow.open_read(file) as lines:
                for line in lines:
                    if _SINCE not in line:
                        continue
                    try:
                        body = json.loads(line)["body"]
                        found.append((str(body["task"]), str(body["unchanged_since"])))
                    except (ValueError, KeyError, TypeError, RecursionError):
                        continue
        except OSError as error:
            raise disk_error(error, file, "read") from error
    return found


def prune(home: Path, keep: int = KEEP) -> tuple[Retention, list[str]]:
    """Remove old runs by `retention`. The suite's lock must be held.

    Args:
        home: `.orchestra/<suite>`, absolute.
        keep: how many of the newest stay; at least one does.

    Returns:
        The removed and the retained runs, and a sentence for each ledger that could not be read for the cache of executions.

    Raises:
        MachineError: the disk refuses.
    """
    recover(home)
    _, refused = history.refresh(home)
    found = retention(home, keep)
    runs = home / "runs"
    for name in found.gone:
        folder = runs / name
        try:
            nofollow.replace(folder, runs / f"{_REMOVED}{name}")
        except OSError as error:
            raise disk_error(error, folder, "remove") from error
    for name in nofollow.names(runs) if nofollow.is_folder(runs) else ():
        if name.startswith(_REMOVED):  # of a prune that was cut off, too
            remove_tree(runs / name)
    return found, refused
