"""Parse a YAML 1.2 file, and refuse one that is no plain JSON data, with every problem at its place.

The C part of ruamel gives the events; its pure parser gives the same data and positions, thirty times slower, where the
C part is missing. It also reads a file with an unquoted colon or question mark inside brackets (`[http://host]`), which
is right by YAML 1.2 and refused by the C part.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from orchestra import conflict
from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import SpecError
from orchestra.yamltext.document import Document, Marks, line_starts
from orchestra.yamltext.event import RefusedError, reading
from orchestra.yamltext.fault import Fault, diagnose
from orchestra.yamltext.walk import Walk, short

MAX_BYTES: Final = 32 * 1024 * 1024

_CONTROLS: Final = bytes(code for code in range(0x20) if code not in b"\t\n\r") + b"\x7f"
# Characters that YAML forbids, and those that it allows but editors count as line ends or do not show.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_DIRECTIVE: Final = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*%([^\r\n]*)")
_YAML_1_2: Final = re.compile(r"YAML[ \t]+1\.2[ \t]*(?:[ \t]#.*)?")


def parse(text: bytes, file: str, *, pure: bool = False) -> Document:
    """Read one YAML file.

    Args:
        text: its bytes, UTF-8, with or without a byte-order mark.
        file: the path that messages show.
        pure: use the pure parser even where the C part is at hand.

    Raises:
        SpecError: with every problem that could be found, sorted by place.
    """
    decoded = decode(text, file)
    if number := conflict.line(text.replace(b"\r\n", b"\n")):
        hint = "resolve it, remove the three marker lines, and run `orchestra compile`"
        place = Place(file, number, 1)
        raise SpecError((Diagnostic(place, "yaml-conflict", "unresolved merge conflict", hint),))
    marks = Marks(-1, decoded)
    walk = Walk(file, marks)
    readable = _without_directive(decoded, walk)
    with collector_paused():
        try:
            with reading(readable, pure=pure) as next_event:
                data = walk.run(next_event)
        except RefusedError as error:
            if not pure and _only_the_c_part_refuses(error.fault, decoded):
                return parse(text, file, pure=True)
            raise SpecError(tuple(sorted([*walk.problems, diagnose(error.fault, decoded, walk.place)]))) from None
    if walk.problems:
        raise SpecError(tuple(sorted(walk.problems)))
    return Document(file, data, marks, walk.traps(data))


def decode(raw: bytes, file: str) -> str:
    """Return the text of a file without its byte-order mark.

    Raises:
        SpecError: too long, not UTF-8, or with characters that YAML forbids.
    """
    if len(raw) > MAX_BYTES:
        hint = "split the spec with `include:`"
        _give_up(file, 1, 1, "yaml-size", f"the file has {len(raw):,} bytes; at most {MAX_BYTES:,} are read", hint)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:2]:
        _give_up(file, 1, 1, "yaml-encoding", "the file is not UTF-8, it looks like UTF-16", "save it as UTF-8")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line, column = _end_of(raw[: error.start].decode())
        message = f"found the byte 0x{raw[error.start]:02x}, which is not UTF-8"
        _give_up(file, line, column, "yaml-encoding", message, "save the file as UTF-8")
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


def _give_up(file: str, line: int, column: int, rule: str, message: str, hint: str) -> NoReturn:
    raise SpecError((Diagnostic(Place(file, line, column), rule, message, hint),))


def _without_directive(text: str, walk: Walk) -> str:
    """Return the text with a leading `%YAML 1.2` made a comment of the same length; other directives are refused."""
    while directive := _DIRECTIVE.match(text):
        start = directive.start(1) - 1
        if not _YAML_1_2.fullmatch(directive[1]):
            message = f'found the directive "%{short(directive[1].strip())}"; only "%YAML 1.2" is allowed'
            _give_up(walk.file, *walk.marks.line_column(start), "yaml-syntax", message, "remove the line")
        text = f"{text[:start]}#{text[start + 1 :]}"
    return text


def _only_the_c_part_refuses(fault: Fault, text: str) -> bool:
    """Return True if it stopped at a colon or question mark in brackets, where YAML 1.2 lets a plain scalar hold them."""
    stopped_at = text[fault.index : fault.index + 1]
    return "found unexpected ':'" in fault.problem or ("flow" in fault.context and stopped_at in {":", "?"})


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the collector of cycles: a million containers without cycles would be searched again and again.

    That takes half of the time of a parse, and a quarter of that of a whole compile.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
