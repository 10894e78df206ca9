"""Track an MCP session since the end of the last test: its repairs, and the parts that died and came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from orchestra.ledger.parts import Died

Continuity = Literal["new", "kept", "restored", "lost"]
Part = Literal["browser", "server"]


@dataclass(slots=True)
class Repairs:
    """The repairs of one test.

    Attributes:
        continuity: whether the session is the one of the test before.
        reasons: why it was repaired, in order.
        died: each part that died.
    """

    continuity: Continuity = "new"
    reasons: list[str] = field(default_factory=list)
    died: list[Died] = field(default_factory=list)

    def repaired(self, reason: str) -> None:
        """Note a repair after which the session is still the same one."""
        self.reasons.append(reason)
        if self.continuity == "kept":
            self.continuity = "restored"

    def lost(self, reason: str) -> None:
        """Note that the session of the test before is gone."""
        self.reasons.append(reason)
        self.continuity = "lost"

    def came_back(
        self, part: Part, reason: str, *recovery_steps: str, before: bool = False, seconds: float = 0.0
    ) -> None:
        """Note that a part died: an incident of its row.

        Args:
            part: that died.
            reason: why it counts as dead.
            recovery_steps: the steps that brought it back; none when it is not there yet.
            before: it died before the test, not in it.
            seconds: until it was back.
        """
        self.died.append(
            Died(part=part, reason=reason, recovery_steps=recovery_steps, before=before, seconds=round(seconds, 3))
        )
