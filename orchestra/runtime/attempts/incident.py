"""Track the incidents of a run: outages of components, the affected attempts, and the consequences for them.

`Incidents` is the fold, pure but for being changed in place: service events and the windows of attempts go in,
incidents come out. `Outages` is its thread-safe form for a session: it records, and holds back a failure until the
components that the test requires have been probed. Otherwise a test that meets a dead server would get its verdict
before the watcher, which probes every few seconds, has noticed.
`follow_up` has the consequences for one attempt.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from orchestra.ledger import event
from orchestra.ledger.event import Body, ServiceChanged
from orchestra.ledger.parts import Died
from orchestra.plan import Retry
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.follow_up import FAILURES, FollowUp, follow_up

Look: TypeAlias = Callable[[Sequence[str], Callable[[], None]], None]


@dataclass(slots=True)
class Ongoing:
    """One component out of order.

    Attributes:
        id: `backend-1`: the component and a number from 1.
        component: its id.
        reason: what was seen first.
        since: when it was last known to be well, by the monotonic clock.
        recovery_steps: the recovery steps that were tried, in order.
        tests: tasks with an attempt that overlapped it, each once, in order.
        outcome: empty while it is open; `recovered`, `failed`, or `unresolved` when the run ended before.
    """

    id: str
    component: str
    reason: str
    since: float
    recovery_steps: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    outcome: str = ""


@dataclass(slots=True)
class _Window:
    """An attempt under way: what it requires, and the incidents that overlap it so far."""

    components: frozenset[str]
    touched: list[str] = field(default_factory=list)


def _row_of(result: Result, part: str) -> str:
    return f"{result.task.partition(':')[0]}.{part}"


class Incidents:
    """The fold.

    Args:
        numbered: how many incidents the ids of a component count already, from earlier segments of the run.
    """

    def __init__(self, numbered: Mapping[str, int] = MappingProxyType({})) -> None:
        self._numbered = numbered
        self._all: dict[str, Ongoing] = {}
        self._running: dict[str, _Window] = {}
        self._touched: dict[str, list[str]] = {}

    def service(self, change: ServiceChanged, now: float, ago_seconds: float = 0.0) -> list[event.Incident]:
        """Take a change of a service in; the `incident` events that it makes.

        Args:
            change: its `incident` names the incident that it belongs to.
            now: monotonic seconds.
            ago_seconds: how long before that the component was last known to be well.
        """
        if not change.incident:
            return []
        known = self._all.get(change.incident)
        if known is None:
            known = Ongoing(change.incident, change.component, change.reason, now - ago_seconds)
            self._all[change.incident] = known
            for task, window in self._running.items():
                self._overlap(task, window, known)
            return [_opened(known, change.bound_seconds)]
        if change.component != known.component or known.outcome:
            return []
        if change.action:
            known.recovery_steps.append(change.action)
        if change.state not in {"healthy", "failed"}:
            return []
        known.outcome = "recovered" if change.state == "healthy" else "failed"
        return [_closed(known, now)]

    def part(self, task: str, component: str, died: Died, now: float) -> list[event.Incident]:
        """Record the death of a part of a browser session, reported by an attempt at its end: an incident that closes
        when it is back.

        Args:
            task: whose attempt reports it.
            component: the row of the part, `mcp.browser`, `mcp.server` or `cli.browser`.
            died: what had happened, and what was done about it.
            now: monotonic seconds.
        """
        same = [incident for incident in self._all.values() if incident.component == component]
        known = same[-1] if same and not same[-1].outcome else None  # browsers of several workers share a row
        number = self._numbered.get(component, 0) + len(same) + 1
        incident = known or Ongoing(f"{component}-{number}", component, died.reason, now - died.seconds)
        self._all[incident.id] = incident
        if not died.before:
            self._overlap(task, self._running[task], incident, anyhow=True)
        bodies = [_opened(incident)] if known is None else []
        if died.recovery_steps:
            incident.recovery_steps += died.recovery_steps
            incident.outcome = "recovered"
            bodies.append(_closed(incident, now))
        return bodies

    def began(self, task: str, components: Iterable[str]) -> None:
        """Record the begin of an attempt; `components` are those that its test requires, with all their needs."""
        window = self._running[task] = _Window(frozenset(components))
        for one in self._all.values():
            if not one.outcome:
                self._overlap(task, window, one)

    def _overlap(self, task: str, window: _Window, one: Ongoing, *, anyhow: bool = False) -> None:
        if (anyhow or one.component in window.components) and one.id not in window.touched:
            window.touched.append(one.id)
            if task not in one.tests:
                one.tests.append(task)

    def ended(self, task: str) -> tuple[str, ...]:
        """Take in the end of an attempt. Return the incidents that overlapped it."""
        window = self._running.pop(task, None)
        if window is None:
            return ()
        kept = self._touched.setdefault(task, [])
        kept += [name for name in window.touched if name not in kept]
        return tuple(window.touched)

    def required(self, task: str) -> tuple[str, ...]:
        """Return the components of the attempt under way, sorted."""
        window = self._running.get(task)
        return () if window is None else tuple(sorted(window.components))

    def in_use(self, component: str) -> bool:
        """Return True if an attempt under way requires it."""
        return any(component in window.components for window in self._running.values())

    def of(self, task: str) -> tuple[str, ...]:
        """Return the incidents that overlapped any attempt of a task, in order."""
        return tuple(self._touched.get(task, ()))

    def unresolved(self, now: float) -> list[event.Incident]:
        """Return the run ends: the closing events of the incidents that are open."""
        still_open = [one for one in self._all.values() if not one.outcome]
        for one in still_open:
            one.outcome = "unresolved"
        return [_closed(one, now) for one in still_open]


def _opened(one: Ongoing, bound_seconds: float | None = None) -> event.Incident:
    return event.Incident(
        id=one.id,
        component=one.component,
        state="opened",
        reason=one.reason,
        tests=tuple(one.tests),
        recovery_steps=tuple(one.recovery_steps),
        bound_seconds=bound_seconds,
    )


def _closed(one: Ongoing, now: float) -> event.Incident:
    seconds = max(0.0, now - one.since)
    return msgspec.structs.replace(_opened(one), state="closed", seconds=seconds, outcome=one.outcome)


class Outages:
    """The incidents of a session. `service` may be called from any thread; the rest is the session's.

    Args:
        add: records an event.
        clock: monotonic seconds.
        numbered: as `Incidents` takes it.
    """

    def __init__(
        self,
        add: Callable[[Body], object],
        clock: Callable[[], float] = time.monotonic,
        numbered: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._add = add
        self._clock = clock
        self._lock = threading.Lock()
        self._fold = Incidents(numbered)
        self._held: dict[str, Result] = {}
        self._asked: deque[str] = deque()
        self._degraded: dict[str, dict[str, None]] = {}
        self._parts: dict[str, tuple[bool, int]] = {}

    def service(self, change: ServiceChanged, ago_seconds: float = 0.0) -> None:
        """Record a change of a service, and the incident that it opens or closes."""
        with self._lock:
            incidents = self._fold.service(change, self._clock(), ago_seconds)
        self._add(change)
        self._record(incidents)

    def began(self, task: str, components: Iterable[str], degraded: Iterable[str]) -> None:
        """Record the begin of an attempt; `degraded` are its components that are not as declared."""
        with self._lock:
            self._fold.began(task, components)
        self._degraded.setdefault(task, {}).update(dict.fromkeys(degraded))

    def sift(self, results: Iterable[Result], look: Look, *, at_once: bool = False) -> list[Result]:
        """Yield the results that can be concluded now: passes at once, failures once their components have been probed.

        Args:
            results: that have just come.
            look: asks components, and calls back when it is known whether they are well; within the bound of their
                liveness.
            at_once: the run is being ended: hold nothing back.
        """
        ready = []
        for result in results:
            required = self._fold.required(result.task) if result.outcome in FAILURES and not at_once else ()
            if required:
                self._held[result.task] = result
                look(required, lambda task=result.task: self._asked.append(task))  # type: ignore[misc]
            else:
                ready.append(result)
        if at_once:
            self._asked.extend(self._held)
        while self._asked:
            known = self._held.pop(self._asked.popleft(), None)
            if known is not None:
                ready.append(known)
        return ready

    def ended(self, result: Result, retry: Retry, *, held: int) -> tuple[FollowUp, tuple[str, ...]]:
        """Take in the end of an attempt. Return what follows, and the incidents that overlapped it."""
        task = result.task
        with self._lock:
            incidents = [
                made
                for one in result.died
                for made in self._fold.part(task, _row_of(result, one.part), one, self._clock())
            ]
            touched = self._fold.ended(task)
            following = follow_up(result, retry, held=held, incidents=touched)
        self._session_rows(result, {incident.component: incident.reason for incident in incidents})
        self._record(incidents)
        return following, touched

    def _session_rows(self, result: Result, reasons: Mapping[str, str]) -> None:
        """Browser and MCP server are rows of the matrix: each change of theirs is a service event."""
        for part, lives in result.alive.items():
            name = _row_of(result, part)
            known = self._parts.get(name)
            if known is None or known[0] != lives or name in reasons:
                number = (known[1] if known is not None else 0) + (lives and (known is None or name in reasons))
                self._parts[name] = (lives, number)
                self._add(
                    ServiceChanged(
                        component=name,
                        state="healthy" if lives else "unhealthy",
                        pid=None,
                        port=None,
                        attempt=max(1, number),
                        reason="" if lives else reasons.get(name, "is gone"),
                        seconds=0.0,
                    )
                )

    def of(self, task: str, more: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the incidents that overlapped a task, and others that are known to its components; each once."""
        return tuple(dict.fromkeys((*self._fold.of(task), *filter(None, more))))

    def degraded(self, task: str, now: Iterable[str]) -> tuple[str, ...]:
        """Return the deviations from the declaration during any attempt of a task, and not now."""
        return tuple(dict.fromkeys((*self._degraded.get(task, ()), *filter(None, now))))

    def in_use(self, component: str) -> bool:
        """Return True if an attempt under way requires it. Called from the matrix's thread."""
        with self._lock:
            return self._fold.in_use(component)

    def close(self) -> None:
        """Report the incidents that are open at the end of the run."""
        with self._lock:
            incidents = self._fold.unresolved(self._clock())
        self._record(incidents)

    def _record(self, incidents: Iterable[event.Incident]) -> None:
        for incident in incidents:
            self._add(incident)
