"""Limit the evidence of one attempt: beyond `evidence_limit_megabytes` remove the largest files.

`surplus` is pure. Only what lies in the attempt's own folder counts and goes: a file elsewhere is the user's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Mapping
from pathlib import Path

import msgspec

from orchestra.ledger.parts import Dropped
from orchestra.plan import Test
from orchestra.runtime.attempt import Result

MEGABYTE = 1_000_000
"""In bytes."""

SPARED = 5
"""The last pictures of steps of an attempt that did not pass: they are small, and show how it came to the failure."""


def surplus(sizes: Mapping[str, int], limit: float, spared: Container[str] = ()) -> list[str]:
    """Return the files to drop so that the rest is within a limit: the largest first, of equal ones the first by name.

    Args:
        sizes: in bytes, by path.
        limit: in bytes.
        spared: what counts and is never dropped.
    """
    total, gone = sum(sizes.values()), list[str]()
    for path in sorted(sizes, key=lambda path: (-sizes[path], path)):
        if path in spared:
            continue
        if total <= limit:
            break
        total -= sizes[path]
        gone.append(path)
    return gone


def within_limit(result: Result, test: Test, folder: Path) -> Result:
    """Return the result with no more evidence than its test may keep; what is over that is removed, and named in
    `dropped`.

    A file that cannot be removed stays in the record.

    Args:
        result: of an attempt, or of a repeat.
        test: of the plan; 0 megabytes stand for no limit.
        folder: the attempt's own, absolute.
    """
    if not test.evidence_limit_megabytes or not result.evidence:
        return result
    home = folder.resolve()
    pictures = [one.path for one in result.evidence if one.kind == "picture"]
    spared = frozenset(pictures[-SPARED:] if result.outcome != "passed" else ())
    sizes = {one.path: size for one in result.evidence if (size := _size(home, one.path)) is not None}
    gone = set[str]()
    for path in surplus(sizes, test.evidence_limit_megabytes * MEGABYTE, spared):
        try:
            (home / path).unlink()
        except OSError:
            continue
        gone.add(path)
    if not gone:
        return result
    kinds = {one.path: one.kind for one in result.evidence}
    return msgspec.structs.replace(
        result,
        evidence=tuple(one for one in result.evidence if one.path not in gone),
        dropped=(*result.dropped, *(Dropped(path=path, bytes=sizes[path], kind=kinds[path]) for path in sorted(gone))),
    )


def _size(home: Path, path: str) -> int | None:
    """Return the size of a plain file in the attempt's folder; None for what is none, lies elsewhere, or is reached by
    a link.
    """
    file = home / path
    try:
        if not Path(os.path.realpath(file.parent)).is_relative_to(home):
            return None
        found = os.lstat(file)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
