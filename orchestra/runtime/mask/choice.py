"""Which secrets are replaced in a file that a program wrote.

A short value is left, and a weak one where it is a word of the format: an ordinary word (`test`) occurs by chance in the names
of tags and keys, and a report that is no XML any more is of no use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from orchestra.runtime.mask.finder import Span
from orchestra.runtime.mask.stream import Choice

_JSON = frozenset({"json", "jsonl", "ndjson", "har", "trace", "network", "stacks", "map"})
_XML = frozenset({"xml", "html", "htm", "xhtml", "svg", "trx"})
_MEDIA = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"\x1aE\xdf\xa3", b"\0\0\0\x1cftyp", b"\0\0\0\x20ftyp", b"BM")
_STRING = re.compile(rb'"(?:[^"\\\n]|\\.)*+"(?=(\s*+:)?)')
_TAG = re.compile(rb"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|<[/?!]?[A-Za-z](?:"[^"]*"|'[^']*'|[^<>"'])*+>""", re.DOTALL)
_QUOTED = re.compile(rb""""[^"]*"|'[^']*'""")


class Handling(NamedTuple):
    """The way in which secrets are replaced in a file."""

    choice: Choice
    same_size: bool


def handling(name: str, head: bytes) -> Handling:
    """Return how secrets are replaced in a file.

    Args:
        name: of the file.
        head: its beginning.
    """
    suffix, first = name.rpartition(".")[2].lower(), head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if head.startswith(_MEDIA):
        return Handling(_strong, same_size=True)
    if suffix in _JSON and first in (b"{", b"["):
        return Handling(_in_json, same_size=False)
    if suffix in _XML and first == b"<":
        return Handling(_in_xml, same_size=False)
    return Handling(_long, same_size=b"\0" in head)


def _strong(_data: bytes, spans: list[Span]) -> list[Span]:
    return [span for span in spans if not span.weak]


def _long(_data: bytes, spans: list[Span]) -> list[Span]:
    return [span for span in spans if not span.short]


def _in_json(data: bytes, spans: list[Span]) -> list[Span]:
    return _outside(spans, _words_of_json(data)) if any(span.weak for span in spans) else spans


def _in_xml(data: bytes, spans: list[Span]) -> list[Span]:
    return _outside(spans, _words_of_xml(data)) if any(span.weak for span in spans) else spans


def _outside(spans: list[Span], words: Iterator[tuple[int, int]]) -> list[Span]:
    """Return the spans that are strong, or touch no word of the format; both are in order."""
    kept, word = [], next(words, None)
    for span in _long(b"", spans):
        while word is not None and word[1] <= span.start:
            word = next(words, None)
        if not span.weak or word is None or word[0] >= span.end:
            kept.append(span)
    return kept


def _words_of_json(data: bytes) -> Iterator[tuple[int, int]]:
    """Give where there is no value that is a text: keys, numbers, `true`, brackets."""
    at = 0
    for match in _STRING.finditer(data):
        if match[1] is None:
            yield at, match.start() + 1
            at = match.end() - 1
    yield at, len(data)


def _words_of_xml(data: bytes) -> Iterator[tuple[int, int]]:
    """Give where there is neither text nor the value of an attribute."""
    for tag in _TAG.finditer(data):
        at, end = tag.span()
        if tag[0].startswith(b"<!--"):
            continue
        if tag[0].startswith(b"<![CDATA["):
            yield at, at + len(b"<![CDATA[")
            continue
        for quoted in _QUOTED.finditer(data, at, end):
            yield at, quoted.start() + 1
            at = quoted.end() - 1
        yield at, end
