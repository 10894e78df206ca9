"""Read the evidence that a ledger names, in the folder of the run: a whole file, or a part of one.

A ledger is input: anyone may have written its paths. A report shows what evidence holds, so no other file of the project is
evidence, which may hold the secrets of its user.
"""

from __future__ import annotations

import errno
import io
import os
import re
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestra import nofollow
from orchestra.ledger.parts import Evidence

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BLOCK_BYTES: Final = 1 << 20
_PART: Final = re.compile(r"(.+)@(\d{1,18})\+(\d{1,18})", re.ASCII | re.DOTALL)


def evidence_file(folder: Path, path: str) -> Path:
    """Return the file that a path of evidence names.

    Args:
        folder: the run's, absolute.
        path: relative to it, as an event has it.

    Raises:
        OSError: the path is absolute, or it is outside the folder, by itself or by a link.
    """
    if path.startswith("/"):
        raise OSError(errno.EINVAL, "its path is absolute, not relative to the run", path)
    file = Path(os.path.normpath(folder / path))
    if not file.is_relative_to(folder) or not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder)):
        raise OSError(errno.EINVAL, "it is outside the folder of the run", path)
    return file


def open_evidence(folder: Path, one: Evidence) -> BufferedReader:
    """Open evidence for reading; of a part of a file nothing but that part can be read. Raises OSError as `evidence_file`."""
    file = nofollow.open_read(evidence_file(folder, one.path))
    return file if one.offset is None else BufferedReader(_Part(file, one.offset, one.bytes))


def evidence_digest(folder: Path, one: Evidence) -> tuple[str, int]:
    """Return the SHA-256 of evidence as it is now, 64 hexadecimal digits, and its size in bytes. Raises OSError."""
    import hashlib  # noqa: PLC0415 - only an audit needs it

    digest, size = hashlib.sha256(), 0
    with open_evidence(folder, one) as data:
        while block := data.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def at_place(folder: Path, place: str) -> Evidence:
    """Return the evidence at a place, as `Evidence.place` gives it, without its digest.

    A file that has the whole text as its name is that file.
    """
    part = _PART.fullmatch(place)
    if part is None or os.path.lexists(folder / place):
        return Evidence(path=place, digest="", bytes=0, kind="file")
    path, offset, size = part.groups()
    return Evidence(path=path, digest="", bytes=int(size), kind="file", offset=int(offset))


class _Part(io.RawIOBase):
    """A part of an open file, which it closes."""

    def __init__(self, file: BufferedReader, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length()}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._file.seek(self._start + self._at)
        view = memoryview(buffer)[: max(0, self._size - self._at)]
        count = self._file.readinto(view)
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _length(self) -> int:
        """Return the number of its bytes that the file has."""
        return min(self._size, max(0, self._file.seek(0, os.SEEK_END) - self._start))
