"""Repair the standard streams of a process whose parent closed them (`orchestra run >&-`)."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


class _Careless(io.TextIOWrapper):
    """A stream for people: what it does not take is lost, and changes nothing else."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def open_closed() -> None:
    """Let a standard stream that is closed lead nowhere, and let stderr lose what it does not take.

    The next file that is opened would take its number, and what is printed would go into it: into a ledger, for one.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False))
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    raw = os.fdopen(2, "wb", buffering=0, closefd=False)
    sys.stderr = _Careless(raw, encoding=encoding, errors="backslashreplace", line_buffering=True, write_through=True)


def deafen() -> None:
    """Let everything that is still written to stdout go nowhere: its reader has gone, or it takes nothing more."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError):  # a stream of Python's own has no number, and nothing to be flushed at exit
        os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
