"""The body of an HTTP answer, decoded up to a limit: a few kilobytes may stand for gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

CODINGS = 3
"""So many content codings in a row are undone."""

_PIECE_BYTES = 65536
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class BodyError(Exception):
    """The bytes do not match their content coding."""


class Body:
    """The received part of a body.

    Args:
        coding: the header `content-encoding`; a coding that is not known is left as it is.
        limit: bytes that are kept; what comes after them is not decoded.

    Attributes:
        data: decoded.
        over: there was more than the limit.

    Raises:
        BodyError: there are more codings than `CODINGS`.
    """

    def __init__(self, coding: str, limit: int) -> None:
        names = [name.strip().lower() for name in coding.split(",")]
        if len(names) > CODINGS:
            raise BodyError(f"it has {len(names)} content codings, at most {CODINGS} are read")
        self.data = bytearray()
        self.over = False
        self._limit = limit
        self._stages = [_Inflate() for name in names if name in {"gzip", "x-gzip", "deflate"}]

    def feed(self, block: bytes) -> None:
        """Take a block as it came.

        Raises:
            BodyError: it cannot be decoded.
        """
        for piece in _through(block, self._stages):
            if self.over:
                return
            room = self._limit - len(self.data)
            self.data += piece[:room]
            self.over = len(piece) > room


def _through(block: bytes, stages: list[_Inflate]) -> Iterator[bytes]:
    if not stages:
        yield block
        return
    for piece in stages[0].pieces(block):
        yield from _through(piece, stages[1:])


class _Inflate:
    """gzip, zlib, or deflate without a head, in pieces."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._begun = False

    def pieces(self, block: bytes) -> Iterator[bytes]:
        """Yield the content of a block in pieces."""
        more = True
        while more and not self._zlib.eof:
            piece = self._piece(block)
            block = self._zlib.unconsumed_tail
            more = bool(block) or len(piece) == _PIECE_BYTES
            if piece:
                yield piece

    def _piece(self, block: bytes) -> bytes:
        begun, self._begun = self._begun, True
        try:
            return self._zlib.decompress(block, _PIECE_BYTES)
        except zlib.error as error:
            if begun:
                raise BodyError(str(error)) from None
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return self._zlib.decompress(block, _PIECE_BYTES)
        except zlib.error as error:
            raise BodyError(str(error)) from None
