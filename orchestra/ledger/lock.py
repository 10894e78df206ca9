"""One run of a suite at a time: the lock on `.orchestra/<suite>/lock`, and who holds it.

The kernel holds the lock for the open file, so it is gone with its process, however that ended. The content of the file
is for people; it decides nothing. The file remains after the lock is released: removing it would let two runs lock two
files of one name.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger.disk import closed_on_error, disk_error, lock_file
from orchestra.ledger.quick import LOCK, held


class Holder(NamedTuple):
    """The holder of a lock: process id, run id, and start (UTC, ISO 8601).

    `born` is when its process started, in seconds of the epoch, so that the number alone proves nothing; 0.0 for a holder
    that is no run, and cannot be stopped.
    """

    pid: int
    run: str
    since: str
    born: float = 0.0


class LockedError(MachineError):
    """Another run holds the lock. `holder` is None if its name is not, or no longer, in the file."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        who = f"run {holder.run} (process {holder.pid}, since {holder.since})" if holder else "another run"
        super().__init__(
            f'{who} holds "{path}"',
            "`orchestra wait` waits for its end, `orchestra stop` ends it, `orchestra status` shows its progress",
        )
        self.holder = holder


class Lock:
    """An exclusive lock, held from construction to `release` or to the end of the process. Never waits.

    Raises:
        LockedError: another run holds it.
        MachineError: the file cannot be made or locked.
    """

    def __init__(self, path: Path, holder: Holder) -> None:
        try:
            self._file = nofollow.open_file(path, os.O_RDWR | os.O_CREAT, make=True)
        except OSError as error:
            raise disk_error(error, path, "open") from error
        with closed_on_error(self._file):
            if not lock_file(self._file, path):
                raise LockedError(path, _holder_in(path))
            try:
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, (json.dumps(holder._asdict()) + "\n").encode(), 0)
            except OSError as error:
                raise disk_error(error, path, "write") from error

    def release(self) -> None:
        """Let go. A second call does nothing."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder_of(path: Path) -> Holder | None:
    """Return the holder of the lock; None if it is free. Does not take the lock.

    Raises:
        MachineError: the file is there and cannot be read.
    """
    try:
        text = held(os.fspath(path))
    except OSError as error:
        raise disk_error(error, path, "read") from error
    return None if text is None else _holder_of(text)


def under_way(folder: Path) -> bool:
    """Return True if the run in this folder is being written now. Raises MachineError when the lock cannot be read."""
    holder = holder_of(folder.parent.parent / LOCK)
    return holder is not None and holder.run == folder.name


def _holder_in(path: Path) -> Holder | None:
    try:
        return _holder_of(nofollow.read(path))
    except OSError:
        return None


def _holder_of(text: bytes) -> Holder | None:
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None
