"""The folders of runs below `.orchestra/<suite>/runs`, by id, by a part of it, or the newest.

A run is known by its ledger: a folder without one is none. Ids begin with the time, so they sort by age.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from orchestra import nofollow
from orchestra.errors import UsageError
from orchestra.ledger import quick
from orchestra.ledger.disk import disk_error
from orchestra.suggest import did_you_mean

LEDGER: Final = quick.LEDGER
BY_HAND: Final = "by-hand"
"""The folder next to the runs with those of the browsers that agents steered by hand, each named after its start."""
LAST: Final = "last"
"""The link to the last run that ended, and the word for the newest run."""

_SHOWN = 5


def stamp_of(time: datetime) -> str:
    """Return the beginning of the ids of runs that start at a time."""
    return time.strftime("%Y%m%dT%H%M%SZ")


def is_run_id(name: str) -> bool:
    """Return whether a name is the id of a run."""
    return quick.is_run_id(name)


def runs_of(home: Path) -> list[str]:
    """Return the ids of the runs of a suite, the newest first.

    Args:
        home: `.orchestra/<suite>`, absolute.

    Raises:
        MachineError: the folder cannot be read, or is a link.
    """
    try:
        return quick.recorded(os.fspath(home))
    except OSError as error:
        raise disk_error(error, home / "runs", "read") from error


def newest_id(home: Path) -> str:
    """Return the greatest id that a run of a suite has, be there a record of it or not; empty where there is none.

    Raises:
        MachineError: as `runs_of`.
    """
    try:
        return max(quick.run_ids(os.fspath(home)), default="")
    except OSError as error:
        raise disk_error(error, home / "runs", "read") from error


def last_ended(home: Path) -> Path | None:
    """Return the folder of the last run that ended, or None where there is none, or no link to a run."""
    runs = home / "runs"
    try:
        with nofollow.parent(runs / LAST) as (folder, name):
            target = os.readlink(name, dir_fd=folder)
    except OSError:
        return None
    return runs / target if is_run_id(target) and nofollow.is_file(runs / target / LEDGER) else None


def meant(names: Sequence[str], word: str) -> list[str]:
    """Return the run of a name, or else all runs that have a word in their ids."""
    return [name for name in names if name == word] or [name for name in names if word and word in name]


def find_run(home: Path, word: str = LAST, *, ended: bool = False) -> Path:
    """Return the folder of the run that a word means: `last` for the newest, an id, or a part of one that only it has.

    Args:
        home: `.orchestra/<suite>`, absolute.
        word: names the run.
        ended: let `last` mean the last run that ended.

    Raises:
        MachineError: as `runs_of`.
        UsageError: there is no run, none of that name, or several.
    """
    names = runs_of(home)
    if not names:
        raise UsageError(f'no run of suite "{home.name}" is recorded yet', "start one with `orchestra run`")
    if word == LAST:
        last = last_ended(home) if ended else home / "runs" / names[0]
        if last is None:
            raise UsageError(
                f'no run of suite "{home.name}" has ended yet',
                "finish one: `orchestra run --resume`",
            )
        return last
    found = meant(names, word)
    if len(found) == 1:
        return home / "runs" / found[0]
    shown = ", ".join(found[:_SHOWN] or names[:_SHOWN])
    if found:
        raise UsageError(f'"{word}" is part of {len(found)} runs: {shown}', "write more of the id")
    raise UsageError(f'no run "{word}" of suite "{home.name}"{did_you_mean(word, names)}; the newest are {shown}')
