"""The files of an attempt on their way from a node to the folder of the run.

A node is not trusted with paths: a file is written below the folder of its attempt, and only if it has the size and the digest
that its parcel names.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from orchestra import nofollow
from orchestra.runtime.attempt import Result
from orchestra.runtime.nodes.words import CHUNK_BYTES, Sent


class ParcelError(Exception):
    """A parcel with another content than its node named."""


def files_of(folder: Path) -> tuple[Sent, ...]:
    """Return the regular files below a folder, sorted; links and other things are left out.

    Raises:
        OSError: one cannot be read.
    """
    return tuple(sorted(_found(folder), key=lambda sent: sent.path))


def _found(folder: Path) -> Iterator[Sent]:
    for top, _, names in os.walk(folder):
        for name in names:
            file = Path(top) / name
            facts = os.lstat(file)
            if stat.S_ISREG(facts.st_mode):
                digest = hashlib.sha256()
                size = 0
                with nofollow.open_read(file) as data:
                    while block := data.read(CHUNK_BYTES):
                        digest.update(block)
                        size += len(block)
                yield Sent(file.relative_to(folder).as_posix(), size, digest.hexdigest())


def piece(folder: Path, path: str, offset: int) -> bytes:
    """Return a part of a file of an attempt, empty at its end.

    Raises:
        OSError: it cannot be read.
        ParcelError: the path leaves the folder.
    """
    with nofollow.open_read(below(folder, path)) as data:
        data.seek(offset)
        return data.read(CHUNK_BYTES)


def below(folder: Path, path: str) -> Path:
    """Return the place of a file in a folder.

    Raises:
        ParcelError: the path leaves the folder.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ParcelError(f'the path "{path}" is none in the folder of an attempt')
    return folder.joinpath(*parts)


def arrived(result: Result, folder: Path) -> Result:
    """Return a result of a node with the places of its evidence here.

    Args:
        result: as the node made it.
        folder: of the attempt, absolute.

    Raises:
        ParcelError: evidence of it is outside of the folder.
    """
    evidence = tuple(
        msgspec.structs.replace(one, apart=str(place) if one.apart else "")
        for one in result.evidence
        for place in (below(folder, one.path),)
    )
    return msgspec.structs.replace(result, evidence=evidence)


class Incoming:
    """A file that comes in pieces.

    Args:
        folder: of the attempt, absolute.
        sent: the file as its parcel names it.

    Raises:
        OSError: the disk refuses.
        ParcelError: the path leaves the folder.
    """

    def __init__(self, folder: Path, sent: Sent) -> None:
        self._sent = sent
        self._digest = hashlib.sha256()
        self.bytes = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self._file = os.fdopen(nofollow.open_file(below(folder, sent.path), flags, make=True), "wb")

    def add(self, block: bytes) -> None:
        """Write a piece.

        Raises:
            OSError: the disk refuses.
            ParcelError: the file is larger than its parcel names.
        """
        self.bytes += len(block)
        if self.bytes > self._sent.bytes:
            raise ParcelError(f'"{self._sent.path}" is larger than {self._sent.bytes} bytes')
        self._digest.update(block)
        self._file.write(block)

    def close(self) -> None:
        """Close the file. Raises OSError: the disk refuses."""
        self._file.close()

    def check(self) -> None:
        """Raise ParcelError if it is not the file that was sent."""
        if self.bytes != self._sent.bytes or self._digest.hexdigest() != self._sent.digest:
            raise ParcelError(f'"{self._sent.path}" came with another content than was sent')
