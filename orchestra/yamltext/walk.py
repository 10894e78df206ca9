"""Walk once over the events of a YAML parser: data, positions and refusals come from the same walk and share its state."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

from orchestra.diagnostic import Diagnostic, Place
from orchestra.yamltext.document import Json, Mark, Marks, Path, Trap, own_index
from orchestra.yamltext.event import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NextEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from orchestra.yamltext.scalar import REMARKABLE_STARTS, NotJSONError, Scalar, resolve, trap_of

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
_OPEN: Final = object()


class _StopWalkError(Exception):
    """A problem after which reading on would be dangerous or meaningless."""


class Walk:
    """The state of one walk: its problems, its anchors, its known plain scalars."""

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
        if data is None and own_index(self.marks.root) < 0:
            self.marks.root = 0
            hint = "write at least `orchestra: 1`, `suite:` and `tests:`, or run `orchestra init`"
            self.refuse(0, "yaml-empty", "the file is empty or holds only comments", hint)
        return data

    # One function on purpose: at a million events a file, a call for each would double the time.
    def _document(self, next_event: NextEvent) -> tuple[Json, Mark]:  # noqa: C901, PLR0912, PLR0915
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
            self.refuse(index, "yaml-number", f'found the number "{short(text)}", but {reason}', hint)
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
                self.refuse(index, "yaml-number", f'found the number "{short(text)}", but {reason}', hint)
                return None
            if type(value) in _TYPES[name]:
                return float(text) if name == "float" else value
            self.refuse(
                index, "yaml-tag", f'found the tag "!!{name}" on "{short(text)}", which does not fit', "remove the tag"
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
        self.refuse(index, "yaml-tag", f'found the tag "{short(shown)}"; a spec is plain data without tags', hint)

    def _alias(self, event: AliasEvent) -> tuple[Any, Mark]:
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
        message = f'found the key "{short(key)}" twice in one mapping; the first is at {first.line}:{first.column}'
        self.refuse(index, "yaml-duplicate-key", message, "remove or rename one of them")
        return object()

    @property
    def anchored(self) -> bool:
        """Whether an anchor was met."""
        return bool(self._anchors)

    def traps(self, data: Json) -> tuple[Trap, ...]:
        """Return the traps with the paths at which they are written. A walk of its own, only where there are any."""
        if not self._traps:
            return ()
        traps = []
        for path, index in _scalars((), data, self.marks.root):
            if index in self._traps:
                text, kind = self._traps.pop(index)
                traps.append(Trap(path, text, self.place(index), kind))
        return tuple(traps)


def _scalars(path: Path, data: Any, mark: Mark) -> Iterator[tuple[Path, int]]:
    if isinstance(mark, int):
        yield path, mark
    elif isinstance(data, dict):
        for order, (key, value) in enumerate(data.items()):
            yield from _scalars((*path, key), value, mark[2 + 2 * order])
    else:
        for order, value in enumerate(data):
            yield from _scalars((*path, order), value, mark[1 + order])


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", type(None): "nothing", bool: "a truth value"}
    return names.get(type(value), f"the number {value}")


def short(text: str) -> str:
    """Return a text of a file as a message quotes it: cut if it is long."""
    limit = 60
    return text if len(text) <= limit else text[: limit - 1] + "…"
