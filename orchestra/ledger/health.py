"""The health matrix of a run as its events show it: each change of a row, and the incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from orchestra.ledger.event import Incident, ServiceChanged
from orchestra.ledger.life import Life, Outage, Seen


@dataclass(slots=True)
class Health:
    """The rows and incidents of a run.

    Attributes:
        services: the latest change of each row of the health matrix.
        changes: all changes, in order.
        rising: components that start or recover.
        outages: incidents in the order in which they began.
        numbers: the number of the latest incident by component.
    """

    services: dict[str, Seen[ServiceChanged]] = field(default_factory=dict)
    changes: list[Seen[ServiceChanged]] = field(default_factory=list)
    rising: set[str] = field(default_factory=set)
    outages: list[Outage] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def changed(self, seen: Seen[ServiceChanged]) -> None:
        """Take a change of a row in."""
        component = seen.body.component
        self.services[component] = seen
        if seen.body.state in {"starting", "unhealthy"}:
            self.rising.add(component)
        else:
            self.rising.discard(component)
        self.changes.append(seen)
        # A segment may be cut off between this and the `incident` that follows from it.
        self._count(component, seen.body.incident)

    def incident(self, seen: Seen[Incident]) -> None:
        """Take the opening or the closing of an incident in."""
        body = seen.body
        self._count(body.component, body.id)
        if body.state == "opened":
            self.outages.append(Outage(seen))
            return
        name = body.id, body.component
        same = (
            outage
            for outage in reversed(self.outages)
            if outage.closed is None and (outage.opened.body.id, outage.opened.body.component) == name
        )
        outage = next(same, None)
        if outage is None:
            outage = Outage(seen)
            self.outages.append(outage)
        outage.closed = seen

    def _count(self, component: str, name: str) -> None:
        whose, _, number = name.rpartition("-")
        if whose == component and number.isdecimal():  # an incident of what it needs has the name of that
            self.numbers[component] = max(self.numbers.get(component, 0), int(number))

    def cut_off(self, ended: str, lives: Mapping[str, Life]) -> None:
        """End the segment: no row is known to rise, and each open incident is unresolved.

        Args:
            ended: the time of the latest event of the segment.
            lives: of the tasks; an incident overlapped the attempts that name it.
        """
        self.rising.clear()
        for outage in self.outages:
            if outage.closed is None:
                opened = outage.opened
                named = (
                    task
                    for task, life in lives.items()
                    for seen in life.attempts
                    if opened.body.id in seen.body.incidents
                )
                tests = tuple(dict.fromkeys((*opened.body.tests, *named)))
                body = msgspec.structs.replace(opened.body, state="closed", outcome="unresolved", tests=tests)
                outage.closed = Seen(opened.seq, ended, body)
