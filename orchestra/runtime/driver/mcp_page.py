"""The page of an MCP session as the owner of its browser sees it: what the answers of the server do not tell."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal

from playwright.async_api import Dialog, Error

from orchestra.runtime.driver.contract import Job
from orchestra.runtime.driver.dialogs import Dialogs
from orchestra.runtime.driver.downloading import Guard
from orchestra.runtime.driver.mcp_browser import SharedBrowser
from orchestra.runtime.driver.mcp_result import Modal

LoadState = Literal["load", "domcontentloaded"]
FLUSH_SECONDS = 3.0


class PageView:
    """Looks at the page of a session for one attempt.

    Args:
        browser: its browser.
        run: awaits work in the loop of the browser, for so many seconds.
    """

    def __init__(self, browser: SharedBrowser, run: Callable[[Coroutine[Any, Any, Any], float], Any]) -> None:
        self._browser = browser
        self._run = run

    @property
    def dialogs(self) -> Dialogs:
        """How dialogs are answered."""
        return self._browser.watch.dialogs

    @property
    def dialog(self) -> Dialog | None:
        """The dialog that is open."""
        return self._browser.watch.dialog

    @property
    def moves(self) -> int:
        """How many documents the page has shown so far."""
        return self._browser.watch.moves

    def modal(self, claimed: Modal) -> Modal:
        """Return what is open, where an answer claims that something is."""
        if not claimed:
            return ""
        if self._open(claimed) is None:  # the event may still be on its way: what comes after it brings it along
            with suppress(Error, TimeoutError):
                self._run(self._browser.context.cookies([]), FLUSH_SECONDS)
        return claimed if self._open(claimed) is not None else ""

    def _open(self, kind: Modal) -> object:
        watch = self._browser.watch
        return watch.dialog if kind == "dialog" else watch.chooser

    def forget_chooser(self) -> None:
        """Note that the file chooser has been answered."""
        self._browser.watch.chooser = None

    def dialog_answer(self) -> dict[str, Any]:
        """Return the arguments of `browser_handle_dialog` for the dialog that is open."""
        shown = self.dialog
        if shown is None:  # it closed by itself; the call says so
            return {"accept": False}
        answer = self.dialogs.next_answer(shown.type, shown.message)
        text = {} if answer.text is None else {"promptText": answer.text}
        return {"accept": answer.accept, **text}

    def guard(self, job: Job) -> Guard:
        """Cancel the download that begins next when it goes beyond the limits of this step."""
        return self._browser.watch.guard(job)

    def moved(self, since: int, seconds: float) -> str | None:
        """Wait until the page shows another document than at the count `since`.

        Returns:
            An empty text when it does, the reason when the load failed, None when the time is over.
        """
        try:
            reason: str = self._run(self._browser.watch.moved(since), max(0.001, seconds))
        except TimeoutError:
            return None
        return reason

    def loaded(self, state: LoadState, seconds: float) -> bool:
        """Wait for a state of the document that the page shows; whether it came."""
        work = self._browser.page.wait_for_load_state(state, timeout=max(1.0, seconds * 1000))
        try:
            self._run(work, seconds + FLUSH_SECONDS)
        except (Error, TimeoutError):
            return False
        return True

    def pressed(self, since: float) -> bool:
        """Whether a button of the mouse was pressed on the page after `since`, in seconds since 1970."""
        with suppress(Error, TimeoutError):
            last: int = self._run(self._browser.last_press(), FLUSH_SECONDS)
            return last >= int(since * 1000)  # a page counts whole milliseconds
        return False
