"""Launch one browser, or connect to one, open about:blank and print its version, as a check.

Run as `python -m orchestra.runtime.browsers.check`, in a process of its own, so that a browser that hangs or crashes
affects no other process. Reads one JSON object from stdin: `engine`, and `options` (the arguments of Playwright's
`launch`) or `connect` (those of its `connect`). Writes one JSON object: `version`, or `error`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from playwright.sync_api import Error, sync_playwright


def check(engine: str, options: dict[str, Any] | None = None, connect: dict[str, Any] | None = None) -> dict[str, str]:
    """Return the version of the browser, or the text of Playwright's error."""
    try:
        with sync_playwright() as playwright:
            kind = getattr(playwright, engine)
            browser = kind.launch(**(options or {})) if connect is None else kind.connect(**connect)
            try:
                browser.new_page().goto("about:blank")
                return {"version": str(browser.version)}
            finally:
                browser.close()
    except Error as error:
        return {"error": error.message}


if __name__ == "__main__":
    json.dump(check(**json.load(sys.stdin)), sys.stdout)
