"""Distinguish errors that our own actions cause from those of the product, by time and text.

A picture makes Playwright put a style into the page (Firefox, WebKit), which the page's own policy may refuse, and may
resize the page. To leave a page ends its requests, and Firefox and WebKit let their promises fail. Each cause excuses
only as many errors as it can make, and only for a moment; a request that a page gave up excuses none of the page after
the next.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

GRACE_SECONDS = 1.0
"""The time after its cause in which an error can come: another process of the browser reports it."""

_STYLE = re.compile(
    r"blocked an inline style \(style-src-elem\)|[Rr]efused to apply (?:an? )?(?:inline style|stylesheet)"
)
_RESIZED = "ResizeObserver loop"
# Chromium's text ("Failed to fetch") is absent: there, the promises of a page that is left never fail.
_GIVEN_UP = re.compile(r"NetworkError when attempting to fetch|Load failed|The operation was aborted")

Channel: TypeAlias = Literal["page", "console"]


class OwnDoing:
    """The causes of errors that are ours, as they come.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._styles = 0
        self._pictured = -GRACE_SECONDS
        self._picturing = False
        self._leaving = False
        self._left = -GRACE_SECONDS
        self._pages = 0  # that were left
        self._given_up: dict[Channel, list[int]] = {"page": [], "console": []}

    def picture(self, styles: int) -> None:
        """Note that a picture is being taken, for which so many styles are put into the page."""
        self._styles, self._picturing = styles, True

    def pictured(self) -> None:
        """Note that it has been taken."""
        self._picturing, self._pictured = False, self._clock()

    def leaving(self) -> None:
        """Note that the page is about to be left."""
        if not self._leaves():
            self._forget(pages_before=self._pages)
        self._leaving = True

    def left(self) -> bool:
        """Note that it has been left, or is not going to be; return whether it was about to be."""
        was, self._leaving, self._left = self._leaving, False, self._clock()
        if was:
            self._forget(pages_before=self._pages)
            self._pages += 1
        return was

    def gave_up(self, *, earlier: bool) -> None:
        """Note that a request of a script was given up; `earlier`: the page that made it has been left."""
        if self._leaving or (earlier and self._leaves()):
            page = self._pages if self._leaving and not earlier else self._pages - 1
            for pages in self._given_up.values():
                pages.append(page)

    def made(self, channel: Channel, text: str) -> bool:
        """Return True if an error is of our making. One that is excuses no other."""
        if self._picturing or self._recent(self._pictured):
            if _RESIZED in text:
                return True
            if self._styles and _STYLE.search(text):
                self._styles -= 1
                return True
        if self._given_up[channel] and self._leaves() and _GIVEN_UP.search(text):
            self._given_up[channel].pop(0)  # the oldest: errors come in the order of their requests
            return True
        return False

    def _forget(self, *, pages_before: int) -> None:
        """Drop the requests that were given up by pages before that of a number: none of their errors is to come."""
        for pages in self._given_up.values():
            pages[:] = [page for page in pages if page >= pages_before]

    def _leaves(self) -> bool:
        return self._leaving or self._recent(self._left)

    def _recent(self, moment: float) -> bool:
        return self._clock() - moment < GRACE_SECONDS
