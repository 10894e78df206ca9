"""The files of code that were changed after a moment, by their times: a server that runs may be older than they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from orchestra import git

MOST_FILES = 20_000
"""A bound for a folder that is in no git work tree; behind it nothing is looked at."""

_CODE = re.compile(
    r"\.(?:astro|c|cc|cjs|clj|cpp|cs|css|ejs|erb|exs?|fs|go|gql|graphql|h|hbs|hpp|html|java|jinja|j2|jsx?|kt|less|lua|mjs|mts"
    r"|php|pl|proto|py|rb|rs|sass|scala|scss|sh|sql|svelte|swift|toml|tsx?|vue|xml|ya?ml|zig)"
)
"""Suffixes of what programs are written in. Servers write files too: data and logs are not looked at."""

_NO_SOURCES = frozenset({"__pycache__", "node_modules"})


def changed_since(folder: Path, moment: float) -> Iterator[Path]:
    """Yield the files of code below a folder that were written after a moment, in no order; none in a hidden folder.

    Args:
        folder: where to look. In a git work tree, files that git ignores are left out.
        moment: seconds of the epoch.
    """
    listed = git.text(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    paths = _walk(folder) if listed is None else (folder / name for name in listed.split("\0") if name)
    for path in paths:
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part in _NO_SOURCES for part in parts)
        if _CODE.fullmatch(path.suffix) and not hidden and _written(path) > moment:
            yield path


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _walk(folder: Path) -> Iterator[Path]:
    count = 0
    for base, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in _NO_SOURCES and not _environment(base, name)
        ]
        for name in files:
            count += 1
            if count > MOST_FILES:
                return
            yield Path(base, name)


def _environment(base: str, name: str) -> bool:
    """Return True if a folder is a virtual environment of Python."""
    return Path(base, name, "pyvenv.cfg").exists()
