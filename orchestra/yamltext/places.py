"""Find the line of a part of the plan in the spec: JSON pointers to `file:line:column`.

plan.json holds no line numbers, so that a comment in a spec changes one digest and nothing else. The files are read
again for a look-up; that is rare and costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from orchestra.diagnostic import Place
from orchestra.errors import OrchestraError
from orchestra.yamltext.digest import read_inside
from orchestra.yamltext.document import Document, Json
from orchestra.yamltext.document import Path as SpecPath


class Places:
    """Looks places up in the spec files of a plan.

    Args:
        root: the project root.
        sources: the spec files, relative to the root, the main one first: it wins where two define the same.
        profile: the profile of the plan; its values have their place in the profile.
    """

    def __init__(self, root: Path, sources: Sequence[str], profile: str = "") -> None:
        self._root = root
        self._sources = sources
        self._profile = profile

    @cached_property
    def _documents(self) -> tuple[Document, ...]:
        from orchestra.yamltext.parse import parse  # noqa: PLC0415 - a tenth of the start of a run, which seldom looks a place up

        found = []
        for name in self._sources:
            try:
                found.append(parse(read_inside(self._root, name), name))
            except (OSError, OrchestraError):
                continue  # the plan is older than this file's damage; a place less is all that is lost
        return tuple(found)

    def find(self, pointer: str) -> Place | None:
        """Return the place of a JSON pointer (RFC 6901) such as `/tests/B004/steps/1`, None when it is not in the
        files.

        An item of a list of texts has its own text as a pointer, too: `/errors/allow/ResizeObserver loop`.
        """
        found = self._lookup(pointer)
        return None if found is None else found[0].place(found[1])

    def data(self, pointer: str) -> Json:
        """Return the value of the spec at a JSON pointer, None if there is none."""
        found = self._lookup(pointer)
        return None if found is None else found[2]

    def _lookup(self, pointer: str) -> tuple[Document, SpecPath, Json] | None:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        heads = [("profiles", self._profile), ()] if self._profile else [()]
        for head in heads:
            for document in self._documents:
                found = _walk(document.data, [*head, *parts])
                if found is not None:
                    return document, *found
        return None

    def text(self, pointers: Sequence[str]) -> str:
        """Return the places of the pointers for people, outermost first: `specs/a.yaml:41:9 (block at
        specs/a.yaml:12:7)`.
        """
        places = [str(place) for place in map(self.find, pointers) if place is not None]
        if not places:
            return ""
        head, *blocks = places
        return head + "".join(f" (block at {place})" for place in blocks)


def _walk(data: Json, parts: Sequence[str]) -> tuple[SpecPath, Json] | None:
    """Return the path and the value that the parts lead to; a part is a position only where a list is."""
    path: SpecPath = ()
    for part in parts:
        if isinstance(data, dict) and part in data:
            path, data = (*path, part), data[part]
        elif isinstance(data, list) and part.isascii() and part.isdigit() and int(part) < len(data):
            path, data = (*path, int(part)), data[int(part)]
        elif isinstance(data, list) and part in data:
            path, data = (*path, data.index(part)), part
        else:
            return None
    return path, data
