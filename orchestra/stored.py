"""JSON files that orchestra wrote, read again. May import `msgspec` alone.

A pull request can bring them, so they can hold anything: one error covers all causes of unreadable ones.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

_Kind = TypeVar("_Kind")


def decode(content: str | bytes, kind: type[_Kind]) -> _Kind:
    """Return the record that JSON holds. Raises ValueError for what is no JSON of this shape."""
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
