"""The browsers of another machine: one is asked for at the begin of each test and let go at its end.

So a test that does not run holds none, and `sessions` of a method are its tests that run at once. A server that hangs answers
no call, and Playwright has no limit for that on this side: its own process is ended, and with it every call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from orchestra.errors import UsageError
from orchestra.ledger.parts import Died
from orchestra.plan import Connect
from orchestra.runtime.attempt import Request
from orchestra.runtime.browsers.remote import address, options, refusal
from orchestra.runtime.driver.contract import Carrier, Job, StepError, unfit
from orchestra.runtime.driver.emulation import prepare
from orchestra.runtime.driver.playwright.session import Opened, PlaywrightSession, died_of, opened
from orchestra.runtime.driver.watchdog import Watchdog

CONNECT_SECONDS = 60.0
"""The limit until a server gives a browser."""

PATIENCE_SECONDS = 30.0
"""The time for which a server that does not answer is asked again, once until it has answered."""

PAUSE_SECONDS = 0.5
"""Between two questions to it."""

ASK_SECONDS = 4.0
"""The limit of the question whether a server is well, within the time that an attempt has to end."""

OPEN_SECONDS = 30.0
"""The limit of a new page."""


class RemoteBrowsers:
    """Connects to the server of a method. One worker has one method."""

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._own: list[psutil.Process] = []
        self._ended = False
        self._browser: Browser | None = None
        self._url = self._engine = self._lost = ""
        self._known: Mapping[str, str] = {}
        self._patience = PATIENCE_SECONDS
        self._folder: TemporaryDirectory[str] | None = None

    def open(self, request: Request, connect: Connect, mask: Callable[[str], str]) -> RemoteSession:
        """Return a fresh page in a browser of the server.

        Raises:
            StepError: it gives none.
        """
        begun = time.monotonic()
        try:
            self._url, self._engine = address(connect.url, request.names), request.test.browser
            self._known = request.names
        except UsageError as error:
            raise unfit(error.message, hint=error.hint) from None
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="orchestra-downloads-", ignore_cleanup_errors=True)
        try:
            browser = self._patiently()
            with self._within(OPEN_SECONDS):
                page = opened(browser, request, mask, Path(self._folder.name), remote=True)
        except StepError:
            self.let_go()
            raise
        except Error as error:
            self.let_go()
            raise self._refused(error, time.monotonic() - begun) from None
        session = RemoteSession(page, self)
        if self._lost:
            session.died.append(died_of(self._lost, "connect", before=True, seconds=time.monotonic() - begun))
        self._lost, self._patience = "", PATIENCE_SECONDS
        return session

    def _patiently(self) -> Browser:
        """Return a browser; a server that is being started again gets time, once until it answers."""
        until, self._patience = time.monotonic() + self._patience, 0.0
        while True:
            try:
                return self._connect(CONNECT_SECONDS)
            except Error as error:
                late = time.monotonic() >= until
                if late or not refusal(error.message, self._url, self._engine).passing:
                    raise
            time.sleep(PAUSE_SECONDS)

    def _connect(self, seconds: float) -> Browser:
        self.let_go()
        if self._ended and self._playwright is not None:
            with suppress(Exception):  # its process is gone
                self._playwright.stop()
            self._playwright = None
        if self._playwright is None:
            before = set(psutil.Process().children())
            prepare()
            self._playwright = sync_playwright().start()
            self._own, self._ended = [*set(psutil.Process().children()) - before], False
        self._browser = getattr(self._playwright, self._engine).connect(**options(self._url, seconds, self._known))
        return self._browser

    def _refused(self, error: Error, seconds: float) -> StepError:
        """Return the failure of a test whose browser the server does not give; a loss, where it may give one later."""
        refused = refusal(error.message, self._url, self._engine)
        if not refused.passing:
            return unfit(refused.message, hint=refused.hint)
        failed = StepError("error", "crash", refused.message, hint=refused.hint)
        self._lost = refused.message
        failed.died = (died_of(refused.message, seconds=seconds),)
        return failed

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        watchdog = Watchdog(self.cut)
        watchdog.until(time.monotonic() + seconds)
        try:
            yield
        finally:
            watchdog.until(math.inf)
            watchdog.close()

    def cut(self) -> None:
        """End all calls to the server at once, from any thread: end Playwright's own process."""
        self._ended = True
        for process in self._own:
            with suppress(psutil.Error):
                process.kill()

    def bring_back(self, reason: str, *, alive: bool, seconds: float = ASK_SECONDS) -> Died:
        """Connect again after the browser or a page in it has died under a test; what was done, for the record.

        Args:
            reason: what happened.
            alive: only the page is gone; then a new one proves that the browser is well.
            seconds: the limit.
        """
        begun = time.monotonic()
        if alive and self._browser is not None:
            with suppress(Error):
                self._browser.new_context().close()
                return died_of(reason, "page", seconds=time.monotonic() - begun)
        try:
            self._connect(seconds)
        except Error:
            self._lost = reason
            return died_of(reason)
        return died_of(reason, "connect", seconds=time.monotonic() - begun)

    def let_go(self) -> None:
        """Give the browser back to the server. A caller bounds it: the server may hang."""
        browser, self._browser = self._browser, None
        if browser is not None:
            with suppress(Exception):  # whatever is wrong with it, it is being given up
                browser.close()

    def close(self) -> None:
        """End the connection and Playwright's own process."""
        with self._within(ASK_SECONDS):
            self.let_go()
            if self._playwright is not None:
                with suppress(Exception):
                    self._playwright.stop()
        self._playwright = None
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None


class RemoteSession(PlaywrightSession):
    """The page of one test in a browser of another machine."""

    browser = "remote browser"

    def __init__(self, page: Opened, browsers: RemoteBrowsers) -> None:
        super().__init__(page, browsers.bring_back)
        self._browsers = browsers
        self._silent: bool | None = None

    def _cut_off(self) -> None:
        self.hung = True
        self._browsers.cut()

    def _server_silent(self) -> bool:
        """Return whether the server does not answer either, after the page has not; asked once."""
        if self._silent is None:
            self._watchdog.until(math.inf)
            died = self._browsers.bring_back("the remote browser does not answer", alive=False)
            self._silent = not died.recovery_steps
            if self._silent:
                self.died.append(died)
        return self._silent

    def _failure(self, job: Job, error: Error) -> StepError:
        if self.hung and self._server_silent():
            hint = "see whether the server of the browsers hangs"
            return StepError("error", "crash", "the remote browser does not answer in this step", hint=hint)
        return super()._failure(job, error)

    def carrier(self) -> Carrier:
        """Return the parts that died under the test, after a try to connect again."""
        if self.hung:
            self._server_silent()
        return super().carrier()

    def film(self, file: Path) -> str:
        """Begin a video of the page; why there is none, or nothing."""
        fault = super().film(file)
        return "no video is recorded: the server of the browsers has no ffmpeg" if "ffmpeg" in fault else fault

    def _let_go(self) -> None:
        self._browsers.let_go()
