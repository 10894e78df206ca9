"""The log of a process that writes to it by itself: without the secrets, which a thread takes out on the way."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from orchestra.ledger.disk import open_log
from orchestra.runtime.mask import StreamMask

JOIN_SECONDS = 5.0
"""The limit for reading the rest of the pipe, once all writers have ended."""

_BLOCK_BYTES = 65536


class MaskedLog:
    """Gives a process a file for its output. A context manager: what is written to that file after it is lost.

    Args:
        path: of the log, which is added to; its folder is made.
        mask: takes secrets out; None where there are none, and the process has the log itself.
        source: the reading end of a pipe that a process writes to already, and which this closes; the process needs no file.

    Attributes:
        file: for the process.

    Raises:
        MachineError: the disk refuses.
    """

    def __init__(self, path: Path, mask: StreamMask | None, source: int | None = None) -> None:
        log = open_log(path)
        self.file: BinaryIO = log
        self._copier: threading.Thread | None = None
        if source is not None:
            self._copy(source, log, mask)
        elif mask is not None:
            read_end, write_end = os.pipe()
            self.file = os.fdopen(write_end, "wb", buffering=0)
            self._copy(read_end, log, mask)

    def _copy(self, source: int, log: BinaryIO, mask: StreamMask | None) -> None:
        self._copier = threading.Thread(target=_copy, args=(source, log, mask), name="log", daemon=True)
        self._copier.start()

    def started(self) -> None:
        """Close our end: the process has its own, and the log ends with it."""
        self.file.close()

    def join(self) -> None:
        """Wait for the end of the log."""
        if self._copier is not None:
            self._copier.join(JOIN_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.started()
        self.join()


def _copy(source: int, log: BinaryIO, mask: StreamMask | None) -> None:
    """Write what comes to the log without the secrets, until none can write any more."""
    with os.fdopen(source, "rb", buffering=0), log:
        while block := os.read(source, _BLOCK_BYTES):
            with suppress(OSError):  # a full disk must not stop the process, which would wait for the pipe
                log.write(block if mask is None else mask.feed(block))
        with suppress(OSError):
            log.write(b"" if mask is None else mask.finish())
