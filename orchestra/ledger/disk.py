"""Durable files, and one wording for what a disk refuses. May import `errors`."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import sys
import threading
from pathlib import Path

from orchestra.errors import MachineError

_MEND = {
    errno.ENOSPC: "free some space, then go on with `orchestra run --resume`",
    errno.EDQUOT: "free some space or raise the quota, then go on with `orchestra run --resume`",
    errno.EFBIG: "raise the limit on file sizes (`ulimit -f`), then go on with `orchestra run --resume`",
    errno.EROFS: "mount the file system writable, or choose another folder with `orchestra -C DIR`",
    errno.EACCES: "give yourself the right to write there, or choose another folder with `orchestra -C DIR`",
    errno.EPERM: "give yourself the right to write there, or choose another folder with `orchestra -C DIR`",
}


def disk_error(error: OSError, path: Path, doing: str) -> MachineError:
    """The error for a user: what was being done with which file, what the system said, and the mend."""
    said = (error.strerror or str(error)).lower()
    return MachineError(f'cannot {doing} "{path}": {said}', _MEND.get(error.errno or 0, ""))


_BLOCK_BYTES = 1 << 20


def file_digest(file: Path) -> tuple[str, int]:
    """SHA-256 of a file, 64 hexadecimal digits, and its size in bytes. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as data:
        while block := data.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def sync_file(descriptor: int) -> None:
    """Return when the file's bytes are on the disk. Raises OSError."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # there fsync stops at the drive's cache
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Return when the folder's entries (a new file, a rename) are on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: str) -> None:
    """Make a fresh folder, and those above it where they are missing.

    Raises:
        MachineError: it is there already, or the disk refuses.
    """
    try:
        try:
            os.mkdir(os.path.dirname(path))  # noqa: PTH102, PTH120 - for each test; paths as objects cost more than it
        except FileExistsError:
            pass
        except FileNotFoundError:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.mkdir(path)  # noqa: PTH102 - as above
    except OSError as error:
        raise disk_error(error, Path(path), "write") from error


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`, durably: whoever reads sees all of the old or all of the new.

    Raises:
        MachineError: the disk refuses; the old file is as it was and nothing else is left.
    """
    staged = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        try:
            with staged.open("wb") as stream:
                stream.write(content)
                stream.flush()
                sync_file(stream.fileno())
            staged.replace(path)
            sync_folder(path.parent)
        finally:
            staged.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, path, "write") from error
