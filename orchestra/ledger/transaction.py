"""What a run changes outside of its own folder, changed in one step: all of it or nothing. May import `disk` and `errors`.

Everything is prepared beside its place. Then one file, the journal, is put there durably: that is the step. Behind it the
prepared files are moved to their places and the journal is removed. A crash before the journal leaves the old, for
`recover` removes what was prepared; a crash behind it leaves the new, for `recover` moves what is left. Whoever holds the
suite's lock calls `recover` before he reads or writes.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from orchestra.ledger.disk import disk_error, replace_file, sync_folder

_FOLDER = ".prepared"
_JOURNAL = ".commit.json"
_NOTHING = ""
"""In the journal, in the place of a prepared file: what has the name goes."""


class Transaction:
    """Changes of one suite that belong together. The suite's lock must be held.

    Args:
        home: `.orchestra/<suite>`, absolute.

    Raises:
        MachineError: the disk refuses.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._entries: list[tuple[str, str]] = []
        recover(home)

    def write(self, name: str, content: bytes) -> None:
        """Prepare a file; `name` is its path below the home. Raises MachineError when the disk refuses."""
        replace_file(self._prepared(name), content)

    def link(self, name: str, target: str) -> None:
        """Prepare a symbolic link. Raises MachineError when the disk refuses."""
        path = self._prepared(name)
        try:
            path.symlink_to(target)
        except OSError as error:
            raise disk_error(error, path, "write") from error

    def remove(self, name: str) -> None:
        """Prepare that a file goes; it may be gone already. `name` is its path below the home."""
        self._entries.append((_NOTHING, name))

    def commit(self) -> None:
        """Let all of it take place. Raises MachineError when the disk refuses; then `recover` decides which it is."""
        if not self._entries:
            return
        try:
            if (self._home / _FOLDER).exists():
                sync_folder(self._home / _FOLDER)
        except OSError as error:
            raise disk_error(error, self._home / _FOLDER, "sync") from error
        replace_file(self._home / _JOURNAL, json.dumps(self._entries).encode())
        _apply(self._home, self._entries)

    def _prepared(self, name: str) -> Path:
        folder = self._home / _FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder, "write") from error
        prepared = str(len(self._entries))
        self._entries.append((prepared, name))
        return folder / prepared


def recover(home: Path) -> None:
    """Finish what was decided, and drop what was not. The suite's lock must be held.

    Raises:
        MachineError: the disk refuses.
    """
    journal = home / _JOURNAL
    try:
        entries = json.loads(journal.read_bytes())
    except FileNotFoundError:
        entries = None
    except OSError as error:
        raise disk_error(error, journal, "read") from error
    if entries is not None:
        _apply(home, entries)
    elif (home / _FOLDER).exists():
        _clear(home)


def _apply(home: Path, entries: list[tuple[str, str]]) -> None:
    """Move what is still prepared to its place, in order, and then forget the journal."""
    try:
        for prepared, name in entries:
            source, place = home / _FOLDER / prepared, home / name
            if prepared == _NOTHING:
                place.unlink(missing_ok=True)
                continue
            if source.is_symlink() or source.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, place)  # noqa: PTH105 - of a link, the link itself
        for folder in {(home / name).parent for _, name in entries}:
            sync_folder(folder)
        (home / _JOURNAL).unlink()
        sync_folder(home)
    except OSError as error:
        raise disk_error(error, home, "write") from error
    _clear(home)


def _clear(home: Path) -> None:
    try:
        if (home / _FOLDER).exists():
            shutil.rmtree(home / _FOLDER)
    except OSError as error:
        raise disk_error(error, home / _FOLDER, "remove") from error
