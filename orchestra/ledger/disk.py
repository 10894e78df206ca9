"""Durable files, and one wording for what a disk refuses."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger.quick import HELD

_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})
_WHERE_LOCKS_ARE = "use a checkout on a local disk, or mount this one (NFS?) with locks, for instance local_lock=flock"

_HINTS = {
    errno.ENOSPC: "free some space, then continue with `orchestra run --resume`",
    errno.EDQUOT: "free some space or raise the quota, then continue with `orchestra run --resume`",
    errno.EFBIG: "raise the limit on file sizes (`ulimit -f`), then continue with `orchestra run --resume`",
    errno.EROFS: "mount the file system writable, or choose another folder with `orchestra -C DIR`",
    errno.EACCES: "make it writable, or choose another folder with `orchestra -C DIR`",
    errno.EPERM: "make it writable, or choose another folder with `orchestra -C DIR`",
    **dict.fromkeys(_NO_LOCKS, _WHERE_LOCKS_ARE),
    errno.ELOOP: "remove the link; if you did not make it, `git log` shows who added it",
}


def disk_error(error: OSError, path: Path, doing: str) -> MachineError:
    """Return the error for a user: the operation, the file, the message of the system, and the fix."""
    reason = (error.strerror or str(error)).lower()
    if error.errno == errno.ELOOP and error.filename:
        path = Path(error.filename)  # the link may be a folder on the way
    return MachineError(f'cannot {doing} "{path}": {reason}', _HINTS.get(error.errno or 0, ""))


_BLOCK_BYTES = 1 << 20
_RANGE_BYTES = 1 << 30


def file_digest(file: Path) -> tuple[str, int]:
    """SHA-256 of a file, 64 hexadecimal digits, and its size in bytes. Raises OSError."""
    import hashlib  # noqa: PLC0415 - a third of the start of this module, and few of its users need it

    digest, size = hashlib.sha256(), 0
    with nofollow.open_read(file) as data:
        while block := data.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def lock_file(file: int, path: Path, *, shared: bool = False) -> bool:
    """Lock an open file, exclusively unless it is `shared`; return False if another process holds it. Never waits.

    Raises:
        MachineError: the file system gives no locks, or the disk refuses.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        raise disk_error(error, path, "lock") from error
    return True


@contextmanager
def closed_on_error(file: int) -> Iterator[None]:
    """Close an open file when what is done with it fails."""
    try:
        yield
    except BaseException:
        os.close(file)
        raise


def sync_file(descriptor: int) -> None:
    """Return when the file's bytes are on the disk. Raises OSError."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # there fsync stops at the drive's cache
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Return when the folder's entries (a new file, a rename) are on the disk. Raises OSError."""
    nofollow.sync(folder)


def make_folder(path: Path | str) -> None:
    """Make a fresh folder, and those above it where they are missing.

    Raises:
        MachineError: it is there already, or the disk refuses.
    """
    try:
        nofollow.make_new_folder(path)
    except OSError as error:
        raise disk_error(error, Path(path), "write") from error


def replace_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Replace the content of `path` durably: readers see all of the old or all of the new content.

    Args:
        path: absolute.
        content: of the file.
        mode: of the file; None for `nofollow.mode_of`.

    Raises:
        MachineError: the disk refuses; the old file is as it was and nothing else is left.
    """
    mode = nofollow.mode_of(path) if mode is None else mode
    staged = f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        with nofollow.parent(path) as (folder, name):
            try:
                with suppress(FileNotFoundError):  # of a process with the same number that was killed
                    os.unlink(staged, dir_fd=folder)
                new = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=folder)
                with os.fdopen(new, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    sync_file(stream.fileno())
                os.replace(staged, name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(staged, dir_fd=folder)
    except OSError as error:
        raise disk_error(error, path, "write") from error


def copy_files(pairs: Mapping[Path, Path]) -> None:
    """Copy files to places where none is, durably; the folders above them are made.

    The kernel copies where it can: a file system that shares blocks writes none. All are written before the first is waited
    for, so that the disk is waited for about once, and not twice a file.

    Args:
        pairs: the place of each copy, and its source.

    Raises:
        MachineError: a source cannot be read, or the disk refuses; some copies may be there.
    """
    folders = dict.fromkeys(copy.parent for copy in pairs)
    for copy, source in pairs.items():
        try:
            _copy_file(source, copy)
        except OSError as error:
            raise disk_error(error, source, "copy") from error
    os.sync()  # leaves little to do for what follows, which alone reports an error
    for path in pairs:
        try:
            with nofollow.open_read(path) as stream:
                sync_file(stream.fileno())
        except OSError as error:
            raise disk_error(error, path, "write") from error
    for folder in folders:
        try:
            sync_folder(folder)
        except OSError as error:
            raise disk_error(error, folder, "write") from error


def _copy_file(source: Path, copy: Path) -> None:
    import shutil  # noqa: PLC0415 - as in `file_digest`

    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with nofollow.open_read(source) as old, os.fdopen(nofollow.open_file(copy, flags, make=True), "wb") as new:
        if hasattr(os, "copy_file_range"):
            with suppress(OSError):  # between two file systems, of some kinds of them, or not allowed in a container
                while os.copy_file_range(old.fileno(), new.fileno(), _RANGE_BYTES):
                    pass
        shutil.copyfileobj(old, new, _BLOCK_BYTES)  # what is left; both go on where they are


def open_log(path: Path, *, fresh: bool = False) -> BinaryIO:
    """Open a log to add to it, with the folders above it; with `fresh` what it holds goes.

    Raises:
        MachineError: a link has its place, or the disk refuses.
    """
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if fresh else os.O_APPEND)
    try:
        return cast("BinaryIO", os.fdopen(nofollow.open_file(path, flags, make=True), "wb", buffering=0))
    except OSError as error:
        raise disk_error(error, path, "open") from error


def remove_tree(path: Path) -> None:
    """Remove a folder with all that it holds, if it is there; a link in it goes, and its target stays.

    Raises:
        MachineError: it is a link itself, or the disk refuses.
    """
    import shutil  # noqa: PLC0415 - as in `file_digest`

    try:
        with nofollow.parent(path) as (folder, name):
            nofollow.refuse_link(folder, name, path)
            shutil.rmtree(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk_error(error, path, "remove") from error
