"""Which runs are kept, and how others go.

`doomed` is pure. A run goes whole: its ledger without its evidence would be no record. Its folder gets another name first,
so that a crash leaves no half of it under its own, and the next prune removes it. Baselines need no run: their file holds
the samples, and `baseline accept` reads the cache of executions, which is brought up to date before anything goes.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger import baseline, history
from orchestra.ledger.disk import disk_error, remove_tree
from orchestra.ledger.lock import holder_of
from orchestra.ledger.runs import BY_HAND, LEDGER, last_ended, runs_of, stamp_of
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


@dataclass(frozen=True, slots=True)
class Limits:
    """The runs that stay: at most so many, and none that is older. The newest run stays whatever the limits are.

    Attributes:
        runs: how many of the newest stay; 0 for no limit.
        days: the greatest age; 0 for no limit.
    """

    runs: int = KEEP
    days: float = 0.0

    def oldest(self, now: datetime) -> str:
        """Return the lowest id of a run that is not too old; empty where age does not count."""
        return stamp_of(now - timedelta(days=self.days)) if self.days else ""


USUAL = Limits()


def doomed(names: Sequence[str], keep: int, held: Collection[str], oldest: str = "") -> list[str]:
    """Return the runs to remove, but those that are held.

    Args:
        names: ids, the newest first.
        keep: so many of the newest stay; 0 for no limit.
        held: ids that stay.
        oldest: ids below it are too old.
    """
    return [name for name in _over(names, keep, oldest) if name not in held]


def _over(names: Sequence[str], keep: int, oldest: str) -> list[str]:
    """Return the runs beyond the limits: too many, or too old."""
    return [name for number, name in enumerate(names) if number and (0 < keep <= number or name < oldest)]


def retention(home: Path, limits: Limits = USUAL, now: datetime | None = None) -> Retention:
    """Return the runs that `prune` would remove and retain. Changes nothing.

    Besides the newest, these runs are retained: the run that `last` names, one in progress, one whose pass an
    `unchanged` of the next run may refer to, one whose durations the accepted baseline has, and one whose pass an `unchanged` of
    a retained run refers to.

    Args:
        home: `.orchestra/<suite>`, absolute.
        limits: on number and age.
        now: the time, where age counts.

    Raises:
        MachineError: the disk refuses.
    """
    runs = home / "runs"
    names = runs_of(home)
    keep, oldest = limits.runs, limits.oldest(now or datetime.now(UTC))
    over = set(_over(names, keep, oldest))
    if not over:
        return Retention([], {}, len(names))
    why: dict[str, str] = {}
    if last := last_ended(home):
        why[last.name] = "it is the last run that ended"
    for task, execution in history.load(home / history.LAST).items():
        if execution.inputs:
            why.setdefault(execution.run, f"{task} passed there, and is unchanged since")
    for key, entry in _accepted(home).items():
        why.setdefault(entry.run, f"{baseline.FILE} has its duration of {key}")
    if (holder := holder_of(home / "lock")) is not None:
        why.setdefault(holder.run, "it is under way")
    looked: set[str] = set()
    while fresh := [name for name in names if name not in looked and name not in doomed(names, keep, why, oldest)]:
        looked.update(fresh)
        for name in fresh:
            for task, since in _rests_on(runs / name / LEDGER):
                why.setdefault(since, f"{task} is unchanged in {name} because it passed there")
    gone = doomed(names, keep, why, oldest)
    held = {name: why[name] for name in names if name in over and name in why}
    return Retention(gone, held, len(names) - len(gone))


def _accepted(home: Path) -> Mapping[str, baseline.Entry]:
    """Return the accepted baseline; nothing where it cannot be read, which other verbs report."""
    try:
        return baseline.entries(home / baseline.FILE)
    except MachineError:
        return {}


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


def prune(
    home: Path, limits: Limits = USUAL, now: datetime | None = None, *, within_seconds: float = math.inf
) -> tuple[Retention, list[str]]:
    """Remove old runs by `retention`. The suite's lock must be held.

    Args:
        home: `.orchestra/<suite>`, absolute.
        limits: on number and age.
        now: the time, where age counts.
        within_seconds: no further folder is removed after so long. A folder that is left is no run any more, and the next
            prune removes it.

    Returns:
        The removed and the retained runs, and a sentence for each ledger that could not be read for the cache of executions.

    Raises:
        MachineError: the disk refuses.
    """
    recover(home)
    found, refused = retention(home, limits, now), list[str]()
    if found.gone:  # their executions stay in the cache
        _, refused = history.refresh(home)
    runs = home / "runs"
    for name in found.gone:
        folder = runs / name
        try:
            nofollow.replace(folder, runs / f"{_REMOVED}{name}")
        except OSError as error:
            raise disk_error(error, folder, "remove") from error
    end = time.monotonic() + within_seconds
    for name in nofollow.names(runs) if nofollow.is_folder(runs) else ():
        if name.startswith(_REMOVED) and time.monotonic() < end:  # of a prune that was cut off, too
            remove_tree(runs / name)
    if found.gone:
        _prune_by_hand(runs / BY_HAND, min(runs_of(home), default=""))
    return found, refused


def _prune_by_hand(folder: Path, oldest: str) -> None:
    """Remove the files of the browsers that agents steered before the oldest run that stays.

    Args:
        folder: with a folder for each browser.
        oldest: the id of that run. A browser that is still steered has newer files.
    """
    if not nofollow.is_folder(folder):
        return
    for name in nofollow.names(folder):
        if name < oldest and _newest(folder / name) < oldest:
            remove_tree(folder / name)


def _newest(folder: Path) -> str:
    """Return the beginning of the ids of runs that start when a folder, or a file below it, was last changed."""
    below = [entry.lstat().st_mtime for entry in (folder, *folder.rglob("*"))]
    return stamp_of(datetime.fromtimestamp(max(below), UTC))
