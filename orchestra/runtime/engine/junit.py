"""What a JUnit file reports, read piece by piece: however large it is, it takes no more memory than one failure.

May import `files`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from xml.etree import ElementTree as ET

from orchestra.runtime.files import open_plain

MEGABYTES: Final = 64
"""Of 1,000,000 bytes; a larger file is refused."""

DEPTH: Final = 100
"""Elements inside of each other."""

KEPT: Final = 3
"""So many failures are told by their words, of the others the number."""

LETTERS: Final = 1000
"""Of the first line of each."""

_BLOCK_BYTES = 8 << 20
"""Large, because an expat before 2.6 reads a token again from its begin with each block."""

_BAD = frozenset({"failure", "error"})


class JunitError(Exception):
    """The file is not to be read; the message goes on after its name."""


@dataclass
class Reported:
    """Failures and errors of a file: the first of them in words, and how many there are."""

    first: list[str] = field(default_factory=list)
    count: int = 0


@dataclass
class _Bad:
    """A failure or an error that is being read; its text counts where it has no message."""

    depth: int
    tag: str
    message: str
    text: str = ""

    def line(self) -> str:
        lines = (self.message or self.text).strip().splitlines()
        return _short(lines[0]) if lines else self.tag


def _short(text: str) -> str:
    """Return a text of at most `LETTERS`; an ellipsis tells the masks that a secret may have been cut."""
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"


class _Reader:
    """Told by the parser, element by element."""

    def __init__(self) -> None:
        self.reported = Reported()
        self._depth = 0
        self._case: tuple[int, str] | None = None
        self._bad: _Bad | None = None

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise JunitError("has a DOCTYPE, which is not allowed, because it can declare entities")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise JunitError(f"has more than {DEPTH} levels of nested elements")
        if self._case is None:
            if tag == "testcase":
                name = ".".join(part for part in (attributes.get("classname"), attributes.get("name")) if part)
                self._case = (self._depth, name)
        elif tag in _BAD and self._bad is None:
            self._bad = _Bad(self._depth, tag, attributes.get("message", "")[: LETTERS + 1])

    def data(self, text: str) -> None:
        bad = self._bad
        if bad is not None and bad.depth == self._depth and len(bad.text) <= LETTERS:
            bad.text = (bad.text + text).lstrip()[: LETTERS + 1]

    def end(self, _tag: str) -> None:
        if self._bad is not None and self._case is not None and self._bad.depth == self._depth:
            self.reported.count += 1
            if self.reported.count <= KEPT:
                self.reported.first.append(f"{_short(self._case[1])}: {self._bad.line()}")
            self._bad = None
        elif self._case is not None and self._case[0] == self._depth:
            self._case = None
        self._depth -= 1

    def close(self) -> Reported:
        return self.reported


def junit_failures(path: Path) -> Reported | None:
    """The failures and errors that a JUnit file reports; None when there is no such file.

    Raises:
        JunitError: it is no XML, or beyond a limit.
    """
    parser = ET.XMLParser(target=_Reader())  # noqa: S314 - it is told no entities, and keeps no elements
    size = 0
    try:
        with open_plain(path) as file:
            while block := file.read(_BLOCK_BYTES):
                size += len(block)
                if size > MEGABYTES * 1_000_000:
                    raise JunitError(f"has more than {MEGABYTES} MB")
                parser.feed(block)
        return cast("Reported", parser.close())
    except OSError:
        return None
    except ET.ParseError as error:
        raise JunitError(f"is not XML ({error})") from error
