"""The log of a command: its output, masked and limited. A command without output has no file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from orchestra import nofollow
from orchestra.ledger.disk import open_log
from orchestra.runtime.mask import StreamMask

BLOCK_BYTES = 65536

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def settle(log: Path, place: Path) -> None:
    """Move the log of a command that has ended to its place, whose folder is made; without output it is empty.

    Raises:
        OSError, MachineError: the disk refuses, or a folder has its place.
    """
    try:
        nofollow.replace(log, place)
    except FileNotFoundError:
        open_log(place, fresh=True).close()


@dataclass(slots=True)
class Log:
    """The job's end of the pipe and its file, bounded."""

    pipe: int
    path: Path
    limit: int
    mask: StreamMask | None = None
    size: int = 0
    error: str = ""
    written: int = 0
    foreign: bool = False
    file: int = -1

    def drain(self, *, blocks: int) -> bool:
        """Move what is there, `blocks` at most; False when the pipe has been closed by all who wrote to it."""
        for _ in range(blocks):
            try:
                block = os.read(self.pipe, BLOCK_BYTES)
            except BlockingIOError:
                return True
            if not block:
                self._rest()
                return False
            self._take(block if self.mask is None else self.mask.feed(block))
        return True

    def _rest(self) -> None:
        """Take what the mask has held back; nothing a second time."""
        if self.mask is not None:
            self._take(self.mask.finish())

    def _take(self, block: bytes) -> None:
        """Write a block, as far as there is room."""
        room = self.limit - self.size
        self.size += len(block)
        self._write(block[: max(0, room)])
        if room >= 0 and len(block) > room and not self.error:
            self._cut()

    def _cut(self) -> None:
        note = f"output over {self.limit} bytes was dropped"
        self._write(f"\n[{note}]\n".encode())
        self.error = self.error or note

    def _write(self, block: bytes) -> None:
        try:
            if block and self.file < 0 and not self.error:
                self.file = os.open(self.path, _APPEND, 0o600)
            while block and not self.error:
                count = os.write(self.file, block)
                self.written, block = self.written + count, block[count:]
        except OSError as error:
            self.error = f"the log could not be written: {error.strerror}"

    def close(self) -> None:
        """Write the rest, and note whether another process wrote to the file."""
        self._rest()  # where a process elsewhere still holds the pipe
        os.close(self.pipe)
        if self.file < 0:
            self.foreign = os.path.lexists(self.path)
            return
        self.foreign = os.fstat(self.file).st_size != self.written
        os.close(self.file)
