"""Observe the page of an MCP session as the owner of its browser, for facts that the answers of the server lack."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal

from playwright.async_api import Dialog, Error, Page

from orchestra.ledger.parts import Box
from orchestra.runtime.driver.clock import Clock
from orchestra.runtime.driver.contract import Job, StepError, unmet
from orchestra.runtime.driver.dialogs import Dialogs
from orchestra.runtime.driver.downloading import Guard
from orchestra.runtime.driver.emulation import LOADED
from orchestra.runtime.driver.fault import Meaning, read
from orchestra.runtime.driver.har import Har
from orchestra.runtime.driver.locators import body_of, locate
from orchestra.runtime.driver.look import Shot
from orchestra.runtime.driver.mcp.browser import SharedBrowser
from orchestra.runtime.driver.mcp.result import Modal
from orchestra.runtime.driver.mcp.watch import ANSWER_SECONDS
from orchestra.runtime.driver.mocking import Mock
from orchestra.runtime.driver.nearby import (
    DESCRIBE,
    LOOK_SECONDS,
    TESTIDS,
    add_matches,
    add_near,
    named,
    near_testids,
    nearest,
)
from orchestra.runtime.driver.page_text import MODE
from orchestra.runtime.driver.pages import Pages
from orchestra.runtime.driver.picture import MARK_SECONDS, MOST_MARKS, boxes
from orchestra.runtime.unicode import well_formed
from orchestra.steps.target import Target
from orchestra.steps.url_glob import url_pattern

LoadState = Literal["load", "domcontentloaded", "complete"]
FLUSH_SECONDS = 3.0
STORAGE_SECONDS = 30.0
AUDIT_SECONDS = 60.0
_TRIED = frozenset({"click", "check", "uncheck", "hover"})
"""The actions that Playwright can try without executing them."""
_EDITING = frozenset({"fill", "type"})
_NO_FIELD = "Element is not an <input>"


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
        """Return the policy for dialogs."""
        return self._browser.watch.dialogs

    @property
    def dialog(self) -> Dialog | None:
        """The dialog that is open."""
        return self._browser.watch.dialog

    @property
    def pages(self) -> Pages[Page]:
        """The pages of the test, by name."""
        return self._browser.pages

    def tabs(self) -> list[Page]:
        """Return all open pages, in the order of the tabs of the server."""
        return self._browser.context.pages

    def show(self, page: Page) -> None:
        """Make a page the current one."""
        self._browser.show(page)

    @property
    def requests(self) -> list[Any]:
        """The requests of the test so far."""
        return self._browser.watch.requests

    @property
    def clock(self) -> Clock:
        """The clock of the test."""
        return self._browser.watch.clock

    def set_clock(self, method: str, given: dict[str, Any]) -> None:
        """Call a method of Playwright's clock, which a context does not give up."""
        self._browser.clocked = True
        self._run(getattr(self._browser.context.clock, method)(**given), ANSWER_SECONDS)

    def mock(self, mock: Mock) -> None:
        """Answer requests in place of the network, until the end of the test."""
        mocks = self._browser.watch.mocks
        mocks.add(mock)
        self._run(self._browser.context.route(url_pattern(mock.url), mocks.async_route(mock)), ANSWER_SECONDS)

    def replay(self, har: Har) -> None:
        """Answer requests from a HAR file, or record them, until the end of the test."""
        watch = self._browser.watch
        watch.mocks.replay(har)
        handle = watch.mocks.async_har_route(har, watch.mask)
        self._run(self._browser.context.route(url_pattern(har.url), handle), ANSWER_SECONDS)

    @property
    def looks(self) -> dict[str, str]:
        """The expected pictures that the test has written."""
        return self._browser.watch.looks

    def shot(self, take: Callable[[Page], Coroutine[Any, Any, Shot]], seconds: float) -> Shot:
        """Compare the page with a picture, by our own connection: no tool compares.

        Raises:
            StepError: the page does not answer.
        """
        try:
            shot: Shot = self._run(take(self._browser.page), seconds + AUDIT_SECONDS)
        except (Error, TimeoutError) as error:
            raise unmet("no picture of the page can be taken", found=str(error)) from None
        return shot

    def cookies(self) -> list[dict[str, Any]]:
        """Return the cookies of all sites. Raises as `storage`."""
        return list(self._given(self._browser.context.cookies()))

    def storage(self) -> dict[str, Any]:
        """Return cookies and storage as they are.

        Raises:
            StepError: the browser does not answer.
        """
        return dict(self._given(self._browser.signed_in()))

    def _given(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return well_formed(self._run(work, STORAGE_SECONDS))
        except (Error, TimeoutError) as error:
            raise StepError("error", "crash", f"the browser does not give its storage: {error}") from None

    def audit(self, given: list[Any]) -> Any:
        """Return the accessibility rules that the page violates, by our own connection: no tool call takes a script so long.

        Raises:
            StepError: the page does not answer.
        """
        try:
            return self._run(self._browser.audit(given), AUDIT_SECONDS)
        except (Error, TimeoutError) as error:
            raise unmet("the accessibility rules cannot be checked", found=str(error)) from None

    def check(self) -> None:
        """Check a new page for accessibility, where the test asks for that; one that is left meanwhile is not."""
        watch, page = self._browser.watch, self._browser.page
        if watch.unaudited(page) and watch.dialog is None:
            with suppress(Error, TimeoutError):
                watch.audited(page, self._run(self._browser.checked(), AUDIT_SECONDS))

    def lost(self) -> bool:
        """Return True if the current page, which another page opened, was closed."""
        return self.pages.lost()

    def pages_text(self) -> str:
        """Return the open pages for a message; nothing while there is one alone."""
        return self.open_pages() if len(self.tabs()) > 1 else ""

    def open_pages(self) -> str:
        """Return the open pages for a message."""
        return self.pages.text([(page, page.url) for page in self.tabs()])

    @property
    def moves(self) -> int:
        """Return the number of documents that the page has shown so far."""
        return self._browser.watch.moves

    def modal(self, claimed: Modal) -> Modal:
        """Return what is open, where an answer claims that something is."""
        if not claimed:
            return ""
        if self._open(claimed) is None:
            self.catch_up()
        return claimed if self._open(claimed) is not None else ""

    def catch_up(self) -> None:
        """Hear of everything that the browser has done so far: the server may have heard of it and answered before us.

        The answer to a question that is asked now comes after the events that are still on their way.
        """
        with suppress(Error, TimeoutError):
            self._run(self._browser.context.cookies([]), FLUSH_SECONDS)

    def _open(self, kind: Modal) -> object:
        watch = self._browser.watch
        return watch.dialog if kind == "dialog" else watch.chooser

    def forget_chooser(self) -> None:
        """Note that the file chooser has been answered."""
        self._browser.watch.chooser = None

    def dialog_answer(self) -> dict[str, Any]:
        """Return the arguments of `browser_handle_dialog` for the dialog that is open."""
        shown = self.dialog
        if shown is None:  # it closed by itself; the call reports that
            return {"accept": False}
        answer = self.dialogs.next_answer(shown.type, shown.message, shown.default_value)
        text = {} if answer.text is None else {"promptText": answer.text}
        return {"accept": answer.accept, **text}

    def guard(self, job: Job) -> Guard:
        """Cancel the download that begins next when it goes beyond the limits of this step."""
        return self._browser.watch.guard(job)

    @property
    def ends(self) -> int:
        """Return the number of requested documents that have arrived, or are known not to."""
        return self._browser.watch.ends

    @property
    def idle(self) -> bool:
        """Return True if no request of the page is pending."""
        return not self._browser.watch.waits

    def ended(self, since: int, seconds: float) -> bool:
        """Wait until a document has come, or is known not to, after the count `since`; whether one did in time."""
        try:
            self._run(self._browser.watch.ended(since), max(0.001, seconds))
        except TimeoutError:
            return False
        return True

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

    def explain(self, job: Job, failed: StepError) -> None:
        """Add to a failure which elements match, or what is near the target."""
        target = job.step.target
        if not failed.lookup or target is None:
            return
        with suppress(Error, TimeoutError):
            self._run(self._explain(target, failed), LOOK_SECONDS)

    async def _explain(self, target: Target, failed: StepError) -> None:
        page = self._browser.page
        if failed.lookup == "several":
            add_matches(failed, await locate(page, target).evaluate_all(DESCRIBE))
        elif target.by == "testid":
            add_near(failed, near_testids(target.value, await body_of(page, target).evaluate(TESTIDS)))
        else:
            near = nearest(target, named(await body_of(page, target).aria_snapshot()))
            add_near(failed, [one.text() for one in near])

    def boxes(self, target: Target) -> tuple[Box, ...]:
        """Return where the elements of a target are now."""
        with suppress(Error, TimeoutError):
            places: tuple[Box, ...] = self._run(self._boxes(target), MARK_SECONDS)
            return places
        return ()

    async def _boxes(self, target: Target) -> tuple[Box, ...]:
        elements = await locate(self._browser.page, target).element_handles()
        return boxes([await element.bounding_box() for element in elements[:MOST_MARKS]])

    def text(self, seconds: float) -> str:
        """Return the page as text; nothing when it gives none in time."""
        with suppress(Error, TimeoutError):
            snapshot: str = self._run(self._browser.page.aria_snapshot(mode=MODE, timeout=seconds * 1000), seconds)
            return snapshot
        return ""

    def reason(self, job: Job) -> Meaning:
        """Return why an action on the target of a step is not possible, by a look at it that does nothing."""
        target = job.step.target
        if target is None:
            return Meaning("other", "it was not done in time")
        try:
            found: str | None = self._run(self._obstacle(job.step.verb, target), LOOK_SECONDS)
        except Error as error:
            return read(error.message)
        except TimeoutError:
            return Meaning("blocked")
        return Meaning("absent") if found is None else Meaning("blocked", found)

    async def _obstacle(self, verb: str, target: Target) -> str | None:
        """Return what keeps an element from an action; None where there is no element."""
        locator, limit = locate(self._browser.page, target), LOOK_SECONDS * 500
        if not await locator.count():
            return None
        if verb in _TRIED:
            await getattr(locator, verb)(trial=True, timeout=limit)
            return ""
        for state in ("visible", "enabled", *(("editable",) if verb in _EDITING else ())):
            options = {} if state == "visible" else {"timeout": limit}
            try:
                fit = await getattr(locator, f"is_{state}")(**options)
            except Error as error:
                if verb == "type" and _NO_FIELD in error.message:
                    return "element takes no text"
                raise
            if not fit:
                return f"element is not {state}"
        return ""

    def fonts(self) -> None:
        """Wait for the fonts of the page, not for long."""
        with suppress(Error, TimeoutError):
            self._run(self._browser.fonts(), FLUSH_SECONDS)

    def loaded(self, state: LoadState, seconds: float) -> bool:
        """Wait for a state of the document that the page shows, `complete` for one that may have been kept; whether it came."""
        page, limit = self._browser.page, max(1.0, seconds * 1000)
        work: Coroutine[Any, Any, Any]
        if state == "complete":  # one that comes out of the browser's own store loaded long ago: no event follows
            work = page.wait_for_function(LOADED, timeout=limit)
        else:
            work = page.wait_for_load_state(state, timeout=limit)
        try:
            self._run(work, seconds + FLUSH_SECONDS)
        except (Error, TimeoutError):
            return False
        return True

    def pressed(self, since: float) -> bool:
        """Return True if a button of the mouse was pressed on the page after `since`, in seconds since 1970."""
        with suppress(Error, TimeoutError):
            last: int = self._run(self._browser.last_press(), FLUSH_SECONDS)
            return last >= int(since * 1000)  # a page counts whole milliseconds
        return False
