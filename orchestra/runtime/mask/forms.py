"""The forms in which a secret may be written: the bytes to look for (anchors), and the patterns for what is around them.

A value of several lines is looked for line by line, because logs, journals and reports put things between lines. An anchor
is a part that no escape changes: the automaton finds it, and the patterns are tried only there.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from orchestra.runtime.mask.spelling import raw_bytes, spelling, spellings

LINE_LENGTH = 8
"""Of a value of several lines, lines of so many characters or more are masked."""

WORD_LENGTH = 4
"""A shorter value is masked where it is a word of its own, in texts and not in files: `1` is part of every number."""

CUT_LENGTH = 4
"""So many characters of a strong value are masked where an ellipsis takes the place of the rest."""

_GROUP = re.compile(r"(.)\1*", re.DOTALL)
_RUN = re.compile("[A-Za-z0-9]+")
_LINE_END = re.compile(r"\\r\\n|\\n|[\r\n]")
_SHORTEST_ANCHOR = 3
_SHORTEST_CODE = 4
_FEED = rb"(?:\r?+\n|(?:\\{1,8}+r)?+\\{1,8}+n|(?:%(?:25){0,3}5[cC]r)?%(?:25){0,3}5[cC]n|(?:%(?:25){0,3}0[dD])?%(?:25){0,3}0[aA])"
_SPACE = rb"(?:[ \t]|%(?:25){0,3}20|\+)"
_BREAK = rb"(?:%b%b{0,16}|%b{1,16})?" % (_FEED, _SPACE, _SPACE)
"""A line break in an encoded text and the indentation after it, as it is or escaped; a browser makes it a space."""

_LINE_OF_CODE = 60
"""Encoders break lines after so many characters at the earliest (`xxd`; PEM 64, MIME 76)."""

_ESCAPED_BYTES = 80
_BREAK_BYTES = 100
_CUT_BYTES = 30
"""So many bytes of an escape may be left after an ellipsis."""

_DOTS = (
    rb"(?:\.\.\.|\xe2\x80\xa6|\\{1,8}+u2026|&hellip;|&#8230;|&#x2026;|%(?:25){0,3}[eE]2%(?:25){0,3}80%(?:25){0,3}[aA]6)"
)
_PART = rb"[\\%&#;0-9A-Za-z]{0,30}?"
"""The remaining part of an escape that was cut in two."""

_ELLIPSIS = re.compile(rb"(?:[\\%%&]%b)?\[?%b" % (_PART, _DOTS))
_ELLIPSIS_BEFORE = re.compile(_DOTS + rb"\]?")


class Form(Protocol):
    """A way to write a secret."""

    @property
    def reach(self) -> int:
        """The bytes that the longest text of this form has."""

    def around(self, data: bytes, start: int, end: int) -> tuple[int, int] | None:
        """Return where this form begins and ends around an anchor; None where the anchor belongs to another text."""


@dataclass(frozen=True)
class Spelled:
    """A text, each of its characters as it is or escaped.

    Attributes:
        text: a piece of a value, or its code.
        first, last: the anchor is what the text has from `first` up to `last`; it lies anywhere when they are the same.
        coded: base64 or hexadecimal digits, that line breaks may part.
        word: no letter or digit may precede or follow it.
    """

    text: str
    first: int = 0
    last: int = 0
    coded: bool = False
    word: bool = False

    @cached_property
    def reach(self) -> int:
        """As `Form.reach`."""
        if self.coded:
            return len(self.text) + _BREAK_BYTES * (2 + len(self.text) // _LINE_OF_CODE) + 4 * self.text.count("/")
        return _width(self.text)

    @cached_property
    def _left(self) -> re.Pattern[bytes]:
        return re.compile(
            b"".join(cell + self._between for cell in _cells(self.text[: self.first])) + rb"\Z", re.DOTALL
        )

    @cached_property
    def _right(self) -> re.Pattern[bytes]:
        return re.compile(b"".join(self._between + cell for cell in _cells(self.text[self.last :])), re.DOTALL)

    @property
    def _between(self) -> bytes:
        return _BREAK if self.coded else b""

    def around(self, data: bytes, start: int, end: int) -> tuple[int, int] | None:
        """As `Form.around`."""
        if self.first == self.last:
            tries = self._right.finditer(data, max(0, start - self.reach), end + self.reach)
            return next((one.span() for one in tries if one.start() <= start and one.end() >= end), None)
        if self.first:
            left = self._left.search(data, max(0, start - self.reach), start)
            if left is None:
                return None
            start = left.start()
        if self.last < len(self.text):
            right = self._right.match(data, end)
            if right is None:
                return None
            end = right.end()
        if self.word and (_wordy(data[start - 1 : start], data[start]) or _wordy(data[end : end + 1], data[end - 1])):
            return None
        return start, end


def _width(text: str) -> int:
    """Return how many bytes a text has at most, each of its characters escaped."""
    plain = sum(map(len, _RUN.findall(text)))
    return plain + _ESCAPED_BYTES * (len(text) - plain)


def _cells(text: str) -> Iterator[bytes]:
    """Give a pattern for each letter and digit, and for each run of another character."""
    for match in _GROUP.finditer(text):
        if match[1].isascii() and match[1].isalnum():
            yield from (letter.encode() for letter in match[0])
        else:
            yield spelling(match[1], len(match[0]))


@dataclass(frozen=True)
class Wide:
    """A text in UTF-16: the anchor is all of it."""

    reach: int

    def around(self, data: bytes, start: int, end: int) -> tuple[int, int]:  # noqa: ARG002 - as `Form.around`
        """As `Form.around`."""
        return start, end


def _wordy(outside: bytes, inside: int) -> bool:
    """Return True if the outer byte continues the inner word; a byte above 127 is part of a letter."""
    return bool(outside) and all(byte > 127 or byte == ord("_") or chr(byte).isalnum() for byte in (outside[0], inside))


@dataclass(frozen=True)
class Cut:
    """The beginning or the end of a text, where an ellipsis takes the place of the rest.

    Attributes:
        text: all of it.
        first, last: the anchor is what the text has from `first` up to `last`.
        front: whether its beginning is there, else its end.
    """

    text: str
    first: int
    last: int
    front: bool

    @cached_property
    def reach(self) -> int:
        """As `Form.reach`."""
        return _width(self.text) + _CUT_BYTES

    def around(self, data: bytes, start: int, end: int) -> tuple[int, int] | None:
        """As `Form.around`; the ellipsis stays."""
        return self._beginning(data, start, end) if self.front else self._end(data, start, end)

    def _beginning(self, data: bytes, start: int, end: int) -> tuple[int, int] | None:
        if self.first:
            left = self._left.search(data, max(0, start - self.reach), start)
            if left is None:
                return None
            start = left.start()
        begun = (start, end) if _ELLIPSIS.match(data, end) else None
        for letter in self.text[self.last :]:
            match = _pattern(letter).match(data, end)
            if match is None:
                break
            end = match.end()
            begun = (start, end) if _ELLIPSIS.match(data, end) else begun
        return begun

    def _end(self, data: bytes, start: int, end: int) -> tuple[int, int] | None:
        dots = list(_ELLIPSIS_BEFORE.finditer(data, max(0, start - self.reach), start))
        right = self._right.match(data, end) if dots else None
        if right is None:
            return None
        begin = dots[-1].end()
        for first in range(1, self.first + 1):
            for at in range(begin, min(begin + _CUT_BYTES, start) + 1):
                if self._reaches(data, first, at, start):
                    return begin, right.end()
        return None

    def _reaches(self, data: bytes, first: int, at: int, end: int) -> bool:
        """Return whether the text, from a character on and up to the anchor, is in these bytes."""
        for letter in self.text[first : self.first]:
            match = _pattern(letter).match(data, at, end)
            if match is None:
                return False
            at = match.end()
        return at == end

    @cached_property
    def _left(self) -> re.Pattern[bytes]:
        return re.compile(b"".join(_cells(self.text[: self.first])) + rb"\Z", re.DOTALL)

    @cached_property
    def _right(self) -> re.Pattern[bytes]:
        return re.compile(b"".join(_cells(self.text[self.last :])), re.DOTALL)


@functools.cache
def _pattern(letter: str) -> re.Pattern[bytes]:
    return re.compile(spelling(letter), re.DOTALL)


class Anchored(NamedTuple):
    """The bytes to look for, and the form that is tried around them."""

    anchor: bytes
    form: Form


def pieces(value: str) -> list[str]:
    r"""Return the texts to look for of a value: itself, or its lines; `\n` in a value of one line parts lines, too."""
    whole = value.strip()
    lines = [line.strip() if len(line.strip()) >= LINE_LENGTH else line for line in _LINE_END.split(whole)]
    long = [line for line in lines if len(line) >= LINE_LENGTH and line.strip()]
    if len(lines) == 1 or not long:
        return [whole]
    return list(dict.fromkeys(long if "\n" in whole or "\r" in whole else [whole, *long]))


def forms(piece: str, *, strong: bool) -> Iterator[Anchored]:
    """Give the forms of a piece with their anchors.

    Args:
        piece: of a value; it is not blank.
        strong: no text has it by chance, so it counts in other cases, and where a part of it was cut off.
    """
    raw = raw_bytes(piece)
    if len(piece) < WORD_LENGTH:
        yield Anchored(raw, Spelled(piece, 0, len(piece), word=True))
        return
    for text in sorted({piece, piece.lower(), piece.upper()}) if strong else [piece]:
        yield from _escaped(text)
    for code in sorted(_codes(piece)):
        yield from _coded(code)
        if strong:
            yield from _cut(code, 2 * CUT_LENGTH)
    for encoding in ("utf-16-le", "utf-16-be"):
        wide = piece.encode(encoding, "surrogatepass")
        yield Anchored(wide, Wide(len(wide)))
    if strong:
        yield from _cut(piece, CUT_LENGTH)


def _cut(text: str, size: int) -> Iterator[Anchored]:
    """Give the forms of a text of which a part was cut off: its first and last characters are anchors, and plain runs."""
    runs = [match.span() for match in _RUN.finditer(text) if len(match[0]) >= _SHORTEST_ANCHOR]
    heads = {(0, size), *((first, min(last, first + size)) for first, last in runs[:1])}
    tails = {(len(text) - size, len(text)), *((max(first, last - size), last) for first, last in runs[-1:])}
    for first, last in sorted(heads):
        yield Anchored(raw_bytes(text[first:last]), Cut(text, first, last, front=True))
    for first, last in sorted(tails):
        yield Anchored(raw_bytes(text[first:last]), Cut(text, first, last, front=False))


def _escaped(text: str) -> Iterator[Anchored]:
    """Give the form of a text with its special characters as they are or escaped; its longest plain run is the anchor."""
    first, last = _longest_run(text)
    if last - first >= _SHORTEST_ANCHOR:
        yield Anchored(text[first:last].encode(), Spelled(text, first, last))
        return
    for anchor in sorted(_rare(text)):
        yield Anchored(anchor, Spelled(text))


def _rare(text: str) -> set[bytes]:
    """Return the anchors of a text without a plain run: how one of its characters, or two, may be escaped."""
    letter = next((one for one in text if not one.isascii()), "")
    if letter:
        return {anchor for escape in spellings(letter) for anchor in _slashed(escape)}
    pairs = [text[at : at + 2] for at in range(len(text) - 1)] or [text * 2]
    pair = max(pairs, key=lambda pair: sum(letter.isalnum() for letter in pair))
    both = itertools.product(spellings(pair[0]), spellings(pair[1]))
    return {anchor for first, second in both for anchor in _slashed(first + second)}


def _longest_run(text: str) -> tuple[int, int]:
    """Return where the longest run of letters and digits is."""
    return max((match.span() for match in _RUN.finditer(text)), key=lambda span: span[1] - span[0], default=(0, 0))


def _slashed(escapes: bytes) -> Iterator[bytes]:
    """Give two escapes with as many backslashes as JSON in JSON, or a URL, makes of one; those before the first count not."""
    for slash in (b"\\", b"\\\\", b"\\" * 4, b"\\" * 8, b"%5C", b"%5c"):
        yield escapes.lstrip(b"\\").replace(b"\\", slash) or escapes


def _codes(piece: str) -> set[str]:
    """Return a piece in base64 (once, twice, as a part of JSON, at each offset) and in hexadecimal digits."""
    raw = raw_bytes(piece)
    texts = {raw, json.dumps(piece)[1:-1].encode(), raw_bytes(json.dumps(piece, ensure_ascii=False)[1:-1])}
    once = {code for text in texts for code in _base64(text)}
    twice = {code for text in _base64(raw) if len(text) > _SHORTEST_CODE for code in _base64(text.encode())}
    found = once | twice | {raw.hex(), raw.hex().upper()}
    return {code for code in found if len(code) >= _SHORTEST_CODE}


def _base64(raw: bytes) -> set[str]:
    """Return the base64 of bytes at each offset, without the digits at both ends that depend on their neighbours."""
    found = set()
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * shift + raw).decode()
            found.add(text[(0, 2, 3)[shift] : len(text.rstrip("=")) - (1 if (shift + len(raw)) % 3 else 0)])
    return found


def _coded(code: str) -> Iterator[Anchored]:
    """Give the form of an encoded text with an anchor in each of its parts: of one part more than breaks, one is whole."""
    number = 2 + len(code) // _LINE_OF_CODE if len(code) >= 2 * _SHORTEST_CODE else 1
    size = -(-len(code) // number)
    for at in range(0, len(code), size):
        first, last = _longest_run(code[at : at + size])
        if last - first >= _SHORTEST_ANCHOR:
            anchor = code[at + first : at + last].encode()
            yield Anchored(anchor, Spelled(code, at + first, at + last, coded=True))
