"""The files that a path or a glob of a spec names."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

from orchestra import globs
from orchestra.errors import UsageError


def inside(path: str, *folders: Path) -> Path:
    """Return a path of the spec, its names filled in, as the absolute path that its links lead to.

    Args:
        path: relative to the first folder, or absolute.
        folders: absolute; the path must lie in one of them.

    Raises:
        UsageError: it lies in none.
    """
    if path == ".":
        return folders[0]  # the usual folder of a command; to resolve it again takes eight system calls
    found = Path(os.path.realpath(folders[0] / path))
    if not any(found.is_relative_to(folder.resolve()) for folder in folders):
        by_link = f", to {found}" if found != Path(os.path.normpath(folders[0] / path)) else ""
        raise UsageError(
            f'the path "{path}" leaves the project root{by_link}', "name a path inside the project, or remove the link"
        )
    return found


def open_plain(path: str | os.PathLike[str]) -> FileIO:
    """Open a regular file for reading, without a buffer; a pipe or a device in its place is refused, never waited for.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
    return FileIO(file, "rb")


def matching(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Yield the files that any of the globs names, each once, sorted; a glob that ends in `**` means all files below."""
    yield from sorted({Path(path) for pattern in patterns for path in globs.files(root, pattern)})
