"""Let an attempt wait for a person at a step: before it, or after its failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from orchestra.ledger.event import Note
from orchestra.ledger.parts import Section
from orchestra.runtime.attempt import AttemptFailure, Pausing, Request
from orchestra.runtime.driver.contract import Session
from orchestra.runtime.early_end import EarlyEnd
from orchestra.runtime.pausing import PAUSED_NOTE, TRY_LIMIT_SECONDS, Paused, Reply
from orchestra.steps.step import Step

_REST_SECONDS: Final = 0.2
_FOR_EVER: Final = 1e7


class Pauses:
    """The pauses of one attempt.

    Args:
        request: of the attempt.
        session: its page; None without one.
        early: the clock that is held, and the replies.
        tell: sends a message to the run.

    Attributes:
        seconds: of all pauses, with the steps that were tried.
    """

    def __init__(
        self, request: Request, session: Session | None, early: EarlyEnd, tell: Callable[[Paused], None]
    ) -> None:
        self._task, self._pausing = request.task, request.pausing or Pausing()
        self._session, self._early, self._tell = session, early, tell
        self._stepping = self._pausing.step
        self._number = self._tries = self._retries = 0
        self.seconds = 0.0

    def before(self, section: Section, position: int) -> bool:
        """Return whether the attempt pauses before a step."""
        return self._stepping or (section == "steps" and position + 1 == self._pausing.until)

    def after_failure(self) -> bool:
        """Return whether the attempt pauses after a failure."""
        return self._stepping or self._pausing.on_fail

    def ask(
        self,
        section: Section,
        position: int | None,
        failure: AttemptFailure | None,
        attempt: Callable[[Step], AttemptFailure | None],
    ) -> bool:
        """Wait for the decision of a person. Return whether the failed step is to be carried out again.

        Args:
            section: of the step.
            position: of the step; None after the last one.
            failure: of the step; None before it.
            attempt: carries out a step that the person tries.
        """
        begun = time.monotonic()
        held = self._early.held
        self._number += 1
        self._bound(_FOR_EVER)
        failed = failure is not None
        reply = self._reply(Paused(self._task, section, position, failure, failed=failed))
        while reply.action == "try":
            self._tries += 1
            self._bound(TRY_LIMIT_SECONDS)
            refused = _first(reply.steps, attempt)
            self._bound(_FOR_EVER)
            reply = self._reply(Paused(self._task, section, position, refused, failed=failed, tried=True))
        again = failed and position is not None and reply.action in {"again", "step"}
        self._retries += again
        if reply.action != "again":
            self._stepping = reply.action == "step"
        taken = time.monotonic() - begun
        self._early.held = held + taken
        self.seconds += taken
        return again

    def notes(self) -> tuple[Note, ...]:
        """Return the remark that the record has on the pauses; nothing without one."""
        if not self._number:
            return ()
        counts = {"tried": self._tries, "retried": self._retries}
        parts = [f"{count} step{'s' * (count != 1)} {word}" for word, count in counts.items() if count]
        times = "once" if self._number == 1 else f"{self._number} times"
        message = f"{self._task} was paused {times}, for {self.seconds:.1f} s"
        data = {"task": self._task, "pauses": self._number, "seconds": round(self.seconds, 3), **counts}
        return (
            Note(kind=PAUSED_NOTE, message=": ".join((message, ", ".join(parts))) if parts else message, data=data),
        )

    def _reply(self, paused: Paused) -> Reply:
        self._tell(paused)
        reply = self._early.reply(self._rest)
        return msgspec.json.decode(reply, type=Reply) if reply else Reply("go")

    def _rest(self) -> None:
        if self._session is None:
            time.sleep(_REST_SECONDS)
        else:
            self._session.rest(_REST_SECONDS)

    def _bound(self, seconds: float) -> None:
        if self._session is not None:
            self._session.bound(seconds)


def _first(steps: Sequence[Step], attempt: Callable[[Step], AttemptFailure | None]) -> AttemptFailure | None:
    """Return the first failure of some steps; None if there is none."""
    return next((failure for step in steps if (failure := attempt(step)) is not None), None)
