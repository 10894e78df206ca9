"""Read fields of `state.json` quickly, without the record that describes them all.

It imports little: `orchestra status` is asked often, by people and by agents. `as_json` of `state` writes a
field a line, so a field that is not wanted is not parsed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from orchestra import nofollow
from orchestra.ledger.disk import disk_error


def state_fields(path: Path, wanted: Collection[str]) -> dict[str, Any]:
    """Return the wanted fields of a state that are there.

    Raises:
        MachineError: the file cannot be read.
        ValueError: it is not a state.
    """
    try:
        text = nofollow.read(path).decode()
    except OSError as error:
        raise disk_error(error, path, "read") from error
    fields: dict[str, Any] = {}
    for line in text.splitlines()[1:-1]:
        name, colon, value = line.strip().removesuffix(",").partition(": ")
        if not colon:
            raise ValueError(f'"{path}" is not a state: a field has no value')
        if (field := name.strip('"')) in wanted:
            try:
                fields[field] = json.loads(value)
            except RecursionError as error:
                raise ValueError(f'"{path}" is not a state: "{field}" is nested too deeply') from error
    return fields
