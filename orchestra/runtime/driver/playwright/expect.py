"""`expect` by Playwright's own assertions."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from playwright.sync_api import Error, Locator, Page, expect

from orchestra.pattern import PatternFaultError, compiled
from orchestra.runtime.driver.call_log import CallLog
from orchestra.runtime.driver.contract import Job
from orchestra.runtime.driver.failure import condition_failure
from orchestra.runtime.driver.fault import Meaning, call_log, read, read_assertion, seen
from orchestra.runtime.driver.wording import condition_text, subject_text
from orchestra.steps import condition_script
from orchestra.steps.conditions import ASSERTIONS, Condition, conditions, conditions_of_target

_POLL_MS = 100.0
ONCE_SECONDS = 1.0
"""A question is asked once at least, and given this long for it, however short its own limit is."""

_ASKED = frozenset({"have_values"})
"""Conditions that a script of the page checks, as by the method `mcp`, although Playwright has an assertion."""


def expect_element(job: Job, locator: Locator) -> None:
    """Each condition of `to`, one after the other.

    Raises:
        StepError: one does not hold in its time.
        playwright.sync_api.Error: the page or the browser is gone.
    """
    for condition in conditions_of_target(job.args):
        subject = subject_text(job.step.target, condition.of)
        phrase = condition_text(condition.name, condition.wanted, negated=condition.negated)
        call = _assertion(locator, condition) if condition.of == "one" else None
        if call is not None:
            _assert(job, subject, phrase, call, tree=condition.name == "aria")
        elif condition.of == "one":
            question = condition_script.element_question(condition.name, condition.wanted, negated=condition.negated)
            _ask(job, subject, phrase, locator.page, partial(_evaluate, locator, question))
        else:
            _ask(
                job,
                subject,
                phrase,
                locator.page,
                partial(_evaluate_all, locator, condition_script.set_question(condition)),
            )


def expect_page(job: Job, page: Page) -> None:
    """Each condition on the page's url and title.

    Raises:
        StepError: one does not hold in its time.
        playwright.sync_api.Error: the page or the browser is gone.
    """
    for part, wanted_of in job.args["page"].items():
        for name, wanted, negated in conditions(wanted_of):
            subject, phrase = f"the page's {part}", condition_text(name, wanted, negated=negated)
            value: Any = re.compile(re.escape(wanted)) if name == "contain" else wanted
            value = _pattern(wanted) if name == "match" else value
            if value is None:
                question = condition_script.page_question(part, name, wanted, negated=negated)
                _ask(job, subject, phrase, page, partial(_evaluate_page, page, question))
            else:
                _assert(job, subject, phrase, _call(page, f"to_have_{part}", value, negated=negated))


def _pattern(source: str) -> re.Pattern[str] | None:
    """Return a pattern that Playwright hands to JavaScript as it is written; None when Python cannot hold it."""
    try:
        return compiled(source)
    except PatternFaultError:
        return None


def _call(subject: Any, method: str, *wanted: Any, negated: bool) -> Callable[..., None]:
    return partial(getattr(expect(subject), f"{'not_' if negated else ''}{method}"), *wanted)


def _assertion(locator: Locator, asked: Condition) -> Callable[..., None] | None:
    """Return the assertion of Playwright that a condition is, or None: Playwright for Python has none."""
    name, wanted, negated = asked.name, asked.wanted, asked.negated
    if name == "be":
        if negated and wanted == "in_viewport":  # Playwright's own holds where no element matches
            return None
        return _call(locator, f"to_be_{wanted}", negated=negated)
    if name == "have_attribute":
        ((key, value),) = wanted.items()
        return None if value is None else _call(locator, "to_have_attribute", key, value, negated=negated)
    value = _pattern(wanted) if name == "match" else wanted
    if name not in ASSERTIONS or name in _ASKED or value is None or isinstance(value, dict):
        return None
    return _call(locator, ASSERTIONS[name], value, negated=negated)


def _assert(job: Job, subject: str, phrase: str, call: Callable[..., None], *, tree: bool = False) -> None:
    own = float(job.args["within_seconds"])
    try:
        call(timeout=job.deadline.limit(own) * 1000)
    except AssertionError as error:
        meaning = read_assertion(str(error))
        if meaning.kind == "crash":
            raise Error(str(error)) from None
        if tree and meaning.kind == "unmet":  # Playwright prints the mapping that it got from its server
            meaning = Meaning("unmet", ast.literal_eval(meaning.found)["raw"])
        raise condition_failure(subject, phrase, job.allowed(own), meaning, call_log(str(error))) from None


def _evaluate(locator: Locator, question: str, limit: float) -> Any:
    return locator.evaluate(question, timeout=limit)


def _evaluate_all(locator: Locator, question: str, _limit: float) -> Any:
    return locator.evaluate_all(question)


def _evaluate_page(page: Page, question: str, _limit: float) -> Any:
    return page.evaluate(question)


def _ask(job: Job, subject: str, phrase: str, page: Page, ask: Callable[[float], Any]) -> None:
    """Check a condition that Playwright for Python lacks: query the page until the time is over.

    These are conditions on all matches, numbers, styles (Playwright accepts a property that does not exist), and a
    pattern with what JavaScript has and Python has not, as `(?<name>…)` and `[^]`.
    """
    own = float(job.args["within_seconds"])
    end = job.deadline.clock() + job.deadline.limit(own)
    least = min(ONCE_SECONDS, job.deadline.left())
    answer: dict[str, Any] | None = None
    log = CallLog(f"{subject} {phrase}", job.deadline.clock)
    while True:
        left = end - job.deadline.clock()
        try:
            answer = ask(max(1.0, left * 1000, least * 1000 if answer is None else 0))
        except Error as error:
            meaning = read(error.message)
            if meaning.kind == "crash":
                raise
            if meaning.kind not in ("absent", "blocked"):
                raise condition_failure(subject, phrase, job.allowed(own), meaning, log.text()) from None
        if answer is not None and answer["ok"]:
            return
        last = seen(None if answer is None else answer["found"])
        log.see(last)
        if end - job.deadline.clock() <= 0:
            raise condition_failure(subject, phrase, job.allowed(own), last, log.text())
        page.wait_for_timeout(min(_POLL_MS, max(1.0, left * 1000)))
