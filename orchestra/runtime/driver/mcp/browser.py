"""The browser of the MCP session, which this process owns: one context, one page.

Everything here runs in the session's loop. The page is listened to, because the MCP server replaces a page that was
closed or has crashed by a blank one and goes on as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil
from playwright.async_api import Browser as PlaywrightBrowser
from playwright.async_api import (
    BrowserContext,
    Error,
    Page,
    Playwright,
    Route,
    ViewportSize,
    async_playwright,
)

from orchestra.engines import ENGINES
from orchestra.plan import PLAIN_PAGE, Emulation, Tls
from orchestra.runtime.browsers.finder import Browser, launch_options
from orchestra.runtime.browsers.trust import Trust
from orchestra.runtime.driver.accessibility import AUDIT, EVERY_RULE, LOADED_PAGE, source
from orchestra.runtime.driver.emulation import (
    FONTS_LOADED,
    FONTS_SECONDS,
    context_options,
    emulating,
    permissions,
    prepare,
    size_of,
    styles,
)
from orchestra.runtime.driver.mcp.devtools import Devtools
from orchestra.runtime.driver.mcp.watch import ANSWER_SECONDS, PageWatch
from orchestra.runtime.driver.pages import Pages
from orchestra.runtime.unicode import well_formed

BLANK = "about:blank"

# Runs before any script of the page can replace its timers. A tool whose call a dialog cut short does not report
# whether its click was made, so presses are recorded.
_BEFORE_PAGE = """(() => {
  if (Symbol.for('orchestra') in globalThis) return;  // a window that a link opens may run this twice
  const { setTimeout, clearTimeout, setInterval, clearInterval, MutationObserver, Date } = globalThis;
  const timers = { setTimeout, clearTimeout, setInterval, clearInterval };
  const bound = Object.fromEntries(Object.entries(timers).map(([name, timer]) => [name, timer.bind(globalThis)]));
  const own = { ...bound, MutationObserver, now: Date.now.bind(Date), press: 0 };
  Object.defineProperty(globalThis, Symbol.for('orchestra'), { value: own });
  for (const name of ['pointerdown', 'mousedown'])
    addEventListener(name, (event) => { if (event.isTrusted) own.press = own.now(); }, true);
})()"""
_LAST_PRESS = "() => globalThis[Symbol.for('orchestra')]?.press ?? 0"

_CLEAN = """async () => {
  const quietly = async (work) => { try { await work(); } catch {} };  // what a site may not use holds nothing
  await quietly(() => sessionStorage.clear());
  await quietly(async () => { for (const name of await caches.keys()) await caches.delete(name); });
  await quietly(async () => {
    const folder = await navigator.storage.getDirectory();
    for await (const name of folder.keys()) await folder.removeEntry(name, { recursive: true });
  });
}"""

_KEY = os.urandom(32)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The properties by which a browser suits a test."""

    browser: Browser
    headed: bool
    tls: Tls
    emulation: Emulation


class SharedBrowser:
    """A launched browser with its one page.

    Attributes:
        watch: the ear on the page.
        clocked: whether its pages have a clock of the test.
        endpoint: where the MCP server attaches.
        version: engine and version, for people.
    """

    def __init__(self) -> None:
        self.watch = PageWatch()
        self.clocked = False
        self.endpoint = ""
        self.version = ""
        self._playwright: Playwright | None = None
        self._browser: PlaywrightBrowser | None = None
        self._context: BrowserContext | None = None
        self._devtools: Devtools | None = None
        self._roots: set[psutil.Process] = set()
        self._engine = ""
        self._trust = Trust()
        self._traced = False
        self._visited: set[str] = set()  # sites that Playwright visits for a copy of what is stored
        self._emulation = PLAIN_PAGE
        self._pages: Pages[Page] | None = None

    @property
    def page(self) -> Page:
        """The page of the session."""
        if self.watch.page is None:
            raise AssertionError("launched first")
        return self.watch.page

    @property
    def pages(self) -> Pages[Page]:
        """The pages of the test, by name."""
        if self._pages is None:
            raise AssertionError("launched first")
        return self._pages

    @property
    def size(self) -> ViewportSize:
        """The size that pages begin with."""
        return size_of(self._emulation)

    def show(self, page: Page) -> None:
        """Make a page the current one of the test."""
        self.pages.current = page
        self.watch.show(page)

    def first_page(self) -> None:
        """Forget the pages of a test, except the first one."""
        main = self.pages.main
        if self.pages.current is not main:
            self.watch.crashed = False  # that was another page
            self.show(main)
        self._pages = Pages(main)

    def tab(self) -> int:
        """Return the position of the current page among all."""
        pages = self.context.pages
        return pages.index(self.page) if self.page in pages else 0

    @property
    def context(self) -> BrowserContext:
        """The context of the page."""
        if self._context is None:
            raise AssertionError("launched first")
        return self._context

    async def _begin(self) -> Playwright:
        """Playwright, and its own process."""
        if self._playwright is None:
            before = set(psutil.Process().children())
            prepare()
            self._playwright = await async_playwright().start()
            self._roots = set(psutil.Process().children()) - before
        return self._playwright

    def processes(self) -> list[psutil.Process]:
        """Return all that was started for the browser."""
        found: list[psutil.Process] = []
        for root in self._roots:
            with suppress(psutil.Error):
                found += [root, *root.children(recursive=True)]
        return found

    def connected(self) -> bool:
        """Return True if the browser lives."""
        return self._browser is not None and self._browser.is_connected()

    async def launch(
        self,
        wanted: Wanted,
        environment: Mapping[str, str],
        *,
        name: str,
        root: str,
        state: Any = None,
    ) -> None:
        """Start the browser with a blank page and let others attach to it under `name`.

        Args:
            wanted: what to start, and the environment that its pages see.
            environment: what it inherits.
            name: what it is known as to those that attach.
            root: the project root.
            state: cookies and storage to begin with.

        Raises:
            playwright.async_api.Error: it does not start.
            StepError: it cannot emulate what is asked for.
        """
        self.clocked = False
        browser, emulation, tls = wanted.browser, wanted.emulation, wanted.tls
        options = launch_options(browser, environment, headless=not wanted.headed)
        # The run handles signals; a browser that ended by itself at Ctrl-C would look like a crash.
        options |= {"handle_sigint": False, "handle_sigterm": False, "handle_sighup": False}
        options["downloads_path"] = self.watch.folder.name
        options |= self._trust.options(browser, options.get("env", environment), root, tls.ca_file)
        launched: PlaywrightBrowser = await getattr(await self._begin(), browser.engine).launch(**options)
        self._browser = launched
        self._context = await launched.new_context(
            **context_options(emulation, browser.engine),
            accept_downloads=True,
            storage_state=state,
            ignore_https_errors=tls.ignore_https_errors,
        )
        self.watch.origins.update(one["origin"] for one in (state or {}).get("origins", ()))
        self._engine, self._emulation = browser.engine, emulation
        await self._context.add_init_script(_BEFORE_PAGE)
        self.watch.listen(self._context)
        with emulating(emulation, launched.is_connected):
            await self._new_page()
        # The server takes the first page of the first context: it attaches when this is done.
        self.endpoint = (await launched.bind(name))["endpoint"]
        self.version = f"{browser.engine} {launched.version}"

    async def _new_page(self) -> None:
        page = await self.context.new_page()
        self._devtools = None  # that of another page
        self.watch.begin(page)
        self._pages = Pages(page)

    @property
    def devtools(self) -> Devtools:
        """The DevTools protocol of the first page."""
        if self._devtools is None:
            self._devtools = Devtools(self.pages.main)
        return self._devtools

    async def answers(self, seconds: float = ANSWER_SECONDS) -> bool:
        """Return True if the page executes a script. Earlier events of the page are known when this ends."""
        if self.watch.page is None:
            return False
        with suppress(Error, TimeoutError):
            await asyncio.wait_for(self.watch.page.evaluate("0"), seconds)
            return True
        return False

    async def last_press(self) -> int:
        """Return when a button of the mouse was pressed on the page last, in ms since 1970; 0 when it was not."""
        last = 0
        for frame in self.page.frames:
            with suppress(Error):
                last = max(last, int(await frame.evaluate(_LAST_PRESS)))
        return last

    async def dismiss(self) -> bool:
        """Dismiss a dialog that is still open; whether there was one."""
        dialog = self.watch.take_dialog()
        if dialog is None:
            return False
        try:
            await asyncio.wait_for(dialog.dismiss(), ANSWER_SECONDS)
        except (Error, TimeoutError):
            return False  # it was answered long ago
        return True

    async def halt(self) -> None:
        """Give up a navigation that has not come to its end; a page that waits for one answers nothing."""
        with suppress(Error, TimeoutError):
            session = await asyncio.wait_for(self.context.new_cdp_session(self.page), ANSWER_SECONDS)
            await asyncio.wait_for(session.send("Page.stopLoading"), ANSWER_SECONDS)
            await asyncio.wait_for(session.detach(), ANSWER_SECONDS)

    def others(self) -> list[Page]:
        """Return the further windows."""
        return [page for page in self.context.pages if page is not self.watch.page]

    async def close_others(self) -> None:
        """Close every further window."""
        for page in self.others():
            await _close(page)

    async def renew(self) -> None:
        """Give up the page for a new one.

        Raises:
            playwright.async_api.Error: there is none to be had.
        """
        old = self.watch.page
        await self._new_page()
        if old is not None:
            await _close(old)

    async def blank(self) -> None:
        """Leave the page for a blank one of the usual size, without a history.

        Raises:
            playwright.async_api.Error: it cannot be left.
        """
        if self.page.viewport_size != self.size:
            await self.page.set_viewport_size(self.size)
        await self.page.goto(BLANK)
        with suppress(Error):  # other engines than Chromium keep their history
            await self.devtools.forget_history()

    async def clean(self, *, replaced: bool) -> None:
        """Clear cookies, storage of every kind, permissions, and the records of console and network, of a blank page.

        Args:
            replaced: `begin` puts other cookies and storage in place of these.

        Raises:
            playwright.async_api.Error: something cannot be cleaned.
        """
        await self.page.evaluate("() => { window.name = ''; }")
        if ENGINES[self._engine].devtools:
            await self.devtools.clear(sorted(self.watch.origins))
        else:
            await _clean_from_inside(self.page, self.watch.origins)
            await self.blank()
        self._visited |= self.watch.origins
        self.watch.origins.clear()
        if not replaced:
            await self._store({"cookies": [], "origins": []})
        await self.context.clear_permissions()
        await self.context.grant_permissions(permissions(self._engine, self._emulation))

    async def _store(self, state: Any) -> None:
        """Put cookies and storage in place of what is there."""
        cleared = ENGINES[self._engine].devtools and not self.watch.origins and len(self._visited) <= 1
        if cleared and not any(value for name, value in state.items() if name != "cookies"):
            await self.context.clear_cookies()
            if state.get("cookies"):
                await self.context.add_cookies(state["cookies"])
            return
        await self.context.set_storage_state(state)  # it opens a page of its own, and forgets what was visited
        self._visited.clear()

    async def begin(self, storage: Any, mask: Callable[[str], str]) -> None:
        """Begin a test: with cookies and storage in place of what is there, or with what is there.

        Args:
            storage: in Playwright's form; None to change nothing.
            mask: removes secrets from the records of console and network.

        Raises:
            playwright.async_api.Error: the browser refuses.
        """
        if storage is not None:
            await self._store(storage)
            self.watch.origins.update(one["origin"] for one in storage.get("origins", ()))
        await self.forget(mask)

    async def forget(self, mask: Callable[[str], str] = str) -> None:
        """Drop the records of console and network so far; `mask` removes secrets from later ones."""
        if self.watch.mocks.answers():
            await self.context.unroute_all(behavior="ignoreErrors")
        self.watch.forget(mask)
        with suppress(Error):
            await self.page.clear_console_messages()
            await self.page.clear_page_errors()

    async def trace(self) -> None:
        """Begin a trace of what is done on the page, by whichever connection, in place of one that goes on."""
        await self.trace_end(None)
        await self.context.tracing.start(screenshots=True, snapshots=True)
        self._traced = True

    async def trace_end(self, file: Path | None) -> bool:
        """End the trace, into a file or into nothing; whether there was one."""
        if not self._traced:
            return False
        self._traced = False
        await self.context.tracing.stop(path=file)
        return True

    async def fonts(self) -> None:
        """Wait for the fonts of the page, not for long."""
        with suppress(Error):
            await self.page.wait_for_function(FONTS_LOADED, timeout=FONTS_SECONDS * 1000)

    async def picture(self, path: Path, options: Mapping[str, Any], seconds: float) -> None:
        """Take a picture of the page by our own connection, which leaves its carets as they are."""
        await self.fonts()
        await self.page.screenshot(path=path, timeout=seconds * 1000, **options)

    @property
    def styles(self) -> int:
        """Return the number of styles that Playwright adds to the page for a screenshot."""
        return styles(self._engine, len(self.page.frames))

    async def storage(self) -> Any:
        """Cookies and storage as they are."""
        return well_formed(await self.context.storage_state())

    async def signed_in(self) -> Any:
        """Cookies and storage as they are, those of databases included."""
        return await self.context.storage_state(indexed_db=True)

    async def checked(self) -> Any:
        """Return the accessibility rules that the page violates, None while it loads. Raises as `audit`."""
        return await self.audit(EVERY_RULE) if await self.page.evaluate(LOADED_PAGE) else None

    async def audit(self, given: list[Any]) -> Any:
        """Return the accessibility rules that the page violates.

        Raises:
            playwright.async_api.Error: the page does not answer.
        """
        for frame in self.page.frames:
            await frame.evaluate(source())
        return await self.page.evaluate(AUDIT, given)

    async def title(self) -> str:
        """Return the page's title."""
        return str(well_formed(await self.page.title()))

    async def close(self) -> None:
        """End the browser; Playwright's own process stays for the next one."""
        if self._browser is not None:
            with suppress(Exception):  # whatever is wrong with it, it is being given up
                await self._browser.close()
        self._browser = self._context = self._devtools = self.watch.page = None
        self._traced = False
        self._visited.clear()
        self.watch.origins.clear()

    async def stop(self) -> None:
        """End the browser and Playwright's own process."""
        await self.close()
        if self._playwright is not None:
            with suppress(Exception):
                await self._playwright.stop()
        self._playwright = None
        self.watch.folder.cleanup()
        self._trust.close()


async def _clean_from_inside(page: Page, origins: Iterable[str]) -> None:
    """Visit every site that was shown: where no protocol clears its storage, only a page of it can."""
    await page.route("**/*", _empty)
    for origin in sorted(origins):
        await page.goto(origin)
        await page.evaluate(_CLEAN)
    await page.unroute("**/*", _empty)


async def _empty(route: Route) -> None:
    await route.fulfill(body="<html></html>", content_type="text/html")


async def _close(page: Page) -> None:
    with suppress(Error, TimeoutError):
        await asyncio.wait_for(page.close(), ANSWER_SECONDS)


def digest(state: Any) -> str:
    """Return a short digest of cookies and storage; `-` when there is nothing in them.

    Its key belongs to this process, so that readers of the record cannot test passwords with it.
    """
    if not state.get("cookies") and not state.get("origins"):
        return "-"
    return hashlib.blake2b(msgspec.json.encode(state, order="sorted"), digest_size=8, key=_KEY).hexdigest()
