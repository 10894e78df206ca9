"""Every search for a regular expression of a spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from orchestra.pattern import MEGABYTES, SECONDS, SECONDS_PER_MEGABYTE
from orchestra.runtime.bounded import pool
from orchestra.runtime.terminal import ESCAPE

_MEGABYTE = 1_000_000
_BYTES_PER_LETTER = 32
"""The maximum memory for a letter of a text, as JSON and as text, while both exist."""

_HINT = "write it so that a text matches in one way only: a+ instead of (a+)+"


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
    """Return the named groups of the first match; None when there is none.

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
    stop: Callable[[], bool] = lambda: False,
) -> list[Hit]:
    """Return the lines of a file that one of the patterns fits, as a person sees them. Each pattern has a limit of its
    own.

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
        stop: whether the search is to be given up; asked all the time.

    Raises:
        StoppedError: it was given up.
        PatternError: one cannot be read, or its limit is over.
        OSError: the file cannot be read.
    """
    asked = {"kind": "in_file", "path": str(path), "start": start, "size": size, "stamp": stamp, "prefix": prefix}
    asked |= {"escape": ESCAPE}
    asked |= {"patterns": list(patterns), "unless": list(unless), "letters": letters, "most": most}
    return [Hit(*hit) for hit in _ask(asked, [*patterns, *unless], size, stop)]


def _ask(asked: dict[str, Any], patterns: Sequence[str], size: int, stop: Callable[[], bool] = lambda: False) -> Any:
    seconds = SECONDS + SECONDS_PER_MEGABYTE * size / _MEGABYTE
    done = pool.ask(asked, seconds=seconds, memory=MEGABYTES * _MEGABYTE + _BYTES_PER_LETTER * size, stop=stop)
    if not done.fault:
        return done.value
    reasons = {
        "time": (f"did not end within {seconds:.2g} s of processor time", _HINT),
        "memory": (f"needs more than {MEGABYTES} MB of memory", _HINT),
    }
    raise PatternError(patterns[done.part], *reasons.get(done.fault, (done.fault,)))
