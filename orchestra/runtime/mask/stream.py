"""Masks bytes that come in pieces: what may be the beginning of a secret is held back until more has come."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from orchestra.runtime.mask.finder import Finder, Span, text_mark

LINE_BYTES = 1 << 16
"""Of a longer line the beginning is passed on before its end has come."""

_CODE = re.compile(rb"[ \t]{0,16}+[A-Za-z0-9+/=_-]{48,}+\r?+\n")
"""A line that base64 or hexadecimal digits fill: its secret may go on in the next one."""

Choice: TypeAlias = Callable[[bytes, list[Span]], list[Span]]
"""Chooses which of the secrets in a text are replaced."""


def replaced(
    data: bytes, spans: list[Span], *, mark: Callable[[str], str] = text_mark, same_size: bool = False
) -> bytes:
    """Return a text with a mark in the place of each span; of the same size where the places of bytes count."""
    parts, at = list[bytes](), 0
    for span in spans:
        shown, size = mark(span.name).encode(), span.end - span.start
        parts += [data[at : span.start], shown.ljust(size, b"*")[:size] if same_size else shown]
        at = span.end
    return b"".join([*parts, data[at:]])


class StreamMask:
    """Takes secrets out of a stream, also those that lie across two pieces.

    A line is passed on when it has ended, so that a secret, an escape and a code of a terminal are seen whole.

    Args:
        finder: finds the secrets.
        choice: chooses which of them are replaced; None for all.
        same_size: a mark takes as many bytes as the secret.

    Attributes:
        count: the secrets that were replaced so far.
    """

    def __init__(self, finder: Finder, *, choice: Choice | None = None, same_size: bool = False) -> None:
        self.count = 0
        self._finder = finder
        self._choice = choice
        self._same_size = same_size
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> bytes:
        """Return what can be written after this piece has come."""
        self._held.append(piece)
        self._size += len(piece)
        if self._size <= LINE_BYTES and b"\n" not in piece and b"\r" not in piece:
            return b""
        data = b"".join(self._held)
        cut = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1  # the line feed of the last \r may be still to come
        cut = _before_code(data, cut)
        if len(data) - cut > LINE_BYTES:
            cut = len(data) - min(self._finder.reach, LINE_BYTES)
        spans = [span for span in self._found(data) if span.start < cut]
        cut = max(cut, spans[-1].end) if spans else cut
        self._held, self._size = [data[cut:]], len(data) - cut
        self.count += len(spans)
        return replaced(data[:cut], spans, same_size=self._same_size)

    def held(self) -> bytes:
        """Return what is held back, masked as far as it has come."""
        data = b"".join(self._held)
        return replaced(data, self._found(data), same_size=self._same_size)

    def finish(self) -> bytes:
        """Return what was held back, once no more comes."""
        data = b"".join(self._held)
        self._held, self._size = [], 0
        spans = self._found(data)
        self.count += len(spans)
        return replaced(data, spans, same_size=self._same_size)

    def _found(self, data: bytes) -> list[Span]:
        spans = self._finder.find(data)
        return self._choice(data, spans) if self._choice is not None and spans else spans


def _before_code(data: bytes, cut: int) -> int:
    """Return where the lines of code begin that a text ends in."""
    while cut:
        start = data.rfind(b"\n", 0, cut - 1) + 1
        if not _CODE.fullmatch(data, start, cut):
            break
        cut = start
    return cut
