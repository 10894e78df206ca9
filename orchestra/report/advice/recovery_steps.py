"""Collect the results of recovery steps over earlier runs, and suggest an order. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestra.instances import component_of
from orchestra.ledger.event import ServiceChanged
from orchestra.ledger.life import Seen
from orchestra.ledger.view import View
from orchestra.plan import Component
from orchestra.recovery import RECOVERY

ENOUGH = 3
"""The minimum of tries of a recovery step."""


@dataclass(slots=True)
class Record:
    """The tries of one recovery step of one component.

    Attributes:
        component, step: of the tries.
        seconds: of each try, in order.
        worked: how many brought it back.
    """

    component: str
    step: str
    seconds: list[float] = field(default_factory=list)
    worked: int = 0

    @property
    def tries(self) -> int:
        """Return their number."""
        return len(self.seconds)

    @property
    def rate(self) -> float:
        """The share that worked."""
        return self.worked / self.tries if self.tries else 0.0

    @property
    def median(self) -> float:
        """Seconds of a try, the median."""
        return statistics.median(self.seconds) if self.seconds else 0.0

    @property
    def cost(self) -> float:
        """Return the expected seconds for one recovery by this step alone; infinite for one that never worked."""
        return statistics.fmean(self.seconds) / self.rate if self.worked else float("inf")


def collect(runs: Iterable[View]) -> dict[tuple[str, str], Record]:
    """Return the record of each recovery step over runs. A try lasts from the change of its component before it to its
    own.
    """
    records: dict[tuple[str, str], Record] = {}
    for view in runs:
        since: dict[str, datetime] = {}
        for seen in view.health.changes:
            if seen.body.incident:
                _note(records, since, seen)
    return records


def _note(records: dict[tuple[str, str], Record], since: dict[str, datetime], seen: Seen[ServiceChanged]) -> None:
    body, now = seen.body, datetime.fromisoformat(seen.time)
    name, action = body.component, body.action
    if action and name in since:
        of = component_of(name)  # the instances of a component have one policy
        record = records.setdefault((of, action), Record(of, action))
        record.seconds.append(max(0.0, (now - since[name]).total_seconds()))
        record.worked += body.state == "healthy"
    if action or name not in since or body.state == "unhealthy":
        since[name] = now
    if body.state in {"healthy", "failed"}:
        since.pop(name, None)


def suggestion(component: Component, records: Mapping[tuple[str, str], Record]) -> Sequence[str]:
    """Return the order of steps with the quickest recovery; empty if it is the declared one, or too little is known.

    The least expected time results from trying steps in ascending order of seconds divided by the chance of success
    (Smith's rule, 1956, for a sequential search). `failover` remains last: it is a state, not a repair. A policy with a
    step of fewer than `ENOUGH` known tries is unchanged.
    """
    kinds = [step.kind for step in component.recover]
    own = [kind for kind in dict.fromkeys(kinds) if not RECOVERY[kind].failover]
    every = [records.get((component.id, kind)) for kind in own]
    known = [record for record in every if record is not None and record.tries >= ENOUGH]
    if len(own) < 2 or len(known) < len(own):
        return ()
    best = [record.step for record in sorted(known, key=lambda record: record.cost)]
    return () if best == own else (*best, *(kind for kind in dict.fromkeys(kinds) if RECOVERY[kind].failover))
