"""The results that were seen by hand, each next to the verdicts of the methods. Pure.

They are claims: no count, gate or exit code of a run has them, so each form of a report has a table of its own for them.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from orchestra.ledger.event import Verdict
from orchestra.ledger.outcome import FINE
from orchestra.ledger.parts import Evidence
from orchestra.ledger.view import View

TITLE: Final = "Seen by hand"
NOTE: Final = "Claims with evidence, and no verdicts."
HEADS: Final = ("test", "claimed", "verdicts", "note", "evidence")


class ByHand(NamedTuple):
    """A claim about a test, and the verdicts of the methods by task."""

    test: str
    status: Literal["passed", "failed"]
    note: str
    evidence: tuple[Evidence, ...]
    verdicts: tuple[tuple[str, Verdict], ...]

    def cells(self, files: str) -> tuple[str, ...]:
        """Return the row of a table, with its files as they are named there."""
        verdicts = (f"{task} {word} ({agreement(word, self.status)})" for task, word in self.verdicts)
        return self.test, self.status, ", ".join(verdicts) or "none", self.note, files

    @property
    def paths(self) -> str:
        """Return the files of evidence, relative to the run's folder."""
        return ", ".join(one.path for one in self.evidence)


def agreement(verdict: Verdict, status: Literal["passed", "failed"]) -> str:
    """Return `differs` for a verdict that contradicts a claim, else `agrees`; `not executed` for a skipped test."""
    if verdict == "skipped":
        return "not executed"
    return "agrees" if (verdict in FINE) == (status == "passed") else "differs"


def by_hand(view: View) -> tuple[ByHand, ...]:
    """Return the claims of a run, in order."""
    return tuple(
        ByHand(
            body.test,
            body.status,
            body.note,
            body.evidence,
            tuple(
                (task, given.verdict)
                for task in view.selection
                if task.partition(":")[2] == body.test and (given := view.verdicts.get(task)) is not None
            ),
        )
        for body in (seen.body for seen in view.attested)
    )
