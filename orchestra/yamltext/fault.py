"""Turn the terse errors of a YAML parser into messages of our grammar with a hint.

It takes the parser's error as data (problem, marks) and never asks which parser it was:
the C part and the pure one word the same fault differently, and both wordings are known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from orchestra.diagnostic import Diagnostic, Place

_FRAGMENT = 60
_MARGIN_TAB = re.compile(r"[ -]*\t")


@dataclass(frozen=True, slots=True)
class Fault:
    """An error of a parser: its text, its position, and the start of the construct that it was reading (or None)."""

    problem: str
    index: int
    context: str
    start: int | None


class _Words(NamedTuple):
    """One kind of fault. `at_start` reports it where the thing began rather than where the parser gave up."""

    needles: tuple[str, ...]
    message: str
    hint: str
    at_start: bool = False
    rule: str = "yaml-syntax"


_QUOTE = "put the text in quotes"
_TABLE = (
    _Words(
        ("mapping values are not allowed",),
        "a second `: ` in one line, or a key whose indentation does not fit",
        "quote a text that holds a colon and a space; give the keys of one mapping the same indentation",
    ),
    _Words(
        ("sequence entries are not allowed",),
        "a list item `- ` where none is allowed",
        "begin the list on a line of its own below the key, or write it as [a, b]",
    ),
    _Words(
        ("mapping keys are not allowed",),
        "a key marker `? ` where none is allowed",
        _QUOTE + " if it begins with a question mark",
    ),
    _Words(
        ("could not find expected ':'",),
        "a line that is neither `key: value` nor a list item",
        "put a colon and a space after the key, or indent the line if it continues the text above",
        at_start=True,
    ),
    _Words(
        ("unexpected end of stream",),
        "a quoted text without an end",
        "close the quote",
        at_start=True,
    ),
    _Words(
        ("unexpected document indicator", "unexpected document separator"),
        "a line `---` or `...` inside a quoted text",
        "close the quote before it, or indent the line",
    ),
    _Words(
        ("unknown escape character",),
        "an unknown escape inside double quotes",
        "write \\\\ for a backslash, or use single quotes",
    ),
    _Words(
        ("hexdecimal", "hexadecimal", "invalid Unicode character escape"),
        "an invalid character escape",
        "write \\xHH, \\uHHHH or \\UHHHHHHHH with hexadecimal digits; above \\uFFFF take one \\U, not two \\u",
    ),
    _Words(
        ("',' or ']'",),
        "a list opened by `[` where neither `,` nor `]` follows",
        "put a comma between the items, close the list, or quote an item that holds one of []{},",
    ),
    _Words(
        ("',' or '}'",),
        "a mapping opened by `{` where neither `,` nor `}` follows",
        "put a comma between the entries, close the mapping, or quote a text that holds one of []{},",
    ),
    _Words(
        ("did not find expected key", "<block end>"),
        "something that is not a key of the mapping around it",
        "give the keys of one mapping the same indentation; quote a text that begins or ends with a quote or bracket",
    ),
    _Words(
        ("expected '-' indicator",),
        "something that is not an item of the list around it",
        "begin each item with `- ` and the same indentation",
    ),
    _Words(
        ("indentation indicator",),
        "an indentation of 0 after `|` or `>`",
        "write a digit from 1 to 9, or none",
    ),
    _Words(
        (
            "comment or a line break",
            "expected comment or line break",
            "expected a comment or",
            "chomping or indentation",
        ),
        "text on the line of a `|` or `>`",
        "begin the text on the next line, indented",
    ),
    _Words(
        ("alphabetic or numeric character", "alphanumeric"),
        "an anchor `&` or alias `*` without a proper name",
        _QUOTE + " if it begins with & or *",
    ),
    _Words(
        (
            "tag URI",
            "expected '!'",
            "expected URI",
            "escaped octet",
            "tag handle",
            "while scanning a tag",
            "expected ' '",
        ),
        "a malformed tag",
        _QUOTE + " if it begins with an exclamation mark",
    ),
    _Words(
        ("unexpected '?'",),
        "an unquoted text that begins with a question mark inside [ ] or { }",
        _QUOTE,
    ),
    _Words(
        ("cannot start any token",),
        "a character that cannot begin a text",
        _QUOTE + " if it begins with one of @ ` %",
    ),
    _Words(
        ("expected node content", "expected the node content"),
        "a missing value",
        "write the value, or quote a text that begins with one of , [ ] { } ? | > -",
    ),
    _Words(
        ("<document start>",),
        "text after the end of the document",
        "leave one mapping in the file, with its keys at the left margin",
        rule="yaml-documents",
    ),
)
_UNKNOWN = _Words((), "text that is not YAML", "")


def diagnose(fault: Fault, text: str, place: Callable[[int], Place]) -> Diagnostic:
    """Return the diagnostic of a parser's refusal.

    Args:
        fault: the error of the parser.
        text: the file.
        place: maps the index of a character to its place.
    """
    index = min(fault.index, len(text))
    tab = _tab_in_margin(text, index)
    if tab is not None:
        message = f"found a tab in the indentation{_near(text, index)}"
        return Diagnostic(place(tab), "yaml-tab", message, "indent with spaces")
    words = next((row for row in _TABLE if any(needle in fault.problem for needle in row.needles)), None)
    if words is None:
        words = next((row for row in _TABLE if any(needle in fault.context for needle in row.needles)), _UNKNOWN)
    opened = ""
    if fault.start is not None and (words.at_start or not text[index:].strip()):
        index = fault.start
    elif fault.start is not None and "flow" in fault.context:
        start = place(fault.start)
        opened = f"; it was opened at {start.line}:{start.column}"
    return Diagnostic(place(index), words.rule, f"found {words.message}{_near(text, index)}{opened}", words.hint)


def _line_start(text: str, index: int) -> int:
    return max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1


def _tab_in_margin(text: str, index: int) -> int | None:
    """Return the index of a tab among the spaces and list dashes that begin the line of this character."""
    start = _line_start(text, index)
    found = _MARGIN_TAB.match(text, start)
    return found.end() - 1 if found else None


def _near(text: str, index: int) -> str:
    """` in "the line"`, cut around the character; nothing for an empty line."""
    start = _line_start(text, index)
    line = text[start:].splitlines()[0].rstrip() if text[start:].strip("\r\n") else ""
    fragment = line.strip()
    if len(fragment) > _FRAGMENT:
        begin = max(0, min(index - start, len(line)) - _FRAGMENT // 2)
        fragment = ("…" if begin else "") + line[begin : begin + _FRAGMENT].strip() + "…"
    if fragment:
        return f' in "{fragment}"'
    return "" if text[index:].strip() else " at the end of the file"
