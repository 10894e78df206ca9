"""Files below `.orchestra`: opened, made, moved and removed without following a link.

A pull request can bring a link, and git makes it. The folder that holds `.orchestra` is trusted. Each folder below it is
opened from the one above, and no link is followed on the way or at the end, so that nothing can be exchanged between the
look and the step. A path without `.orchestra` in it is held to its last name only.

Only the user may read what lies there, except what git keeps: it can hold what the tested product shows.

Every function raises OSError; a link has the number ELOOP, and its path is the file name of the error.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader

BELOW = ".orchestra"
_LINK = "it is a link, and orchestra follows no link"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SHARED = frozenset({"plan.json", "baseline.json"})
"""The files of a suite's folder that git keeps."""


def mode_of(path: str | os.PathLike[str]) -> int:
    """Return the mode of a new file: of one that git keeps, and of one elsewhere, the umask decides."""
    _, below = _halves(os.fspath(path))
    shared = below[0] != BELOW or len(below) < 3 or (len(below) == 3 and below[2] in _SHARED)
    return 0o666 if shared else 0o600


def _halves(path: str) -> tuple[str, list[str]]:
    """Return the trusted folder of an absolute path, and the names below it."""
    parts = path.split("/")
    cut = parts.index(BELOW) if BELOW in parts else len(parts) - 1
    below = parts[cut:]
    if ".." in below or "" in below:
        raise OSError(errno.EINVAL, f"no path below {BELOW}", path)
    return "/".join(parts[:cut]) or "/", below


def _step(name: str, above: int, path: str, *, make: bool, mode: int) -> int:
    """Open a folder by its name in another one; `mode` is that of a new one."""
    try:
        return os.open(name, _FOLDER, dir_fd=above)
    except FileNotFoundError:
        if not make:
            raise
    except OSError as error:
        raise _reason(error, name, above, path) from error
    with suppress(FileExistsError):  # made by another process in between
        os.mkdir(name, mode, dir_fd=above)
    return _step(name, above, path, make=False, mode=mode)


def refuse_link(folder: int, name: str, path: str | os.PathLike[str]) -> None:
    """Raise the error of a link, if the name is one in an open folder."""
    if stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode):
        raise _refusal(os.fspath(path))


def _reason(error: OSError, name: str, above: int, path: str) -> OSError:
    """Return the error of an open, as one about a link where the name is one."""
    try:
        linked = stat.S_ISLNK(os.lstat(name, dir_fd=above).st_mode)
    except OSError:
        linked = False
    return _refusal(path) if linked else error


def _refusal(path: str) -> OSError:
    return OSError(errno.ELOOP, f"{_LINK} {f'below {BELOW}' if BELOW in path.split('/') else 'at this path'}", path)


@contextmanager
def parent(path: str | os.PathLike[str], *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Hold the folder of a path open.

    Args:
        path: absolute.
        make: make the folders that are missing.

    Yields:
        The descriptor of the folder, and the last name of the path.
    """
    trusted, below = _halves(os.fspath(path))
    try:
        folder = os.open(trusted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        if not make:
            raise
        os.makedirs(trusted, exist_ok=True)  # noqa: PTH103 - pathlib costs a start
        folder = os.open(trusted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        shown = trusted
        for depth, name in enumerate(below[:-1]):
            shown = f"{shown}/{name}"
            following = _step(name, folder, shown, make=make, mode=_folder_mode(depth))
            os.close(folder)
            folder = following
        yield folder, below[-1]
    finally:
        os.close(folder)


def _folder_mode(depth: int) -> int:
    """Return the mode of a new folder; that of a suite, and `.orchestra` itself, hold what git keeps."""
    return 0o777 if depth < 2 else 0o700


def open_file(path: str | os.PathLike[str], flags: int, mode: int | None = None, *, make: bool = False) -> int:
    """Open a regular file; anything else that has the name is refused, and never waited for.

    Args:
        path: absolute.
        flags: as of `os.open`.
        mode: of a file that is made; None for `mode_of`.
        make: make the folders that are missing.
    """
    mode = mode_of(path) if mode is None else mode
    with parent(path, make=make) as (folder, name):
        try:
            file = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode, dir_fd=folder)
        except OSError as error:
            raise _reason(error, name, folder, os.fspath(path)) from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
    return file


def open_read(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a file for reading."""
    return os.fdopen(open_file(path, os.O_RDONLY), "rb")


def read(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file."""
    with open_read(path) as stream:
        return stream.read()


def is_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a regular file is there; one that only a link leads to is not."""
    return _kind(path) == stat.S_IFREG


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder is there; one that only a link leads to is not."""
    return _kind(path) == stat.S_IFDIR


def _kind(path: str | os.PathLike[str]) -> int:
    try:
        with parent(path) as (folder, name):
            return stat.S_IFMT(os.lstat(name, dir_fd=folder).st_mode)
    except OSError:
        return 0


def make_folders(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those above it, where they are missing."""
    with parent(f"{os.fspath(path)}/-", make=True):
        pass


def make_new_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder that is not there yet, and those above it where they are missing."""
    with parent(path, make=True) as (folder, name):
        os.mkdir(name, _folder_mode(len(_halves(os.fspath(path))[1]) - 1), dir_fd=folder)


def make_private(path: str | os.PathLike[str]) -> None:
    """Take all that lies below a folder from everyone but its user: a program made it, with a mode of its own."""
    with parent(f"{os.fspath(path)}/-") as (folder, _):
        _make_private(folder)


def _make_private(folder: int) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
            if kind not in (stat.S_IFREG, stat.S_IFDIR):
                continue
            flags = _FOLDER if kind == stat.S_IFDIR else os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with suppress(OSError):  # another program took its place, or took the right to read it from us, too
                _take(os.open(entry.name, flags, dir_fd=folder))


def _take(file: int) -> None:
    """Make an open file or folder private, and all below it."""
    try:
        status = os.fstat(file)
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            os.fchmod(file, mode & 0o700)
        if stat.S_ISDIR(status.st_mode):
            _make_private(file)
    finally:
        os.close(file)


def names(path: str | os.PathLike[str]) -> list[str]:
    """Return the names in a folder, sorted."""
    with parent(f"{os.fspath(path)}/-") as (folder, _):
        return sorted(os.listdir(folder))  # noqa: PTH208 - of a descriptor


def replace(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Move a file to the place of another one; of a link, the link itself."""
    with parent(source) as (old, old_name), parent(target, make=True) as (new, new_name):
        os.replace(old_name, new_name, src_dir_fd=old, dst_dir_fd=new)


def unlink(path: str | os.PathLike[str]) -> None:
    """Remove a file, or a link itself; it may be gone already."""
    with suppress(FileNotFoundError), parent(path) as (folder, name):
        os.unlink(name, dir_fd=folder)


def sync(path: str | os.PathLike[str]) -> None:
    """Return when the entries of a folder (a new file, a rename) are on the disk."""
    with parent(f"{os.fspath(path)}/-") as (folder, _):
        os.fsync(folder)
