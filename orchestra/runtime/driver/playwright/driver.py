"""The driver `playwright`: steps as calls of Playwright's synchronous interface, in a browser that stays warm."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Error, Playwright, sync_playwright

from orchestra.errors import UsageError
from orchestra.ledger.parts import Died
from orchestra.runtime.attempt import Request
from orchestra.runtime.browsers.finder import Browser, launch_options
from orchestra.runtime.browsers.trust import Trust
from orchestra.runtime.driver.contract import StepError, unfit
from orchestra.runtime.driver.emulation import prepare
from orchestra.runtime.driver.playwright.remote import RemoteBrowsers
from orchestra.runtime.driver.playwright.session import PlaywrightSession, died_of, first_line, opened
from orchestra.runtime.mask import Masks


def driver(environment: Mapping[str, str]) -> PlaywrightDriver:
    """Return the driver of a worker; nothing is started before the first test."""
    return PlaywrightDriver(environment)


class Wanted(NamedTuple):
    """The properties by which a browser suits a test: which, whether it is shown, and the authorities that it trusts.

    The root of the project is that of the file of the authorities, and empty without one.
    """

    browser: Browser
    headed: bool
    ca_file: str
    root: str


class PlaywrightDriver:
    """Keeps one browser; another one is started when a test asks for it, or when it has died. Of a method with `connect`
    each test has a remote one.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._playwright: Playwright | None = None
        self._browser: PlaywrightBrowser | None = None
        self._launched: Wanted | None = None
        self._last: PlaywrightSession | None = None
        self._lost = ""
        self._downloads: TemporaryDirectory[str] | None = None
        self._trust = Trust()
        self._remote = RemoteBrowsers()

    def open(self, request: Request) -> PlaywrightSession:
        """Return a fresh context with one page.

        Raises:
            StepError: the test has no browser, it does not start, or its server gives none.
        """
        mask = Masks(request.secrets, self._environment, request.hidden).text
        if request.method.connect is not None:
            return self._remote.open(request, request.method.connect, mask)
        if request.browser is None:
            raise unfit(
                f"no {request.test.browser} on this machine", hint="`orchestra doctor` has a hint to install one"
            )
        root = request.root if request.tls.ca_file else ""
        wanted = Wanted(request.browser, request.headed, request.tls.ca_file, root)
        if self._launched == wanted and self._browser is not None and self._browser.is_connected():
            # The event of a browser that died unattended comes with the first call.
            with suppress(Error):
                return self._session(self._browser, request, mask)
        if self._launched == wanted and not (self._last is not None and self._last.hung):  # that one we ended ourselves
            self._lost = "the browser had died"
        begun = time.monotonic()
        try:
            session = self._session(self._launch(wanted), request, mask)
        except UsageError as error:
            raise unfit(error.message, hint=error.hint) from None
        except Error as error:
            message = (
                f"{request.browser.executable or request.browser.engine} does not start: {first_line(error.message)}"
            )
            raise StepError("error", "crash", message, hint="`orchestra doctor` tries every browser") from None
        if self._lost:
            session.died.append(died_of(self._lost, "relaunch", before=True, seconds=time.monotonic() - begun))
        self._lost = ""
        return session

    def _launch(self, wanted: Wanted) -> PlaywrightBrowser:
        self._end_browser()
        if self._playwright is None:
            prepare()
            self._playwright = sync_playwright().start()
        options = launch_options(wanted.browser, self._environment, headless=not wanted.headed)
        # The run handles signals; a browser that ended by itself at Ctrl-C would look like a crash.
        options |= {"handle_sigint": False, "handle_sigterm": False, "handle_sighup": False}
        if self._downloads is None:
            self._downloads = TemporaryDirectory(prefix="orchestra-downloads-", ignore_cleanup_errors=True)
        options["downloads_path"] = self._downloads.name
        options |= self._trust.options(
            wanted.browser, options.get("env", self._environment), wanted.root, wanted.ca_file
        )
        self._browser = getattr(self._playwright, wanted.browser.engine).launch(**options)
        self._launched = wanted
        return self._browser

    def _session(self, launched: PlaywrightBrowser, request: Request, mask: Callable[[str], str]) -> PlaywrightSession:
        downloads = Path("" if self._downloads is None else self._downloads.name)
        self._last = PlaywrightSession(opened(launched, request, mask, downloads), self.bring_back)
        return self._last

    def bring_back(self, reason: str, *, alive: bool) -> Died:
        """Make the browser fit for the next test, after it or a page in it has died under one; what was done, for the record.

        Args:
            reason: what happened.
            alive: only the page is gone; then a new one proves that the browser is well.
        """
        begun = time.monotonic()
        if alive and self._browser is not None:
            with suppress(Error):
                self._browser.new_context().close()
                return died_of(reason, "page", seconds=time.monotonic() - begun)
        wanted = self._launched
        try:
            if wanted is not None:
                self._launch(wanted)
                return died_of(reason, "relaunch", seconds=time.monotonic() - begun)
        except (Error, UsageError):
            self._end_browser()
        self._lost = reason
        return died_of(reason)

    def _end_browser(self) -> None:
        if self._browser is not None:
            with suppress(Exception):  # whatever is wrong with the old one, it is being given up
                self._browser.close()
        self._browser = self._launched = None

    def close(self) -> None:
        """End the browser and Playwright's own process."""
        self._remote.close()
        self._end_browser()
        if self._playwright is not None:
            with suppress(Exception):
                self._playwright.stop()
        self._playwright = None
        if self._downloads is not None:
            self._downloads.cleanup()
        self._downloads = None
        self._trust.close()
