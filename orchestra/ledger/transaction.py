"""Change the files outside the folder of a run in one step: all of them or none.

Every change is prepared in a folder of its own. Then one file, the journal, is written durably: that is the step. After
it the prepared files are moved to their places, and the journal is removed. After a crash before the journal, `recover`
removes what was prepared; after a crash later, `recover` moves the rest. The holder of the suite's lock calls `recover`
before the first read or write.

A pull request can bring a journal. So `PLACES` lists the files that a run changes, and `recover` refuses a journal that
names anything else, or that is prepared otherwise than a run prepares it, before it touches a file.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from orchestra import nofollow, stored
from orchestra.errors import MachineError
from orchestra.ledger import baseline, history
from orchestra.ledger.disk import disk_error, remove_tree, replace_file, sync_folder
from orchestra.ledger.runs import LAST, is_run_id

LAST_RUN: Final = f"runs/{LAST}"
"""The link to the last run that ended."""

PLACES: Final[dict[str, Literal["file", "link"]]] = {
    history.LAST: "file",
    history.EXECUTIONS: "file",
    baseline.FILE: "file",
    baseline.DURATIONS: "file",
    LAST_RUN: "link",
}
"""The changed files, by their path below the home, and their kind; a link leads to a run next to it."""

_FOLDER = ".prepared"
_JOURNAL = ".commit.json"
_NOTHING = ""
"""In the journal, in the place of a prepared file: what has the name goes."""


class Transaction:
    """Changes of one suite that belong together. The suite's lock must be held.

    Args:
        home: `.orchestra/<suite>`, absolute.

    Raises:
        MachineError: the disk refuses, or the journal that is there is none of ours.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._entries: list[tuple[str, str]] = []
        recover(home)

    def write(self, name: str, content: bytes) -> None:
        """Prepare a file of `PLACES`. Raises MachineError when the disk refuses."""
        replace_file(self._prepared(name, "file"), content, mode=nofollow.mode_of(self._home / name))

    def link(self, name: str, target: str) -> None:
        """Prepare a link of `PLACES`. Raises MachineError when the disk refuses."""
        path = self._prepared(name, "link")
        try:
            with nofollow.parent(path) as (folder, prepared):
                os.symlink(target, prepared, dir_fd=folder)
        except OSError as error:
            raise disk_error(error, path, "write") from error

    def remove(self, name: str) -> None:
        """Prepare that a file of `PLACES` goes; it may be gone already."""
        self._entries.append((_NOTHING, _placed(name, "file")))

    def commit(self) -> None:
        """Let all of it take place. Raises MachineError when the disk refuses; then `recover` decides which it is."""
        if not self._entries:
            return
        try:
            if nofollow.is_folder(self._home / _FOLDER):
                sync_folder(self._home / _FOLDER)
        except OSError as error:
            raise disk_error(error, self._home / _FOLDER, "sync") from error
        replace_file(self._home / _JOURNAL, msgspec.json.encode(self._entries))
        _apply(self._home, self._entries)

    def _prepared(self, name: str, kind: str) -> Path:
        folder = self._home / _FOLDER
        try:
            nofollow.make_folders(folder)
        except OSError as error:
            raise disk_error(error, folder, "write") from error
        prepared = str(len(self._entries))
        self._entries.append((prepared, _placed(name, kind)))
        return folder / prepared


def _placed(name: str, kind: str) -> str:
    """Return the name, if it is one of `PLACES` and of this kind. Raises ValueError otherwise."""
    if PLACES.get(name) != kind:
        raise ValueError(f'"{name}" is not a {kind} that a run changes')
    return name


def recover(home: Path) -> None:
    """Finish what was decided, and drop what was not. The suite's lock must be held.

    Raises:
        MachineError: the disk refuses, or a journal holds what no run writes; then nothing is touched.
    """
    journal = home / _JOURNAL
    try:
        content = nofollow.read(journal)
    except FileNotFoundError:
        remove_tree(home / _FOLDER)
        return
    except OSError as error:
        raise disk_error(error, journal, "read") from error
    try:
        entries = stored.decode(content, list[tuple[str, str]])
    except ValueError as error:
        raise _refused(journal, f"it is not one: {error}") from error
    try:
        fault = next((fault for entry in entries if (fault := _fault(home, *entry))), "")
    except OSError as error:
        raise disk_error(error, home, "read") from error
    if fault:
        raise _refused(journal, fault)
    _apply(home, entries)


def _refused(journal: Path, fault: str) -> MachineError:
    return MachineError(
        f'"{journal}" is not a journal of orchestra: {fault}; nothing was changed',
        f'remove it, and the folder "{_FOLDER}" next to it; if it is in git, `git log` shows who added it',
    )


def _fault(home: Path, prepared: str, name: str) -> str:
    """Return the part of an entry that no run writes; empty if there is none."""
    kind = PLACES.get(name)
    if kind is None:
        return f'it names "{name}", and a run changes only {", ".join(PLACES)}'
    if prepared == _NOTHING:
        return "" if kind == "file" else f'it removes "{name}", which no run does'
    if not (prepared.isascii() and prepared.isdecimal()):
        return f'it takes "{prepared}" for "{name}", which is not a name of a staged file'
    with suppress(FileNotFoundError), nofollow.parent(home / name):
        pass  # a link on the way to the place is an error before anything is moved
    try:
        with nofollow.parent(home / _FOLDER / prepared) as (folder, number):
            mode = os.lstat(number, dir_fd=folder).st_mode
            target = os.readlink(number, dir_fd=folder) if stat.S_ISLNK(mode) else ""
    except FileNotFoundError:
        return ""  # it was moved to its place before the crash
    if kind == "file":
        return "" if stat.S_ISREG(mode) else f'the staged entry for "{name}" is not a file'
    return "" if is_run_id(target) else f'the staged entry for "{name}" is not a link to a run'


def _apply(home: Path, entries: list[tuple[str, str]]) -> None:
    """Move what is still prepared to its place, in order, and then forget the journal."""
    try:
        for prepared, name in entries:
            if prepared == _NOTHING:
                nofollow.unlink(home / name)
                continue
            with suppress(FileNotFoundError):  # moved before a crash
                nofollow.replace(home / _FOLDER / prepared, home / name)
        for folder in {(home / name).parent for _, name in entries}:
            sync_folder(folder)
        nofollow.unlink(home / _JOURNAL)
        sync_folder(home)
    except OSError as error:
        raise disk_error(error, home, "write") from error
    remove_tree(home / _FOLDER)
