"""The browser context that every driver gives a test: size, language, permissions."""

from __future__ import annotations

import os
from typing import Any

from orchestra.engines import ENGINES

VIEWPORT = (1280, 800)
LOCALE = "en-US"


FONTS_SECONDS = 2.0
"""The time that a screenshot waits for the fonts of a page."""
FONTS_LOADED = "() => document.fonts.status === 'loaded'"

_NO_FONTS = "PW_TEST_SCREENSHOT_NO_FONTS_READY"


def prepare() -> None:
    """Keep Playwright from waiting for fonts when it takes a picture: one font that never comes would cost every picture.

    Called before Playwright's own process is started, which reads it. The drivers wait for fonts themselves, not as long.
    """
    os.environ.setdefault(_NO_FONTS, "1")


LOADED = "() => document.readyState === 'complete'"


def engine_of(page: Any) -> str:
    """Return the engine of the browser of a page."""
    browser = page.context.browser
    return "" if browser is None else str(browser.browser_type.name)


def styles(engine: str, frames: int) -> int:
    """Return how many styles Playwright puts into a page for a picture."""
    return frames if engine not in ENGINES or ENGINES[engine].styled_frames else 0


def permissions(engine: str) -> list[str]:
    """Return the permissions that pages have without being asked; only Chromium can grant them."""
    return list(ENGINES[engine].permissions)
