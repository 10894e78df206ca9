"""The third driver of generated programs: each step by the one call of Playwright that docs/steps.md names for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Dialog, Error, Keyboard, Locator, Page, expect

from orchestra.plan import PLAIN_PAGE
from orchestra.runtime.browsers.finder import Browser, launch_options
from orchestra.steps.page_script import focusing
from tests.support.programs import SECONDS, Steps

MS = SECONDS * 1000


class _RefusedError(Exception):
    """A step that cannot be done, where Playwright has no error for it."""


def located(page: Page, body: dict[str, Any]) -> Locator:
    """Return the locator of the target that a step names."""
    exact, inside = body.get("exact", False), page.frame_locator(body["frame"]) if "frame" in body else page
    if "role" in body:
        locator = inside.get_by_role(body["role"], name=body["name"])
    elif "label" in body:
        locator = inside.get_by_label(body["label"], exact=exact)
    elif "text" in body:
        locator = inside.get_by_text(body["text"], exact=exact)
    elif "testid" in body:
        locator = inside.get_by_test_id(body["testid"])
    else:
        locator = inside.locator(body["css"])
    return locator.nth(body["nth"]) if "nth" in body else locator


def _expect(locator: Locator, condition: dict[str, Any]) -> None:
    (kind, value), judged = next(iter(condition.items())), expect(locator)
    if kind == "be":
        getattr(judged, f"to_be_{value}")(timeout=MS)
    elif kind == "have_attribute":
        for name, text in value.items():
            judged.to_have_attribute(name, text, timeout=MS)
    elif kind == "have_css":
        for name, text in value.items():
            judged.to_have_css(name, text, timeout=MS)
    elif kind == "match":
        judged.to_have_text(re.compile(value), timeout=MS)
    else:
        name = {"have_text": "to_have_text", "contain": "to_contain_text"}.get(kind, f"to_{kind}")
        getattr(judged, name)(value, timeout=MS)


def _upload(page: Page, locator: Locator, folder: Path, files: list[str]) -> None:
    paths = [folder / file for file in files]
    if not all(path.is_file() for path in paths):
        raise _RefusedError("no file")
    takes = "(node) => { const to = node.control ?? node; return to.nodeName === 'INPUT' && to.type === 'file' }"
    if locator.evaluate(takes, timeout=MS):
        locator.set_input_files(paths, timeout=MS)
        return
    with page.expect_file_chooser(timeout=MS) as chooser:
        locator.click(timeout=MS)
    chooser.value.set_files(paths)


def _download(page: Page, locator: Locator, text: str) -> None:
    with page.expect_download(timeout=MS) as download:
        locator.click(timeout=MS)
    if text not in download.value.path().read_text(encoding="utf-8"):
        raise _RefusedError("other content")


def _page_step(page: Page, verb: str, body: dict[str, Any]) -> None:
    if verb == "viewport":
        page.set_viewport_size({"width": body["width"], "height": body["height"]})
    elif verb == "reload":
        page.reload(timeout=MS)
    elif verb == "evaluate":
        page.evaluate(body["script"])
    elif verb == "press":
        _press(page.keyboard, body["key"])
    elif verb == "type":
        if why := page.evaluate(focusing("type"), None):
            raise _RefusedError(why)
        page.keyboard.type(body["value"])
    else:
        _back(page)


def _back(page: Page) -> None:
    """Go back. Playwright returns None without a page to go back to, and for a blank page and one that differs by `#`."""
    session = page.context.new_cdp_session(page)
    first = session.send("Page.getNavigationHistory")["currentIndex"] == 0
    session.detach()
    if first:
        raise _RefusedError("no page to go back to")
    page.go_back(timeout=MS)


def _press(keyboard: Keyboard, key: str) -> None:
    keyboard.press(key) if key.isascii() else keyboard.type(key)


def _fit(locator: Locator, verb: str) -> Locator:
    """Return what can take keys. Playwright itself presses them on anything, and nothing happens."""
    if why := locator.evaluate(focusing(verb), timeout=MS):
        raise _RefusedError(why)
    return locator


def _press_on(locator: Locator, key: str) -> None:
    locator.press(key, timeout=MS) if key.isascii() else locator.press_sequentially(key, timeout=MS)


def _click(locator: Locator, body: dict[str, Any]) -> None:
    options = {"click_count": body.get("count", 1), "button": body.get("button", "left"), "timeout": MS}
    locator.click(modifiers=body.get("modifiers"), **options)


_ON_ELEMENT: dict[str, Callable[[Locator, dict[str, Any]], Any]] = {
    "click": _click,
    "fill": lambda locator, body: locator.fill(body["value"], timeout=MS),
    "type": lambda locator, body: _fit(locator, "type").press_sequentially(body["value"], timeout=MS),
    "press": lambda locator, body: _press_on(_fit(locator, "press"), body["key"]),
    "select": lambda locator, body: locator.select_option(body["value"], timeout=MS),
    "check": lambda locator, _body: locator.check(timeout=MS),
    "uncheck": lambda locator, _body: locator.uncheck(timeout=MS),
    "hover": lambda locator, _body: locator.hover(timeout=MS),
    "wait": lambda locator, body: locator.wait_for(state=body.get("be", "visible"), timeout=MS),
    "expect": lambda locator, body: _expect(locator, body["to"]),
}


def _do(page: Page, folder: Path, verb: str, body: dict[str, Any]) -> None:
    if verb == "upload":
        _upload(page, located(page, body), folder, body["files"])
    elif verb == "download":
        _download(page, located(page, body), body["expect"]["text"]["contain"])
    elif verb in _ON_ELEMENT and len(body.keys() & {"role", "label", "text", "testid", "css"}) == 1:
        _ON_ELEMENT[verb](located(page, body), body)
    else:
        _page_step(page, verb, body)


class Plain:
    """A browser of Playwright's own library, with a fresh context for each program."""

    def __init__(self, playwright: Any, browser: Browser, env: dict[str, str]) -> None:
        self._launch = lambda: playwright.chromium.launch(**launch_options(browser, env))
        self._browser = self._launch()

    def run(self, folder: Path, address: str, steps: Steps, last: str) -> tuple[int | None, str]:
        """Carry out steps on a page, and the script `last` at the end; the step that failed, and why."""
        if not self._browser.is_connected():  # the methods bring back theirs
            self._browser = self._launch()
        width, height = PLAIN_PAGE.viewport
        context = self._browser.new_context(viewport={"width": width, "height": height}, locale=PLAIN_PAGE.locale)
        answers: list[dict[str, Any]] = []

        def answer(dialog: Dialog) -> None:
            body = answers.pop(0) if answers else {"accept": dialog.type == "beforeunload"}
            with suppress(Error):
                dialog.accept(body.get("text", dialog.default_value)) if body["accept"] else dialog.dismiss()

        try:
            page = context.new_page()
            page.on("dialog", answer)
            page.goto(f"{address}/other")
            page.goto(f"{address}/")
            failure: tuple[int | None, str] = (None, "")
            for number, step in enumerate(steps):
                ((verb, body),) = step.items()
                try:
                    answers.append(body) if verb == "dialog" else _do(page, folder, verb, body)
                except (Error, AssertionError, _RefusedError) as error:
                    failure = number, str(error)
                    break
            with suppress(Error):
                page.evaluate(last)
            return failure
        finally:
            with suppress(Error):
                context.close()

    def close(self) -> None:
        """End the browser."""
        self._browser.close()
