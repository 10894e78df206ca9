"""Edit JSON as text: add a member or an element, and take it out again, with every other byte as it was.

An addition only inserts text, so that to cut the inserted text gives the old file to the byte. The positions come from the
scanner of the standard library; a file with comments is no JSON and is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Path: TypeAlias = tuple[str, ...]

_SCANNER: Final = json.JSONDecoder()
_NO_SPACE: Final = re.compile(r"[^ \t\r\n]|\Z")
_INDENT: Final = re.compile(r'^([ \t]+)["\[{]', re.MULTILINE)
_MARK: Final = "\ufeff"


class Member(NamedTuple):
    """A member of an object, or an element of a list.

    Attributes:
        key: empty for an element.
        start: of the key, or of the element.
        at: of the value.
        end: behind the value.
        value: as Python has it.
    """

    key: str
    start: int
    at: int
    end: int
    value: Json


class Inserted(NamedTuple):
    """The text with an addition, and the addition alone."""

    text: str
    piece: str


def parse(text: str) -> Json:
    """Return the value of a text; an empty one is an empty object.

    Raises:
        ValueError: it is no JSON.
    """
    if not text.removeprefix(_MARK).strip():
        return {}
    try:
        return json.loads(text.removeprefix(_MARK))  # type: ignore[no-any-return]
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def value_at(value: Json, path: Path) -> Json:
    """Return the value below a path of keys; None where there is none."""
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def add(text: str, path: Path, key: str, value: Json) -> Inserted:
    """Add a member to the object at a path; objects that are missing on the way are made.

    With an empty `key` an element is added to the list at the path.
    """
    if not text.removeprefix(_MARK).strip():
        whole = json.dumps(_nested(path, key, value), indent=2, ensure_ascii=False)
        piece = f"{whole}\n"
        return Inserted(text + piece, piece)
    at = _start(text)
    for depth, name in enumerate(path):
        below = _last(_members(text, at), name)
        if below is None:
            return _insert(text, at, json.dumps(name, ensure_ascii=False), _nested(path[depth + 1 :], key, value))
        at = below.at
    return _insert(text, at, json.dumps(key, ensure_ascii=False) if key else "", value)


def cut(text: str, pieces: Sequence[str]) -> str | None:
    """Return the text without the pieces, the latest first; None where one is not there exactly once."""
    for piece in reversed(pieces):
        if text.count(piece) != 1:
            return None
        text = text.replace(piece, "")
    return text


def remove(text: str, path: Path, key: str, value: Json) -> str:
    """Return the text without a member, or an element of this value if `key` is empty, and without the objects and lists
    above it that it leaves empty.
    """
    at, trail = _start(text), []
    for name in path:
        below = _last(_members(text, at), name)
        if below is None:
            return text
        trail.append((at, name))
        at = below.at
    while True:
        members = _members(text, at)
        index = _position(members, key, value)
        if index is None:
            return text
        text = _without(text, at, members, index)
        if len(members) > 1 or not trail:
            return text
        at, key = trail.pop()


def _position(members: Sequence[Member], key: str, value: Json) -> int | None:
    fitting = [index for index, one in enumerate(members) if (one.key == key if key else one.value == value)]
    return fitting[-1] if fitting else None


def _without(text: str, at: int, members: Sequence[Member], index: int) -> str:
    one = members[index]
    if index:
        return text[: members[index - 1].end] + text[one.end :]
    if len(members) > 1:
        return text[: one.start] + text[members[1].start :]
    return text[: at + 1] + text[_skip(text, one.end) :]


def _nested(path: Path, key: str, value: Json) -> Json:
    made: Json = {key: value} if key else [value]
    for name in reversed(path):
        made = {name: made}
    return made


def _start(text: str) -> int:
    return _skip(text, 1 if text.startswith(_MARK) else 0)


def _skip(text: str, at: int) -> int:
    found = _NO_SPACE.search(text, at)
    return len(text) if found is None else found.start()


def _last(members: Sequence[Member], name: str) -> Member | None:
    return next((member for member in reversed(members) if member.key == name), None)


def _members(text: str, at: int) -> list[Member]:
    """Return the parts of the object or list that begins at a position of a valid JSON text; of another value none."""
    kind, found = text[at], []
    if kind not in "{[":
        return []
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        start, key = at, ""
        if kind == "{":
            key, at = _SCANNER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        value, end = _SCANNER.raw_decode(text, at)
        found.append(Member(key, start, at, end, value))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _insert(text: str, at: int, name: str, value: Json) -> Inserted:
    """Insert a member or element behind the last one of the object or list that begins at a position."""
    members = _members(text, at)
    first = _INDENT.search(text)
    indent = first[1] if first else "  "
    line = "\r\n" if "\r\n" in text else "\n"
    broken = "\n" in text[at : members[-1].start] if members else True
    if broken:
        own = _line_indent(text, members[-1].start if members else at) + ("" if members else indent)
        whole = json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", f"{line}{own}")
        space = f"{line}{own}"
    else:
        whole, space = json.dumps(value, ensure_ascii=False), " "
    one = f"{name}: {whole}" if name else whole
    if members:
        end, piece = members[-1].end, f",{space}{one}"
    else:
        rest = "" if "\n" in text[at + 1 : _skip(text, at + 1)] else f"{line}{_line_indent(text, at)}"
        end, piece = at + 1, f"{space}{one}{rest}"
    return Inserted(text[:end] + piece + text[end:], piece)


def _line_indent(text: str, at: int) -> str:
    """Return the white space at the beginning of the line of a position."""
    start = text.rfind("\n", 0, at) + 1
    return text[start : start + len(text[start:at]) - len(text[start:at].lstrip(" \t"))]
