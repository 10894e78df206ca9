"""YAML 1.2 bytes to plain JSON data and the position of every key and value, in one walk over a parser's events.

It is a layer below compiler and
runtime because both look up lines: of a mistake, and of a test.

The C part of ruamel gives the events; its pure parser gives the same data and positions, thirty times slower, where the
C part is missing. It also reads a file with an unquoted colon or question mark inside brackets (`[http://host]`), which
is right by YAML 1.2 and refused by the C part.

Longer than most modules because data, positions and refusals come from the same walk and share its state.
"""

from __future__ import annotations

import errno
import gc
import hashlib
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from orchestra import conflict, nofollow
from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import SpecError
from orchestra.yamltext.event import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NextEvent,
    RefusedError,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    reading,
)
from orchestra.yamltext.fault import Fault, diagnose
from orchestra.yamltext.scalar import REMARKABLE_STARTS, NotJSONError, Scalar, resolve, trap_of

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Path: TypeAlias = tuple[str | int, ...]
# The positions of one value as indices into the text: a scalar is its own index; a list is [own, item, item, …] and a
# mapping [own, key, value, key, value, …] in the order of the data. A third of the memory of a table by path.
_Mark: TypeAlias = "int | list[Any]"

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_DEPTH: Final = 64
# How many nodes the aliases of one file may add to those that are written in it.
MAX_ALIASED: Final = 1_000_000

_CORE_TAGS: Final = {
    f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq")
}
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "null": (type(None),),
}
_CONTROLS: Final = bytes(code for code in range(0x20) if code not in b"\t\n\r") + b"\x7f"
# Characters that YAML forbids, and those that it allows but editors count as line ends or do not show.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_DIRECTIVE: Final = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*%([^\r\n]*)")
_YAML_1_2: Final = re.compile(r"YAML[ \t]+1\.2[ \t]*(?:[ \t]#.*)?")
_OPEN: Final = object()


class Trap(NamedTuple):
    """A plain scalar that YAML 1.1, and many readers, take for something else: `yes`, `off`, `012`.

    Attributes:
        path: where in the data.
        text: as it is written.
        place: where in the file.
        kind: `boolean-word` (the value is a string) or `octal` (the value is a decimal number).
    """

    path: Path
    text: str
    place: Place
    kind: str


class Marks:
    """The positions of every key and value of one document. Use `Document.place`."""

    __slots__ = ("_children", "_lines", "root", "text")

    def __init__(self, root: _Mark, text: str) -> None:
        self.root = root
        self.text = text
        self._lines: list[int] = []
        self._children: dict[int, dict[str, int]] = {}

    def line_column(self, index: int) -> tuple[int, int]:
        """Line and column, from 1, in code points, of the character of this index."""
        if not self._lines:
            self._lines = _line_starts(self.text)
        line = bisect_right(self._lines, index)
        return line, index - self._lines[line - 1] + 1

    def find(self, path: Path, data: Json) -> tuple[int, int, int]:
        """Index of the value, index of its key (or of the value), and how many elements of the path exist."""
        mark, key = self.root, _own(self.root)
        for depth, step in enumerate(path):
            slot = self._slot(step, data, mark)
            if slot is None:
                return _own(mark), key, depth
            if isinstance(data, dict):
                data = data[str(step)]
                key = mark[slot - 1]  # type: ignore[index]  # a mapping's mark is a list
                mark = mark[slot]  # type: ignore[index]
            else:
                data = data[int(step)]  # type: ignore[index]  # `_slot` gave a slot: it is a list
                mark = mark[slot]  # type: ignore[index]
                key = _own(mark)
        return _own(mark), key, len(path)

    def _slot(self, step: str | int, data: Json, mark: _Mark) -> int | None:
        """Return the position in the mark of `data` of its child `step`, or None."""
        if isinstance(data, dict) and isinstance(step, str):
            slots = self._children.get(id(mark))
            if slots is None:
                slots = {key: 2 + 2 * order for order, key in enumerate(data)}
                self._children[id(mark)] = slots
            return slots.get(step)
        if isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data):
            return step + 1
        return None


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file as plain data. The data is shared between aliases: read it, do not write to it.

    Attributes:
        file: the path that messages show.
        data: the content of the file.
        marks: the positions of the data.
        traps: deceptive plain scalars, in the order of the file (values only, not keys).
    """

    file: str
    data: Json
    marks: Marks = field(compare=False, repr=False)
    traps: tuple[Trap, ...] = ()

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return the place of the value of `path`, or of its nearest existing ancestor.

        Args:
            path: keys and list positions from the root.
            key: give the position of the key instead, when the last element is a mapping's key.
        """
        value, name, _ = self.marks.find(path, self.data)
        return Place(self.file, *self.marks.line_column(name if key else value))

    def has(self, path: Path) -> bool:
        """Return True if the document has a value at this path."""
        return self.marks.find(path, self.data)[2] == len(path)


def parse(text: bytes, file: str, *, pure: bool = False) -> Document:
    """Read one YAML file.

    Args:
        text: its bytes, UTF-8, with or without a byte-order mark.
        file: the path that messages show.
        pure: use the pure parser even where the C part is at hand.

    Raises:
        SpecError: with every problem that could be found, sorted by place.
    """
    decoded = _decode(text, file)
    if number := conflict.line(text.replace(b"\r\n", b"\n")):
        hint = "resolve it, remove the three marker lines, and run `orchestra compile`"
        place = Place(file, number, 1)
        raise SpecError((Diagnostic(place, "yaml-conflict", "unresolved merge conflict", hint),))
    marks = Marks(-1, decoded)
    walk = _Walk(file, marks)
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


def locate(path: Path, documents: Iterable[Document]) -> Place | None:
    """Return the place of the value of `path` in the first document that has it, or None."""
    return next((document.place(path) for document in documents if document.has(path)), None)


def digest_files(root: FilePath, paths: Sequence[str]) -> str:
    """`sha256:` and the hex digest of these files, each framed by path and length, with CRLF read as LF.

    Raises:
        OSError: when one of them cannot be read.
    """
    return digest_texts((path, read_inside(root, path)) for path in paths)


def read_inside(root: FilePath, path: str) -> bytes:
    """Return the content of a file of the project. A link may lead to it, but not out of the project.

    Args:
        root: the project root.
        path: relative to it; a plan can hold any.

    Raises:
        OSError: it cannot be read, is no regular file, or lies outside.
    """
    real = FilePath(os.path.realpath(root / path.replace("\0", "?")))
    if not real.is_relative_to(root.resolve()):
        raise OSError(errno.EINVAL, "it is outside the project", path)
    return nofollow.read(real)


def digest_texts(files: Iterable[tuple[str, bytes]]) -> str:
    """Return the digest of `digest_files` over (path, bytes) pairs that are already read."""
    digest = hashlib.sha256()
    for path, raw in files:
        text = raw.replace(b"\r\n", b"\n")
        name = path.encode()
        digest.update(b"%d %d\n" % (len(name), len(text)) + name)
        digest.update(text)
    return "sha256:" + digest.hexdigest()


class _StopWalkError(Exception):
    """A problem after which reading on would be dangerous or meaningless."""


class _Walk:
    """The state of one walk: problems found, anchors met, plain scalars known."""

    def __init__(self, file: str, marks: Marks) -> None:
        self.file = file
        self.marks = marks
        self.problems: list[Diagnostic] = []
        self._anchors: dict[str, tuple[Any, Any]] = {}
        self._sizes: dict[int, int] = {}
        self._aliased = 0
        self._traps: dict[int, tuple[str, str]] = {}
        self._known: dict[str, Scalar] = {}

    def place(self, index: int) -> Place:
        """Return the place of the character with this index."""
        return Place(self.file, *self.marks.line_column(index))

    def refuse(self, index: int, rule: str, message: str, hint: str = "") -> None:
        """Note a problem and go on."""
        self.problems.append(Diagnostic(self.place(index), rule, message, hint))

    def run(self, next_event: NextEvent) -> Json:
        """Return the data of the only document; the marks are filled on the way."""
        data: Json = None
        documents = 0
        try:
            while type(event := next_event()) is not StreamEndEvent:
                if type(event) is not DocumentStartEvent:
                    continue
                documents += 1
                if documents > 1:
                    hint = "leave one document in the file; use `include:` for the others"
                    self.refuse(event.start_mark.index, "yaml-documents", "found a second document", hint)
                    return None
                data, self.marks.root = self._document(next_event)
        except _StopWalkError:
            return None
        if data is None and _own(self.marks.root) < 0:
            self.marks.root = 0
            hint = "write at least `orchestra: 1`, `suite:` and `tests:`, or run `orchestra init`"
            self.refuse(0, "yaml-empty", "the file is empty or holds only comments", hint)
        return data

    # One function on purpose: at a million events a file, a call for each would double the time.
    def _document(self, next_event: NextEvent) -> tuple[Json, _Mark]:  # noqa: C901, PLR0912, PLR0915
        known, remarkable = self._known.get, REMARKABLE_STARTS
        scalar, mapping_start, sequence_start = ScalarEvent, MappingStartEvent, SequenceStartEvent
        mapping_end, sequence_end = MappingEndEvent, SequenceEndEvent
        # (container, its marks, whether it is a mapping, the key that waits for a value, anchor), from the root inwards
        stack: list[tuple[Any, list[Any], bool, Any, str | None]] = []
        data: Any = None
        marks: list[Any] = []
        mapping = False
        key: Any = None
        anchor: str | None = None
        value: Any
        mark: Any
        while True:
            event = next_event()
            kind = event.__class__
            if kind is scalar:
                mark = event.start_mark.index
                if event.ctag is not None:
                    value = self._tagged(event)
                elif event.style:
                    value = event.value
                else:
                    text = event.value
                    value = known(text, _OPEN)
                    if value is _OPEN:
                        if text[:1] in remarkable or not text:
                            value = self._plain(event, at_key=mapping and key is None)
                        else:
                            value = self._known[text] = text
                    if not text and mapping and key is not None and event.anchor is None:
                        mark = marks[
                            -1
                        ]  # the value is empty and the two parsers disagree on its position, so its key is used
                if event.anchor is not None:
                    self._anchors[event.anchor] = (value, mark)
            elif kind is mapping_start or kind is sequence_start:
                if len(stack) >= MAX_DEPTH:
                    hint = "flatten the structure"
                    self.refuse(
                        event.start_mark.index, "yaml-depth", f"found more than {MAX_DEPTH} levels of nesting", hint
                    )
                    raise _StopWalkError
                if event.ctag is not None:
                    self._check_collection_tag(event, "map" if kind is mapping_start else "seq")
                stack.append((data, marks, mapping, key, anchor))
                mapping = kind is mapping_start
                data = {} if mapping else []
                marks = [event.start_mark.index]
                key = None
                anchor = event.anchor
                if anchor is not None:
                    self._anchors[anchor] = (_OPEN, marks)
                continue
            elif kind is mapping_end or kind is sequence_end:
                value, mark = data, marks
                if anchor is not None:
                    self._anchors[anchor] = (value, mark)
                data, marks, mapping, key, anchor = stack.pop()
            else:
                value, mark = self._alias(event)

            if not stack:
                empty = kind is scalar and event.implicit[0] and not event.value and event.ctag is None
                return value, -1 if empty else mark
            if not mapping:
                data.append(value)
                marks.append(mark)
            elif key is None:
                position = mark if mark.__class__ is int else mark[0]
                if value.__class__ is not str:
                    key = self._bad_key(value, position)
                elif value in data:
                    key = self._duplicate(value, position, data, marks)
                else:
                    key = value
                marks.append(position)
            else:
                data[key] = value
                marks.append(mark)
                key = None

    def _plain(self, event: ScalarEvent, *, at_key: bool) -> Any:
        """Return the value of a plain scalar, remembered unless its place matters: no JSON number, deceptive, a merge
        key.
        """
        text, index = event.value, event.start_mark.index
        if text == "<<":
            return _OPEN if at_key else text
        try:
            value = resolve(text)
        except NotJSONError as reason:
            hint = "write a number with a JSON form, or quote it if it is a text"
            self.refuse(index, "yaml-number", f'found the number "{_short(text)}", but {reason}', hint)
            return 0
        kind = trap_of(text)
        if kind is None:
            self._known[text] = value
        elif not at_key:
            self._traps[index] = (text, kind)
        return value

    def _tagged(self, event: ScalarEvent) -> Scalar:
        """Return the value of a scalar with a tag: `!!str 1` is a text, `! 1` too."""
        text, tag, index = str(event.value), str(event.ctag), event.start_mark.index
        name = _CORE_TAGS.get(tag)
        if tag == "!" or name == "str":
            return text
        if name in _TYPES:
            try:
                value = resolve(text)
            except NotJSONError as reason:
                hint = "write a number with a JSON form, or quote it if it is a text"
                self.refuse(index, "yaml-number", f'found the number "{_short(text)}", but {reason}', hint)
                return None
            if type(value) in _TYPES[name]:
                return float(text) if name == "float" else value
            self.refuse(
                index, "yaml-tag", f'found the tag "!!{name}" on "{_short(text)}", which does not fit', "remove the tag"
            )
            return None
        self._refuse_tag(tag, index)
        return None

    def _check_collection_tag(self, event: MappingStartEvent | SequenceStartEvent, name: str) -> None:
        tag = str(event.ctag)
        if tag != "!" and _CORE_TAGS.get(tag) != name:
            self._refuse_tag(tag, event.start_mark.index)

    def _refuse_tag(self, tag: str, index: int) -> None:
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        hint = "remove the tag; quote the text if it begins with an exclamation mark"
        self.refuse(index, "yaml-tag", f'found the tag "{_short(shown)}"; a spec is plain data without tags', hint)

    def _alias(self, event: AliasEvent) -> tuple[Any, _Mark]:
        """Return the value of an alias, at the position of the alias; nested values keep the positions of the anchor."""
        name, index = str(event.anchor), event.start_mark.index
        if name not in self._anchors:
            near = get_close_matches(name, self._anchors, 1)
            hint = f'did you mean "*{near[0]}"?' if near else f"write &{name} before its value"
            self.refuse(index, "yaml-syntax", f'found the alias "*{name}", but no anchor "&{name}" before it', hint)
            return None, index
        value, mark = self._anchors[name]
        if value is _OPEN:
            start = self.place(mark[0])
            message = f'found the alias "*{name}" inside its own value (anchor at {start.line}:{start.column})'
            self.refuse(index, "yaml-recursive-alias", message, "write the value out")
            return None, index
        if not isinstance(mark, list):
            return value, index
        self._aliased += self._size(value)
        if self._aliased > MAX_ALIASED:
            message = f"the aliases up to here expand to more than {MAX_ALIASED:,} values"
            self.refuse(index, "yaml-alias-bomb", message, "nest fewer aliases")
            raise _StopWalkError
        return value, [index, *mark[1:]]

    def _size(self, value: Any) -> int:
        """Return how many values a collection holds, aliases written out. Bounded: aliases inside were counted before."""
        known = self._sizes.get(id(value))
        if known is None:
            inside = value.values() if isinstance(value, dict) else value
            known = 1 + sum(self._size(item) if isinstance(item, (dict, list)) else 1 for item in inside)
            self._sizes[id(value)] = known
        return known

    def _bad_key(self, value: Any, index: int) -> object:
        """Refuse a key that is no text, and stand in a key that collides with none."""
        if value is _OPEN:
            hint = "write the keys out, or name a block under `blocks:` and `use:` it"
            self.refuse(index, "yaml-merge-key", 'found the merge key "<<", which is not part of YAML 1.2', hint)
        else:
            hint = "put the key in quotes" if not isinstance(value, (dict, list)) else "use a plain word as the key"
            self.refuse(index, "yaml-key", f"found {_kind(value)} as a key; a key is a text", hint)
        return object()

    def _duplicate(self, key: str, index: int, data: dict[Any, Any], marks: list[Any]) -> object:
        first = self.place(marks[1 + 2 * list(data).index(key)])
        message = f'found the key "{_short(key)}" twice in one mapping; the first is at {first.line}:{first.column}'
        self.refuse(index, "yaml-duplicate-key", message, "remove or rename one of them")
        return object()

    def traps(self, data: Json) -> tuple[Trap, ...]:
        """Return the traps with the paths at which they are written. A walk of its own, only where there are any."""
        if not self._traps:
            return ()
        found = []
        for path, index in _scalars((), data, self.marks.root):
            if index in self._traps:
                text, kind = self._traps.pop(index)
                found.append(Trap(path, text, self.place(index), kind))
        return tuple(found)


def _scalars(path: Path, data: Any, mark: _Mark) -> Iterator[tuple[Path, int]]:
    if isinstance(mark, int):
        yield path, mark
    elif isinstance(data, dict):
        for order, (key, value) in enumerate(data.items()):
            yield from _scalars((*path, key), value, mark[2 + 2 * order])
    else:
        for order, value in enumerate(data):
            yield from _scalars((*path, order), value, mark[1 + order])


def _own(mark: _Mark) -> int:
    return mark if isinstance(mark, int) else int(mark[0])


def _line_starts(text: str) -> list[int]:
    return [0, *(end.end() for end in _LINE_END.finditer(text))]


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", type(None): "nothing", bool: "a truth value"}
    return names.get(type(value), f"the number {value}")


def _short(text: str) -> str:
    limit = 60
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _decode(raw: bytes, file: str) -> str:
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
    for found in _FORBIDDEN.finditer(text):
        seen.setdefault(found[0], []).append(found.start())
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
    starts = _line_starts(text)
    return len(starts), len(text) - starts[-1] + 1


def _give_up(file: str, line: int, column: int, rule: str, message: str, hint: str) -> NoReturn:
    raise SpecError((Diagnostic(Place(file, line, column), rule, message, hint),))


def _without_directive(text: str, walk: _Walk) -> str:
    """Return the text with a leading `%YAML 1.2` made a comment of the same length; other directives are refused."""
    while found := _DIRECTIVE.match(text):
        start = found.start(1) - 1
        if not _YAML_1_2.fullmatch(found[1]):
            message = f'found the directive "%{_short(found[1].strip())}"; only "%YAML 1.2" is allowed'
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
