"""The one session of the method `mcp`: our browser, one page in it, and the MCP server that drives that page.

Browser and page are ours and persist; the server is disposable. Before each test the session is checked, repaired if
necessary, and reset as the method defines; repairs are reported with the test. Longer than other modules because the
loss and the return of each part are read together.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import msgspec
import psutil
from playwright._impl._driver import compute_driver_executable
from playwright.async_api import Error

from orchestra.errors import UsageError
from orchestra.ledger.event import SessionChanged
from orchestra.ledger.parts import Died
from orchestra.runtime.attempt import Request, wants_trace
from orchestra.runtime.driver.contract import Carrier, StepError, unfit
from orchestra.runtime.driver.emulation import FONTS_SECONDS, emulation_of
from orchestra.runtime.driver.mcp.browser import SharedBrowser, Wanted, digest
from orchestra.runtime.driver.mcp.client import (
    PATIENCE_SECONDS,
    CallOverError,
    Server,
    ServerUnfitError,
    Start,
)
from orchestra.runtime.driver.mcp.flags import ATTACHED, OWN_PAUSE
from orchestra.runtime.driver.mcp.loop import Loop
from orchestra.runtime.driver.mcp.page import PageView
from orchestra.runtime.driver.mcp.repairs import Repairs
from orchestra.runtime.driver.mcp.watch import ANSWER_SECONDS
from orchestra.runtime.mask import NOTHING, Masks

_T = TypeVar("_T")

LAUNCH_SECONDS = 90.0
TIDY_SECONDS = 30.0
SETTLE_SECONDS = 0.5
PREPARE_SECONDS = 10.0

_DIED = "the browser had died"


def server_program() -> tuple[str, str, str]:
    """Return the first words of the command line of the MCP server that the Playwright wheel carries."""
    node, program = compute_driver_executable()
    return node, program, "mcp"


def server_argv(endpoint: str, folder: Path) -> tuple[str, ...]:
    """Program and arguments of the MCP server that the Playwright wheel carries, attached to a browser.

    Args:
        endpoint: that of the browser.
        folder: where it keeps files of its own.
    """
    return (*server_program(), f"--endpoint={endpoint}", *ATTACHED, f"--output-dir={folder}")


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would change the server's settings behind the flags."""
    return {name: value for name, value in environment.items() if not name.startswith("PLAYWRIGHT_MCP_")}


class McpSession:
    """Lives as long as its worker.

    Args:
        environment: what browser and server inherit.
        patience_seconds: see `mcp_client.PATIENCE_SECONDS`.
    """

    def __init__(self, environment: Mapping[str, str], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._environment = environment
        self._patience = patience_seconds
        self._loop = Loop("mcp")
        self._names = itertools.count(1)
        self._kind: Wanted | None = None
        self._server: Server | None = None
        self._folder = Path()
        self.masks = NOTHING
        # The server's own files span tests and hold text of pages: they are not evidence, and not masked.
        self._scratch: TemporaryDirectory[str] | None = None
        self._state: Any = None
        self._repairs = Repairs()
        self._without_server = False
        self.browser = SharedBrowser()
        self.dirty = self.pressed = False
        self.restarts = 0
        self.id = self.started = ""

    # ------------------------------------------------------------------------------------------------- before a test

    def prepare(self, request: Request) -> None:
        """Make the session fit for a test: a browser that lives, one page that answers, a server, reset as asked.

        Raises:
            StepError: there is no browser, or the server is not fit.
        """
        if request.browser is None:
            raise unfit(
                f"no {request.test.browser} on this machine", hint="`orchestra doctor` has a hint to install one"
            )
        self._folder = Path(request.folder) / "mcp"
        self._root = Path(request.root)
        self.masks = Masks(request.secrets, self._environment, request.hidden)
        wanted = Wanted(request.browser, request.headed, request.tls, emulation_of(request))
        self._repairs, self.restarts = Repairs("kept"), 0
        try:
            if self.browser.clocked:
                self._kind = None  # an own clock stays with a context
            if self._kind != wanted or not self.browser.connected():
                self._relaunch(wanted, _DIED)
            else:
                self._tidy_or_relaunch(wanted, request)
            begun, died = time.monotonic(), self._without_server
            if self._server is not None and not self._server.alive():
                died = True
                self._stop_server()
            if self._server is None:
                self._start_server()
            if died:
                seconds = time.monotonic() - begun
                self._repairs.came_back("server", "the MCP server had died", "restart", before=True, seconds=seconds)
            self._without_server = False
            self._run(self.browser.begin(request.storage, self.masks.text))
            if wants_trace(request.test):
                self._run(self.browser.trace())
        except Error as error:
            name = request.browser.executable or request.browser.engine
            message = f"{name} does not start: {_first(error.message)}"
            raise StepError("error", "crash", message, hint="`orchestra doctor` tries every browser") from None
        except TimeoutError:
            raise StepError("error", "crash", "the browser does not answer") from None
        except UsageError as error:
            raise unfit(error.message, hint=error.hint) from None
        except ServerUnfitError as error:
            raise StepError("error", "setup", str(error), hint="its own output is in mcp/server.log") from None

    def _tidy_or_relaunch(self, wanted: Wanted, request: Request) -> None:
        begun = time.monotonic()
        self.browser.watch.tidying = True
        try:
            self._tidy()
            self._reset(request)
            self._close_others()  # the last step of the test before may have opened one that came late
            if not _follows(self._server, pressed=self.pressed, tidied=self.browser.watch.tidied):
                self._stop_server()
            self.pressed = self.browser.watch.tidied = False
        except (Error, TimeoutError) as error:
            living = self.browser.connected()
            reason = f"the browser could not be cleaned: {_first(str(error))}" if living else _DIED
            self._relaunch(wanted, reason, begun)
        finally:
            self.browser.watch.tidying = False

    def _relaunch(self, wanted: Wanted, reason: str, begun: float | None = None) -> None:
        """Start a new browser.

        Args:
            wanted: what to start.
            reason: why the old one is given up, when it was fit for the test otherwise.
            begun: when the trouble with it began; now without it.
        """
        begun = time.monotonic() if begun is None else begun
        replaced = self._kind == wanted
        state = self._state if replaced else None
        self._stop_server()
        self._run(self.browser.close(), LAUNCH_SECONDS)
        name = f"orchestra-{os.getpid()}-{next(self._names)}"
        launch = self.browser.launch(wanted, self._environment, name=name, root=str(self._root), state=state)
        try:
            self._run(launch, LAUNCH_SECONDS)
        except StepError:  # the browser lives, and has no page
            self._kind = None
            raise
        self._kind = wanted
        self.id = secrets.token_hex(4)
        self.started = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._repairs.continuity = "new"
        if replaced:
            self._repairs.lost(reason)
            seconds = time.monotonic() - begun
            self._repairs.came_back("browser", reason, "relaunch", before=True, seconds=seconds)

    def _tidy(self) -> None:
        """Clean up after the test before."""
        browser = self.browser
        browser.first_page()
        if self.dirty:
            self._run(browser.halt())
        if self._run(browser.dismiss()):
            self._repairs.repaired("a dialog was left open")
        if browser.watch.crashed:
            self._renew("the page had crashed")
            self._repairs.continuity = "lost"  # what is stored is the browser's; what the page held is gone
            self._repairs.came_back("browser", "the page had crashed", "page", before=True)
        elif browser.watch.closed:
            self._renew("the page was closed")
        elif not self._run(browser.answers()):
            self._renew("the page did not answer")
        self._close_others()
        if self.dirty:
            self._stop_server()

    def _close_others(self) -> None:
        if count := len(self.browser.others()):
            self._run(self.browser.close_others())
            self._repairs.repaired(f"{count} more window{'s were' if count > 1 else ' was'} open")
            self._stop_server()

    def _renew(self, reason: str) -> None:
        self._stop_server()
        self._run(self.browser.renew())
        self._repairs.repaired(reason)

    def _reset(self, request: Request) -> None:
        if request.method.reset != "none":
            _leave(self.browser, self._run, self._renew)
        if request.method.reset == "storage":
            self._run(self.browser.clean(replaced=request.storage is not None))

    # -------------------------------------------------------------------------------------------------- during a test

    @property
    def server(self) -> Server:
        """The server that is attached to the page.

        Raises:
            ServerUnfitError: it does not start.
        """
        if self._server is None:
            self._start_server()
        if self._server is None:
            raise AssertionError("started or raised")
        return self._server

    @property
    def server_pid(self) -> int:
        """The process of the server, 0 when there is none."""
        return 0 if self._server is None else self._server.pid

    def ready(self, *, hung: bool = False) -> bool:
        """Clean up after an abandoned call or a dead server; return True if there was anything to clean up.

        Args:
            hung: it is known that the page does not answer, so it is not asked.
        """
        died = self._server is not None and not self._server.alive()
        pending = self.dirty
        if not (pending or died or self._server is None):
            return False
        self._stop_server()
        self._repairs.repaired("the MCP server was gone" if died else "a call did not end")
        if pending and self.fit():
            if not hung:
                self._run(self.browser.halt())
                self._run(self.browser.dismiss())
            if hung or not self._run(self.browser.answers()):
                with suppress(Error, TimeoutError):
                    self._renew("the page did not answer")
        if died:
            self._bring_back_server("the MCP server was gone")
        else:
            self.restart()
        return True

    def replace_server(self, reason: str) -> None:
        """Start a new server on the same page, because of the failure of the old one.

        Raises:
            ServerUnfitError: it does not start.
        """
        self._repairs.repaired(reason)
        self._bring_back_server(reason)

    def _bring_back_server(self, reason: str) -> None:
        begun = time.monotonic()
        try:
            self.restart()
        except ServerUnfitError:
            self._without_server = True
            self._repairs.came_back("server", reason)
            raise
        self._repairs.came_back("server", reason, "restart", seconds=time.monotonic() - begun)

    def fit(self) -> bool:
        """Return True if there is a page that can be looked at."""
        return self.browser.connected() and self.browser.watch.usable

    def restart(self) -> None:
        """Start a new server on the same page.

        Raises:
            ServerUnfitError: it does not start.
        """
        self._stop_server()
        self.restarts += 1
        self._start_server()

    def sized(self) -> None:
        """Wait, briefly, until it is known how large every answer was."""
        with suppress(TimeoutError):
            self._loop.run(self.browser.watch.sized(), 5.0)

    @contextmanager
    def picturing(self) -> Iterator[None]:
        """Take a picture in it: what it makes the page complain of is not the page's."""
        self.browser.watch.own.picture(self.browser.styles)
        try:
            yield
        finally:
            self.browser.watch.own.pictured()

    def picture(self, path: Path, options: Mapping[str, Any], seconds: float) -> None:
        """Take a picture of the page with these options of Playwright. Raises as `film`."""
        with self.picturing():
            self._run(self.browser.picture(path, options, seconds), seconds + FONTS_SECONDS)

    def trace_end(self, file: Path | None) -> bool:
        """End the trace of the page, into a file or into nothing; whether there was one. Raises as `film`."""
        return self._run(self.browser.trace_end(file))

    def film(self, file: Path) -> None:
        """Begin a video of the page. Raises playwright.async_api.Error or TimeoutError when none is made."""
        self._run(self.browser.page.screencast.start(path=file, size=self.browser.size))

    def film_end(self) -> None:
        """End the video. Raises as `film`."""
        self._run(self.browser.page.screencast.stop())

    def page_view(self) -> PageView:
        """Return the page as the owner of its browser sees it."""
        return PageView(self.browser, self._loop.run)

    def settle(self) -> bool:
        """Wait, briefly, until what happened to the page is known here too; whether it answers."""
        with suppress(TimeoutError):
            return self._loop.run(self.browser.answers(SETTLE_SECONDS), 2 * SETTLE_SECONDS)
        return False

    def _start_server(self) -> None:
        log = self._folder / "server.log"
        environment = server_environment(self._environment)
        if self._scratch is None:
            self._scratch = TemporaryDirectory(prefix="orchestra-mcp-", ignore_cleanup_errors=True)
        start = Start(
            server_argv(self.browser.endpoint, Path(self._scratch.name)), self._root, environment, log, self.masks
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server = server = Server(self._loop, start, patience_seconds=self._patience)
        with suppress(CallOverError):  # reported by the next call, if it is more than slow
            server.call("browser_run_code_unsafe", {"code": OWN_PAUSE}, PREPARE_SECONDS)
            tab = self.browser.tab()
            if tab:  # a server begins with the first page
                server.call("browser_tabs", {"action": "select", "index": tab}, PREPARE_SECONDS)

    def _stop_server(self) -> None:
        if self._server is not None:
            self._server.kill()
        self._server = None
        self.dirty = self.pressed = False

    # --------------------------------------------------------------------------------------------------- after a test

    def carrier(self, request: Request) -> Carrier:
        """Return the session as it is now."""
        lost = not self.browser.connected()
        gone = "the browser died" if lost else "the page crashed" if self.browser.watch.crashed else ""
        died = [*self._repairs.died]
        if gone and self._kind is not None:  # the next test restarts it; this one reports it, because it met it
            died.append(Died(part="browser", reason=gone, recovery_steps=(), before=False))
        state = SessionChanged(
            method=request.method.id,
            session=self.id,
            started=self.started,
            browser=self.browser.version,
            continuity=self._repairs.continuity,
            url="",
            title="",
            tabs=0,
            reason="; ".join(self._repairs.reasons),
            alive={"browser": not gone, "server": self._server is not None and self._server.alive()},
            died=tuple(died),
        )
        if not lost and self._kind is not None:
            state = msgspec.structs.replace(state, tabs=len(self.browser.context.pages), **self._shown(request))
        return Carrier(state.alive, state.died, state)

    def _shown(self, request: Request) -> dict[str, str]:
        """Return address, title and storage of the page; nothing of one that does not answer."""
        if self.dirty or not self.browser.watch.usable or self.browser.watch.dialog is not None:
            return {}
        shown = {"url": self.browser.page.url}
        with suppress(Error, TimeoutError):
            shown["title"] = self._loop.run(self.browser.title(), 1.0)
            state = self._loop.run(self.browser.storage(), 3.0)
            shown["storage"] = digest(state)
            self._state = state if request.method.reset != "storage" else None
        return shown

    def close(self) -> None:
        """End server and browser. Raises nothing."""
        self._stop_server()
        started = self.browser.processes()  # listed before it ends: a dying parent hides its children
        with suppress(Exception):  # what does not end by itself is ended below
            self._run(self.browser.stop(), TIDY_SECONDS)
        self._loop.close()
        _kill(started)
        if self._scratch is not None:
            self._scratch.cleanup()

    def _run(self, work: Coroutine[Any, Any, _T], seconds: float = TIDY_SECONDS) -> _T:
        return self._loop.run(work, seconds)


def _leave(browser: SharedBrowser, run: Callable[..., Any], renew: Callable[[str], None]) -> None:
    """Leave the page for a blank one; for a new one where a dialog opened at this moment, which holds it for ever."""
    try:
        run(browser.blank(), 2 * ANSWER_SECONDS)
    except TimeoutError:
        renew("the page could not be left")
        run(browser.blank())


def _follows(server: Server | None, *, pressed: bool, tidied: bool) -> bool:
    """Return whether a server, if there is one, knows in time of a page that was tidied: nothing is pressed, no dialog open."""
    if server is None:
        return True
    return (not pressed or server.released(PREPARE_SECONDS)) and (not tidied or server.caught_up(PREPARE_SECONDS))


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def _first(message: str) -> str:
    lines = message.strip().splitlines()
    return lines[0] if lines else "no answer"
