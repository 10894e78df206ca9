"""The pauses of an attempt, in which a person looks at its page: messages between a worker and the run.

A worker sends `Paused` and waits for a `Reply`. A step that was tried leads to another `Paused`, with its failure or none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from orchestra.ledger.parts import Section
from orchestra.runtime.attempt import AttemptFailure, Pausing, Result
from orchestra.steps.step import Step

PAUSED = b'"paused" '
"""The beginning of the line of a worker; a result is a JSON object, so it is none."""

REPLY = b'"reply" '
"""The beginning of the line of the run; a request is a JSON object, so it is none."""

PAUSED_NOTE = "paused"
"""The kind of the note about the pauses of an attempt."""

TRY_SECONDS = 5.0
"""The time that a tried step waits for its element or condition, unless it has a time of its own."""

TRY_LIMIT_SECONDS = 120.0
"""The limit of a tried step, whatever hangs."""


class Paused(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attempt that waits for a person.

    Attributes:
        task: `cli:B004`.
        section: of the step.
        position: of the step in its section, from 0; None after the last step, when the page has failed the test.
        failure: of the step, or of the tried one; None before a step, and after a tried one that passed.
        failed: whether it waits at a failure, whatever was tried since.
        tried: whether this is the answer to a tried step.
    """

    task: str
    section: Section
    position: int | None
    failure: AttemptFailure | None = None
    failed: bool = False
    tried: bool = False


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decision of a person.

    Attributes:
        action: `go` runs on, after a failure to the end of the attempt; `step` runs one step; `again` runs the failed
            step and all that follow; `try` carries out `steps`; `quit` ends the run.
        steps: to try.
    """

    action: Literal["go", "step", "again", "try", "quit"]
    steps: tuple[Step, ...] = ()


def changed_by_hand(result: Result) -> bool:
    """Return whether a person tried or repeated steps in the pauses of an attempt, so that its pass proves less."""
    return any(note.kind == PAUSED_NOTE and (note.data["tried"] or note.data["retried"]) for note in result.notes)


class Pauser(Protocol):
    """Asks a person. Each method returns at once.

    Attributes:
        pausing: where an attempt pauses.
    """

    @property
    def pausing(self) -> Pausing:
        """Return where an attempt pauses."""

    def ask(self, paused: Paused, answer: Callable[[Reply], None]) -> None:
        """Ask about an attempt; `answer` may be called by any thread, once."""

    def over(self, task: str) -> None:
        """Ask no more about an attempt: it has ended."""
