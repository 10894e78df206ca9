"""Failures of steps in words, the same for every driver: from the meaning of an error to a `StepError`."""

from __future__ import annotations

from orchestra.runtime.driver.contract import Job, Lookup, StepError, unfit, unmet
from orchestra.runtime.driver.fault import Meaning
from orchestra.runtime.driver.wording import quoted, seconds_text, target_text

NOTHING = "no element"

_UNTIL = "`until: domcontentloaded` does not wait for images, fonts and frames that the page loads"

MOVES = ("goto", "back", "reload")
"""The verbs that leave the page for another document, or for the same one again."""


def failure_of(job: Job, meaning: Meaning, seconds: float | None = None) -> StepError:
    """Return the failure of a step, by the meaning of its error.

    Args:
        job: the step.
        meaning: of the error.
        seconds: how long it waited, where that is not its own limit.
    """
    verb, subject = job.step.verb, target_text(job.step.target)
    limit = seconds_text(job.allowed(seconds))
    if meaning.kind == "strict":
        return ambiguous(subject, meaning.matches)
    if meaning.kind == "spec":
        return unfit(f"{verb} cannot be executed: {meaning.found}", hint="correct the step")
    if verb in MOVES and meaning.kind in ("connection", "absent"):
        url = quoted(job.args["url"]) if verb == "goto" else "the page"
        found = meaning.found or f"not loaded within {limit}"
        partly = verb == "goto" and not meaning.found and job.args.get("until", "load") == "load"
        hint = _UNTIL if partly else ""
        return StepError("failed", "connection", f"{url} cannot be opened: {found}", found=found, hint=hint)
    if meaning.kind == "absent" and job.step.target is not None:
        message = f"no element matches {subject} within {limit}"
        return unmet(message, expected=subject, found=NOTHING, lookup="absent")
    if meaning.kind == "loading":
        message = f"{verb} of {subject} was done, and the page that it asked for did not come within {limit}"
        return StepError("failed", "connection", message, expected="another page", found="no answer")
    if meaning.kind == "blocked":
        reason = meaning.found or "it is not ready"
        action = verb if job.step.target is None else f"{verb} of {subject}"
        return unmet(f"{action} is not possible: {reason}", found=meaning.found)
    return unmet(f"{verb} failed: {meaning.found or meaning.kind}", found=meaning.found)


def unready(job: Job, reason: str, passed: float, *, waits: bool) -> StepError | None:
    """Return the failure of a step whose element is not fit for it; None while it can still become so.

    Args:
        job: the step.
        reason: why it is not fit.
        passed: the seconds since the step began.
        waits: whether a request of the page is pending.
    """
    if passed < (job.own_seconds if waits else job.idle_seconds) and not job.deadline.over():
        return None
    return failure_of(job, Meaning("blocked", reason))


def kept_by_dialog(job: Job) -> StepError:
    """Return the failure of a navigation whose `beforeunload` dialog was dismissed."""
    message = f"{job.step.verb} did not leave the page: its beforeunload dialog was dismissed"
    hint = "accept it: `dialog: {accept: true}` before this step, or no `dialog` step at all"
    return unmet(message, expected="another page", found="the same page", hint=hint)


def not_moved(job: Job) -> StepError:
    """Return the failure of a navigation after which no document was committed."""
    if job.step.verb == "back":
        return unmet("back has no page to go to", expected="a page before this one", found="none")
    address = quoted(job.args["url"]) if job.step.verb == "goto" else "the page"
    found = "no document replaced the current one"
    return StepError("failed", "connection", f"{address} was not opened", expected=address, found=found)


def no_chooser(job: Job) -> StepError:
    """Return the failure of an upload to an element that is no file input and opens no file chooser."""
    reason = "it is not a file input, and a click on it opened no file chooser"
    return unmet(f"upload of {target_text(job.step.target)} is not possible: {reason}", found="no file chooser")


def no_download(job: Job) -> StepError:
    """Return the failure of a click after which nothing was downloaded."""
    limit = seconds_text(job.allowed())
    message = f"no download began within {limit} of the click on {target_text(job.step.target)}"
    return unmet(message, expected="a download", found="none")


def lookup_of(found: str) -> Lookup:
    """Return how a target failed to be one element, by what a wait for it has found."""
    return "absent" if found == NOTHING else ""


def condition_failure(subject: str, phrase: str, seconds: float, meaning: Meaning, log: str = "") -> StepError:
    """Return the failure of a condition, by the meaning of Playwright's answer, with its call log."""
    failed = _condition_failure(subject, phrase, seconds, meaning)
    failed.log = log
    return failed


def _condition_failure(subject: str, phrase: str, seconds: float, meaning: Meaning) -> StepError:
    message = f"expected {subject} {phrase} within {seconds_text(seconds)}"
    if meaning.kind == "spec":
        return unfit(f"{subject} cannot be checked: {meaning.found}", hint="correct the step")
    if meaning.kind == "strict":
        return ambiguous(subject, meaning.matches, expected=phrase)
    if meaning.kind == "absent":
        return unmet(f"{message}, but no element matches", expected=phrase, found=NOTHING, lookup="absent")
    if meaning.kind == "other":
        return unmet(f"{message}, but: {meaning.found}", expected=phrase, found=meaning.found)
    found = meaning.found if meaning.json else quoted(meaning.found)
    return unmet(message, expected=phrase, found=found if meaning.found else "nothing")


def ambiguous(subject: str, count: int, *, expected: str = "one element") -> StepError:
    """Return the failure of a target that must be one element and matches several."""
    hint = "select one: `nth: 0`, `exact: true`, or search inside another element with `within`"
    message = f"{subject} matches {count} elements"
    return unmet(message, expected=expected, found=f"{count} elements", hint=hint, lookup="several")
