"""The evidence that a run has recorded, looked for once more when it closes. Imports nothing of this package.

That a file was there when its attempt ended is no proof that it is there when people read the report: a later test, a
service or a clean-up may have taken it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class EvidenceBook:
    """Paths and sizes of what was kept, relative to the run's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, int] = {}

    def note(self, evidence: Iterable[Mapping[str, Any]]) -> None:
        """Take in the evidence of an attempt, as its event has it."""
        for one in evidence:
            self._kept[one["path"]] = one["bytes"]

    def gone(self) -> int:
        """How many files are no longer there, or of another size: a look at each, its digest is the matter of `audit`."""
        return sum(self._size(path) != size for path, size in self._kept.items())

    def _size(self, path: str) -> int:
        try:
            return (self._folder / path).stat().st_size
        except OSError:
            return -1
