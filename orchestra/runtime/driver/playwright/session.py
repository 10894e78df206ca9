"""The page of one test with Playwright's synchronous interface, and what was seen of it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import psutil
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import BrowserContext, Error, StorageState, ViewportSize

from orchestra.ledger.parts import Box, Died
from orchestra.runtime.attempt import EvidenceFile, Request, wants_trace
from orchestra.runtime.attempts.finding import errors_of
from orchestra.runtime.driver.accessibility import EVERY_RULE, LOADED_PAGE
from orchestra.runtime.driver.contract import TRACE, Carrier, Effort, Job, Seen, StepError, unmet
from orchestra.runtime.driver.emulation import context_options, emulating, emulation_of, size_of
from orchestra.runtime.driver.failure import MOVES, failure_of, kept_by_dialog, not_moved
from orchestra.runtime.driver.fault import Meaning, read
from orchestra.runtime.driver.film import film_fault
from orchestra.runtime.driver.locators import body_of, locate
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
from orchestra.runtime.driver.page_text import MODE, keep_page_text
from orchestra.runtime.driver.pages import CLOSING, Pages, acted, add_pages, needs_no_page, was_closed
from orchestra.runtime.driver.picture import MOST_MARKS, SMALL, WHOLE, boxes
from orchestra.runtime.driver.playwright.stage import Stage, limit_of
from orchestra.runtime.driver.playwright.verbs import VERBS, audit
from orchestra.runtime.driver.playwright.watch import PageWatch
from orchestra.runtime.driver.watchdog import Watchdog
from orchestra.runtime.unicode import well_formed
from orchestra.steps.target import Target
from orchestra.steps.vocabulary import VERBS as STEPS

PICTURE_SECONDS = 5.0
CLOSE_SECONDS = 10.0
HUNG_SECONDS = 5.0
"""The time after the limit of a step at which its page counts as hung: Playwright's own limits wait for a page that
does not respond.
"""

DEAF_SECONDS = 0.02
"""The time without a call of Playwright after which its events are fetched."""

SIZE_TRIPS = 5
"""The number of other queries to the browser, to get the size of a response; a running one is not awaited."""


class Opened(NamedTuple):
    """A fresh context with one page, in a browser of any machine.

    Attributes:
        context: of the page.
        stage: for the steps.
        version: engine and version, for people.
        traced: a trace of the page is recorded.
        size: that a page begins with.
    """

    context: BrowserContext
    stage: Stage
    version: str
    traced: bool
    size: ViewportSize


def opened(
    browser: PlaywrightBrowser, request: Request, mask: Callable[[str], str], downloads: Path, *, remote: bool = False
) -> Opened:
    """Return a fresh context with one page.

    Args:
        browser: where.
        request: what its pages see and record.
        mask: removes secrets from the records of console and network.
        downloads: the folder into which the browser downloads, or in which what it has downloaded arrives.
        remote: whether it runs on another machine.

    Raises:
        playwright.sync_api.Error: the browser refuses.
        StepError: it cannot emulate what is asked for.
    """
    engine = browser.browser_type.name
    emulation = emulation_of(request)
    context = browser.new_context(
        **context_options(emulation, engine),
        accept_downloads=True,
        storage_state=cast("StorageState | None", request.storage),
        ignore_https_errors=request.tls.ignore_https_errors,
    )
    watch = PageWatch(mask)
    watch.listen(context)
    traced = wants_trace(request.test)
    if traced:
        context.tracing.start(screenshots=True, snapshots=True)
    try:
        with emulating(emulation, browser.is_connected):
            stage = Stage(Pages(context.new_page()), watch, downloads, remote)
        watch.audits = errors_of(request.test, request.method.id).a11y != "ignore"
    except StepError:
        context.close()
        raise
    return Opened(context, stage, f"{engine} {browser.version}", traced, size_of(emulation))


class PlaywrightSession:
    """The page of one test, and what was seen of it.

    Args:
        page: that was opened for it.
        bring_back: makes the browser fit again after its death, or that of the page.

    Attributes:
        hung: it did not answer, and was ended.
        died: what died before the test or in it.
        stage: the page, for steps.
        browser: its browser, in words.
    """

    browser = "browser"

    def __init__(self, page: Opened, bring_back: Callable[..., Died]) -> None:
        self._context = page.context
        self._size = page.size
        self._traced = page.traced
        self._version = page.version
        self._watchdog = Watchdog(self._cut_off)
        self._due = math.inf
        self._heard = time.monotonic()
        self._bring_back = bring_back
        self._gone = False
        self._may_close = self._acted = False
        self.hung = False
        self.died: list[Died] = []
        self.stage = page.stage
        self._subject: Target | None = None

    def bound(self, seconds: float) -> None:
        """Kill the browser when the time is over: nothing else ends a script that hangs in the page."""
        self._due = time.monotonic() + seconds
        self._watchdog.until(self._due)

    def rest(self, seconds: float) -> None:
        """Wait, and handle the events of the page: Playwright does that in its own calls only."""
        try:
            self.stage.page.wait_for_timeout(1000 * seconds)
        except Error:  # the page is closed
            time.sleep(seconds)

    def _cut_off(self) -> None:
        self.hung = True
        _kill_browser()

    def cookies(self) -> list[dict[str, Any]]:
        """Return the cookies of all sites. Raises StepError: the browser does not answer."""
        return list(self._given(self._context.cookies))

    def storage(self) -> dict[str, Any]:
        """Return cookies and storage as they are. Raises StepError: the browser does not answer."""
        return dict(self._given(partial(self._context.storage_state, indexed_db=True)))

    def _given(self, ask: Callable[[], Any]) -> Any:
        try:
            return well_formed(ask())
        except Error as error:
            message = f"the {self.browser} does not give its storage: {first_line(error.message)}"
            raise StepError("error", "crash", message) from None

    def do(self, job: Job) -> Effort:
        """Carry out a step.

        Raises:
            StepError: it failed.
        """
        self._catch_up()
        dialogs = self.stage.watch.dialogs
        try:
            effort = self._attempted(job)
        except StepError as failed:
            raise dialogs.instead_of(failed) from None
        dialogs.check()
        self._check_page()
        return effort

    def _check_page(self) -> None:
        """Check a new page for accessibility, where the test asks for that; one that is left meanwhile is not."""
        watch, page = self.stage.watch, self.stage.page
        if watch.unaudited(page):
            with suppress(Error):
                watch.audited(page, audit(page, EVERY_RULE) if page.evaluate(LOADED_PAGE) else None)

    def _attempted(self, job: Job) -> Effort:
        self.stage.pages.before.append(tuple(self._context.pages))
        verb = job.step.verb
        follows = self._may_close
        if verb != "dialog":
            self._may_close = verb in CLOSING
        try:
            if self.stage.pages.lost() and not needs_no_page(job):
                self._return_to_main(follows=follows)
            return self._do(job)
        except StepError as failed:
            if self.stage.pages.lost() and not needs_no_page(job):
                done = verb in CLOSING and self._acted
                self._return_to_main(follows=done or (follows and STEPS[verb].idempotent))
                return Effort(calls=1) if done else self._do(job)
            text = "" if self._gone or self.hung else self.stage.pages_text()
            if text:
                add_pages(failed, text)
            raise

    def _return_to_main(self, *, follows: bool) -> None:
        """Continue on the first page after the current one, which another page opened, was closed.

        Raises:
            StepError: no action of a step has closed it.
        """
        pages = self.stage.pages
        name = pages.name_of(pages.current)
        self.stage.show(pages.main)
        if not follows:
            failed = was_closed(name)
            add_pages(failed, self.stage.open_pages())
            raise failed

    def _do(self, job: Job) -> Effort:
        limit, watch = limit_of(job), self.stage.watch
        moves, stayed = watch.moves, watch.dialogs.stayed
        if job.step.verb in MOVES:
            watch.own.leaving()
        if limit is not None:
            self._watchdog.until(min(self._due, time.monotonic() + limit + HUNG_SECONDS))
        try:
            VERBS[job.step.verb](self.stage, job)
        except StepError as failed:
            raise self._explained(job, failed) from None
        except Error as error:
            self._acted = acted(job.step.verb, error.message)
            meant = self._failure(job, error)
            if job.step.verb in MOVES:
                self._halt()
            if job.step.verb in MOVES and watch.dialogs.stayed > stayed and meant.kind == "connection":
                meant = kept_by_dialog(job)
            raise self._explained(job, meant) from None
        finally:
            self._watchdog.until(self._due)
            self._heard = time.monotonic()
        if self._crashed():
            raise StepError("error", "crash", "the page crashed")
        if job.step.verb in MOVES and watch.moves == moves:
            raise not_moved(job)
        return Effort(calls=1)

    def _explained(self, job: Job, failed: StepError) -> StepError:
        """Return a failure with which elements match, or what is near the target."""
        target, page = job.step.target, self.stage.page
        self._subject = target
        if not failed.lookup or target is None:
            return failed
        self._watchdog.until(self._due)
        with suppress(Error):
            if failed.lookup == "several":
                add_matches(failed, locate(page, target).evaluate_all(DESCRIBE))
            elif target.by == "testid":
                add_near(failed, near_testids(target.value, body_of(page, target).evaluate(TESTIDS)))
            else:
                snapshot = body_of(page, target).aria_snapshot(timeout=LOOK_SECONDS * 1000)
                add_near(failed, [one.text() for one in nearest(target, named(snapshot))])
        return failed

    def _catch_up(self) -> None:
        """Hear what happened while no call was made: a dialog that nothing answers holds up the step that is begun over it."""
        if time.monotonic() - self._heard > DEAF_SECONDS:
            with suppress(Error):
                self._context.cookies([])

    def _failure(self, job: Job, error: Error) -> StepError:
        """Return the failure of the step for an error of Playwright."""
        if self.hung:
            message = "the page hangs; its browser was ended"
            return unmet(message, found="no answer", hint="search for a script or a pattern that never ends")
        meaning = read(error.message)
        if meaning.kind == "crash" and not self._answers():
            self._gone = True
            return StepError("error", "crash", f"the {self.browser} died in this step", found=first_line(error.message))
        if meaning.kind == "crash" and self.stage.page.is_closed():
            return was_closed("")
        if self._crashed() or (meaning.kind == "crash" and not self._page_answers()):
            self.stage.watch.crashed = True  # known before the event has come
            return StepError("error", "crash", "the page crashed in this step", found=meaning.found)
        if meaning.kind == "crash":  # the words of a page that is well
            meaning = Meaning("other", meaning.found)
        return failure_of(job, meaning)

    def _halt(self) -> None:
        """Give up a navigation that has not come to its end: a page that waits for one gives no picture."""
        with suppress(Error):  # other engines than Chromium have no such call
            session = self._context.new_cdp_session(self.stage.page)
            session.send("Page.stopLoading")
            session.detach()

    def _answers(self) -> bool:
        """Return True if the browser lives: asked, because the news of its death comes after that of its pages."""
        try:
            self._context.cookies()
        except Error:
            return False
        return True

    def _page_answers(self) -> bool:
        try:
            self.stage.page.evaluate("0")
        except Error:
            return False
        return True

    def keep_evidence(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Return a picture, the page as text, its console and network, and the trace where one is recorded."""
        evidence = self.picture(folder, name)
        if evidence and self._subject is not None:
            evidence = [msgspec.structs.replace(evidence[0], marks=self._marks(self._subject))]
        if evidence:  # a page that shows no picture gives no text either
            with suppress(Error, OSError):
                snapshot = self.stage.page.aria_snapshot(mode=MODE, timeout=PICTURE_SECONDS * 1000)
                evidence += keep_page_text(folder, snapshot, self.stage.watch.mask)
        if self._traced:
            self._traced = False
            with suppress(Error, OSError):
                self._context.tracing.stop(path=folder / TRACE)
                evidence.append(EvidenceFile(TRACE, "trace"))
        with suppress(OSError):  # a full disk must not hide why the test failed
            evidence += self.stage.watch.write(folder)
        return evidence

    def picture(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Return a picture of the page as it is now; nothing when none is to be had."""
        return self._picture(folder / f"{name}.png", "screenshot", WHOLE)

    def step_picture(self, folder: Path, name: str) -> list[EvidenceFile]:
        """Return a small picture of the page after a step; nothing when none is to be had."""
        return self._picture(folder / f"{name}.jpg", "picture", SMALL)

    def _picture(self, file: Path, kind: str, options: Mapping[str, Any]) -> list[EvidenceFile]:
        with suppress(Error, OSError):
            with self.stage.picturing():
                self.stage.page.screenshot(path=file, timeout=PICTURE_SECONDS * 1000, **options)
            return [EvidenceFile(file.name, kind)]
        return []

    def _marks(self, target: Target) -> tuple[Box, ...]:
        """Return where the elements of the failed step are now."""
        with suppress(Error):
            elements = locate(self.stage.page, target).element_handles()[:MOST_MARKS]
            return boxes(element.bounding_box() for element in elements)
        return ()

    def seen(self) -> Seen:
        """Return the events of the page outside the steps. A call fetches the events before it."""
        watch = self.stage.watch
        for _ in range(SIZE_TRIPS):
            if not watch.observed.waiting():
                break
            with suppress(Error):
                self._context.cookies([])
        dialogs = watch.dialogs
        unmet = watch.mocks.unwritten() or dialogs.missing()
        return Seen(watch.observed.signs, tuple(dialogs.unasked), watch.observed.network(), unmet)

    def film(self, file: Path) -> str:
        """Begin a video of the page; why there is none, or nothing."""
        try:
            self.stage.page.screencast.start(path=file, size=self._size)
        except Error as error:
            return film_fault(error.message)
        return ""

    def film_end(self) -> None:
        """End the video."""
        with suppress(Error):
            self.stage.page.screencast.stop()

    def facts(self) -> dict[str, Any]:
        """Return the version of the browser, and how often the page complained."""
        watch = self.stage.watch
        return {"browser": self._version, **watch.facts(), **watch.substituted()}

    def carrier(self) -> Carrier:
        """Return the parts that died under the test. The browser is fit again after that."""
        died = self._gone or not self._living()
        if not self.hung and (died or self._crashed()):
            self._watchdog.until(math.inf)  # it would end the new browser
            reason = f"the {self.browser} died" if died else "the page crashed"
            self.died.append(self._bring_back(reason, alive=not died))
        return Carrier({"browser": not self.died or bool(self.died[-1].recovery_steps)}, tuple(self.died))

    def _crashed(self) -> bool:
        return self.stage.watch.crashed

    def _living(self) -> bool:
        browser = self._context.browser
        return browser is not None and browser.is_connected()

    def close(self) -> None:
        """Close the context; a browser that does not answer is ended."""
        self._watchdog.until(min(self._due, time.monotonic() + CLOSE_SECONDS))
        with suppress(Exception):  # a browser that died has closed it already
            self._context.close()
        self._let_go()
        self._watchdog.close()

    def _let_go(self) -> None:
        """Do nothing: the browser stays warm."""


def died_of(reason: str, *recovery_steps: str, before: bool = False, seconds: float = 0.0) -> Died:
    """Return the death of the browser, or of a page in it, `before` the test or in it; how it was brought back, and how fast."""
    return Died(part="browser", reason=reason, recovery_steps=recovery_steps, before=before, seconds=round(seconds, 3))


def _kill_browser() -> None:
    """Kill what our Playwright process has started: the browser and its parts."""
    with suppress(psutil.Error):
        for child in psutil.Process(os.getpid()).children():
            with suppress(psutil.Error):
                for started in child.children(recursive=True):
                    with suppress(psutil.Error):
                        started.kill()


def first_line(message: str) -> str:
    """Return the first line of an error of Playwright."""
    lines = message.strip().splitlines()
    return lines[0] if lines else ""
