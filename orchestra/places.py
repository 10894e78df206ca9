"""Where a line of the plan stands in the spec: JSON pointers to `file:line:column`. May import `source` and what is below.

plan.json holds no line numbers, so that a comment in a spec changes one digest and nothing else. When somebody asks, the
files are read again; that is rare and costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from orchestra.diagnostic import Place
from orchestra.errors import OrchestraError
from orchestra.source import Document, locate, parse


class Places:
    """Looks places up in the spec files of a plan.

    Args:
        root: the project root.
        sources: the spec files, relative to the root, the main one first: it wins where two define the same.
    """

    def __init__(self, root: Path, sources: Sequence[str]) -> None:
        self._root = root
        self._sources = sources

    @cached_property
    def _documents(self) -> tuple[Document, ...]:
        found = []
        for name in self._sources:
            try:
                found.append(parse((self._root / name).read_bytes(), name))
            except (OSError, OrchestraError):
                continue  # the plan is older than this file's damage; a place less is all that is lost
        return tuple(found)

    def find(self, pointer: str) -> Place | None:
        """The place of a JSON pointer (RFC 6901) such as `/tests/B004/steps/1`, None when it is not in the files."""
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        path = tuple(int(part) if part.isdigit() else part for part in parts)
        return locate(path, self._documents)

    def text(self, pointers: Sequence[str]) -> str:
        """The places of the pointers for people, outermost first: `specs/a.yaml:41:9 (block at specs/a.yaml:12:7)`."""
        places = [str(place) for place in map(self.find, pointers) if place is not None]
        if not places:
            return ""
        head, *blocks = places
        return head + "".join(f" (block at {place})" for place in blocks)
