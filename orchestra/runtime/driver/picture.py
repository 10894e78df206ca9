"""Pictures of a page: the options for each kind, and where the elements of a failed step are in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from orchestra.ledger.parts import Box

WHOLE: Final[Mapping[str, Any]] = {"scale": "css", "caret": "initial"}
"""Options of Playwright for a picture whose pixels are those of the page, with its carets as they are."""

SMALL: Final[Mapping[str, Any]] = {**WHOLE, "type": "jpeg", "quality": 40}
"""Its options for a picture of each step."""

MOST_MARKS: Final = 5
"""Elements that a picture marks."""

MARK_SECONDS: Final = 1.0
"""The limit of the search for their places."""


def boxes(places: Iterable[Mapping[str, float] | None]) -> tuple[Box, ...]:
    """Return the places of elements in whole pixels; an element without a size has none.

    Args:
        places: as Playwright gives them: `x`, `y`, `width` and `height` in the window of the page.
    """
    marks = (
        Box(round(place["x"]), round(place["y"]), round(place["width"]), round(place["height"]))
        for place in places
        if place is not None
    )
    return tuple(mark for mark in marks if mark.width > 0 and mark.height > 0)
