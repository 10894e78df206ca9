"""The log of a service: its lines as they come, masked, in memory and in a file.

Output goes through a pipe into `<folder>/services/<id>.log`, each block with the time of its arrival, secrets masked,
in two files of bounded size of which the second is the older half. The last lines are available for messages.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from orchestra import nofollow
from orchestra.runtime.bounded import patterns
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.mask import Masks
from orchestra.runtime.terminal import Lines, seen

LOG_LIMIT_BYTES = 8 * 1024 * 1024
SEARCHED_LETTERS = 1024 * 1024
"""So much of the output waits to be searched for what a log probe wants; then the service waits, too."""

_MOST_TIMES = 8
"""Should it come in spite of that, because all is wanted at once, the oldest is not searched beyond so many times that."""

_LINE_LIMIT = 64 * 1024
_TAIL_LINES = 8
SILENCE_SECONDS = 1.0
"""The silence after an unterminated line until it counts as a line."""

_TAIL_WIDTH = 300


class Journal:
    """The output of one component over all its starts: a log of bounded size, its last lines, and the matches in it.

    Args:
        path: of the log; its folder is created. The older half is next to it, with the suffix `.1`.
        masks: take secrets out of what is written.
        limit: of each of the two files, in bytes.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        path: Path,
        masks: Masks,
        limit: int = LOG_LIMIT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._masks = masks
        self._stream = masks.stream()
        self._limit = limit
        self._clock = clock
        self._file = -1
        self._size = 0
        self._decoder = _decoder()
        self._shown = _decoder()
        self._rest = ""
        self._tail: list[str] = []
        self._watched: dict[str, Mapping[str, str] | PatternError | None] = {}
        self._lines = Lines()
        self._came = 0.0
        self._unsearched = ""
        self._searched = 0
        self._search: asyncio.Task[None] | None = None
        self._half = ""

    def begin(self, note: str, watched: tuple[str, ...] = ()) -> None:
        """Begin a new start: earlier output no longer counts.

        Args:
            note: a line of ours for the log.
            watched: regular expressions to look for in the output, line by line.
        """
        self._flush()
        self._tail = []
        self._watched = dict.fromkeys(watched)
        self._lines, self._half = Lines(), ""
        self._unsearched, self._searched = "", 0
        self._write(f"[{self._masks.text(note)}]\n")

    def take(self, block: bytes) -> None:
        """Output of the service."""
        new = self._decoder.decode(block)
        self._came = self._clock()
        if self._waiting():
            self._unsearched += "".join(f"{line}\n" for line in self._lines.feed(new))
            self._lines.rest = self._lines.rest[-_LINE_LIMIT:]
            self._skip(self._searched + len(self._unsearched) - _MOST_TIMES * SEARCHED_LETTERS)
            if self.full() and (self._search is None or self._search.done()):
                with contextlib.suppress(RuntimeError):  # no loop runs, so nothing waits
                    self._search = asyncio.get_running_loop().create_task(self._look())
        self._put(block if self._stream is None else self._stream.feed(block))

    def _put(self, block: bytes) -> None:
        """Write the whole lines of an output without secrets."""
        text = self._rest + self._shown.decode(block)
        whole, newline, self._rest = text.rpartition("\n")
        if len(self._rest) > _LINE_LIMIT:
            whole, newline, self._rest = text, "\n", ""
        if newline:
            self._tail = [*self._tail, *whole.rsplit("\n", _TAIL_LINES)[-_TAIL_LINES:]][-_TAIL_LINES:]
            self._write(whole + "\n")

    def _waiting(self) -> list[str]:
        """Return the patterns that were not found yet."""
        return [pattern for pattern, groups in self._watched.items() if groups is None]

    def _skip(self, place: int) -> None:
        """Stop searching the output before a position."""
        if place > self._searched:
            self._unsearched, self._searched = self._unsearched[place - self._searched :], place

    def full(self) -> bool:
        """Return True if so much waits to be searched that no more is to be taken."""
        return len(self._unsearched) > SEARCHED_LETTERS

    def _half_line(self) -> str:
        """Return the line without an end, once it has been one for a while: it may be half of what is to come."""
        half = self._lines.rest if self._clock() - self._came >= SILENCE_SECONDS else ""
        if half == self._half:  # searched before
            return ""
        self._half = half
        return seen(half)

    async def said(self, pattern: str) -> Mapping[str, str] | None:
        """Return the named groups of a pattern's first match since the start, None when there is none.

        Lines are searched as a person sees them; one without an end, after a silence.

        Raises:
            PatternError: it cannot be searched for.
        """
        watched = self._watched
        await self._look()
        known = watched.get(pattern)
        if isinstance(known, PatternError):
            raise known
        return known

    async def _look(self) -> None:
        """Search what came since the last time."""
        watched, text, begin = self._watched, self._unsearched + self._half_line(), self._searched
        for one in self._waiting() if text else ():
            try:
                groups = await asyncio.to_thread(patterns.groups, one, text, lines=True)
            except PatternError as error:
                watched[one] = error
            else:
                watched[one] = groups
        if watched is self._watched:  # it was not started again meanwhile
            self._skip(begin + text.rfind("\n") + 1)
            if not self._waiting():
                self._unsearched = ""

    def last_lines(self) -> str:
        """Return the end of the output, for a message; empty when there was none."""
        held = b"" if self._stream is None else self._stream.held()
        rest = (self._rest + held.decode(errors="replace")).split("\n")
        lines = [*self._tail, *(line for line in rest if line.strip())][-_TAIL_LINES:]
        shown = [seen(line).rstrip("\r").rpartition("\r")[2] for line in lines]
        return "\n".join(line[:_TAIL_WIDTH] for line in shown if line.strip())

    def close(self) -> None:
        """Write what is left and close the log."""
        self._flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _flush(self) -> None:
        if self._stream is not None:
            self._put(self._stream.finish())
        self._decoder.reset()
        self._shown.reset()
        if self._rest:
            rest, self._rest = self._rest, ""
            self._write(rest + "\n")

    def _write(self, lines: str) -> None:
        """Add whole lines, with the time. A disk that refuses costs the log, never the service."""
        stamp = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
        data = (f"{stamp} " + lines[:-1].replace("\n", f"\n{stamp} ") + "\n").encode(errors="replace")
        try:
            if self._file >= 0 and self._size + len(data) > self._limit:
                os.close(self._file)
                self._file = -1
                nofollow.replace(self.path, self.path.with_name(f"{self.path.name}.1"))
            if self._file < 0:
                self._file = nofollow.open_file(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, make=True)
                self._size = os.fstat(self._file).st_size
            os.write(self._file, data)
            self._size += len(data)
        except OSError:
            return


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")
