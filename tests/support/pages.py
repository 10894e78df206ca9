"""report.html, as a test reads it: its data, and its text without what is compressed."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

_DATA = re.compile(r'(<script type="application/octet-stream" id="data">)([^<]*)(</script>)')
_OWN = re.compile(r"(<style>|<script>)(.*?)(</style>|</script>)", re.DOTALL)
_DIGEST = re.compile(r"sha256-[\w+/=&#;]+")


def data_of(text: str) -> dict[str, Any]:
    """Return the data of a page."""
    found = _DATA.search(text)
    assert found is not None
    data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(found[2])))
    return data


def legible(text: str) -> str:
    """Return the frame of a page, and its data as indented JSON. What compresses it may differ between machines."""
    frame = _OWN.sub(r"\1…\3", _DIGEST.sub("sha256-…", _DATA.sub(r"\1…\3", text)))
    return f"{frame}\n{json.dumps(data_of(text), indent=1, ensure_ascii=False)}\n"


def views_of(browser: Browser, folder: Path, *more: str) -> dict[str, str]:
    """Return the text of each view of the page of a real run; no view may fail, or ask for what is not in the folder.

    Args:
        browser: shows it.
        folder: of the run.
        more: views besides those that each page has.
    """
    wrong: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request", lambda request: wrong.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )
    page.goto(f"{(folder / 'report.html').resolve().as_uri()}#/")
    page.wait_for_selector("html[data-ready]")
    texts = {}
    views: Sequence[str] = ("#/", "#/timeline", "#/needs", "#/history", "#/run", *more)
    for view in views:
        page.evaluate("(view) => { location.hash = view; }", view)
        page.wait_for_function("(view) => document.documentElement.dataset.shown === view", arg=view)
        texts[view] = page.text_content("main") or ""
    context.close()
    assert wrong == []
    return texts
