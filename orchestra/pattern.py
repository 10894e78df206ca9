"""Regular expressions of a spec: what can be read, and how much one search may cost.

All of them have Python's own syntax except `match` of `expect`, which runs in the page. The compiler refuses a pattern
that `compiled` cannot read; `orchestra.runtime.bounded` searches with the same engine, in a process of its own
(docs/decisions/009-patterns.md has the reason).
"""

from __future__ import annotations

import re
import warnings
from typing import Final

LETTERS: Final = 2000
"""The length of a pattern. To read one costs up to 0.4 ms a letter."""

SECONDS: Final = 1.0
"""Processor time of one search."""

SECONDS_PER_MEGABYTE: Final = 0.1
"""And of each megabyte of the text on top, so that a large text is no error of its pattern."""

MEGABYTES: Final = 256
"""Memory of one search, the text not counted."""


class PatternFaultError(Exception):
    """A pattern cannot be read. `position` is where in it, 0 when that is not known."""

    def __init__(self, reason: str, position: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern.

    Raises:
        PatternFaultError: it cannot be read.
    """
    if len(pattern) > LETTERS:
        raise PatternFaultError(f"it has {len(pattern)} letters, at most {LETTERS} are allowed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a later Python may read it otherwise; nothing that a user has to hear now
            return re.compile(pattern)
    except re.error as error:
        raise PatternFaultError(error.msg, error.pos or 0) from None
    except (OverflowError, RecursionError) as error:
        raise PatternFaultError(str(error)) from None
