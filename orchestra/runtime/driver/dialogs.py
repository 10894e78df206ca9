"""Answer the dialogs of a page and check their type and texts, the same for every driver.

A step `dialog` answers the next dialog. One that no step answers is dismissed and counts as unasked; only
`beforeunload`, by which a page asks whether it may be left, is accepted then: a step that leaves the page leaves it.

A dialog holds its page up, so it is answered at once; whether it is the expected one is checked after the step that opened it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from orchestra.runtime.driver.content import matches
from orchestra.runtime.driver.contract import Job, StepError, Unmet, unmet
from orchestra.runtime.driver.wording import quoted

SHOWN_LETTERS = 200
LEAVING = "beforeunload"

_WHOLE = "whole"
_PHRASES = {_WHOLE: "the {}", "contain": "a {} that contains", "match": "a {} that matches"}
_NOUNS = {"message": "message", "default_value": "default value"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a dialog, and what is expected of it.

    Attributes:
        kind: its type; empty for any.
        texts: conditions of its `message` and of its `default_value`: `whole`, `contain`, `match`.
        at: the pointers of the step.
    """

    accept: bool
    text: str | None = None
    kind: str = ""
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    at: tuple[str, ...] = ()

    @property
    def expects(self) -> bool:
        """Return True if not every dialog will do."""
        return bool(self.kind or self.texts)

    @property
    def expected(self) -> str:
        """The expected dialog in words."""
        told = [_told(key, how, text) for key, wanted in self.texts.items() for how, text in wanted.items()]
        return f"{_named(self.kind)} with {' and '.join(told)}" if told else _named(self.kind)


def answer_of(job: Job) -> Answer:
    """Return the answer of a `dialog` step."""
    text = job.text("text") if "text" in job.args else None
    wanted = {"message": job.args.get("message"), "default_value": job.args.get("default_value")}
    texts = {key: one if isinstance(one, dict) else {_WHOLE: one} for key, one in wanted.items() if one is not None}
    kind = job.args.get("type", "prompt" if "default_value" in texts else "")
    return Answer(job.args["accept"], text, kind, texts, job.step.at)


class _Opened(NamedTuple):
    """A dialog that opened, and the answer to it."""

    answer: Answer
    kind: str
    texts: Mapping[str, str]


@dataclass
class Dialogs:
    """The answers that steps have given, and the dialogs that no step answers.

    Attributes:
        mask: takes secrets out before a message is cut.
        answers: those of the dialogs to come, in order.
        unasked: the dialogs that no step answers, as `TYPE: MESSAGE`.
        unchecked: the answered dialogs of which something is expected, until it is checked.
        asked: how often a page asked whether it may be left.
        stayed: how often it was not left, because a `dialog` step dismissed that question.
    """

    mask: Callable[[str], str] = str
    answers: deque[Answer] = field(default_factory=deque)
    unasked: list[str] = field(default_factory=list)
    unchecked: list[_Opened] = field(default_factory=list)
    asked: int = 0
    stayed: int = 0

    def next_answer(self, kind: str, message: str, default_value: str) -> Answer:
        """Return the answer to a dialog that has opened; only a prompt has a default value."""
        self.asked += kind == LEAVING
        if not self.answers:
            if kind == LEAVING:
                return Answer(accept=True)
            self.unasked.append(self.describe(kind, message))
            return Answer(accept=False)
        answer = self.answers.popleft()
        self.stayed += kind == LEAVING and not answer.accept
        if answer.expects:
            self.unchecked.append(_Opened(answer, kind, {"message": message, "default_value": default_value}))
        return answer

    def copy(self) -> Dialogs:
        """Return the state as it is now."""
        return replace(self, answers=deque(self.answers), unasked=list(self.unasked), unchecked=list(self.unchecked))

    def restore(self, state: Dialogs) -> None:
        """Go back to an earlier state: the dialog that was answered had closed by itself."""
        self.answers, self.unasked = deque(state.answers), list(state.unasked)
        self.unchecked = list(state.unchecked)
        self.asked, self.stayed = state.asked, state.stayed

    def check(self) -> None:
        """Check the dialogs that were answered since the last check.

        Raises:
            StepError: one is another dialog than its step expects.
        """
        opened, self.unchecked = self.unchecked, []
        for dialog in opened:
            wanted = dialog.answer
            of_other_kind = wanted.kind and dialog.kind != wanted.kind
            if of_other_kind or not all(
                _holds(dialog.texts[key], conditions) for key, conditions in wanted.texts.items()
            ):
                listed = [
                    key for key in dialog.texts if key == "message" or (key in wanted.texts and not of_other_kind)
                ]
                actual = f"{_named(dialog.kind)} with {' and '.join(_told(key, _WHOLE, dialog.texts[key]) for key in listed)}"
                raise unmet(f"expected {wanted.expected}, but {actual} opened", expected=wanted.expected, found=actual)

    def instead_of(self, failed: StepError) -> StepError:
        """Return why a step failed: a dialog that is not the expected one comes before what followed from it."""
        if failed.kind != "crash":
            try:
                self.check()
            except StepError as fault:
                return fault
        return failed

    def missing(self) -> Unmet | None:
        """Return the failure of a test at whose end an expected dialog has not opened; None without one."""
        wanted = next((answer for answer in self.answers if answer.expects), None)
        if wanted is None:
            return None
        message = f"expected {wanted.expected}, but no dialog opened"
        hint = "write the step before the one that opens the dialog"
        return Unmet(unmet(message, expected=wanted.expected, found="no dialog", hint=hint), wanted.at)

    def describe(self, kind: str, message: str) -> str:
        """Return a dialog as the record shows it."""
        return f"{kind}: {self.mask(message)[:SHOWN_LETTERS]}"

    def facts(self) -> dict[str, object]:
        """Return the dialogs that no step answers, and how many answers no dialog came for."""
        unused = {"dialogs_that_never_came": len(self.answers)} if self.answers else {}
        return {**unused, **({"unexpected_dialogs": self.unasked} if self.unasked else {})}


def _named(kind: str) -> str:
    return f"{'an' if kind.startswith('a') else 'a'} {kind} dialog" if kind else "a dialog"


def _told(key: str, how: str, text: str) -> str:
    return f"{_PHRASES[how].format(_NOUNS[key])} {quoted(text)}"


def _holds(found: str, conditions: Mapping[str, str]) -> bool:
    """Return True if a text is as expected, with white space collapsed except for a pattern.

    Raises:
        StepError: the pattern cannot be searched for.
    """
    shown = " ".join(found.split())
    for how, text in conditions.items():
        if how == "match":
            held = matches(text, found)
        else:
            wanted = " ".join(text.split())
            held = wanted == shown if how == _WHOLE else wanted in shown
        if not held:
            return False
    return True
