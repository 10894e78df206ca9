"""A text without the escape codes of terminals, and the places that its parts have with them.

A diff, `grep --color` and a progress bar put codes into the middle of a word. Their first character may be escaped or lost:
what writes JSON or XML does so.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final, NamedTuple

SIGNS: Final = tuple(b"u001b u001B x1b x1B 033[ \\e[ #27; %1b %1B 251b 251B".split())
"""A part of every text that has a code with an escaped first character."""

_USUAL = re.compile(rb"\x1b\[[0-9;:?]*+[A-HJKSTfhlmnsu]")
_CODE = re.compile(
    rb"\[(?:[0-9;:?]{1,32}[A-HJKSTfhlmnsu]|(?<=[\x1bbB3e7;]\[)[A-HJKSTfhlmnsu])"
    rb"|%(?:25){0,3}5[bB](?:(?:[0-9:?;]|%(?:25){0,3}3[abfABF]){1,32}[A-HJKSTfhlmnsu]|[A-HJKSTfhlmnsu])"
)
"""A code of a terminal without its first character."""

_NUMBER = rb"(?:u001[bB]|x1[bB]|033|e)"
_OTHER = rb"\x1b|%(?:25){0,3}1[bB]|&?(?:#|%(?:25){0,3}23)(?:27|x1[bB]);?|%(?:25){0,3}5[cC]u001[bB]"
_SET = rb"(?:\x1b|\\{1,8}+u001[bB]|%(?:25){0,3}1[bB]|%(?:25){0,3}5[cC]u001[bB])(?:\(|%(?:25){0,3}28)[AB0]"
_ESCAPE = re.compile(rb"(?:%b)?(?:%b)\Z|(?:%b)?(\\{1,16})%b\Z" % (_SET, _OTHER, _SET, _NUMBER))
"""The first character, as it is or escaped; a set of letters (`ESC ( B`) may be chosen before."""

_ESCAPE_BYTES = 64
_LOST = re.compile(rb"\[[0-9;]{1,32}m")
"""A code whose first character was lost."""


def without_usual(data: bytes) -> bytes | None:
    """Return a text without the codes that are as they were; None where there is none."""
    return _USUAL.sub(b"", data) if b"\x1b[" in data else None


def lost(data: bytes) -> bool:
    """Return whether a code without its first character is in a text."""
    return _LOST.search(data) is not None


class View(NamedTuple):
    """A text without colours, and where its pieces are in the text that it was made of."""

    text: bytes
    starts: list[int]
    shifts: list[int]

    def place(self, at: int) -> int:
        """Return the place in the text with colours."""
        return at + self.shifts[bisect_right(self.starts, at) - 1]


def view_of(data: bytes) -> View | None:
    """Return a text without any code; None where there is none."""
    parts, starts, shifts = list[bytes](), list[int](), list[int]()
    at = length = 0
    for match in _CODE.finditer(data):
        start = match.start()
        escape = _ESCAPE.search(data, max(at, start - _ESCAPE_BYTES), start)
        if escape is None and not _LOST.fullmatch(match[0]):
            continue
        if escape is not None:
            slashes = len(escape[1] or b"")
            start = escape.start() + slashes - (slashes & -slashes)  # those before belong to a backslash of the text
        elif data[start - 1 : start] == b" ":
            start -= 1  # a browser shows a space in its place
        starts.append(length)
        shifts.append(at - length)
        parts.append(data[at:start])
        length += len(parts[-1])
        at = match.end()
    if not parts:
        return None
    return View(b"".join([*parts, data[at:]]), [*starts, length], [*shifts, at - length])
