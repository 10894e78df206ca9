"""Read of a run what a program needs that starts often: who writes it, fields of its state, what `wait` has printed.

`orchestra status` is asked often, by people and by agents, and a client waits for the hook of an agent. So paths are text
here, a disk that refuses raises OSError, and nothing is imported that takes long to.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from collections.abc import Collection
from typing import Any

from orchestra import nofollow

LEDGER = "events.jsonl"
STATE = "state.json"
PRINTED = "waited"
"""In the folder of a run: the number of the last event that `wait` has printed."""
LOCK = "lock"
HELD = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES})
"""The errors for a lock that another process holds: flock gives the first, NFS, which locks a region, may give the
last.
"""
RUN_ID = r"\d{8}T\d{6}Z-[0-9a-f]{4}"
_MOST_BYTES = 4096


def is_run_id(name: str) -> bool:
    """Return whether a name is the id of a run."""
    return re.fullmatch(RUN_ID, name) is not None


def run_ids(home: str) -> list[str]:
    """Return the ids that the runs of a suite have, be there a record of them or not. Raises OSError."""
    try:
        return [name for name in nofollow.names(f"{home}/runs") if is_run_id(name)]
    except FileNotFoundError:
        return []


def recorded(home: str) -> list[str]:
    """Return the ids of the runs of a suite that have a record, the newest first. Raises OSError."""
    return sorted((run for run in run_ids(home) if nofollow.is_file(f"{home}/runs/{run}/{LEDGER}")), reverse=True)


def held(lock: str) -> bytes | None:
    """Return what the holder of a lock wrote into its file; None if no process holds it. Does not take the lock.

    Where the file system gives no locks, no run holds one. Raises OSError if the file is there and cannot be read.
    """
    try:
        file = nofollow.open_file(lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return os.pread(file, _MOST_BYTES, 0) if error.errno in HELD else None
    else:
        return None
    finally:
        os.close(file)


def is_under_way(folder: str) -> bool:
    """Return whether the run in a folder is being written now. Raises OSError as `held`."""
    home, _, run = folder.rpartition("/runs/")
    try:
        return bool(json.loads(held(f"{home}/{LOCK}") or b"{}").get("run") == run)
    except (ValueError, AttributeError, RecursionError):
        return False


def printed(folder: str) -> int:
    """Return the number of the last event that `wait` has printed of the run in a folder; 0 if there is none."""
    try:
        return int(nofollow.read(f"{folder}/{PRINTED}"))
    except (OSError, ValueError):
        return 0


def state_fields(path: str, wanted: Collection[str]) -> dict[str, Any]:
    """Return the wanted fields of a state that are there.

    `as_json` of `state` writes a field a line, so a field that is not wanted is not parsed.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a state.
    """
    text = nofollow.read(path).decode()
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


def known_fields(folder: str, wanted: Collection[str]) -> dict[str, Any]:
    """Return the wanted fields of the state of a run, which is a tenth of a second behind its record; empty without one."""
    try:
        return state_fields(f"{folder}/{STATE}", wanted)
    except (OSError, ValueError):
        return {}
