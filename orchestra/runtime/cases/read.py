"""The report that a wrapped runner wrote, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Final

from orchestra.plan import ReportKind
from orchestra.runtime.cases.junit import read_junit
from orchestra.runtime.cases.playwright_json import read_playwright
from orchestra.runtime.cases.pytest_reportlog import read_reportlog
from orchestra.runtime.cases.report import Report, ReportError
from orchestra.runtime.cases.text import Mask
from orchestra.runtime.files import open_plain

MEGABYTES: Final = 64
"""Of 1,000,000 bytes; a larger file is refused."""

_BLOCK_BYTES = 8 << 20
"""Large, because an expat before 2.6 reads a token again from its begin with each block."""


def _blocks(file: FileIO) -> Iterator[bytes]:
    size = 0
    while block := file.read(_BLOCK_BYTES):
        size += len(block)
        if size > MEGABYTES * 1_000_000:
            raise ReportError(f"has more than {MEGABYTES} MB")
        yield block


def _whole(blocks: Iterable[bytes]) -> bytes:
    return b"".join(blocks)


_READERS: Final[Mapping[ReportKind, Callable[[Iterable[bytes], Mask], Report]]] = {
    "junit": read_junit,
    "playwright_json": lambda blocks, mask: read_playwright(_whole(blocks), mask),
    "pytest_reportlog": lambda blocks, mask: read_reportlog(_whole(blocks).splitlines(keepends=True), mask),
}


def read(path: Path, kind: ReportKind, mask: Mask) -> Report | None:
    """Return the cases of a runner's report; None if there is no such file.

    Args:
        path: of the file.
        kind: which report it is.
        mask: takes secrets out of every text, before it is cut.

    Raises:
        ReportError: it is no such report, or beyond a limit.
    """
    try:
        with open_plain(path) as file:
            return _READERS[kind](_blocks(file), mask)
    except OSError:
        return None
