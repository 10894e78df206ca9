"""The pages of a test: the first one, and the tabs and popups that it opens, each under a name, for both browser drivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from orchestra.runtime.driver.contract import Job, StepError, unfit, unmet
from orchestra.runtime.driver.wording import quoted, seconds_text
from orchestra.steps.verbs.pages import MAIN
from orchestra.suggest import did_you_mean

CLOSING = frozenset({"click", "press"})
"""The actions after which a tab or popup may be closed by itself."""

NO_PAGE = "no page"
"""The value that a step finds in place of a page that was closed."""

LOOK_SECONDS = 0.05
"""The pause between two looks for a page that is to open."""


class _Closable(Protocol):
    def is_closed(self) -> bool: ...


_Page = TypeVar("_Page", bound=_Closable)


@dataclass
class Pages(Generic[_Page]):
    """The pages of a test by name.

    Attributes:
        named: the pages with a name, in the order in which they got it.
        current: the page on which steps are carried out.
        before: for each step so far, the pages that were open at its begin.
    """

    current: _Page
    named: dict[str, _Page] = field(default_factory=dict)
    before: list[tuple[_Page, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.named.setdefault(MAIN, self.current)

    @property
    def main(self) -> _Page:
        """The first page."""
        return self.named[MAIN]

    def lost(self) -> bool:
        """Return True if the current page, which another page opened, was closed."""
        return self.current is not self.main and self.current.is_closed() and not self.main.is_closed()

    def opened(self, pages: Sequence[_Page], job: Job) -> _Page | None:
        """Return the oldest page of a browser that has no name yet; only one that the steps of `opens_with` have opened.

        These steps come right before the step itself, which has their number.
        """
        steps = job.args.get("opening_steps")
        older = self.before[-steps - 1 :][0] if steps and self.before else ()
        return next((page for page in pages if page not in self.named.values() and page not in older), None)

    def page(self, name: str) -> _Page:
        """Return a page by its name.

        Raises:
            StepError: no page of the test has this name.
        """
        if name not in self.named:
            known = ", ".join(map(quoted, self.named))
            hint = "name a page that was opened with `page: {as: NAME}`"
            raise unfit(
                f"no page is named {quoted(name)}{did_you_mean(name, self.named)}; known are {known}", hint=hint
            )
        return self.named[name]

    def name_of(self, page: _Page) -> str:
        """Return the name of a page, empty for one without a name."""
        return next((name for name, known in self.named.items() if known is page), "")

    def text(self, shown: Sequence[tuple[_Page, str]]) -> str:
        """Return open pages with their addresses for a message."""
        parts = []
        for page, url in shown:
            name = self.name_of(page)
            mark = ", current" if page is self.current else ""
            parts.append(f"{quoted(name) if name else 'one without a name'} ({url}{mark})")
        return f"open pages: {', '.join(parts)}"


def none_opened(job: Job) -> StepError:
    """Return the failure of a `page` step for which no page was opened."""
    name, limit = quoted(job.text("as")), seconds_text(job.allowed())
    message = f"no page opened within {limit} that could be named {name}"
    return unmet(message, expected="a new tab or popup", found="none", hint="open it in a step before this one")


def taken(name: str) -> StepError:
    """Return the failure of a `page` step whose name is that of an open page."""
    return unfit(f"a page is named {quoted(name)} already", hint="choose another name, or close that page first")


def gone(name: str) -> StepError:
    """Return the failure of a step for a page that was closed."""
    return unmet(f"the page {quoted(name)} is closed", expected="an open page", found=NO_PAGE)


def was_closed(name: str) -> StepError:
    """Return the failure of a step whose page was closed before it or in it."""
    named = f"the page {quoted(name)}" if name else "the page"
    hint = "return to another page with `page`, and keep the first one open"
    return unmet(f"{named} was closed", expected="an open page", found=NO_PAGE, hint=hint)


def needs_no_page(job: Job) -> bool:
    """Return True if a step does nothing on the current page."""
    return job.step.verb in ("page", "dialog", "mock", "har", "clock") or (
        job.step.verb == "close_page" and "name" in job.args
    )


def acted(verb: str, message: str) -> bool:
    """Return True if the error of an action on an element reports that it had begun when its page was closed.

    Without a log of the call the action is that of the keyboard, which waits for no element.
    """
    log = message.partition("Call log:")[2]
    if verb == "click":
        return "performing click action" in log
    return not log or "locator resolved to" in log


def main_stays() -> StepError:
    """Return the failure of closing the first page."""
    return unfit(f'the page "{MAIN}" stays open until the end of the test', hint="close the other pages only")


def add_pages(failed: StepError, text: str) -> None:
    """Add the open pages to the hint of a failure."""
    failed.hint = f"{failed.hint}; {text}" if failed.hint else text
