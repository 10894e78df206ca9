r"""Text that is printed, on a terminal or into the log of a CI.

Text of a spec, a page or a program may hold anything. `visible` makes one text harmless; `printed` is the last step
before a text is written to a stream, for all of it:

    visible    characters that do not show become visible (`␛`, `⟨U+202E⟩`): no escape sequence of a terminal
    one_line   besides, white space is folded: the text starts no line (`unbroken`: only its line ends are)
    printed    besides, no line is a command to a CI that reads the log, and none is written over by a carriage return
    as_json    the same for JSON, whose value stays what it was
    as_xml     the same for XML

A CI reads these as commands: `::` at the start of a line, after white space (GitHub); `##[` (GitHub, Azure), `##vso[`
(Azure) and `##teamcity[` (TeamCity) anywhere in a line. The sections of GitLab and the images of Buildkite begin with an
escape character, which `visible` replaces. The headings of Buildkite (`--- `) count in the first column only, which text of
a spec or a product reaches in XML alone.
"""

from __future__ import annotations

import re

# The inside of a character class: what does not show, or changes the order of what does. Fixed, so that the output is
# the same under every Unicode version. Joiners (U+200C, U+200D) and variation selectors stay: scripts need them.
HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_HIDDEN = re.compile(f"[{HIDDEN}]")
_CONTROLS = 0x20
_DELETE = 0x7F
_PICTURES = 0x2400
_BASIC = 0x10000

_LONE_RETURN = re.compile(r"\r(?!\n)")
_COMMAND = re.compile(r"#(?=#[A-Za-z]*\[)|(?:(?<=\n)|\A)([^\S\n]*:)(?=:)")
_COMMAND_IN_JSON = re.compile(rf"#(?=#[A-Za-z]*\[)|[\x7f-\x9f{HIDDEN}]")
_COMMAND_IN_XML = re.compile(r"#(?=#[A-Za-z]*\[)|(?:(?<=\n)|\A)(?:([^\S\n]*):(?=:)|([-+~^])(?=\2\2 ))")


def _show(char: str) -> str:
    number = ord(char)
    if number < _CONTROLS:
        return chr(_PICTURES + number)
    return "␡" if number == _DELETE else f"⟨U+{number:04X}⟩"


def visible(text: str) -> str:
    """Return the text with each character that does not show replaced by a visible sign. White space stays."""
    if text.isascii() and text.isprintable():  # nearly every text, and certain only within ASCII
        return text
    return _HIDDEN.sub(lambda found: _show(found[0]), text)


def one_line(text: str) -> str:
    """Return the visible text with white space folded to single spaces."""
    return " ".join(visible(text).split())


def unbroken(text: str) -> str:
    """Return the visible text without its line ends; other white space stays, so that columns are aligned."""
    return " ".join(visible(text).splitlines())


def clip(text: str, length: int) -> str:
    """Return the text, cut to `length` characters with `…` as the last when it is longer."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def printed(text: str) -> str:
    """Return the visible text as it is written to a stream, whole lines: a space parts what a CI would obey."""
    shown = _LONE_RETURN.sub("␍", visible(text))
    return _COMMAND.sub(lambda found: f"{found[0]} ", shown) if "##" in shown or "::" in shown else shown


def letter(message: str, hint: str = "") -> str:
    """Return an error as it is printed: message and hint, whose further lines are indented, so that none is one of ours."""
    lines = [f"error: {_indented(message)}", *([f"hint: {_indented(hint)}"] if hint else [])]
    return printed("\n".join(lines))


def _indented(text: str) -> str:
    return "\n  ".join(visible(text).splitlines())


def as_json(text: str) -> str:
    """Return JSON of the same value, as it is written to a stream."""
    return _COMMAND_IN_JSON.sub(lambda found: _escaped(ord(found[0])), text)


def _escaped(number: int) -> str:
    if number < _BASIC:
        return f"\\u{number:04x}"
    number -= _BASIC
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"


def as_xml(text: str) -> str:
    """Return XML of the same content, as it is written to a stream; it has no CDATA and no comments."""
    return _COMMAND_IN_XML.sub(lambda found: f"{found[1] or ''}&#{ord(found[0][-1])};", text)
