"""Listen to the pages of a browser context: the same for the synchronous and the asynchronous interface of Playwright.

All of it is heard on the context, so that windows which a page opens are heard too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from orchestra.runtime.attempts.observed import CANCELLED, Observed, Reply
from orchestra.runtime.driver.accessibility import violations_in
from orchestra.runtime.driver.clock import Clock
from orchestra.runtime.driver.mocking import Mocks
from orchestra.runtime.driver.own_doing import OwnDoing
from orchestra.runtime.driver.page_events import (
    console_place,
    exception_text,
    main_frame_of,
    owner_of,
    page_of,
    size_of,
)

PROMISED = frozenset({"fetch"})
"""The kinds of requests whose end makes a promise fail; that of an XMLHttpRequest makes an event."""
REPORTS = frozenset({"cspviolationreport", "cspreport", "csp_report"})
"""The request that a browser sends by itself when a style of ours is refused; its response does not matter to a test."""

COUNTS = ("page_errors", "console_errors", "failed_requests")


class Watch:
    """Counts and records what pages do without being asked; a driver adds how it answers dialogs and asks for sizes.

    Attributes:
        counts: how often pages complained, by the names of `COUNTS`.
        observed: the errors and the traffic of pages.
        crashed: whether a page has crashed.
        moves: how many documents pages have shown, the same one under another address included.
        downloads: how many files pages began to download.
        ends: how many documents that pages asked for have come, or are known not to come.
        failed: why the last of them did not come; empty when it came.
        under_way: the requests that have not come to their end.
        own: the errors that are of our own making.
        mocks: the mocks of the test.
        looks: the expected pictures that the test has written, by name: `added` or `changed`.
        audits: whether each page is checked for accessibility after its load.
        clock: the clock of the test.
        requests: those that pages have sent.
    """

    def __init__(self, mask: Callable[[str], str] = str) -> None:
        self.mask = mask
        self.counts: Counter[str] = Counter()
        self.observed = Observed(mask)
        self.crashed = False
        self.moves = 0
        self.downloads = 0
        self.under_way: set[Any] = set()
        self.ends = 0
        self.failed = ""
        self.own = OwnDoing()
        self.mocks = Mocks()
        self.looks: dict[str, str] = {}
        self.audits = False
        self._documents: Counter[Any] = Counter()
        self._audited: dict[Any, int] = {}
        self.clock = Clock()
        self.requests: list[Any] = []
        self._earlier: set[Any] = set()
        self._left_behind: set[Any] = set()
        self._replaced: set[Any] = set()
        self._abandoned: set[Any] = set()

    def forget(self, mask: Callable[[str], str] = str) -> None:
        """Drop what was heard so far; `mask` takes secrets out of what comes."""
        self.mask = mask
        self.counts.clear()
        self.observed = Observed(mask)
        self.mocks, self.looks, self.clock, self.requests = Mocks(), {}, Clock(), []
        self._documents.clear()
        self._audited.clear()
        self._earlier = set(self.under_way)  # how they end is no matter of what comes
        self._abandoned &= self.under_way

    def substituted(self) -> dict[str, Any]:
        """Return the mocks with their requests and the pictures that were written, for the record; nothing without any."""
        looks = {self.mask(name): how for name, how in self.looks.items()}
        return {**self.mocks.facts(self.mask), **({"looks": looks} if looks else {})}

    @property
    def waits(self) -> bool:
        """Return True while a request of a page is pending.

        Browsers do not always report the end of the requests of a page that was left: those do not count.
        """
        return not self.under_way <= self._earlier | self._abandoned

    def listen(self, context: Any) -> None:
        """Begin to listen to a context and to every page that it opens."""
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("dialog", self._on_dialog)
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failed)
        context.on("response", self._on_response)
        context.on("requestfinished", self._on_finished)
        context.on("page", self._on_page)

    def _on_page(self, page: Any) -> None:
        page.on("crash", self._on_crash)
        page.on("framenavigated", self._on_navigated)
        page.on("download", self._on_download)

    def _counts_for(self, _frame: Any) -> bool:
        """Return True if the documents of a main frame are those of the test."""
        return True

    def _on_request(self, request: Any) -> None:
        self.under_way.add(request)
        self.requests.append(request)
        frame = main_frame_of(request)
        if frame is not None and self._counts_for(frame):
            self.own.leaving()

    def _on_crash(self, _page: object) -> None:
        self.crashed = True

    def unaudited(self, page: Any) -> bool:
        """Return True if a page shows a document that is to be checked for accessibility, and was not."""
        return self.audits and self._audited.get(page, 0) != self._documents[page]

    def audited(self, page: Any, result: Any) -> None:
        """Record the rules that a page violates, by the result of its check; None for one that has not loaded yet."""
        if result is not None:
            self._audited[page] = self._documents[page]
            for text in violations_in(result):
                self.observed.violated(text, page.url)

    def _on_navigated(self, frame: Any) -> None:
        if frame.parent_frame is None:
            self._documents[frame.page] += 1
        if frame.parent_frame is None and self._counts_for(frame):
            self.moves += 1
            self.ends += 1
            self.failed = ""
            self._abandoned |= self._replaced
            self._replaced = set()
            self._leave()

    def _on_download(self, _download: Any) -> None:
        self.downloads += 1
        self._replaced = set()

    def _on_console(self, message: Any) -> None:
        if message.type == "error" and not self.own.made("console", message.text):
            self.counts["console_errors"] += 1
            self.observed.console_error(message.text, console_place(message))

    def _on_error(self, raised: Any) -> None:
        text, where = exception_text(raised.error, raised.location)
        if not self.own.made("page", text):
            self.counts["page_errors"] += 1
            self.observed.page_error(text, where)

    def _on_dialog(self, dialog: Any) -> None:
        raise NotImplementedError

    def _on_failed(self, request: Any) -> None:
        self.under_way.discard(request)
        if request.failure in CANCELLED and request.resource_type in PROMISED:
            self.own.gave_up(earlier=request in self._left_behind)
        frame = main_frame_of(request)
        if frame is not None and self._counts_for(frame):
            self.ends += 1
            self.failed = request.failure or "failed"
            self.own.left()
        if self._no_matter(request) or request.resource_type in REPORTS:
            return
        self.counts["failed_requests"] += 1
        answered = request.existing_response is not None
        if answered and size_of(request) is None:
            self.observed.sized(request.url, None)
        why = request.failure or "failed"
        self.observed.failed(request.method, request.url, why, page_of(request), answered=answered)

    def _no_matter(self, request: Any) -> bool:
        """Return True if the outcome of a request is none of the app: a test before has sent it, or a mock answers it."""
        return request in self._earlier or request in self.mocks.answered

    def _leave(self) -> None:
        """Note that the page is left: the requests under way are its own, those that begin from now on the next page's."""
        if self.own.left():
            self._left_behind = set(self.under_way)

    def _on_response(self, response: Any) -> None:
        request, status = response.request, response.status
        frame = main_frame_of(request)
        if frame is not None and self._counts_for(frame):
            self._leave()  # the event of the navigation itself may come after requests of the next page
            self._replaced = {one for one in self.under_way - {request} if owner_of(one) is frame.page}
        if self._no_matter(request):
            return
        self.counts["failed_requests"] += status >= 400
        page = page_of(request) if status >= 400 else ""
        self.observed.answered(Reply(request.method, request.url, status, page, size_of(request)))

    def _on_finished(self, request: Any) -> None:
        self.under_way.discard(request)
        if self._no_matter(request):
            return
        self.observed.measured(request.url, request.timing["responseEnd"])
        if size_of(request) is None:  # only the browser knows the size, and to ask takes milliseconds
            self._ask_size(request)

    def _ask_size(self, request: Any) -> None:
        raise NotImplementedError
