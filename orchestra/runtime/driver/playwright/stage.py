"""The stage of the verbs of the driver `playwright`: its pages, and how long a step waits for its element there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Error, Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from orchestra.runtime.driver.contract import Job, unfit
from orchestra.runtime.driver.emulation import FONTS_LOADED, FONTS_SECONDS, engine_of, styles
from orchestra.runtime.driver.failure import failure_of, unready
from orchestra.runtime.driver.fault import Meaning, read
from orchestra.runtime.driver.locators import locate
from orchestra.runtime.driver.pages import Pages, gone
from orchestra.runtime.driver.playwright.watch import PageWatch
from orchestra.steps.conditions import conditions

_POLL_MS = 50.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stage:
    """The context of verbs: the pages, their listener, and the folder into which their browser downloads; with `remote` it is
    on another machine, and a download is fetched into that folder.
    """

    pages: Pages[Page]
    watch: PageWatch
    downloads: Path
    remote: bool = False

    @property
    def page(self) -> Page:
        """The current page."""
        return self.pages.current

    def show(self, page: Page) -> None:
        """Make a page the current one.

        Raises:
            StepError: it is closed.
        """
        if page.is_closed():
            raise gone(self.pages.name_of(page))
        self.pages.current = page
        page.bring_to_front()

    def pages_text(self) -> str:
        """Return the open pages for a message; nothing while there is one alone."""
        return self.open_pages() if len(self.pages.main.context.pages) > 1 else ""

    def open_pages(self) -> str:
        """Return the open pages for a message."""
        return self.pages.text([(page, page.url) for page in self.pages.main.context.pages])

    @contextmanager
    def picturing(self) -> Iterator[None]:
        """Take a picture in it: its fonts are waited for, and what it makes the page complain of is not the page's."""
        with suppress(Error):
            self.page.wait_for_function(FONTS_LOADED, timeout=FONTS_SECONDS * 1000)
        self.watch.own.picture(styles(engine_of(self.page), len(self.page.frames)))
        try:
            yield
        finally:
            self.watch.own.pictured()


def limit_of(job: Job) -> float | None:
    """Return what a step may take by its own limits; None when it has none but the test's."""
    if job.step.verb == "evaluate":
        return None
    if job.step.verb != "expect":
        return job.own_seconds
    asked = [*job.args.get("page", {}).values(), *(job.args.get(key, {}) for key in ("to", "all", "any"))]
    return job.own_seconds * max(1, sum(1 for wanted_of in asked for _ in conditions(wanted_of)))


def element_of(stage: Stage, job: Job) -> Locator:
    """Return the element of a step on the current page.

    Raises:
        StepError: the step has no target.
    """
    if job.step.target is None:
        raise unfit(f"{job.step.verb} needs a target")
    locator: Locator = locate(stage.page, job.step.target)
    return locator


def milliseconds_of(job: Job, own: float | None = None) -> float:
    """Return what a call may take, in milliseconds. Never 0, which Playwright takes for no limit."""
    return max(1.0, job.deadline.limit(job.own_seconds if own is None else own) * 1000)


def patiently(stage: Stage, job: Job, act: Callable[[float], _T]) -> _T:
    """Do something to an element within the limit of the step; less long while no request of the page is under way.

    Args:
        stage: where the element is.
        job: the step.
        act: does it, within so many milliseconds.

    Raises:
        StepError: it could not be done, on a page that waits for nothing.
        playwright.sync_api.Error: it could not be done.
    """
    begun, moves = job.deadline.clock(), stage.watch.moves
    try:
        return act(milliseconds_of(job, job.idle_seconds))
    except PlaywrightTimeoutError as error:
        meaning = read(error.message)
        left = job.own_seconds - (job.deadline.clock() - begun)
        if meaning.kind == "loading":
            _await_document(stage, job, moves, left)
            return None  # type: ignore[return-value] # only a click comes here, which gives nothing
        if meaning.kind not in ("absent", "blocked") or job.idle_seconds >= job.own_seconds or job.deadline.over():
            raise
        if not stage.watch.waits:
            raise failure_of(job, meaning, job.idle_seconds) from None
    return act(max(1.0, min(left, job.deadline.left()) * 1000))


def until_fit(stage: Stage, job: Job, script: str) -> None:
    """Run a script on the element, or the page, that reports why it is not fit for the step, until it is.

    Raises:
        StepError: it is not fit in the time of the step.
    """
    begun = job.deadline.clock()
    while True:
        if job.step.target is None:
            reason = stage.page.evaluate(script)
        else:
            reason = _reason_at_once(stage, job, script)
            if reason is None:
                reason = patiently(stage, job, lambda ms: element_of(stage, job).evaluate(script, timeout=ms))
        if not reason:
            return
        failure = unready(job, reason, job.deadline.clock() - begun, waits=stage.watch.waits)
        if failure is not None:
            raise failure
        stage.page.wait_for_timeout(_POLL_MS)


def _reason_at_once(stage: Stage, job: Job, script: str) -> Any:
    """Return what the script returns for the one element that the target matches now; None where another number matches.

    One message to Playwright's process, where a wait for the element, the script and the end of its handle are three.
    """
    with suppress(Error):
        return element_of(stage, job).evaluate_all(f"(found) => found.length === 1 ? ({script})(found[0]) : null")
    return None


def _await_document(stage: Stage, job: Job, moves: int, left: float) -> None:
    """Wait for the document that a click has asked for, as long as the step may take; a load that failed ends the wait.

    Raises:
        StepError: it does not come in time.
    """
    end = job.deadline.clock() + min(left, job.deadline.left())
    while stage.watch.moves == moves and not stage.watch.failed:
        if job.deadline.clock() >= end:
            raise failure_of(job, Meaning("loading"))
        stage.page.wait_for_timeout(_POLL_MS)
