"""The browser of the MCP session, which this process owns: one context, one page.

May import `browser`, `observed`, `playwright_watch` and playwright.

Everything here runs in the session's loop. The page is listened to, because the MCP server replaces a page that was
closed or has crashed by a blank one and goes on as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil
from playwright.async_api import Browser as PlaywrightBrowser
from playwright.async_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Download,
    Error,
    Frame,
    Page,
    Playwright,
    Request,
    Response,
    Route,
    WebError,
    async_playwright,
)

from orchestra.runtime.browsers.browser import Browser, launch_options
from orchestra.runtime.driver.contract import Job
from orchestra.runtime.driver.downloading import LOOK_SECONDS, Guard
from orchestra.runtime.driver.playwright import LOCALE, VIEWPORT
from orchestra.runtime.driver.playwright_watch import page_of, said_of, size_of
from orchestra.runtime.observed import Observed, Reply

BLANK = "about:blank"
ANSWER_SECONDS = 3.0
"""How long a page may take to answer before it counts as hung."""

SIZE_SECONDS = 1.0

_CLEAN = "() => { try { sessionStorage.clear(); } catch {} try { window.name = ''; } catch {} }"

_KEY = os.urandom(32)


class SharedBrowser:
    """A launched browser with its one page.

    Attributes:
        endpoint: where the MCP server attaches.
        version: engine and version, for people.
        crashed, closed: what happened to the page, until `renew`.
        dialog: the one that is open.
        counts, observed: how often pages complained, and what they said, until they are cleared.
        moves, downloads: how often the page was navigated, and how many files it began to download, so far.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.version = ""
        self.crashed = False
        self.closed = False
        self.dialog: Dialog | None = None
        self.counts: Counter[str] = Counter()
        self.observed = Observed()
        self.moves = 0
        self.downloads = 0
        self._playwright: Playwright | None = None
        self._browser: PlaywrightBrowser | None = None
        self._context: BrowserContext | None = None
        self._page: Page | None = None
        self._origins: set[str] = set()
        self._asking: set[asyncio.Future[None]] = set()
        self._roots: set[psutil.Process] = set()
        self._guard: Guard | None = None
        self._guarding: set[asyncio.Future[None]] = set()
        self._folder = TemporaryDirectory(prefix="orchestra-downloads-", ignore_cleanup_errors=True)

    @property
    def page(self) -> Page:
        """The page of the session."""
        if self._page is None:
            raise AssertionError("launched first")
        return self._page

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
            self._playwright = await async_playwright().start()
            self._roots = set(psutil.Process().children()) - before
        return self._playwright

    def processes(self) -> list[psutil.Process]:
        """All that was started for the browser."""
        found: list[psutil.Process] = []
        for root in self._roots:
            with suppress(psutil.Error):
                found += [root, *root.children(recursive=True)]
        return found

    def connected(self) -> bool:
        """Whether the browser lives."""
        return self._browser is not None and self._browser.is_connected()

    async def launch(
        self, browser: Browser, environment: Mapping[str, str], *, headed: bool, name: str, state: Any = None
    ) -> None:
        """Start the browser with a blank page and let others attach to it under `name`.

        Args:
            browser: what to start.
            environment: what it inherits.
            headed: show it.
            name: what it is known as to those that attach.
            state: cookies and storage to begin with.

        Raises:
            playwright.async_api.Error: it does not start.
        """
        options = launch_options(browser, environment, headless=not headed)
        # The run handles signals; a browser that ended by itself at Ctrl-C would look like a crash.
        options |= {"handle_sigint": False, "handle_sigterm": False, "handle_sighup": False}
        options["downloads_path"] = self._folder.name
        launched: PlaywrightBrowser = await getattr(await self._begin(), browser.engine).launch(**options)
        self._browser = launched
        width, height = VIEWPORT
        self._context = await launched.new_context(
            viewport={"width": width, "height": height}, locale=LOCALE, accept_downloads=True, storage_state=state
        )
        self._permissions = ["clipboard-read", "clipboard-write"] if browser.engine == "chromium" else []
        await self._context.grant_permissions(self._permissions)
        self._context.on("dialog", self._on_dialog)
        self._context.on("console", self._on_console)
        self._context.on("weberror", self._on_error)
        self._context.on("requestfailed", self._on_failed)
        self._context.on("response", self._on_response)
        self._context.on("requestfinished", self._on_finished)
        await self._new_page()
        # The server takes the first page of the first context: it attaches when this is done.
        self.endpoint = (await launched.bind(name))["endpoint"]
        self.version = f"{browser.engine} {launched.version}"

    def _on_dialog(self, dialog: Dialog) -> None:
        # Only remembered: the MCP server answers it. A listener keeps Playwright from dismissing it by itself.
        self.dialog = dialog

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.counts["console_errors"] += 1
            place = message.location
            where = f"{place.get('url', '')}:{place.get('lineNumber', 0) + 1}"
            self.observed.console_error(message.text, where)

    def _on_error(self, raised: WebError) -> None:
        self.counts["page_errors"] += 1
        self.observed.page_error(*said_of(raised.error, raised.location))

    def _on_failed(self, request: Request) -> None:
        self.counts["failed_requests"] += 1
        answered = request.existing_response is not None
        if answered and size_of(request) is None:
            self.observed.sized(request.url, None)
        why = request.failure or "failed"
        self.observed.failed(request.method, request.url, why, page_of(request), answered=answered)

    def _on_response(self, response: Response) -> None:
        request, status = response.request, response.status
        self.counts["failed_requests"] += status >= 400
        page = page_of(request) if status >= 400 else ""
        self.observed.answered(Reply(request.method, request.url, status, page, size_of(request)))

    def _on_finished(self, request: Request) -> None:
        self.observed.measured(request.url, request.timing["responseEnd"])
        if size_of(request) is None:
            asked = asyncio.ensure_future(_ask_size(request, self.observed))
            self._asking.add(asked)
            asked.add_done_callback(self._asking.discard)

    async def sized(self) -> None:
        """Wait, briefly, until the browser has said how large every answer was that has come to its end."""
        if self._asking:
            await asyncio.wait(self._asking, timeout=SIZE_SECONDS)

    async def _new_page(self) -> None:
        page = await self.context.new_page()
        self._page, self.crashed, self.closed, self.dialog = page, False, False, None
        page.on("close", self._on_close)
        page.on("crash", self._on_crash)
        page.on("framenavigated", self._on_navigated)
        page.on("download", self._on_download)

    def _on_close(self, page: Page) -> None:
        self.closed = self.closed or page is self._page

    def _on_crash(self, page: Page) -> None:
        self.crashed = self.crashed or page is self._page

    def _on_download(self, download: Download) -> None:
        self.downloads += 1
        guard, self._guard = self._guard, None  # it is for the first one
        if guard is not None:
            guarding = asyncio.ensure_future(_guarded(download, guard))
            self._guarding.add(guarding)
            guarding.add_done_callback(self._guarding.discard)

    def guard(self, job: Job) -> Guard:
        """Cancel what is downloaded next when it goes beyond the limits of this step."""
        self._guard = Guard(job, Path(self._folder.name))
        return self._guard

    def _on_navigated(self, frame: Frame) -> None:
        self.moves += frame.parent_frame is None
        parts = urlsplit(frame.url)
        if parts.scheme in {"http", "https"}:
            self._origins.add(f"{parts.scheme}://{parts.netloc}")

    async def answers(self, seconds: float = ANSWER_SECONDS) -> bool:
        """Whether the page carries out a script. What happened to it before is known when this ends."""
        if self._page is None:
            return False
        with suppress(Error, TimeoutError):
            await asyncio.wait_for(self._page.evaluate("0"), seconds)
            return True
        return False

    async def dismiss(self) -> bool:
        """Dismiss a dialog that is still open; whether there was one."""
        dialog, self.dialog = self.dialog, None
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
        """Windows beside the page."""
        return [page for page in self.context.pages if page is not self._page]

    async def close_others(self) -> None:
        """Close every window beside the page."""
        for page in self.others():
            await _close(page)

    async def renew(self) -> None:
        """Give up the page for a new one.

        Raises:
            playwright.async_api.Error: there is none to be had.
        """
        old = self._page
        await self._new_page()
        if old is not None:
            await _close(old)

    async def blank(self) -> None:
        """Leave the page for a blank one of the usual size, without a history.

        Raises:
            playwright.async_api.Error: it cannot be left.
        """
        width, height = VIEWPORT
        await self.page.set_viewport_size({"width": width, "height": height})
        await self.page.goto(BLANK)
        with suppress(Error):  # other engines than Chromium keep their history
            session = await self.context.new_cdp_session(self.page)
            await session.send("Page.resetNavigationHistory")
            await session.detach()

    async def clean(self) -> None:
        """Forget cookies, storage of every kind, permissions and what console and network said; the page is blank after it.

        Raises:
            playwright.async_api.Error: something cannot be cleaned.
        """
        with suppress(Error, TimeoutError):
            await asyncio.wait_for(self.page.evaluate(_CLEAN), ANSWER_SECONDS)
        here = urlsplit(self.page.url)
        elsewhere = sorted(self._origins - {f"{here.scheme}://{here.netloc}"})
        if elsewhere:  # the storage of a tab can only be reached from a page of that origin
            await self.page.route("**/*", _empty)
            for origin in elsewhere:
                await self.page.goto(origin)
                await self.page.evaluate(_CLEAN)
            await self.page.unroute("**/*", _empty)
        await self.blank()
        await self.context.set_storage_state({"cookies": [], "origins": []})
        await self.context.clear_permissions()
        await self.context.grant_permissions(self._permissions)
        self._origins.clear()

    async def forget(self, mask: Callable[[str], str] = str) -> None:
        """Drop what console and network have said so far; `mask` takes secrets out of what they say from now on."""
        self.counts.clear()
        self.observed, self._guard = Observed(mask), None
        with suppress(Error):
            await self.page.clear_console_messages()
            await self.page.clear_page_errors()

    async def storage(self) -> Any:
        """Cookies and storage as they are."""
        return await self.context.storage_state()

    async def title(self) -> str:
        """The page's title."""
        return await self.page.title()

    async def close(self) -> None:
        """End the browser; Playwright's own process stays for the next one."""
        if self._browser is not None:
            with suppress(Exception):  # whatever is wrong with it, it is being given up
                await self._browser.close()
        self._browser = self._context = self._page = None
        self._origins.clear()

    async def stop(self) -> None:
        """End the browser and Playwright's own process."""
        await self.close()
        if self._playwright is not None:
            with suppress(Exception):
                await self._playwright.stop()
        self._playwright = None
        self._folder.cleanup()


async def _guarded(download: Download, guard: Guard) -> None:
    """Look at a download until it has ended."""
    ended = asyncio.ensure_future(download.failure())
    with suppress(Error):
        while not guard.look() and not ended.done():
            await asyncio.wait({ended}, timeout=LOOK_SECONDS)
        if guard.over:
            await download.cancel()
        await ended


async def _ask_size(request: Request, observed: Observed) -> None:
    """Ask how large an answer was that does not say so itself."""
    size: int | None = None
    with suppress(Error):
        size = (await request.sizes())["responseBodySize"]
    observed.sized(request.url, size)


async def _empty(route: Route) -> None:
    await route.fulfill(body="<html></html>", content_type="text/html")


async def _close(page: Page) -> None:
    with suppress(Error, TimeoutError):
        await asyncio.wait_for(page.close(), ANSWER_SECONDS)


def digest(state: Any) -> str:
    """A short digest of cookies and storage; `-` when there is nothing in them.

    Its key is this process's own: whoever reads the record cannot try passwords on it.
    """
    if not state.get("cookies") and not state.get("origins"):
        return "-"
    return hashlib.blake2b(msgspec.json.encode(state, order="sorted"), digest_size=8, key=_KEY).hexdigest()
