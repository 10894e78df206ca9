"""`expect` and `wait` of the method `mcp`: asked again until it holds, ended early when it does.

The wording of failures is that of the driver `playwright`.
"""

from __future__ import annotations

import time
from typing import Any

from orchestra.runtime.driver.accessibility import expect_accessible
from orchestra.runtime.driver.call_log import CallLog
from orchestra.runtime.driver.contract import Job, unmet
from orchestra.runtime.driver.failure import NOTHING, ambiguous, condition_failure, failure_of, lookup_of
from orchestra.runtime.driver.fault import Meaning, seen
from orchestra.runtime.driver.look import expect_look, take
from orchestra.runtime.driver.mcp.client import CallOverError
from orchestra.runtime.driver.mcp.result import Answer
from orchestra.runtime.driver.mcp.send import Sender
from orchestra.runtime.driver.mocking import expect_requests
from orchestra.runtime.driver.pages import was_closed
from orchestra.runtime.driver.wording import condition_text, quoted, seconds_text, subject_text, target_text
from orchestra.steps.conditions import conditions, conditions_of_target
from orchestra.steps.target import js_locator, target_of
from orchestra.steps.tool_call import ToolCall

ONCE_SECONDS = 1.0
"""A question is asked once at least, and given this long for it, however short its own limit is."""

MARGIN_SECONDS = 3.0
"""The time of a wait beyond the limit inside the page."""

_WAITS_ON = ("unmet", "absent", "blocked")


def expect(sender: Sender, job: Job) -> None:
    """Each condition, one after the other.

    Raises:
        StepError: one does not hold in its time.
        ServerLostError: the server is gone or does not answer.
    """
    if "a11y" in job.args:
        expect_accessible(job, sender.page.audit, sender.sleep)
    if "request" in job.args:
        expect_requests(job, lambda: sender.page.requests, sender.sleep)
    if "look" in job.args:
        page = sender.page
        written = expect_look(job, lambda old, limit: page.shot(lambda one: take(one, job, old, limit), limit))
        page.looks.update(written)
        return
    questions = [
        (f"the page's {part}", condition_text(name, wanted, negated=negated))
        for part, wanted_of in job.args.get("page", {}).items()
        for name, wanted, negated in conditions(wanted_of)
    ]
    questions += [
        (subject_text(job.step.target, one.of), condition_text(one.name, one.wanted, negated=one.negated))
        for one in conditions_of_target(job.args)
    ]
    for call, (subject, phrase) in zip(sender.calls(job), questions, strict=True):
        _ask(sender, job, call, subject, phrase)


def _ask(sender: Sender, job: Job, call: ToolCall, subject: str, phrase: str) -> None:
    own = float(job.args["within_seconds"])
    clock = sender.clock
    end = clock() + job.deadline.limit(own)
    last, log = Meaning("unmet"), CallLog(f"{subject} {phrase}", clock)
    negative: float | None = None
    for pause in sender.pauses():
        if sender.page.lost():
            raise was_closed("")
        try:
            answer = sender.send(call, max(end - clock(), min(ONCE_SECONDS, job.deadline.left())))
        except CallOverError:
            raise condition_failure(subject, phrase, job.allowed(own), last, log.text()) from None
        now = clock()
        value = answer.value() if answer.has_value else None
        if (answer.absent and call.absent_ok) or (isinstance(value, dict) and value.get("ok")):
            sender.tally.lag_seconds = None if negative is None else now - negative
            return
        negative = now
        last = _seen(answer, value, last)
        log.see(last)
        if now >= end or last.kind not in _WAITS_ON:
            raise condition_failure(subject, phrase, job.allowed(own), last, log.text())
        sender.tally.polls += 1
        sender.sleep(min(pause, end - now))


def _seen(answer: Answer, value: Any, last: Meaning) -> Meaning:
    """Return the found value of a query that failed."""
    if isinstance(value, dict):
        return seen(value.get("found"))
    if answer.failed and not answer.moved_on:
        return answer.meaning()
    return last


def wait(sender: Sender, job: Job) -> None:
    """Wait in calls of at most `poll_seconds`, each of which ends with the change; armed again after a navigation.

    Raises:
        StepError: it does not come, the marker of failure comes first, or several elements match.
        ServerLostError: the server is gone or does not answer.
    """
    own = float(job.args["within_seconds"])
    end = sender.clock() + job.deadline.limit(own)
    found = NOTHING
    for pause in sender.pauses():
        if sender.page.lost():
            raise was_closed("")
        left = max(0.001, end - sender.clock())
        (call,) = sender.calls(job, within_seconds=left)
        try:
            answer = sender.send(call, min(left, sender.poll_seconds) + MARGIN_SECONDS)
        except CallOverError:
            break
        sender.tally.polls += 1
        value = answer.value() if answer.has_value else None
        if isinstance(value, dict):
            if value["ok"]:
                sender.tally.lag_seconds = _lag(value)
                return
            _raise_failure(sender, job, value)
            found = value.get("found") or NOTHING
        elif answer.failed and not answer.moved_on:
            meaning = answer.meaning()
            if meaning.kind not in _WAITS_ON:
                raise failure_of(job, meaning)
            found = meaning.found or found
        if sender.clock() >= end:
            break
        if not isinstance(value, dict):
            sender.sleep(pause)
    subject, state = target_text(job.step.target), job.args["be"]
    message = f"waited {seconds_text(job.allowed(own))} for {subject} to be {state}"
    raise unmet(message, expected=f"{subject} {state}", found=found, lookup=lookup_of(found))


def _raise_failure(sender: Sender, job: Job, value: dict[str, Any]) -> None:
    """Return the failure of a wait that did not end well.

    Raises:
        StepError: waiting longer is of no use.
    """
    subject, state = target_text(job.step.target), job.args["be"]
    if value.get("reason") == "strict":
        raise ambiguous(subject, int(value["found"]))
    marker = target_of(job.args.get("unless", {}))
    if value.get("reason") != "unless" or marker is None:
        return
    shown = f"{js_locator(marker)}.filter({{ visible: true }}).first()"
    look = ToolCall("browser_evaluate", {"target": shown, "function": "(element) => element.textContent"})
    text = str(sender.send(look, ONCE_SECONDS).value() or "")
    message = f"{target_text(marker)} came before {subject} was {state}"
    raise unmet(message, expected=f"{subject} {state}", found=quoted(" ".join(text.split())))


def _lag(value: dict[str, Any]) -> float | None:
    """Return how long ago the page saw it, by the clock of this machine; None where the page was not asked."""
    at = value.get("at")
    return None if at is None else max(0.0, time.time() - at / 1000)
