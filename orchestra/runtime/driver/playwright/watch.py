"""Listen to the page of a test, answer its dialogs, and write console and network down as evidence.

Memory is bounded: of what exceeds the limit the oldest goes, and the counts stay right.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Dialog, Error, Request, Response, WebError

from orchestra.runtime.attempt import EvidenceFile
from orchestra.runtime.driver.dialogs import Dialogs
from orchestra.runtime.driver.page_events import console_place
from orchestra.runtime.driver.watch import COUNTS, Watch
from orchestra.runtime.unicode import well_formed

KEPT_LINES = 2000
KEPT_LETTERS = 4000


class PageWatch(Watch):
    """Listens to a context from its start to its end, by the synchronous interface."""

    def __init__(self, mask: Callable[[str], str] = str) -> None:
        super().__init__(mask)
        self.dialogs = Dialogs(mask)
        self._console: deque[str] = deque(maxlen=KEPT_LINES)
        self._network: deque[dict[str, Any]] = deque(maxlen=KEPT_LINES)

    def _on_console(self, message: ConsoleMessage) -> None:
        place = self.mask(console_place(message))
        self._console.append(f"[{message.type}] {self.mask(message.text)[:KEPT_LETTERS]}  ({place})")
        super()._on_console(message)

    def _on_error(self, raised: WebError) -> None:
        text = self.mask(str(getattr(raised.error, "stack", None) or raised.error))
        self._console.append(f"[uncaught] {text[:KEPT_LETTERS]}")
        super()._on_error(raised)

    def _on_dialog(self, dialog: Dialog) -> None:
        answer = self.dialogs.next_answer(dialog.type, dialog.message, dialog.default_value)
        try:
            if not answer.accept:
                dialog.dismiss()
            elif answer.text is None:
                dialog.accept()
            else:
                dialog.accept(answer.text)
        except Error:
            return  # the page is gone, and its dialog with it

    def _on_failed(self, request: Request) -> None:
        failure = request.failure or "failed"
        self._network.append({"method": request.method, "url": self.mask(request.url), "failure": failure})
        super()._on_failed(request)

    def _on_response(self, response: Response) -> None:
        request, status = response.request, response.status
        if status >= 400:
            self._network.append({"method": request.method, "url": self.mask(request.url), "status": status})
        super()._on_response(response)

    def _ask_size(self, request: Request) -> None:
        size: int | None = None
        with suppress(Error):
            size = request.sizes()["responseBodySize"]
        self.observed.sized(request.url, size)

    def facts(self) -> dict[str, Any]:
        """Return how many errors and failed requests there were, and what became of dialogs."""
        return {**{name: self.counts[name] for name in COUNTS}, **self.dialogs.facts()}

    def write(self, folder: Path) -> list[EvidenceFile]:
        """Write console.log and network.jsonl, each if there is anything in it."""
        kept = []
        if self._console:
            text = well_formed("\n".join(self._console))
            (folder / "console.log").write_text(f"{text}\n", encoding="utf-8")
            kept.append(EvidenceFile("console.log", "console", masked=True))
        if self._network:
            lines = (json.dumps(well_formed(entry), ensure_ascii=False) for entry in self._network)
            (folder / "network.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            kept.append(EvidenceFile("network.jsonl", "network", masked=True))
        return kept
