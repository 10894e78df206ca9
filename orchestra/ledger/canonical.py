"""Canonical JSON (RFC 8785): one byte sequence for one value, so that a digest means something.

Imports nothing of this package.

The `rfc8785` library is the reference. It is written in Python and takes about seven times as long as the C encoder of
the standard library, whose output is the same for everything but a few numbers and key orders. Those are recognised in
the finished text, and only then the reference is asked. A property test holds both together.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import rfc8785

_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode

_EXACT = 2**53
"""Integers below it, and no others, are all exact as doubles."""

# ECMAScript writes 1 and 0.00001 where Python writes 1.0 and 1e-05; integers from 2**53 on have no exact double.
# A string may look like one of these numbers: the reference is then asked for nothing, which costs time only.
_ODD_FLOAT = re.compile(r"\.0(?![0-9])|[0-9]e[-+][0-9]")
_LONG_INTEGER = re.compile(r"[:,\[-][0-9]{16}")
# Python sorts keys by code point, RFC 8785 by UTF-16 unit: they differ when both of these ranges occur.
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_ABOVE_SURROGATES = re.compile("[\ue000-\uffff]")


def canonical(value: object) -> bytes:
    """The canonical JSON of a value made of dicts with string keys, lists, tuples, strings, numbers, booleans and None.

    Raises:
        ValueError: a number has no JSON form (not finite, or an integer of 2**53 and more), or a string holds half of
            a surrogate pair (`UnicodeEncodeError`, or the library's own subclass of ValueError).
        TypeError: the value holds something else.
    """
    if not isinstance(value, (dict, list, tuple)):
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    text = _encode(value)
    return rfc8785.dumps(value) if _doubtful(text) else text.encode()


def parse(text: bytes) -> Any:
    """The value that `canonical` wrote. A number beyond 2**53 was a float, and becomes one again.

    Raises:
        ValueError: the text is not JSON in UTF-8.
    """
    return _decode(text.decode())


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits. Raises what `canonical` raises."""
    return hashlib.sha256(canonical(value)).hexdigest()


def scrubbed(value: object, mask: Callable[[str], str] | None = None) -> object:
    """A copy whose strings have a UTF-8 form, passed through `mask` if there is one; dict keys included.

    Text from pages and processes can hold lone surrogates. They become U+FFFD, because a verdict must be recorded
    whatever a page shows.
    """
    if isinstance(value, str):
        whole = value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return mask(whole) if mask else whole
    if isinstance(value, dict):
        return {scrubbed(key, mask): scrubbed(item, mask) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrubbed(item, mask) for item in value]
    return value


def _integer(text: str) -> int | float:
    number = int(text)
    return number if -_EXACT < number < _EXACT else float(text)


_decode = json.JSONDecoder(parse_int=_integer).decode


def _doubtful(text: str) -> bool:
    # Substring tests come first: they cost a tenth of the expression that they guard.
    if (".0" in text or "e-" in text or "e+" in text) and _ODD_FLOAT.search(text):
        return True
    if _LONG_INTEGER.search(text):
        return True
    return not text.isascii() and bool(_ASTRAL.search(text) and _ABOVE_SURROGATES.search(text))
