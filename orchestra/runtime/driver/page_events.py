"""Playwright's events of a page, read: objects of its synchronous and of its asynchronous interface alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playwright._impl._errors import Error

from orchestra.runtime.attempts.observed import declared_size


def page_of(request: Any) -> str:
    """Return the address of the page that made a request; empty for a page that is only being opened."""
    try:
        url = str(request.frame.url)
    except Error:  # of a service worker
        return ""
    return "" if url == "about:blank" else url


def owner_of(request: Any) -> Any:
    """Return the page that made a request; None for a service worker and for a page that is only being opened."""
    try:
        return request.frame.page
    except Error:
        return None


def main_frame_of(request: Any) -> Any:
    """Return the frame that a request is to fill with a document, where it is that of a whole page; else None."""
    if not request.is_navigation_request():
        return None
    try:
        return request.frame if request.frame.parent_frame is None else None
    except Error:
        return None


def size_of(request: Any) -> int | None:
    """Return the size of a body as its answer declares it; None when it does not."""
    response = request.existing_response
    return 0 if response is None else declared_size(request.method, response.status, response.headers)


def exception_text(error: Any, location: Mapping[str, Any]) -> tuple[str, str]:
    """Return the text of an uncaught exception, and where it was thrown, `URL:LINE:COLUMN`."""
    name, message = getattr(error, "name", None), getattr(error, "message", None) or str(error)
    text = f"{name}: {message}" if name and not message.startswith(name) else message
    url = location.get("url") or ""
    return text, f"{url}:{location.get('line', 0) + 1}:{location.get('column', 0) + 1}" if url else ""


def console_place(message: Any) -> str:
    """Return where a line of the console was written, `URL:LINE`."""
    place = message.location
    return f"{place.get('url', '')}:{place.get('lineNumber', 0) + 1}"
