"""Takes secrets out of the files below a folder: of their contents, of what is packed in them, of their names."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

from orchestra.runtime.mask.archive import Cleaner, Unsearched, may_be_packed
from orchestra.runtime.mask.finder import Finder

_SCRATCH = ".orchestra-clean"
_SMALL_BYTES = 1 << 20


class Removed(NamedTuple):
    """A file that was not kept.

    Attributes:
        path: relative to the folder.
        size: in bytes.
        reason: why not.
    """

    path: str
    size: int
    reason: str


class Cleaned(NamedTuple):
    """The result of cleaning the files below a folder, besides their contents.

    Attributes:
        renamed: the new path of each file that has another one, by its old path.
        removed: the files that could not be searched.
    """

    renamed: dict[str, str]
    removed: tuple[Removed, ...]

    def path(self, old: str) -> str:
        """Return where a file is now."""
        return self.renamed.get(old, old)


def clean(folder: Path, finder: Finder, rename: Callable[[str], str], ours: Mapping[str, bool]) -> Cleaned:
    """Take the secrets out of every file below a folder.

    Args:
        folder: absolute.
        finder: finds them.
        rename: takes them out of a name.
        ours: by the path of a file whose name this program made, and that stays, whether its content is clean already.

    Raises:
        OSError: the disk refuses; the file that it refused is as it was.
    """
    done = _Folder(folder, finder, rename, ours)
    try:
        done.walk("", "")
    finally:
        if done.packed:
            shutil.rmtree(done.scratch, ignore_errors=True)
    return Cleaned(done.renamed, tuple(done.removed))


class _Folder:
    """The files below a folder, one after the other."""

    def __init__(self, folder: Path, finder: Finder, rename: Callable[[str], str], ours: Mapping[str, bool]) -> None:
        self.scratch = folder / _SCRATCH
        self.packed = False
        self.renamed: dict[str, str] = {}
        self.removed: list[Removed] = []
        self._folder = folder
        self._finder = finder
        self._rename = rename
        self._ours = {**{parent: False for path in ours for parent in _parents(path)}, **ours}

    def walk(self, old: str, new: str) -> None:
        """Clean what is in a folder; `old` and `new` are its path before and now, relative to the whole."""
        try:
            names = sorted(entry.name for entry in (self._folder / new).iterdir())
        except FileNotFoundError:
            return
        for name in names:
            if name == _SCRATCH:
                continue
            before = f"{old}/{name}" if old else name
            shown = name if before in self._ours else self._free(new, name)
            after = f"{new}/{shown}" if new else shown
            path = self._folder / after
            if shown != name:
                (self._folder / new / name).rename(path)
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                self.walk(before, after)
                continue
            if before != after:
                self.renamed[before] = after
            if stat.S_ISLNK(mode):
                self._link(path, after)
            elif stat.S_ISREG(mode) and not self._ours.get(before):
                self._file(path, after)

    def _free(self, folder: str, name: str) -> str:
        """Return a name without secrets that no other file has."""
        clean = shown = self._rename(name)
        number = 1
        while shown != name and os.path.lexists(self._folder / folder / shown):
            number += 1
            shown = f"{number}-{clean}"
        return shown

    def _link(self, path: Path, shown: str) -> None:
        target = str(path.readlink())
        if self._rename(target) != target:
            path.unlink()
            self.removed.append(Removed(shown, 0, "it is a link to a path that holds a secret"))

    def _file(self, path: Path, shown: str) -> None:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as source:
            size = os.fstat(source.fileno()).st_size
            if not size or (size <= _SMALL_BYTES and self._plain(source.read())):
                return
            source.seek(0)
            self.packed = True
            self.scratch.mkdir(mode=0o700, exist_ok=True)
            try:
                with Cleaner(self._finder, self._rename, self.scratch) as cleaner:
                    if (made := cleaner.clean(source, path.name)) is not None:
                        self._replace(path, made)
            except Unsearched as why:
                path.unlink()
                self.removed.append(Removed(shown, size, str(why)))

    def _plain(self, data: bytes) -> bool:
        """Return whether a small file is not packed, and holds nothing: most are so."""
        return not may_be_packed(data) and not self._finder.find(data)

    def _replace(self, path: Path, made: IO[bytes]) -> None:
        staged = self.scratch / "staged"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(staged, flags, 0o600), "wb") as out:
            shutil.copyfileobj(made, out)
        staged.replace(path)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
