"""The driver `mcp`: the same steps as tool calls over one Playwright MCP session, without a model.

A server that dies or hangs is started again on the
same page; the step is done again when it may be, else the attempt is a crash. Nothing passes over a page or a browser
that was replaced behind our back.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Dialog, Error

from orchestra.runtime.attempt import EvidenceFile, Request
from orchestra.runtime.attempts.finding import errors_of
from orchestra.runtime.driver.contract import TRACE, Carrier, Effort, Job, Seen, StepError, unmet
from orchestra.runtime.driver.failure import MOVES, failure_of, not_moved
from orchestra.runtime.driver.fault import Meaning
from orchestra.runtime.driver.film import film_fault
from orchestra.runtime.driver.mcp.client import (
    PATIENCE_SECONDS,
    Beside,
    CallOverError,
    ServerError,
    ServerLostError,
    ServerUnfitError,
)
from orchestra.runtime.driver.mcp.result import Answer
from orchestra.runtime.driver.mcp.send import Sender, Tally
from orchestra.runtime.driver.mcp.session import McpSession
from orchestra.runtime.driver.mcp.verbs import VERBS, select
from orchestra.runtime.driver.page_text import keep_page_text
from orchestra.runtime.driver.pages import CLOSING, NO_PAGE, add_pages, needs_no_page, was_closed
from orchestra.runtime.driver.picture import SMALL, WHOLE
from orchestra.runtime.driver.watch import COUNTS
from orchestra.runtime.unicode import well_formed
from orchestra.steps.target import Target
from orchestra.steps.vocabulary import VERBS as VOCABULARY

PICTURE_SECONDS = 5.0
SHOWN_LETTERS = 400
KEPT_CALLS = 2000

_PRESSING = frozenset({"browser_click", "browser_drag", "browser_press_key"})
"""Tools that press a key or a button, and do not release it if they are cut short."""

_WAITING = ("wait", "download")
"""The time of these calls belongs to the page, not to the protocol."""


def driver(environment: Mapping[str, str]) -> McpDriver:
    """Return the driver of a worker; nothing is started before the first test."""
    return McpDriver(environment)


class McpDriver:
    """Keeps the one session of its worker."""

    def __init__(self, environment: Mapping[str, str], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._environment = environment
        self._patience = patience_seconds
        self.session: McpSession | None = None

    def open(self, request: Request) -> McpAttempt:
        """Return the session, fit for a test.

        Raises:
            StepError: the test has no browser, or it or the server does not start.
        """
        if self.session is None:
            self.session = McpSession(self._environment, patience_seconds=self._patience)
        self.session.prepare(request)
        return McpAttempt(self.session, request)

    def close(self) -> None:
        """End server and browser."""
        if self.session is not None:
            self.session.close()
        self.session = None


class McpAttempt:
    """One test in the session."""

    def __init__(self, session: McpSession, request: Request) -> None:
        self._session = session
        self._request = request
        self._page = session.page_view()
        session.browser.watch.audits = errors_of(request.test, request.method.id).a11y != "ignore"
        self._sender = Sender(self._call, self._page, request.method.poll_seconds)
        self._lines: list[dict[str, Any]] = []
        self._count = 0
        self._latency: list[float] = []
        self._verb = ""
        self._waiting: Dialog | None = None
        self._may_close = False
        self._settled = self._hangs = False
        self._end = float("inf")
        self._masks = session.masks
        self._subject: Target | None = None

    def bound(self, seconds: float) -> None:
        """Let no call take longer than this from now on."""
        self._end = time.monotonic() + seconds

    def rest(self, seconds: float) -> None:
        """Wait; the loop handles the events of the page."""
        time.sleep(seconds)

    def storage(self) -> dict[str, Any]:
        """Return cookies and storage as they are. Raises StepError: the browser does not answer."""
        return self._page.storage()

    def cookies(self) -> list[dict[str, Any]]:
        """Return the cookies of all sites. Raises StepError: the browser does not answer."""
        return self._page.cookies()

    def _call(self, tool: str, arguments: dict[str, Any], seconds: float) -> Answer:
        """Call a tool, and note it down."""
        begun = time.monotonic()
        outcome = "ok"
        limit = max(0.001, min(seconds, self._end - begun))
        answers = tool == "browser_handle_dialog"
        try:
            answer = self._session.server.call(tool, arguments, limit, meanwhile=None if answers else self._meanwhile)
            outcome = self._masks.text(answer.error)[:SHOWN_LETTERS] if answer.failed else outcome
            if tool in _PRESSING and (answer.failed or answer.claims):
                self._session.pressed = True
            if tool == "browser_file_upload" and not answer.failed:
                self._page.forget_chooser()
            answer = replace(answer, modal=self._page.modal(answer.claims))
        except CallOverError as over:
            self._session.dirty = True  # it may still go on, so nothing is sent after it
            outcome = str(over)
            raise
        except ServerError as error:
            outcome = f"the server {error}"
            raise
        finally:
            self._note(tool, arguments, begun, outcome)
        return answer

    def _note(self, tool: str, arguments: dict[str, Any], begun: float, outcome: str) -> None:
        self._count += 1
        if outcome == "ok" and self._verb not in _WAITING:
            self._latency.append(time.monotonic() - begun)
        if len(self._lines) < KEPT_CALLS:
            seconds = round(time.monotonic() - begun, 4)
            line = {"verb": self._verb, "tool": tool, "arguments": arguments, "seconds": seconds, "outcome": outcome}
            self._lines.append(line)

    async def _meanwhile(self, ask: Beside) -> None:
        """Answer a dialog that opened during a call: parts of a tool wait for it without a report."""
        dialog = self._page.dialog
        if dialog is None or dialog is not self._waiting:
            self._waiting = dialog  # given one more tick, in which most tools report it themselves
            return
        begun, tool, dialogs = time.monotonic(), "browser_handle_dialog", self._page.dialogs
        before = dialogs.copy()
        arguments = self._page.dialog_answer()
        self._sender.tally.calls += 1
        answer = await ask(tool, arguments)
        if answer.failed:  # it was closed by something else: what was meant for it is for the next one
            dialogs.restore(before)
        self._note(tool, arguments, begun, self._masks.text(answer.error)[:SHOWN_LETTERS] if answer.failed else "ok")
        if dialogs.stayed > before.stayed and not answer.failed:
            raise CallOverError("the page was not left")  # the tool would wait for another document

    def do(self, job: Job) -> Effort:
        """Carry out a step.

        Raises:
            StepError: it failed.
        """
        try:
            effort = self._do(job)
            self._page.dialogs.check()
        except StepError as caught:
            failed = self._page.dialogs.instead_of(caught)
            failed.effort = self._sender.tally.effort()
            self._subject = job.step.target
            if self._session.fit():
                self._page.explain(job, failed)
                text = self._page.open_pages() if failed.found == NO_PAGE else self._page.pages_text()
                if text:
                    add_pages(failed, text)
            if self._sender.pending:
                self._session.dirty = True  # the server could make the click in a later step, or in the next test
            raise failed from None
        except ServerUnfitError as error:
            raise StepError("error", "crash", str(error), hint="its own output is in mcp/server.log") from None
        self._page.check()
        return effort

    def _do(self, job: Job) -> Effort:
        if self._session.ready():
            self._hangs = False
        self._settled = False
        self._page.pages.before.append(tuple(self._page.tabs()))
        follows = self._may_close
        if job.step.verb != "dialog":
            self._may_close = job.step.verb in CLOSING
        try:
            if self._lost(job):
                self._return_to_main(job, follows=follows)
            self._try(job, follows=follows)
        except ServerLostError as lost:
            self._recover(job, lost)
            try:
                self._try(job, follows=follows)
            except ServerLostError as again:
                raise StepError("error", "crash", f"the MCP server {again} twice in this step") from None
        return self._sender.tally.effort()

    def _try(self, job: Job, *, follows: bool) -> None:
        self._sender.tally, self._sender.pending, self._verb = Tally(), False, job.step.verb
        watch = self._session.browser.watch
        moves, downloads = watch.moves, watch.downloads
        if job.step.verb in MOVES:
            watch.own.leaving()
        try:
            with self._session.picturing() if job.step.verb == "screenshot" or "look" in job.args else nullcontext():
                VERBS[job.step.verb](self._sender, job)
        except StepError as failed:
            trouble = self._trouble()
            if trouble is None and self._lost(job):
                self._try_on_main(job, follows=follows, done=self._sender.acted)
                return
            raise trouble or self._hung(job, failed) from None
        except CallOverError as over:
            raise self._trouble() or unmet(f"{job.step.verb} failed: {over}", found=str(over)) from None
        if job.step.verb == "dialog":
            return  # nothing was sent
        main = self._page.pages.current is self._page.pages.main
        if main and job.step.verb == "wait" and job.args["be"] == "visible":
            return  # what shows an element is no blank page in place of a lost one; the answer is not held up
        trouble = self._trouble()
        if trouble is not None:
            raise trouble
        if self._lost(job):  # the server has gone on with another page by itself
            self._try_on_main(job, follows=follows, done=True)
            return
        if job.step.verb in MOVES and watch.moves == moves:
            if watch.downloads > downloads:  # the server does not report it
                raise failure_of(job, Meaning("other", "Download is starting"))
            raise not_moved(job)

    def _lost(self, job: Job) -> bool:
        """Return True if the page that the step is for was closed."""
        return self._page.lost() and not needs_no_page(job)

    def _try_on_main(self, job: Job, *, follows: bool, done: bool) -> None:
        """Continue on the first page after the current one was closed in a step.

        Args:
            job: the step.
            follows: whether the step before it may have closed the page.
            done: whether the action of the step has begun on the page.

        Raises:
            StepError: no action of a step has closed it, or the step fails on the first page.
        """
        verb = job.step.verb
        closes = verb in CLOSING and done
        name, begun = self._page.pages.name_of(self._page.pages.current), self._sender.begun
        self._return_to_main(job, follows=closes or (follows and VOCABULARY[verb].idempotent))
        if not closes:
            VERBS[verb](self._sender, job)
        elif verb == "click" and self._page.pressed(begun):  # the server clicked on the first page instead
            raise was_closed(name)

    def _return_to_main(self, job: Job, *, follows: bool) -> None:
        """Continue on the first page after the current one, which another page opened, was closed.

        Raises:
            StepError: no action of a step has closed it.
        """
        pages = self._page.pages
        name = pages.name_of(pages.current)
        select(self._sender, job, pages.main)
        if not follows:
            raise was_closed(name)

    def _hung(self, job: Job, failed: StepError) -> StepError:
        """Return the failure of a page that does not respond to scripts; a page that waits for a server responds."""
        if not self._session.dirty or job.step.verb in MOVES or self._settled:
            return failed
        self._hangs = True
        found, hint = "no answer", "search for a script or a pattern that never ends"
        return StepError(
            failed.outcome, failed.kind, "the page hangs", expected=failed.expected, found=found, hint=hint
        )

    def _trouble(self) -> StepError | None:
        """Return the event of page or browser in this step, if there was one."""
        browser = self._session.browser
        self._settled = self._session.settle()
        if not browser.connected():
            return StepError("error", "crash", "the browser died in this step")
        if browser.watch.crashed:
            return StepError("error", "crash", "the page crashed in this step")
        if browser.watch.closed and not self._page.lost():
            return was_closed("")
        return None

    def _recover(self, job: Job, lost: ServerLostError) -> None:
        """Start a new server on the same page after one was lost in a step.

        Raises:
            StepError: the step may not be done twice, or the page is gone too.
        """
        trouble = self._trouble()
        if trouble is not None:
            raise trouble from None
        self._session.replace_server(f"the MCP server {lost}")
        if not VOCABULARY[job.step.verb].idempotent:
            message = f"the MCP server {lost} in this step, which is not repeatable"
            raise StepError("error", "crash", message, hint="the test is retried if its `retries` include `crash`")

    def keep_evidence(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Return a picture, the page as text, its console and network, and the calls so far."""
        kept: list[EvidenceFile] = []
        self._verb = ""
        with suppress(ServerError, StepError, Error, TimeoutError, OSError):
            if self._hangs:  # it shows nothing; to replace it is left to the next test, unless this one has more to do
                self._hangs = not (self._request.test.finally_ and self._session.ready(hung=True))
            else:
                self._session.ready()
                if self._session.fit():
                    kept += self._shown(folder, name)
        with suppress(Error, TimeoutError, OSError):
            if self._session.trace_end(folder / TRACE):
                kept.append(EvidenceFile(TRACE, "trace"))
        with suppress(OSError):
            lines = (
                json.dumps(well_formed(line | {"arguments": self._masks.value(line["arguments"])}), ensure_ascii=False)
                for line in self._lines
            )
            (folder / "mcp.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            kept.append(EvidenceFile("mcp.jsonl", "mcp", masked=True))
        return kept

    def picture(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Take a picture of the page as it is now, by the browser that is ours; nothing when none is to be had."""
        return self._picture(folder / f"{name}.png", "screenshot", WHOLE)

    def step_picture(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Take a small picture of the page after a step; nothing when none is to be had."""
        return self._picture(folder / f"{name}.jpg", "picture", SMALL)

    def _picture(self, file: Path, kind: str, options: Mapping[str, Any]) -> list[EvidenceFile]:
        with suppress(Error, TimeoutError, OSError):
            self._session.picture(file, options, PICTURE_SECONDS)
            return [EvidenceFile(file.name, kind)]
        return []

    def film(self, file: Path) -> str:
        """Begin a video of the page, which is ours and not the server's; why there is none, or nothing."""
        try:
            self._session.ready()
            self._session.film(file)
        except (ServerError, StepError, Error, TimeoutError) as error:
            return film_fault(str(error))
        return ""

    def film_end(self) -> None:
        """End the video."""
        with suppress(Error, TimeoutError):
            self._session.film_end()

    def _shown(self, folder: Path, name: str) -> list[EvidenceFile]:
        evidence = self.picture(folder, name)
        if evidence and self._subject is not None:
            evidence = [msgspec.structs.replace(evidence[0], marks=self._page.boxes(self._subject))]
        evidence += keep_page_text(folder, self._page.text(PICTURE_SECONDS), self._masks.text) if evidence else []
        listings = (
            ("console.log", "console", "browser_console_messages", {"level": "debug", "all": True}),
            ("network.log", "network", "browser_network_requests", {"static": False}),
        )
        for file, kind, tool, arguments in listings:
            if file == "network.log" and not self._page.requests:
                continue  # the server lists those of the page before, until a page of this test is opened
            answer = self._call(tool, arguments, PICTURE_SECONDS)
            text = answer.listing
            if not answer.failed and text and not text.startswith("Total messages: 0 "):
                (folder / file).write_text(f"{well_formed(self._masks.text(text))}\n", encoding="utf-8")
                evidence.append(EvidenceFile(file, kind, masked=True))
        return evidence

    def seen(self) -> Seen:
        """Return the events of the page outside the steps, from our browser, without a tool call."""
        browser = self._session.browser
        answers = not self._hangs and (self._settled or not browser.connected() or self._session.settle())
        dialogs = [*self._page.dialogs.unasked]
        shown, observed = self._page.dialog, browser.watch.observed
        if shown is not None and not answers:  # while one is open, no script is carried out
            dialogs.append(f"{self._page.dialogs.describe(shown.type, shown.message)} (left open)")
        if observed.waiting():
            self._session.sized()
        missing = None if shown is not None else self._page.dialogs.missing()
        unmet = browser.watch.mocks.unwritten() or missing
        return Seen(observed.signs, tuple(dialogs), observed.network(), unmet)

    def facts(self) -> dict[str, Any]:
        """Browser, session and what the calls cost."""
        session = self._session
        counts = {name: session.browser.watch.counts[name] for name in COUNTS}
        restarts = {"mcp_restarts": session.restarts} if session.restarts else {}
        return {
            "browser": session.browser.version,
            **counts,
            **self._page.dialogs.facts(),
            **session.browser.watch.substituted(),
            **restarts,
            "mcp_calls": self._count,
            **({"mcp_call_ms": round(1000 * statistics.median(self._latency), 2)} if self._latency else {}),
        }

    def carrier(self) -> Carrier:
        """Return the session as it is now."""
        return self._session.carrier(self._request)

    def close(self) -> None:
        """Let go of the trace; the page stays as it is, and the next test begins by looking at it."""
        with suppress(Error, TimeoutError):
            self._session.trace_end(None)
