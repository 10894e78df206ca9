"""What earlier runs say about each task: a cache of ledgers, in one small file. May import `disk` and msgspec.

It gives the scheduler durations and `unchanged` its last pass. It can be thrown away: then everything runs once.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from orchestra.ledger.disk import replace_file


class Past(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last execution of a task.

    Attributes:
        seconds: how long it took.
        run: the id of the run in which it last passed, empty if it has not.
        inputs: the digest under which it passed.
    """

    seconds: float
    run: str = ""
    inputs: str = ""


def load(path: Path) -> dict[str, Past]:
    """The past by task; empty when there is none or the file is of another form."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Past])
    except (OSError, msgspec.DecodeError):
        return {}


def save(path: Path, past: dict[str, Past]) -> None:
    """Write the past, sorted, in one step.

    Raises:
        MachineError: the disk refuses; the old file stays.
    """
    replace_file(path, encoded(past))


def encoded(past: dict[str, Past]) -> bytes:
    """The past as it stands in its file, sorted."""
    return msgspec.json.format(msgspec.json.encode(past, order="sorted"), indent=1) + b"\n"
