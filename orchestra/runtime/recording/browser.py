"""A browser in which a person acts, with Playwright's recorder attached.

The recorder is the one of `playwright codegen`. The Python library has no public method for it: since 1.65 it has a private
one, and before that the messages of the protocol are used. `make check-playwright` tries each version that is allowed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from playwright.async_api import (
    BrowserContext,
    Dialog,
    Error,
    Frame,
    Page,
    Playwright,
    async_playwright,
)

from orchestra.errors import MachineError
from orchestra.plan import PLAIN_PAGE
from orchestra.recording.actions import Answer, Chosen, Event, Recording
from orchestra.runtime.browsers.finder import Browser, launch_options
from orchestra.runtime.driver.emulation import context_options
from orchestra.runtime.recording.script import BINDING, MARK, SCRIPT, SHOWN

_FORM = "jsonl"
"""The form of code in which an action has its locator as data."""

_CLOSED = "has been closed"
"""In the message of a call to a browser that a person has closed meanwhile."""

LOAD_SECONDS = 30.0
"""The limit until the first page answers."""

END_SECONDS = 5.0
"""The limit of an answer of a browser that is being closed."""

SETTLE_SECONDS = 1.0
"""The time after the last page is gone in which the recorder may report the rest; it holds a click back for half of it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The session to record.

    Attributes:
        url: where it begins.
        browser: that is started.
        environment: of the browser.
        folder: where chosen files are put.
        remote: a port of the loopback by which a test acts in place of a person, without a window; None for a window.
        trusting: accept certificates that nothing vouches for.
        changed: called after each report.
    """

    url: str
    browser: Browser
    environment: Mapping[str, str]
    folder: Path
    remote: int | None = None
    trusting: bool = False
    changed: Callable[[Recording], None] = lambda _: None


def record(wish: Wish) -> Recording:
    """Open a browser, and return what was done in it when its last page was closed.

    Raises:
        MachineError: the browser does not start, or the page does not answer.
    """
    return asyncio.run(_Session(wish).run())


@dataclass
class _Session:  # without slots: the library keeps its own attributes on the methods that it calls
    wish: Wish
    recording: Recording = field(init=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False

    def __post_init__(self) -> None:
        self.recording = Recording(self.wish.url)

    async def run(self) -> Recording:
        library: Any = async_playwright()
        async with library as playwright:
            self._notice_loss(library)
            context = await self._launch(playwright)
            # The library has no method for its process.
            processes = psutil.Process(library._connection._transport._proc.pid).children(recursive=True)  # noqa: SLF001
            try:
                await self._record(context)
            except Exception as error:
                if not (self.lost or (isinstance(error, Error) and _CLOSED in error.message)):
                    raise
            finally:
                with suppress(Exception):  # a browser that goes at this moment may not answer
                    await asyncio.wait_for(context.close(), END_SECONDS)
                _end(processes)
        return self.recording

    def _notice_loss(self, library: Any) -> None:
        """End the recording when the process of the library ends, as by Ctrl-C in a terminal: it closes no page then.

        Its calls raise a plain `Exception` from then on.
        """

        def lost(failure: asyncio.Future[None]) -> None:
            failure.exception()  # asyncio prints one that was not asked for
            self.lost = True
            self.ended.set()

        library._connection._transport.on_error_future.add_done_callback(lost)  # noqa: SLF001 - the library has no method for it

    async def _launch(self, playwright: Playwright) -> BrowserContext:
        """Start the browser with a profile that is forgotten: its first context is one that others can connect to."""
        wish = self.wish
        options = launch_options(wish.browser, wish.environment, headless=wish.remote is not None)
        if wish.remote is not None:
            options["args"] = [*options["args"], f"--remote-debugging-port={wish.remote}"]
        options |= context_options(PLAIN_PAGE, "chromium")
        options |= {"accept_downloads": True, "ignore_https_errors": wish.trusting}
        try:
            return await playwright.chromium.launch_persistent_context(wish.folder / "profile", **options)
        except Error as error:
            raise MachineError(
                f"the browser does not start: {_first(error)}", "`orchestra doctor` tries every browser"
            ) from None

    async def _record(self, context: BrowserContext) -> None:
        context.on("close", lambda _: self.ended.set())
        context.on("page", self._on_page)
        context.on("dialog", _leave_open)
        await context.expose_binding(BINDING, self._on_message)
        await context.add_init_script(SCRIPT)
        stop = await self._start(context._impl_obj)  # noqa: SLF001 - the library has no method for its recorder
        for page in context.pages:  # the first one is opened with the browser
            self._on_page(page)
            await self._open(page)
        if not context.pages:  # it was closed before it was listened to
            self.ended.set()
        await self.ended.wait()
        with suppress(Exception):  # it may be gone with its browser
            await asyncio.wait_for(stop(), END_SECONDS)
        await self._rest()

    async def _start(self, context: Any) -> Callable[[], Awaitable[Any]]:
        """Start the recorder of a context, and return what stops it."""
        if hasattr(context, "_start_recording"):
            await context._start_recording({"language": _FORM}, self)  # noqa: SLF001 - see above
            return context._stop_recording  # type: ignore[no-any-return]  # noqa: SLF001 - see above
        channel = context._channel  # noqa: SLF001 - see above
        reports = {"actionAdded": self.action_added, "actionUpdated": self.action_updated}
        channel.on(
            "recorderEvent",
            lambda one: reports.get(one["event"], self.signal_added)(one["page"], one["data"], one["code"]),
        )
        await channel.send("startRecording", None, {"language": _FORM})
        return lambda: channel.send("stopRecording", None, {})

    async def _open(self, page: Page) -> None:
        try:
            await page.goto(self.wish.url, wait_until="commit", timeout=LOAD_SECONDS * 1000)
        except Error as error:
            if await self._is_closed(page, error):
                return
            raise MachineError(
                f'"{self.wish.url}" does not load: {_first(error)}',
                "start its server, for instance with `orchestra up`, or correct the address",
            ) from None

    async def _is_closed(self, page: Page, error: Error) -> bool:
        """Return whether a load ended because the page was closed; its close can be reported after the end of the load."""
        if not page.is_closed() and not self.ended.is_set() and "ERR_ABORTED" in error.message:
            with suppress(Error):
                await page.wait_for_event("close", timeout=END_SECONDS * 1000)
        return page.is_closed() or self.ended.is_set()

    async def _rest(self) -> None:
        """Wait for what is still being worked on."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=SETTLE_SECONDS)

    def _on_page(self, page: Page) -> None:
        page.on("download", lambda download: self.recording.downloads.append(download.suggested_filename))
        page.on("close", self._on_close)
        self._later(self._watch_dialogs(page))

    def _on_close(self, page: Page) -> None:
        if not page.context.pages:
            self.ended.set()

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _watch_dialogs(self, page: Page) -> None:
        """Learn how dialogs are answered: in the window, so that the library only hears that one was opened."""
        kinds: list[str] = []
        with suppress(Error):  # a page that is closed at once
            session = await page.context.new_cdp_session(page)
            session.on("Page.javascriptDialogOpening", lambda event: kinds.append(event["type"]))
            session.on(
                "Page.javascriptDialogClosed",
                lambda event: self.recording.answers.append(
                    Answer(kinds[-1] if kinds else "alert", bool(event["result"]), str(event.get("userInput", "")))
                ),
            )
            await session.send("Page.enable")

    def action_added(self, page: Any, data: Mapping[str, Any], code: str) -> None:
        """Take an action of the recorder, with its locator."""
        self._take(page, _located(data, code))

    def action_updated(self, page: Any, data: Mapping[str, Any], code: str) -> None:
        """Take an action that replaces the one before it."""
        self._take(page, _located(data, code), update=True)

    def signal_added(self, page: Any, data: Mapping[str, Any], code: str) -> None:
        """Take a dialog, a download or a popup."""
        del code
        self._take(page, dict(data), signal=True)

    def _take(self, page: Any, data: Mapping[str, Any], *, signal: bool = False, update: bool = False) -> None:
        event = Event(page._guid, data, time.monotonic(), signal)  # noqa: SLF001 - see above
        self.recording.add(event, update=update)
        self.wish.changed(self.recording)

    async def _on_message(self, source: Mapping[str, Any], message: Mapping[str, Any]) -> None:
        """Take what the script of a page reports."""
        if message["kind"] == "secret":
            self.recording.secrets |= {str(message["value"])} - {""}
            return
        if message["kind"] == "files":
            chosen = tuple(self._keep(file) for file in message["files"])
            self.recording.chosen.append(Chosen(chosen, bool(message["byClick"])))
            self.wish.changed(self.recording)
            return
        frame, mark = source["frame"], f'[{MARK}="{message["mark"]}"]'
        with suppress(Error):  # the element is gone, and with it what could be recorded
            await _report_as_action(frame, mark, message["kind"])

    def _keep(self, file: Mapping[str, Any]) -> str:
        """Write a chosen file into the folder, and return its path; one that was not read has its name alone."""
        name = Path(str(file["name"])).name or "file"
        if file["content"] is None:
            return name
        folder = self.wish.folder / str(len(self.recording.chosen))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(base64.b64decode(file["content"]))
        return str(path)


def _end(processes: Sequence[psutil.Process]) -> None:
    """Wait for the end of a browser, which outlives its connection for a moment and writes into its profile; then kill it."""
    for process in psutil.wait_procs(processes, timeout=END_SECONDS)[1]:
        with suppress(psutil.Error):
            process.kill()


def _located(data: Mapping[str, Any], code: str) -> dict[str, Any]:
    return {**data, "locator": json.loads(code.splitlines()[0]).get("locator") if code else None}


async def _report_as_action(frame: Frame, mark: str, kind: str) -> None:
    """Let the recorder report an action on a marked element, so that it comes in its order among the others."""
    element = frame.locator(mark)
    found = await element.normalize()
    shown = await element.evaluate(SHOWN)
    action = _action(kind, shown)
    action["selector"] = found._impl_obj._selector  # noqa: SLF001 - the library has no method for it
    await frame.page.main_frame.evaluate("(action) => window.__pw_recorderRecordAction(action)", action)
    await element.evaluate(
        f"(element) => element.removeAttribute('{MARK}')"
    )  # a person who sees it go may close the page


def _action(kind: str, shown: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "enter":
        return {"name": "press", "key": "Enter", "modifiers": 0}
    if kind == "hover":
        return {"name": "hover"}
    if kind == "visible":
        return {"name": "assertVisible"}
    if shown["checked"] is not None:
        return {"name": "assertChecked", "checked": shown["checked"]}
    if shown["value"] is not None:
        return {"name": "assertValue", "value": shown["value"]}
    return {"name": "assertText", "text": shown["text"], "substring": False}


def _leave_open(dialog: Dialog) -> None:
    """Leave a dialog to the person; without a listener the library would dismiss it."""


def _first(error: Error) -> str:
    return error.message.strip().splitlines()[0].removeprefix("Page.goto: ")
