"""Read the bytes of a file as text, and refuse those that no YAML file may have. It imports no parser: env files use it, too."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import SpecError
from orchestra.yamltext.document import line_starts

MAX_BYTES: Final = 32 * 1024 * 1024

_CONTROLS: Final = bytes(code for code in range(0x20) if code not in b"\t\n\r") + b"\x7f"
# Characters that YAML forbids, and those that it allows but editors count as line ends or do not show.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def decode(raw: bytes, file: str) -> str:
    """Return the text of a file without its byte-order mark.

    Raises:
        SpecError: too long, not UTF-8, or with characters that YAML forbids.
    """
    if len(raw) > MAX_BYTES:
        hint = "split the spec with `include:`"
        give_up(file, 1, 1, "yaml-size", f"the file has {len(raw):,} bytes; at most {MAX_BYTES:,} are read", hint)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:2]:
        give_up(file, 1, 1, "yaml-encoding", "the file is not UTF-8, it looks like UTF-16", "save it as UTF-8")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line, column = _end_of(raw[: error.start].decode())
        message = f"found the byte 0x{raw[error.start]:02x}, which is not UTF-8"
        give_up(file, line, column, "yaml-encoding", message, "save the file as UTF-8")
    if len(raw.translate(None, _CONTROLS)) != len(raw) or not raw.isascii():
        _refuse_controls(text, file)
    return text


def _refuse_controls(text: str, file: str) -> None:
    """One diagnostic for each forbidden character: its first place, and how many there are."""
    seen: dict[str, list[int]] = {}
    for match in _FORBIDDEN.finditer(text):
        seen.setdefault(match[0], []).append(match.start())
    problems = []
    for character, indices in seen.items():
        more = f" ({len(indices)} times in this file)" if len(indices) > 1 else ""
        name = f"U+{ord(character):04X}"
        hint = f'remove it, or write "\\u{ord(character):04X}" in double quotes'
        place = Place(file, *_end_of(text[: indices[0]]))
        problems.append(Diagnostic(place, "yaml-control-character", f"found the character {name}{more}", hint))
    if problems:
        raise SpecError(tuple(sorted(problems)))


def _end_of(text: str) -> tuple[int, int]:
    starts = line_starts(text)
    return len(starts), len(text) - starts[-1] + 1


def give_up(file: str, line: int, column: int, rule: str, message: str, hint: str) -> NoReturn:
    """Refuse a file for one problem."""
    raise SpecError((Diagnostic(Place(file, line, column), rule, message, hint),))
