"""Listen to the one page of an MCP session, by the asynchronous interface, for facts that the server's answers lack.

The server replaces a page that was closed or has crashed by a blank one and goes on as if nothing had happened, and it
answers a call as done when a dialog opens before the action is. Both are known here, by the browser that is ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Dialog, Download, Error, FileChooser, Frame, Page, Request

from orchestra.runtime.attempts.observed import CANCELLED
from orchestra.runtime.driver.contract import Job
from orchestra.runtime.driver.dialogs import LEAVING, Dialogs
from orchestra.runtime.driver.downloading import LOOK_SECONDS, Guard
from orchestra.runtime.driver.watch import Watch

SIZE_SECONDS = 1.0
ANSWER_SECONDS = 3.0
"""The time without a response after which a page counts as hung."""


class PageWatch(Watch):
    """Listens to a context and its one page.

    Attributes:
        page: the page; windows that it opens are heard too, and are none of its own.
        closed: whether the page was closed, until `begin`.
        dialogs: how the dialogs of the test are answered; the tools of the server see those of the page alone.
        dialog: the dialog of the page that is open.
        chooser: the file chooser that is open.
        origins: the sites whose documents the page and its frames have shown.
        folder: where the browser downloads to.
        tidying: whether dialogs are answered here, because no test is there to be asked.
        tidied: whether one was, of which the MCP server may not have heard yet.
    """

    def __init__(self, mask: Callable[[str], str] = str) -> None:
        super().__init__(mask)
        self.dialogs = Dialogs(mask)
        self.page: Page | None = None
        self.closed = False
        self.dialog: Dialog | None = None
        self.chooser: FileChooser | None = None
        self.origins: set[str] = set()
        self.tidying = self.tidied = False
        self._news = asyncio.Event()
        self._guard: Guard | None = None
        self.folder = TemporaryDirectory(prefix="orchestra-downloads-", ignore_cleanup_errors=True)
        self._asking: set[asyncio.Future[None]] = set()

    def forget(self, mask: Callable[[str], str] = str) -> None:
        """Drop what was heard so far, answers to dialogs included."""
        super().forget(mask)
        self._guard = None
        self.dialogs = Dialogs(mask)

    def begin(self, page: Page) -> None:
        """Listen to this page from now on, in place of the one before."""
        self.page = page
        self.crashed = self.closed = False
        self.dialog = self.chooser = None

    def show(self, page: Page) -> None:
        """Make another page of the test the one whose events count."""
        self.page = page
        self.closed = page.is_closed()
        self.dialog = self.chooser = None

    def _on_page(self, page: Page) -> None:
        super()._on_page(page)
        page.on("close", self._on_close)
        page.on("dialogclosed", self._on_dialog_closed)
        page.on("filechooser", self._on_chooser)

    def _on_close(self, page: Page) -> None:
        self.closed = self.closed or page is self.page

    def _on_crash(self, page: object) -> None:
        self.crashed = self.crashed or page is self.page

    def _on_download(self, download: Download) -> None:
        self.downloads += download.page is self.page
        guard, self._guard = self._guard, None  # it is for the first one
        if guard is not None:
            self._ask(_guarded(download, guard))

    def guard(self, job: Job) -> Guard:
        """Cancel the download that begins next when it goes beyond the limits of this step."""
        self._guard = Guard(job, Path(self.folder.name))
        return self._guard

    @property
    def usable(self) -> bool:
        """Return True if the page has neither crashed nor been closed."""
        return not (self.crashed or self.closed)

    def _counts_for(self, frame: Frame) -> bool:
        return frame.page is self.page

    def _on_navigated(self, frame: Frame) -> None:
        super()._on_navigated(frame)
        self._news.set()
        parts = urlsplit(frame.url)
        if parts.scheme in {"http", "https"}:
            self.origins.add(f"{parts.scheme}://{parts.netloc}")

    def _on_failed(self, request: Request) -> None:
        super()._on_failed(request)
        self._news.set()

    def _on_dialog(self, dialog: Dialog) -> None:
        if self.tidying:
            self.tidied = True
            self._ask(_end_dialog(dialog, accept=dialog.type == LEAVING))
        elif dialog.page is None or dialog.page is self.page:
            self.dialog = dialog  # the MCP server answers it
        else:
            answer = self.dialogs.next_answer(dialog.type, dialog.message, dialog.default_value)
            self._ask(_end_dialog(dialog, accept=answer.accept, text=answer.text))

    def take_dialog(self) -> Dialog | None:
        """Return the dialog that is open, to be answered between two tests; it counts as closed."""
        dialog, self.dialog = self.dialog, None
        self.tidied = self.tidied or dialog is not None
        return dialog

    def _on_dialog_closed(self, dialog: Dialog) -> None:
        if self.dialog is dialog:
            self.dialog = None

    def _on_chooser(self, chooser: FileChooser) -> None:
        if chooser.page is self.page:
            self.chooser = chooser

    def _ask_size(self, request: Request) -> None:
        self._ask(self._size(request))

    async def _size(self, request: Request) -> None:
        size: int | None = None
        with suppress(Error):
            size = (await request.sizes())["responseBodySize"]
        self.observed.sized(request.url, size)

    def _ask(self, work: Any) -> None:
        asked = asyncio.ensure_future(work)
        self._asking.add(asked)
        asked.add_done_callback(self._asking.discard)

    async def ended(self, since: int) -> str:
        """Wait until a document that the page asked for has come, or is known not to, after the count `since`; why not."""
        while self.ends == since:
            self._news.clear()
            await self._news.wait()
        return self.failed

    async def moved(self, since: int) -> str:
        """Wait until the page shows another document than at the count `since`; why it does not, when the load failed."""
        while self.moves == since and (not self.failed or self.failed in CANCELLED):
            self._news.clear()
            await self._news.wait()
        return self.failed

    async def sized(self) -> None:
        """Wait, briefly, until the browser has reported the size of every completed response."""
        if self._asking:
            await asyncio.wait(self._asking, timeout=SIZE_SECONDS)


async def _guarded(download: Download, guard: Guard) -> None:
    """Look at a download until it has ended."""
    ended = asyncio.ensure_future(download.failure())
    with suppress(Error):
        while not guard.look() and not ended.done():
            await asyncio.wait({ended}, timeout=LOOK_SECONDS)
        if guard.over:
            await download.cancel()
        guard.failed = await ended or ""
        if not guard.failed:
            guard.file = await download.path()


async def _end_dialog(dialog: Dialog, *, accept: bool, text: str | None = None) -> None:
    with suppress(Error):  # it was answered by something else, or its page is gone
        await (dialog.dismiss() if not accept else dialog.accept() if text is None else dialog.accept(text))
