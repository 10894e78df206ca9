"""The index of the generated files: the one place that knows what a compile wrote, `.orchestra/outputs.txt`.

A line has the digest of a file, the digest of the specs that it was made of (`-` for none: only plans have one) and its path.
No generated file holds a digest of itself, so that git merges them line by line. The index is merged by `merge=union`: both
sides keep their lines, and a path with two digests was merged. The next compile writes it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple, TypeAlias

FOLDER = ".orchestra"
PATH = f"{FOLDER}/outputs.txt"
_NONE = "-"
_DIGEST = "sha256:"


class Entry(NamedTuple):
    """The index entry of a generated file: digests, with `sha256:`; `sources` is empty except for a plan."""

    content: str
    sources: str = ""


Index: TypeAlias = Mapping[str, tuple[Entry, ...]]


def unix(content: bytes) -> bytes:
    """Return the content with LF line ends; most has no others, which one look for a CR finds out."""
    return content.replace(b"\r\n", b"\n") if b"\r" in content else content


def digest(content: bytes) -> str:
    """Return the digest of a file's content with LF line ends."""
    return _DIGEST + hashlib.sha256(unix(content)).hexdigest()


def parse(data: bytes) -> dict[str, tuple[Entry, ...]]:
    """Return the entries of an index by path; what is no entry is passed over, conflict markers for one.

    An index of format 1 has a path alone on each line.
    """
    found: dict[str, tuple[Entry, ...]] = {}
    for line in unix(data).decode(errors="replace").split("\n"):
        content, _, rest = line.partition(" ")
        sources, _, path = rest.partition(" ")
        entry = Entry(content, "" if sources == _NONE else sources)
        if not content.startswith(_DIGEST) or not path:
            entry, path = Entry(""), line
        pure = PurePosixPath(path)
        if pure.parts and not path.startswith(("#", "<<<<<<<", "=======", ">>>>>>>", "|||||||")):
            if pure.is_absolute() or ".." in pure.parts:
                continue
            known = found.get(path, ())
            found[path] = known if entry in known or not entry.content else (*known, entry)
    return found


def dump(entries: Mapping[str, Iterable[Entry]]) -> str:
    """Return the lines of an index, sorted by path."""
    lines = [
        f"{entry.content} {entry.sources or _NONE} {path}"
        for path in sorted(entries)
        for entry in sorted(entries[path])
    ]
    return "".join(f"{line}\n" for line in lines)
