"""A quick look at `state.json`: only the fields that are wanted, without the record that describes them all.

Imports `disk` and `lock` only: `orchestra status` is asked often, by people and by agents. `as_json` of `state` writes a
field a line, so a field that is not wanted is not parsed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from orchestra import nofollow
from orchestra.ledger.disk import disk_error
from orchestra.ledger.lock import holder_of


def glance(path: Path, wanted: Collection[str]) -> dict[str, Any]:
    """Return the wanted fields of a state that are there.

    Raises:
        MachineError: the file cannot be read.
        ValueError: it is not a state.
    """
    try:
        text = nofollow.read(path).decode()
    except OSError as error:
        raise disk_error(error, path, "read") from error
    found: dict[str, Any] = {}
    for line in text.splitlines()[1:-1]:
        name, colon, value = line.strip().removesuffix(",").partition(": ")
        if not colon:
            raise ValueError(f'"{path}" is not a state: a field has no value')
        if (field := name.strip('"')) in wanted:
            try:
                found[field] = json.loads(value)
            except RecursionError as error:
                raise ValueError(f'"{path}" is not a state: "{field}" is nested too deeply') from error
    return found


def under_way(folder: Path) -> bool:
    """Return True if the run in this folder is being written now. Raises MachineError when the lock cannot be read."""
    holder = holder_of(folder.parent.parent / "lock")
    return holder is not None and holder.run == folder.name
