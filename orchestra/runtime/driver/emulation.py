"""The browser context that every driver gives a test: size, language, permissions."""

from __future__ import annotations

VIEWPORT = (1280, 800)
LOCALE = "en-US"


def permissions(engine: str) -> list[str]:
    """Return the permissions that pages have without being asked; only Chromium can grant them."""
    return ["clipboard-read", "clipboard-write"] if engine == "chromium" else []
