"""Locators of targets, by the synchronous and by the asynchronous interface of Playwright alike."""

from __future__ import annotations

from typing import Any

from orchestra.steps.target import Target, python_calls


def locate(page: Any, target: Target) -> Any:
    """Return the locator of a target, from a page, a frame or a locator."""
    found = page
    for call in python_calls(target):
        found = getattr(found, call.method)(*call.args, **call.kwargs)
    return found


def body_of(page: Any, target: Target) -> Any:
    """Return the locator of the body in which a target is looked for: that of the page, or of the target's frame."""
    inner: Target | None = target
    while inner is not None:
        if inner.frame is not None:
            outer = page if inner.within is None else locate(page, inner.within)
            return outer.frame_locator(inner.frame).locator("body")
        inner = inner.within
    return page.locator("body")
