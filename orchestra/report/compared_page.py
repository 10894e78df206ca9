"""A comparison as one page: no script, no request, the last picture of each side where both disagree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from orchestra import draw, nofollow
from orchestra.ledger.evidence_file import evidence_file
from orchestra.report.by_hand import ByHand
from orchestra.report.compare.comparison import Agreement, Comparison
from orchestra.report.compare.sides import Side
from orchestra.report.compare.text import Grid, agreement_grid, by_hand_grid, parts
from orchestra.report.html import still, styles
from orchestra.report.page_tests import picture_address

PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})
MOST_PICTURES: Final = 40_000_000
"""Bytes of pictures that a page holds."""


class Shown(NamedTuple):
    """A table of a page: texts that are visible, and the pictures of the sides by name."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    test: str
    pictures: Sequence[tuple[str, str]] = ()


class Section(NamedTuple):
    """One comparison of a page."""

    title: str
    lines: Sequence[str]
    grids: Sequence[Shown]


def compared_page(
    title: str,
    made: Sequence[Comparison],
    agreed: Sequence[Agreement],
    folders: Mapping[str, Path],
    claims: Mapping[str, Sequence[ByHand]],
) -> str:
    """Return the page.

    Args:
        title: of the suite.
        made: comparisons with the first side.
        agreed: who agrees with whom, of more than two sides.
        folders: that of the run of each side.
        claims: results that were seen by hand, by run.
    """
    pictures, by_hand = _Pictures(folders), by_hand_grid(claims)
    return still(
        "compare.html.j2",
        styles(),
        title=draw.visible(title),
        agreed=_shown(agreement_grid(agreed)) if agreed else None,
        by_hand=_shown(by_hand) if by_hand.rows else None,
        sections=[_section(one, pictures) for one in made],
    )


def _section(comparison: Comparison, pictures: _Pictures) -> Section:
    lines, grids = list[str](), list[Shown]()
    for part in parts(comparison):
        if isinstance(part, Grid):
            sides = comparison.disagreeing.get(part.test)
            of_both = () if sides is None else zip((comparison.first, comparison.second), sides, strict=True)
            shown = tuple((draw.visible(name), url) for name, side in of_both for url in pictures.last(name, side))
            grids.append(_shown(part)._replace(pictures=shown))
        else:
            lines.append(draw.visible(part))
    return Section(draw.visible(f"{comparison.second} against {comparison.first}"), lines, grids)


def _shown(grid: Grid) -> Shown:
    rows = [[draw.visible(cell) for cell in row] for row in grid.rows]
    return Shown([draw.visible(head) for head in grid.heads], rows, draw.visible(grid.test))


class _Pictures:
    """The last picture of a side, as an address that needs no file, while there is room for more."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._left = MOST_PICTURES

    def last(self, name: str, side: Side) -> Iterator[str]:
        """Yield the address of the picture that was taken last; nothing where there is none."""
        for path in reversed(side.evidence):
            if PurePosixPath(path).suffix.lower() not in PICTURES:
                continue
            try:
                content = nofollow.read(evidence_file(self._folders[name], path))
            except OSError:
                continue
            if len(content) <= self._left:
                self._left -= len(content)
                yield picture_address(content)
            return
