"""The gates that every suite has, unless it defines its own under the same name.

They guard what a green run silently rests on. A suite changes one by a gate of the same name under `gates: after:`, with
its own condition, severity or message.
"""

from __future__ import annotations

from typing import Final

from orchestra.plan import Gate, Plan

_JUDGED = "passed + flaky + unchanged + failed + timeout + error + blocked + skipped + interrupted + excused == total"

STANDARD: Final[tuple[Gate, ...]] = (
    Gate("after", "all_judged", _JUDGED, message="a selected test has no verdict, or more than one"),
    Gate("after", "none_silent", "skipped_silently == 0", message="a test was left out without a reason"),
    Gate("after", "servers_up", "servers_down == 0", message="a required server or tool is not fit"),
    Gate("after", "plan_fresh", "plan_fresh == true", message="the spec was changed while its plan was run"),
    Gate(
        "after",
        "evidence_complete",
        "evidence_missing == 0",
        severity="warn",
        message="evidence of a failure is missing",
    ),
)
_BY_NAME: Final[dict[tuple[str, str], Gate]] = {(gate.phase, gate.name): gate for gate in STANDARD}


def gates_of(plan: Plan) -> tuple[Gate, ...]:
    """Return the gates of a plan, and the standard ones that it does not define itself."""
    own = {(gate.phase, gate.name) for gate in plan.gates}
    return (*plan.gates, *(gate for key, gate in _BY_NAME.items() if key not in own))


def is_standard(phase: str, name: str, expression: str) -> bool:
    """Return True if an evaluated gate is one of these."""
    gate = _BY_NAME.get((phase, name))
    return gate is not None and gate.require == expression
