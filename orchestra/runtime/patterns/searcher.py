"""The side that asks: helpers that wait for work, one for each search under way. May import `processes.process`.

A helper that was ended by a limit is not replaced before the next search. Safe to call from several threads.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from orchestra.pattern import MEGABYTES, SECONDS, SECONDS_PER_MEGABYTE
from orchestra.runtime.processes.process import spawn
from orchestra.runtime.terminal import ESCAPE

WALL: Final = 3.0
"""By the clock a search may take so many times its processor time: on a busy machine it waits for its turn."""

_MEGABYTE = 1_000_000
_BYTES_PER_LETTER = 32
"""What a letter of a text takes at most, as JSON and as text, while both are there."""

_BLOCK_BYTES = 65536
_HINT = "write it so that a text can be matched in one way only: (a+)+ tries all of them, a+ is the same"


class PatternError(Exception):
    """A pattern could not be searched for."""

    def __init__(self, pattern: str, reason: str, hint: str = "") -> None:
        super().__init__(f'the pattern "{pattern}" {reason}')
        self.message = str(self)
        self.pattern = pattern
        self.hint = hint


class Hit(NamedTuple):
    """A line of a file that a pattern fits."""

    line: int
    text: str


def groups(pattern: str, text: str, *, lines: bool = False) -> Mapping[str, str] | None:
    """The named groups of the first match; None when there is none.

    Args:
        pattern: Python's syntax.
        text: searched whole.
        lines: `^` and `$` mean the begin and end of each line.

    Raises:
        PatternError: it cannot be read, or its limit is over.
    """
    asked = {"kind": "groups", "patterns": [pattern], "text": text, "lines": lines}
    named: dict[str, str] | None = _ask(asked, [pattern], len(text))
    return named


def first(patterns: Sequence[str], texts: Sequence[str]) -> list[str | None]:
    """For each text the first pattern that is found in it. The limit is one for all together.

    Raises:
        PatternError: one cannot be read, or the limit is over.
    """
    if not patterns or not texts:
        return [None] * len(texts)
    asked = {"kind": "first", "patterns": list(patterns), "texts": list(texts)}
    numbers: list[int] = _ask(asked, patterns, sum(map(len, texts)))
    return [patterns[number] if number >= 0 else None for number in numbers]


def in_file(
    patterns: Sequence[str],
    path: Path,
    start: int,
    size: int,
    *,
    letters: int,
    most: int,
    stamp: str = "",
    unless: Sequence[str] = (),
    prefix: str = "",
) -> list[Hit]:
    """The lines of a file that one of the patterns fits, as a person sees them. Each pattern has a limit of its own.

    Of a traceback of Python there is one, whose text is its exception.

    Args:
        patterns: Python's syntax.
        path: of the file.
        start: where in it to begin.
        size: how many bytes to read from there.
        letters: so many of a line are given, after its white space is stripped.
        most: so many lines are given.
        stamp: a pattern for the begin of each line, which is not searched.
        unless: a line in which one of these is found is left out.
        prefix: put before a line for `unless`.

    Raises:
        PatternError: one cannot be read, or its limit is over.
        OSError: the file cannot be read.
    """
    asked = {"kind": "in_file", "path": str(path), "start": start, "size": size, "stamp": stamp, "prefix": prefix}
    asked |= {"escape": ESCAPE}
    asked |= {"patterns": list(patterns), "unless": list(unless), "letters": letters, "most": most}
    return [Hit(*hit) for hit in _ask(asked, [*patterns, *unless], size)]


def close() -> None:
    """End the helpers that wait. A later search starts another."""
    with _lock:
        waiting = list(_idle)
        _idle.clear()
    for one in waiting:
        one.end()


class _Helper:
    """A process that searches, and its two pipes."""

    def __init__(self) -> None:
        self._process = spawn(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("helper.py"))],
            cwd=Path("/"),
            env={},  # it needs nothing of ours, and nothing of ours is for it
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            mark=f"patterns-{os.getpid()}",
        )
        popen = self._process.popen
        if popen.stdin is None or popen.stdout is None:
            raise AssertionError("both were asked for as pipes")
        self._in, self._out = popen.stdin, popen.stdout
        for end in (self._in, self._out):
            os.set_blocking(end.fileno(), False)
        self.number = 0

    def alive(self) -> bool:
        """Whether it still waits for work."""
        return self._process.popen.poll() is None

    def answer(self, request: bytes, seconds: float) -> dict[str, Any] | None:
        """The answer to a request; None when it ended, or did not say anything for so many seconds."""
        self.number, rest, unsent = 0, b"", memoryview(request)
        due = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            selector.register(self._in, selectors.EVENT_WRITE)
            while (left := due - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if key.fileobj is self._in:
                        unsent = unsent[self._sent(unsent) :]
                        if not unsent:
                            selector.unregister(self._in)
                        continue
                    block = os.read(self._out.fileno(), _BLOCK_BYTES)
                    if not block:
                        return None
                    *lines, rest = (rest + block).split(b"\n")
                    for line in lines:
                        told = json.loads(line)
                        if isinstance(told, dict):
                            return told
                        self.number, due = told, time.monotonic() + seconds
        return None

    def _sent(self, data: memoryview) -> int:
        try:
            return os.write(self._in.fileno(), data[:_BLOCK_BYTES])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(data)  # the end of its output tells that it is gone

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.popen.kill()
        self._process.popen.wait()
        self._in.close()
        self._out.close()


_lock = threading.Lock()
_idle: list[_Helper] = []


def _ask(asked: dict[str, Any], patterns: Sequence[str], size: int) -> Any:
    """The answer of a helper that is idle, or of a new one."""
    seconds = SECONDS + SECONDS_PER_MEGABYTE * size / _MEGABYTE
    memory = MEGABYTES * _MEGABYTE + _BYTES_PER_LETTER * size
    data = json.dumps({**asked, "seconds": seconds}).encode()
    one = _taken()
    try:
        told = one.answer(b"%d %d\n%s" % (len(data), memory, data), seconds * WALL)
    except BaseException:
        one.end()
        raise
    if told is None:
        one.end()
        raise PatternError(patterns[one.number], f"did not end within {seconds:.3g} s of processor time", _HINT)
    with _lock:
        _idle.append(one)
    if "lost" in told:
        raise OSError(told["lost"])
    if told.get("fault") == "memory":
        raise PatternError(patterns[one.number], f"needs more than {MEGABYTES} MB of memory", _HINT)
    if "fault" in told:
        raise PatternError(patterns[one.number], told["fault"])
    return told["value"]


def _taken() -> _Helper:
    with _lock:
        while _idle:
            one = _idle.pop()
            if one.alive():
                return one
            one.end()
    return _Helper()
