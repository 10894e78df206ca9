"""Add an entry to a mapping of a YAML file: no other byte of it changes, so comments and layout stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestra.yamltext.event import (
    MappingEndEvent,
    MappingStartEvent,
    NextEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    reading,
)

_STARTS = (MappingStartEvent, SequenceStartEvent)
_ENDS = (MappingEndEvent, SequenceEndEvent)


class NotBlockError(Exception):
    """The mapping is written in braces, or is none."""


def add_entry(text: str, key: str, lines: Sequence[str]) -> str:
    """Return the text of a file with an entry more in the mapping of a top-level key, after its last one.

    Args:
        text: of a file that `parse` accepts.
        key: of the top level; it is added at the end of the file if it is not there.
        lines: of the entry, indented as if it were at the top level.

    Raises:
        NotBlockError: the value of the key is no mapping in block style.
    """
    with reading(text, pure=False) as next_event:
        place = _end_of_entries(next_event, key, text)
    newline = "\r\n" if "\r\n" in text else "\n"
    if place is None:
        head = text if not text or text.endswith("\n") else text + newline
        return head + newline.join([f"{key}:", *(f"  {line}" if line else line for line in lines), ""])
    end, column = place
    indent = " " * column
    added = newline.join([*(indent + line if line else line for line in lines), ""])
    before = text[:end] if text[:end].endswith("\n") else text[:end] + newline
    return before + added + text[end:]


def _end_of_entries(next_event: NextEvent, key: str, text: str) -> tuple[int, int] | None:
    """Return where the last line of the entries of a top-level key ends, and their column; None without the key."""
    while not isinstance(next_event(), MappingStartEvent):
        pass
    while not isinstance(name := next_event(), MappingEndEvent):
        first = next_event()
        if isinstance(name, ScalarEvent) and name.value == key:
            return _after(first, next_event, text)
        _skip(first, next_event)
    return None


def _after(first: Any, next_event: NextEvent, text: str) -> tuple[int, int]:
    if not isinstance(first, MappingStartEvent) or first.flow_style:
        raise NotBlockError
    end, column = 0, -1
    stack: list[Any] = [first]
    while stack:
        event = next_event()
        if column < 0:
            column = event.start_mark.column
        if isinstance(event, _STARTS):
            stack.append(event)
        elif not isinstance(event, _ENDS):
            end = _end(event)
        elif stack.pop().flow_style:
            end = event.end_mark.index
    newline = text.find("\n", end - 1 if text[end - 1 : end] == "\n" else end)
    return (len(text) if newline < 0 else newline + 1), column


def _end(event: Any) -> int:
    """Return where a scalar or an alias ends; an empty one where it is."""
    return int(event.end_mark.index if event.end_mark is not None else event.start_mark.index)


def _skip(first: Any, next_event: NextEvent) -> None:
    depth = int(isinstance(first, _STARTS))
    while depth:
        event = next_event()
        depth += isinstance(event, _STARTS) - isinstance(event, _ENDS)
