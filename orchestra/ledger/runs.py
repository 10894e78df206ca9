"""The folders of runs below `.orchestra/<suite>/runs`, by id, by a part of it, or the newest. May import `errors`, `suggest`.

A run is known by its ledger: a folder without one is none. Ids begin with the time, so they sort by age.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from orchestra.errors import UsageError
from orchestra.suggest import did_you_mean

LEDGER: Final = "events.jsonl"
STATE: Final = "state.json"
LAST: Final = "last"
"""The link to the last run that ended, and the word for the newest run."""

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_SHOWN = 5


def runs_of(home: Path) -> list[str]:
    """The ids of the runs of a suite, the newest first.

    Args:
        home: `.orchestra/<suite>`, absolute.
    """
    try:
        names = [path.name for path in (home / "runs").iterdir() if _ID.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    return sorted((name for name in names if (home / "runs" / name / LEDGER).is_file()), reverse=True)


def find_run(home: Path, word: str = LAST) -> Path:
    """The folder of the run that a word means: `last` for the newest, an id, or a part of one that only it has.

    Raises:
        UsageError: there is no run, none of that name, or several.
    """
    names = runs_of(home)
    if not names:
        raise UsageError(f'no run of suite "{home.name}" is recorded yet', "start one with `orchestra run`")
    if word == LAST:
        return home / "runs" / names[0]
    found = [name for name in names if name == word] or [name for name in names if word and word in name]
    if len(found) == 1:
        return home / "runs" / found[0]
    shown = ", ".join(found[:_SHOWN] or names[:_SHOWN])
    if found:
        raise UsageError(f'"{word}" is part of {len(found)} runs: {shown}', "say more of the id")
    raise UsageError(f'no run "{word}" of suite "{home.name}"{did_you_mean(word, names)}; the newest are {shown}')
