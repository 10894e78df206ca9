"""Save the output of the services of a test during an attempt, a part of their logs, as its evidence.

The logs are those of `service.Journal`: masked, bounded, the older half next to it with the suffix `.1`. Before a
window is read, `Matrix.hear` has written all output up to then to the log.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from orchestra.errors import MachineError
from orchestra.ledger.disk import open_log
from orchestra.plan import Test
from orchestra.runtime.attempt import EvidenceFile, Result
from orchestra.runtime.files import open_plain

LIMIT_BYTES = 256 << 10
"""The end of a longer window is saved: it holds the lines before a failure."""

_FOLDER = "services"

Mark = tuple[int, int]
"""A file (its inode) and a place in it."""


def marks(run: Path, components: Iterable[str]) -> dict[str, Mark]:
    """Return the current end of the log of each component; (0, 0) for a component without one.

    Args:
        run: the run's folder.
        components: their ids.
    """
    return {name: _end(run / _FOLDER / f"{name}.log") for name in components}


def wants_evidence(test: Test, result: Result) -> bool:
    """Return True if a test wants evidence of an attempt that ended so."""
    return test.evidence == "always" or (test.evidence == "on_failure" and result.outcome != "passed")


def with_services(result: Result, run: Path, folder: Path, begun: Mapping[str, Mark]) -> Result:
    """Return the result with what the services wrote since.

    Args:
        result: of the attempt.
        run: the run's folder.
        folder: the attempt's.
        begun: the marks of its start.
    """
    kept = []
    for name, mark in begun.items():
        if text := _since(run / _FOLDER / f"{name}.log", mark):
            path = f"{_FOLDER}/{name}.log"
            try:
                with open_log(folder / path, fresh=True) as file:
                    file.write(text)
            except (OSError, MachineError):
                continue  # a disk error costs this evidence; the ledger reports its other effects
            kept.append(EvidenceFile(path, "service", masked=True))
    return msgspec.structs.replace(result, evidence=(*result.evidence, *kept)) if kept else result


def _end(log: Path) -> Mark:
    try:
        found = log.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_size


class Part(NamedTuple):
    """A piece of a log: the file, where it begins in it, and how many bytes it has."""

    log: Path
    start: int
    size: int


def parts(run: Path, component: str, mark: Mark) -> list[Part]:
    """Return all that a component has written since a mark, as far as its log still has it."""
    found = _parts(run / _FOLDER / f"{component}.log", mark)
    return [Part(path, start, max(0, _end(path)[1] - start)) for path, start in found]


def _since(log: Path, mark: Mark) -> bytes:
    """Return the bytes behind a mark, at most the limit."""
    return b"".join(_read(path, start, LIMIT_BYTES) for path, start in _parts(log, mark))[-LIMIT_BYTES:]


def _parts(log: Path, mark: Mark) -> list[tuple[Path, int]]:
    """Yield the files after a mark with the start position: the older half too, if the log was rotated since."""
    inode, size = mark
    now, _ = _end(log)
    if not now:
        return []
    found = [(log, size if now == inode else 0)]
    older = log.with_name(f"{log.name}.1")
    if inode not in {0, now} and _end(older)[0] == inode:
        found.insert(0, (older, size))
    return found


def _read(path: Path, start: int, limit: int) -> bytes:
    try:
        with open_plain(path) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - limit))
            return file.read(limit)
    except OSError:
        return b""
