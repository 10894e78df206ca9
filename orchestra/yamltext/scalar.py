"""Resolve plain scalars by the core schema of YAML 1.2 (section 10.3.2), and find misleading ones.

`yes`, `off` and dates are strings and `012` is twelve, as in YAML 1.2. YAML 1.1 tools, and many readers, see truth
values and octal numbers there: those are listed here as traps and checked by a rule, which knows the type of the key.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str | None

BOOLEAN_WORDS = frozenset(
    form for word in ("yes", "no", "on", "off") for form in (word, word.capitalize(), word.upper())
)
# The greatest integer up to which every JSON reader agrees (RFC 8259, section 6).
GREATEST_INTEGER = 2**53

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER = re.compile(
    r"""(?P<int>   [-+]?[0-9]+)
      | 0o(?P<oct> [0-7]+)
      | 0x(?P<hex> [0-9a-fA-F]+)
      | (?P<float> [-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)
      | (?P<never> [-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))""",
    re.VERBOSE,
)
_OCTAL_LOOKING = re.compile(r"[-+]?0[0-9]+")
_OCTAL_STARTS = frozenset("0-+")
# The first characters of everything that is not a string.
_ODD_STARTS = frozenset("0123456789+-.~nNtTfF")
# Digits of an integer that is surely above GREATEST_INTEGER, well below where int() refuses (4,300 digits).
_MANY_DIGITS = 40


# With none of these a scalar begins that is anything but the text as it is written.
REMARKABLE_STARTS = _ODD_STARTS | {word[0] for word in BOOLEAN_WORDS} | {"<"}


class NotJSONError(ValueError):
    """A number that JSON cannot carry, or that two JSON readers would read differently. Its text is the reason."""


def resolve(text: str) -> Scalar:
    """Return the value of a plain scalar.

    Raises:
        NotJSONError: for an infinity, a not-a-number, and an integer beyond ±2**53.
    """
    if text[:1] not in _ODD_STARTS and text:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text
    return _number(str(number.lastgroup), number[number.lastgroup or 0])


def trap_of(text: str) -> str | None:
    """`boolean-word` or `octal` for a plain scalar that YAML 1.1 reads otherwise, else None."""
    if text in BOOLEAN_WORDS:
        return "boolean-word"
    return "octal" if text[:1] in _OCTAL_STARTS and _OCTAL_LOOKING.fullmatch(text) else None


def _number(kind: str, digits: str) -> int | float:
    if kind == "never":
        raise NotJSONError("JSON has no infinity and no not-a-number")
    if kind == "float":
        value = float(digits)
        if math.isinf(value):
            raise NotJSONError("it is beyond the greatest floating-point number, about 1.8e308")
        return value
    significant = digits.lstrip("+-0")
    if len(significant) < _MANY_DIGITS:
        whole = int(digits, {"int": 10, "oct": 8, "hex": 16}[kind])
        if abs(whole) <= GREATEST_INTEGER:
            return whole
    raise NotJSONError("readers of JSON agree on whole numbers only up to 9007199254740992 (2**53)")
