"""Canonical JSON (RFC 8785): one byte sequence for one value, so that a digest means something.

The `rfc8785` library is the reference. It is written in Python; msgspec is in C, takes a twentieth of the time, and its
output is the same for everything but a few numbers and key orders. Odd numbers are written by the reference and stand in
msgspec's text as they are; for anything else that is odd the reference is asked for the whole. A property test holds both
together.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import msgspec
import rfc8785

_encode = msgspec.json.Encoder(order="sorted").encode

EXACT = 2**53
"""Integers below it, and no others, are all exact as doubles."""

_SHORT = 1e-4
_LONG = 1e15
# Between these two both write a float that is no integer as its shortest decimal digits. ECMAScript writes 1 and 0.00001
# where others write 1.0 and 1e-5.

_PLAIN = frozenset({str, bool, type(None)})
"""The types that both encoders write alike."""

_CONTAINERS = frozenset({tuple, dict, list})

# UTF-8 sorts keys by code point, RFC 8785 by UTF-16 unit: they differ when both of these ranges occur.
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_ABOVE_SURROGATES = re.compile("[\ue000-\uffff]")


def canonical(value: object) -> bytes:
    """Return the canonical JSON of a value made of structs, dicts with string keys, lists, tuples, strings, numbers,
    booleans, None.

    A struct is written as msgspec encodes it: without the fields that have their default, where it is made so.

    Raises:
        ValueError: a number has no JSON form (not finite, or an integer of 2**53 and more), or a string holds half of
            a surrogate pair (`UnicodeEncodeError`, or the library's own subclass of ValueError).
        TypeError: the value holds something else.
    """
    try:
        text = _encode(value if _plain(value) else _exact(value))
    except _OddError:
        return _reference(value)
    return text if text.isascii() or not _sorts_oddly(text.decode()) else _reference(value)


def _reference(value: object) -> bytes:
    return rfc8785.dumps(msgspec.to_builtins(value))


def parse(text: bytes) -> Any:
    """Return the value that `canonical` wrote. A number beyond 2**53 was a float, and becomes one again.

    Raises:
        ValueError: the text is not JSON in UTF-8.
    """
    try:
        return _decode(text.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits. Raises what `canonical` raises."""
    return hashlib.sha256(canonical(value)).hexdigest()


def whole_text(text: str) -> str:
    """Return a text that has a UTF-8 form: pairs of surrogates become their character, half of one becomes U+FFFD."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def scrubbed(value: object) -> object:
    """Return a copy whose strings, dict keys included, have a UTF-8 form.

    Text from pages and processes can hold lone surrogates. A verdict must be recorded whatever a page shows.
    """
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, dict):
        return {scrubbed(key): scrubbed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrubbed(item) for item in value]
    return value


def _integer(text: str) -> int | float:
    number = int(text)
    return number if -EXACT < number < EXACT else float(text)


_decode = json.JSONDecoder(parse_int=_integer).decode


class _OddError(Exception):
    """The value holds something for which only the reference is trusted."""


def _plain(value: Any) -> bool:  # noqa: C901, PLR0912 - asked for every value of every event
    """Return True if msgspec writes the value as the reference does; False requires a closer look."""
    kind = type(value)
    if kind is dict:
        items = value.values()
        for key in value:
            if type(key) is not str:
                return False
    elif kind is list or kind is tuple:
        items = value
    elif isinstance(value, msgspec.Struct):
        items = msgspec.structs.astuple(value)
    else:
        return kind in _PLAIN
    for item in items:
        kind = type(item)
        if kind in _PLAIN:
            continue
        if kind in _CONTAINERS:
            if item and not _plain(item):  # most of most events are empty
                return False
        elif kind is float:
            if not (_SHORT <= item < _LONG) or item.is_integer():
                return False
        elif kind is int:
            if not -EXACT < item < EXACT:
                return False
        elif not _plain(item):
            return False
    return True


def _exact(value: Any) -> Any:
    """Return a copy that msgspec writes as the reference does.

    Raises:
        _OddError: there is none.
        ValueError: a number has no JSON form.
        TypeError: the value holds something that is no data.
    """
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    kind = type(value)
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise _OddError
        return {key: item if type(item) in _PLAIN else _exact(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [item if type(item) in _PLAIN else _exact(item) for item in value]
    if kind is float:
        usual = (_SHORT <= value < _LONG or -_LONG < value <= -_SHORT) and value != int(value)
        return value if usual else msgspec.Raw(rfc8785.dumps(value))
    if kind in _PLAIN or (kind is int and -EXACT < value < EXACT):
        return value
    if not isinstance(value, (int, float, str, dict, list, tuple)):
        raise TypeError(f"no JSON is made of {kind.__name__}")
    raise _OddError


def _sorts_oddly(text: str) -> bool:
    return bool(_ASTRAL.search(text) and _ABOVE_SURROGATES.search(text))
