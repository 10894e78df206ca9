"""Read a ledger from its files: every whole line checked, live or at rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger.chain import BrokenLineError, Tip, hash_of, mac_of, strict_fault, unlink
from orchestra.ledger.disk import disk_error
from orchestra.ledger.event import Event
from orchestra.ledger.segment import segment_fault, segment_path, segments, stray

_BLOCK_BYTES = 1 << 16


class Damage(NamedTuple):
    """The first wrong line of a ledger."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class LedgerError(MachineError):
    """A ledger is damaged; `damage` names the first wrong line. It is never repaired silently."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(str(damage), "the file was changed after it was written: restore it, or start a new run")
        self.damage = damage


class Tail:
    """Reads a ledger from its start, and on as it grows. Verifies every line.

    Attributes:
        path: the file that it reads: the first, or the further one that it has come to.
        tip: the last whole event read.
        text: its line as it was written, with the line feed.
        torn: the number of bytes after it at the last poll: a truncated line, being written or left by a crash.
    """

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        self.path = path
        self.tip = Tip()
        self.text = b""
        self.torn = 0
        self._first = path
        self._before = 0
        self._strict = strict

    @property
    def line(self) -> int:
        """The number of the last whole line in its file, from 1."""
        return self.tip.seq - self._before

    def poll(self) -> Iterator[Event]:
        """Yield the whole events that this reader has not given yet.

        Raises:
            LedgerError: a line is damaged, or a file of several is missing.
            MachineError: the file cannot be read.
        """
        try:
            yield from self._files()
        except OSError as error:
            raise disk_error(error, self.path, "read") from error
        except BrokenLineError as error:
            raise LedgerError(Damage(self.path, self.line + 1, str(error))) from error

    def _files(self) -> Iterator[Event]:
        """As `poll`, file by file."""
        yield from self._rest()
        while (following := segment_path(self._first, self.tip.segment + 1)).exists():
            yield from self._rest()  # what was written between the look at this file and the making of the next
            if self.torn:
                raise BrokenLineError(f"truncated last line ({self.torn} bytes), but {following.name} follows")
            self._before = self.tip.seq
            self.path = following
            self.tip = self.tip._replace(end=0, segment=self.tip.segment + 1)
            yield from self._rest()
        if (lost := stray(self._first, self.tip.segment)) is not None:
            raise BrokenLineError(f"{following.name} is missing, though {lost.name} is there")

    def _rest(self) -> Iterator[Event]:
        """Yield the whole events of the file that was come to."""
        check = _strictly if self._strict else _plainly
        self.torn = 0
        with nofollow.open_read(self.path) as stream:
            stream.seek(self.tip.end)
            for raw in stream:
                if raw[-1:] != b"\n":
                    self.torn = len(raw)
                    return
                event = check(raw[:-1], self.tip)
                if not self.tip.end and (fault := self._opening_fault(event)):
                    raise BrokenLineError(fault)
                end = self.tip.end + len(raw)
                self.tip = Tip(event.seq, event.hash, event.time, end, self.tip.segment, event.mac)
                self.text = raw
                yield event

    def _opening_fault(self, event: Event) -> str | None:
        if self.tip.segment == 1:
            return None
        if event.type == "segment" and not self._strict:
            return None  # the chain goes on; to hash the whole file before is for an auditor
        return segment_fault(self._first, event, self.tip)


def _plainly(line: bytes, before: Tip) -> Event:
    return unlink(line, before.seq + 1, before.hash)


def _strictly(line: bytes, before: Tip) -> Event:
    event = _plainly(line, before)
    if fault := strict_fault(line, event, before):
        raise BrokenLineError(fault)
    return event


def read(path: Path) -> Iterator[Event]:
    """Yield all whole events of a ledger, verified; half a line at its end is passed over. Raises as `Tail.poll`."""
    return Tail(path).poll()


def last_mark(path: Path) -> tuple[str, str]:
    """Return the hash and the MAC in the last whole line of a ledger, both empty where there is none.

    The line is not verified: callers that act on it read the ledger, too.

    Raises:
        MachineError: the file cannot be read.
    """
    line = b""
    for file in reversed(list(segments(path))):  # a crash may leave the last one without a whole line
        try:
            line = _last_line(file)
        except OSError as error:
            raise disk_error(error, file, "read") from error
        if line:
            break
    return hash_of(line), mac_of(line)


def _last_line(file: Path) -> bytes:
    """Return the last whole line of a file without its line feed, empty where there is none."""
    block, found = _BLOCK_BYTES, b""
    with nofollow.open_read(file) as stream:
        size = stream.seek(0, os.SEEK_END)
        while found.count(b"\n") < 2 and len(found) < size:  # the line feed before the line, and its own
            stream.seek(max(0, size - block))
            found = stream.read()
            block *= 2
    return found[: max(0, found.rfind(b"\n"))].rpartition(b"\n")[2]
