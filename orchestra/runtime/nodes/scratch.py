"""Folders for what Dask keeps of a process, among the temporary files.

A process locks its folder as long as it lives. The folder of one that was killed is not locked any more, and is removed by the
next process of the same user that wants one.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger.disk import closed_on_error, disk_error, remove_tree
from orchestra.ledger.quick import HELD

PREFIX: Final = "orchestra-dask-"
"""Begins the name of each folder."""

_TRIES: Final = 100


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder of this process, and remove it at the end, with those that killed processes have left.

    Raises:
        MachineError: the disk refuses.
    """
    top = Path(tempfile.gettempdir()).resolve()
    reclaim(top)
    folder, lock = _made(top)
    try:
        yield folder
    finally:
        with suppress(MachineError):  # the next process tries again
            remove_tree(folder)
        os.close(lock)


def reclaim(top: Path) -> None:
    """Remove the folders of this user that no process has locked. One that cannot be removed stays."""
    with suppress(OSError, MachineError):
        for name in nofollow.names(top):
            if name.startswith(PREFIX) and (lock := _locked(top / name)) is not None:
                with suppress(MachineError):
                    remove_tree(top / name)
                os.close(lock)


def _made(top: Path) -> tuple[Path, int]:
    """Return a new folder and the open file that locks it.

    Another process that looks for folders without a lock may find it first: then another one is made.
    """
    try:
        for _ in range(_TRIES):
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=top))
            lock = _locked(folder)
            if lock is not None and nofollow.is_folder(folder):
                return folder, lock
            if lock is not None:
                os.close(lock)
    except OSError as error:
        raise disk_error(error, top, "write") from error
    raise MachineError(f'no folder in "{top}" can be locked', "set TMPDIR to a folder on a local disk")


def _locked(folder: Path) -> int | None:
    """Return an open file that this process has locked; None if another one has, or the folder is gone or of another user.

    Raises:
        OSError: the file system gives no locks.
    """
    try:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with closed_on_error(file):
        if os.fstat(file).st_uid == os.getuid():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in HELD:
                    raise
            else:
                return file
    os.close(file)
    return None
