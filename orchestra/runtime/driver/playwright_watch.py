"""What a page says by itself: dialogs, console, errors, requests that failed. May import `attempt`, `observed` and playwright.

All of it is listened to on the context, so that windows which the page opens are seen too. Memory is bounded: of what
exceeds the limit the oldest goes, and the counts stay right.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Error, Request, Response, WebError

from orchestra.runtime.attempt import Evidence
from orchestra.runtime.observed import Observed, Reply, declared_size

KEPT_LINES = 2000
KEPT_LETTERS = 4000


def page_of(request: Any) -> str:
    """The address of the page that made a request, of either interface; empty for a page that is only being opened."""
    try:
        url = str(request.frame.url)
    except Error:  # of a service worker
        return ""
    return "" if url == "about:blank" else url


def said_of(error: Any, location: Mapping[str, Any]) -> tuple[str, str]:
    """What an uncaught exception says, and where it was thrown, `URL:LINE:COLUMN`; of either interface."""
    name, message = getattr(error, "name", None), getattr(error, "message", None) or str(error)
    text = f"{name}: {message}" if name and not message.startswith(name) else message
    url = location.get("url") or ""
    return text, f"{url}:{location.get('line', 0) + 1}:{location.get('column', 0) + 1}" if url else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """How the next dialog is answered."""

    accept: bool
    text: str | None = None


@dataclass
class Watch:  # no slots: Playwright keeps its wrappers of bound methods on the instance
    """Listens to a context from its start to its end; `mask` takes secrets out before anything is cut or kept."""

    mask: Callable[[str], str] = str
    answers: deque[Answer] = field(default_factory=deque)
    crashed: bool = False
    _console: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _network: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _counts: Counter[str] = field(default_factory=Counter)
    _dismissed: list[str] = field(default_factory=list)
    _asking: int = 0

    def __post_init__(self) -> None:
        self.observed = Observed(self.mask)

    def listen(self, context: BrowserContext) -> None:
        """Begin."""
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("dialog", self._on_dialog)
        context.on("requestfailed", self._on_failed)
        context.on("response", self._on_response)
        context.on("requestfinished", self._on_finished)
        context.on("page", lambda page: page.on("crash", self._on_crash))

    def _on_crash(self, _page: object) -> None:
        self.crashed = True

    def _on_console(self, message: ConsoleMessage) -> None:
        place = message.location
        where = f"{place.get('url', '')}:{place.get('lineNumber', 0) + 1}"
        self._console.append(f"[{message.type}] {self.mask(message.text)[:KEPT_LETTERS]}  ({self.mask(where)})")
        if message.type == "error":
            self._counts["console_errors"] += 1
            self.observed.console_error(message.text, where)

    def _on_error(self, raised: WebError) -> None:
        text = self.mask(str(getattr(raised.error, "stack", None) or raised.error))
        self._console.append(f"[uncaught] {text[:KEPT_LETTERS]}")
        self._counts["page_errors"] += 1
        self.observed.page_error(*said_of(raised.error, raised.location))

    def _on_dialog(self, dialog: Dialog) -> None:
        answer = self.answers.popleft() if self.answers else None
        if answer is None:
            self._dismissed.append(f"{dialog.type}: {self.mask(dialog.message)[:200]}")
        try:
            if answer is None or not answer.accept:
                dialog.dismiss()
            elif answer.text is None:
                dialog.accept()
            else:
                dialog.accept(answer.text)
        except Error:
            return  # the page is gone, and its dialog with it

    def _on_failed(self, request: Request) -> None:
        self._network.append(
            {"method": request.method, "url": self.mask(request.url), "failure": request.failure or "failed"}
        )
        self._counts["failed_requests"] += 1
        answered = request.existing_response is not None
        self.observed.failed(
            request.method, request.url, request.failure or "failed", page_of(request), answered=answered
        )

    def _on_response(self, response: Response) -> None:
        request, status = response.request, response.status
        if status >= 400:
            self._network.append({"method": request.method, "url": self.mask(request.url), "status": status})
            self._counts["failed_requests"] += 1
        page = page_of(request) if status >= 400 else ""
        self.observed.answered(Reply(request.method, request.url, status, page))

    def _on_finished(self, request: Request) -> None:
        self.observed.measured(request.url, request.timing["responseEnd"])
        response = request.existing_response
        size = None if response is None else declared_size(request.method, response.status, response.headers)
        if size is None:  # only the browser knows it; the others need not be asked, which takes milliseconds each
            self._asking += 1
            with suppress(Error):
                size = request.sizes()["responseBodySize"]
            self._asking -= 1
        self.observed.sized(request.url, size)

    def asking(self) -> bool:
        """Whether the browser has still to say how large an answer was."""
        return bool(self._asking)

    @property
    def unexpected(self) -> tuple[str, ...]:
        """Dialogs that nobody asked for, dismissed."""
        return tuple(self._dismissed)

    def facts(self) -> dict[str, Any]:
        """How many errors and failed requests; dialogs that nobody asked for."""
        counts = {name: self._counts[name] for name in ("page_errors", "console_errors", "failed_requests")}
        unused = {"dialogs_that_never_came": len(self.answers)} if self.answers else {}
        return {**counts, **unused, **({"unexpected_dialogs": self._dismissed} if self._dismissed else {})}

    def write(self, folder: Path) -> list[Evidence]:
        """console.log and network.jsonl, each if there is anything in it."""
        kept = []
        if self._console:
            (folder / "console.log").write_text("\n".join(self._console) + "\n", encoding="utf-8")
            kept.append(Evidence("console.log", "console"))
        if self._network:
            lines = (json.dumps(entry, ensure_ascii=False) for entry in self._network)
            (folder / "network.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            kept.append(Evidence("network.jsonl", "network"))
        return kept
