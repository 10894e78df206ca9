"""A YAML file as plain JSON data, with the position of every key and value.

It is a layer below compiler and runtime because both look up lines: of a problem, and of a test.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from orchestra.diagnostic import Place

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Path: TypeAlias = tuple[str | int, ...]
# The positions of one value as indices into the text: a scalar is its own index; a list is [own, item, item, …] and a
# mapping [own, key, value, key, value, …] in the order of the data. A third of the memory of a table by path.
Mark: TypeAlias = "int | list[Any]"

_LINE_END: Final = re.compile(r"\r\n|\r|\n")


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

    def __init__(self, root: Mark, text: str) -> None:
        self.root = root
        self.text = text
        self._lines: list[int] = []
        self._children: dict[int, dict[str, int]] = {}

    def line_column(self, index: int) -> tuple[int, int]:
        """Return line and column, from 1, in code points, of the character of this index."""
        if not self._lines:
            self._lines = line_starts(self.text)
        line = bisect_right(self._lines, index)
        return line, index - self._lines[line - 1] + 1

    def find(self, path: Path, data: Json) -> tuple[int, int, int]:
        """Return the index of the value, the index of its key (or of the value), and the number of existing steps."""
        mark, key = self.root, own_index(self.root)
        for depth, step in enumerate(path):
            slot = self._slot(step, data, mark)
            if slot is None:
                return own_index(mark), key, depth
            if isinstance(data, dict):
                data = data[str(step)]
                key = mark[slot - 1]  # type: ignore[index]  # a mapping's mark is a list
                mark = mark[slot]  # type: ignore[index]
            else:
                data = data[int(step)]  # type: ignore[index]  # `_slot` gave a slot: it is a list
                mark = mark[slot]  # type: ignore[index]
                key = own_index(mark)
        return own_index(mark), key, len(path)

    def _slot(self, step: str | int, data: Json, mark: Mark) -> int | None:
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
        anchored: whether the file has anchors, so that a line can change the meaning of another one.
    """

    file: str
    data: Json
    marks: Marks = field(compare=False, repr=False)
    traps: tuple[Trap, ...] = ()
    anchored: bool = False

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


def locate(path: Path, documents: Iterable[Document]) -> Place | None:
    """Return the place of the value of `path` in the first document that has it, or None."""
    return next((document.place(path) for document in documents if document.has(path)), None)


def own_index(mark: Mark) -> int:
    """Return the position of a value itself; -1 in an empty document."""
    return mark if isinstance(mark, int) else int(mark[0])


def line_starts(text: str) -> list[int]:
    """Return the index of the first character of each line."""
    return [0, *(end.end() for end in _LINE_END.finditer(text))]
