"""The files that a glob of a spec names. Imports nothing of this package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path


def matching(root: Path, globs: Iterable[str]) -> Iterator[Path]:
    """The files that any of the globs names, each once, sorted; a glob that ends in `**` means all files below.

    Python before 3.13 lets a final `**` match folders only, so it is written out.
    """
    patterns = [f"{glob}/*" if glob.endswith("**") else glob for glob in globs]
    yield from sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})
