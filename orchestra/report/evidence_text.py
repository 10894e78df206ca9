"""Collect the texts and pictures inside a report: spec lines of failures, and the content of their evidence.

A file that is gone or was moved is left out: the report shows its name all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from orchestra.ledger.evidence_file import open_evidence
from orchestra.ledger.parts import Evidence
from orchestra.plan import Plan
from orchestra.report.rows import Contents, Report, Row, position
from orchestra.yamltext.digest import digest_files, read_inside

TEXTS: Final[Mapping[str, bool]] = {
    "page": False,
    "console": True,
    "network": True,
    "service": True,
    "log": True,
    "mcp": True,
}
"""Kinds of evidence that are text, and whether the end of a long one is shown, else its start."""

MOST_BYTES: Final = 12_000
"""Of one file."""

MOST_ALTOGETHER: Final = 1_000_000
"""Of all files; the failures that come first are served first."""

AROUND: Final = 2
"""Lines of the spec that are shown before and after a place."""

PICTURES: Final = frozenset({"screenshot", "picture", "look_expected", "look_actual", "look_diff"})
MOST_PICTURES: Final = 40_000_000
"""Bytes of pictures that a report embeds."""


def contents(root: Path, folder: Path, plan: Plan, report: Report, *, embed: bool = False) -> Contents:
    """Read the spec lines and the evidence that the report of a run has of its failures.

    Args:
        root: the project root.
        folder: the run's.
        plan: its plan.
        report: of the run, without these texts.
        embed: hold the pictures, too.
    """
    bad = [row for row in report.rows if row.failures]
    texts = dict(_texts(folder, _files(bad)))
    pictures = dict(_pictures(folder, _all_files(report.rows))) if embed else {}
    return Contents(_spec(root, plan, report, bad), texts, pictures)


def _files(rows: Iterable[Row]) -> Iterator[Evidence]:
    for row in rows:
        for failure in row.failures:
            yield from failure.evidence


def _all_files(rows: Iterable[Row]) -> Iterator[Evidence]:
    for row in rows:
        for one in row.tries:
            yield from one.body.evidence


def _texts(folder: Path, files: Iterable[Evidence]) -> Iterator[tuple[str, str]]:
    left = MOST_ALTOGETHER
    for file in files:
        if file.kind not in TEXTS or left <= 0:
            continue
        text = _excerpt(folder, file, ends=TEXTS[file.kind])
        if text:
            left -= len(text)
            yield file.place, text


def _excerpt(folder: Path, one: Evidence, *, ends: bool) -> str:
    try:
        with open_evidence(folder, one) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MOST_BYTES) if ends else 0)
            content = file.read(MOST_BYTES)
    except OSError:
        return ""
    text = content.decode(errors="replace")
    if size <= MOST_BYTES:
        return text
    left_out = f"… {size - MOST_BYTES} bytes are left out; the file has them …"
    return f"{left_out}\n{text.partition(chr(10))[2]}" if ends else f"{text.rpartition(chr(10))[0]}\n{left_out}"


def _pictures(folder: Path, files: Iterable[Evidence]) -> Iterator[tuple[str, bytes]]:
    left = MOST_PICTURES
    for file in files:
        if file.kind not in PICTURES or file.bytes > left:
            continue
        try:
            with open_evidence(folder, file) as opened:
                content = opened.read()
        except OSError:
            continue
        left -= len(content)
        yield file.place, content


def _spec(root: Path, plan: Plan, report: Report, rows: Sequence[Row]) -> dict[str, str]:
    """Return the lines of the spec around each place; none where the spec is another one by now."""
    try:
        if report.source_digest != plan.source_digest or digest_files(root, plan.sources) != plan.source_digest:
            return {}
        files = {name: read_inside(root, name).decode(errors="replace").splitlines() for name in plan.sources}
    except OSError:
        return {}
    places = {line_of(row.place) for row in report.rows}
    places |= {line_of(failure.error.at or "") for row in rows for failure in row.failures if failure.error is not None}
    return {place: text for place in sorted(places) if place and (text := _around(place, files))}


def _around(place: str, files: Mapping[str, Sequence[str]]) -> str:
    name, _, number = place.rpartition(":")
    lines, line = files.get(name, ()), int(number)
    if line > len(lines):
        return ""
    first = max(1, line - AROUND)
    numbered = enumerate(lines[first - 1 : line + AROUND], first)
    return "\n".join(f"{'>' if at == line else ' '} {at:>4}  {text}" for at, text in numbered)


def line_of(place: str) -> str:
    """Return `file:line` of a place, without its column and the block behind it; empty where it names no line."""
    at = position(place)
    return f"{at.file}:{at.line}" if at is not None else ""
