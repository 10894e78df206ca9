"""The files that a long ledger is cut into, and what binds them together.

A ledger that has grown past `SEGMENT_BYTES` continues in the next file: `events.jsonl`, `events-2.jsonl`,
`events-3.jsonl`. The numbers and the hashes of events continue, too. The first line of a further file is an event
`segment`, with the SHA-256 of the whole file before, which was on disk before this one was created: so a file with a
successor is never written again, and a crash leaves either no successor, an empty one, or one that begins with that
line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from orchestra.ledger.chain import Tip
from orchestra.ledger.disk import file_digest
from orchestra.ledger.event import Event, Segment

SEGMENT_BYTES: Final = 64 * 2**20
"""A file that has this size or more is followed by another one."""


def segment_path(path: Path, number: int) -> Path:
    """Return the file of a segment of the ledger at `path`, which is itself the first."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def segments(path: Path) -> Iterator[Path]:
    """Yield the files of a ledger in order, those that are there; the first is named whether it is there or not."""
    yield path
    number = 2
    while (more := segment_path(path, number)).exists():
        yield more
        number += 1


def stray(path: Path, last: int) -> Path | None:
    """Return a file of the ledger that nothing leads to, because the one behind number `last` is missing; None: there
    is none.

    Raises:
        OSError: the folder cannot be read.
    """
    name = re.compile(rf"{re.escape(path.stem)}-([0-9]+){re.escape(path.suffix)}")
    found = [(int(match[1]), file) for file in path.parent.iterdir() if (match := name.fullmatch(file.name))]
    return min(((number, file) for number, file in found if number > last), default=(0, None))[1]


def segment_body(path: Path, tip: Tip) -> Segment:
    """Return the body of the event that begins a segment.

    Args:
        path: of the ledger's first file.
        tip: the last event of the segment before, and the number of the one that begins.

    Raises:
        OSError: the file before cannot be read.
    """
    former = segment_path(path, tip.segment - 1)
    digest, size = file_digest(former)
    return Segment(segment=tip.segment, file=former.name, events=tip.seq, head=tip.hash, bytes=size, digest=digest)


def segment_fault(path: Path, event: Event, tip: Tip) -> str | None:
    """Return the fault of the event that begins a segment, None if it binds the current content of the file before.

    Args: as of `segment_body`, and the event.

    Raises:
        OSError: the file before cannot be read.
    """
    if not isinstance(event.body, Segment):
        return f'a further file of a ledger begins with "segment", and not with "{event.type}"'
    for name, actual in msgspec.structs.asdict(segment_body(path, tip)).items():
        if (recorded := getattr(event.body, name)) != actual:
            return f'it binds the file before with {name} "{recorded}", found was "{actual}"'
    return None
