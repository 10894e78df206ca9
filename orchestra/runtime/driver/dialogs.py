"""Answer the dialogs of a page, the same for every driver.

A step `dialog` answers the next dialog. One that no step answers is dismissed and counts as unasked; only
`beforeunload`, by which a page asks whether it may be left, is accepted then: a step that leaves the page leaves it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

SHOWN_LETTERS = 200
LEAVING = "beforeunload"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a dialog."""

    accept: bool
    text: str | None = None


@dataclass
class Dialogs:
    """The answers that steps have given, and the dialogs that no step answers.

    Attributes:
        mask: takes secrets out before a message is cut.
        answers: those of the dialogs to come, in order.
        unasked: the dialogs that no step answers, as `TYPE: MESSAGE`.
        asked: how often a page asked whether it may be left.
        stayed: how often it was not left, because a `dialog` step dismissed that question.
    """

    mask: Callable[[str], str] = str
    answers: deque[Answer] = field(default_factory=deque)
    unasked: list[str] = field(default_factory=list)
    asked: int = 0
    stayed: int = 0

    def next_answer(self, kind: str, message: str) -> Answer:
        """Return the answer to a dialog that has opened."""
        self.asked += kind == LEAVING
        if not self.answers:
            if kind == LEAVING:
                return Answer(accept=True)
            self.unasked.append(self.describe(kind, message))
            return Answer(accept=False)
        answer = self.answers.popleft()
        self.stayed += kind == LEAVING and not answer.accept
        return answer

    def copy(self) -> Dialogs:
        """Return the state as it is now."""
        return replace(self, answers=deque(self.answers), unasked=list(self.unasked))

    def restore(self, state: Dialogs) -> None:
        """Go back to an earlier state: the dialog that was answered had closed by itself."""
        self.answers, self.unasked = deque(state.answers), list(state.unasked)
        self.asked, self.stayed = state.asked, state.stayed

    def describe(self, kind: str, message: str) -> str:
        """Return a dialog as the record shows it."""
        return f"{kind}: {self.mask(message)[:SHOWN_LETTERS]}"

    def facts(self) -> dict[str, object]:
        """Return the dialogs that no step answers, and how many answers no dialog came for."""
        unused = {"dialogs_that_never_came": len(self.answers)} if self.answers else {}
        return {**unused, **({"unexpected_dialogs": self.unasked} if self.unasked else {})}
