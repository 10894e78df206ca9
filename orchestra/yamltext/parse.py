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
from typing import Final

from orchestra import conflict
from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import SpecError
from orchestra.outputs import unix
from orchestra.yamltext.decoding import decode, give_up
from orchestra.yamltext.document import Document, Marks
from orchestra.yamltext.event import RefusedError, reading
from orchestra.yamltext.fault import Fault, diagnose
from orchestra.yamltext.walk import Walk, short

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
    if number := conflict.line(unix(text)):
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
    return Document(file, data, marks, walk.traps(data), walk.anchored)


def _without_directive(text: str, walk: Walk) -> str:
    """Return the text with a leading `%YAML 1.2` made a comment of the same length; other directives are refused."""
    while directive := _DIRECTIVE.match(text):
        start = directive.start(1) - 1
        if not _YAML_1_2.fullmatch(directive[1]):
            message = f'found the directive "%{short(directive[1].strip())}"; only "%YAML 1.2" is allowed'
            give_up(walk.file, *walk.marks.line_column(start), "yaml-syntax", message, "remove the line")
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
