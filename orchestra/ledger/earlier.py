"""What the segments of a run so far say, as far as going on needs it: a fold of its events. May import
`event`, `log` and `runs`.

`Earlier` remembers, per task, the verdict that stands and the attempts that count. It reads the same events as `state`,
which keeps what people look at; this keeps what a later segment decides by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from orchestra.ledger.event import CATALOGUE, Event
from orchestra.ledger.log import read
from orchestra.ledger.runs import LEDGER

Body = Mapping[str, Any]

_PAGE = ("method", "steps", "facts", "findings", "network")


@dataclass(slots=True)
class Troubles:
    """What failed and came back in the segments so far, for what counts over a whole run.

    Attributes:
        suspects: attempts that failed during an incident.
        recoveries: rungs of ladders that were tried.
        failovers: components that were on their backup.
    """

    suspects: int = 0
    recoveries: int = 0
    failovers: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Earlier:
    """The segments so far.

    Attributes:
        start: the body of `run_started`; empty when not even that was written.
        plan_digest, source_digest: of the latest segment.
        builds: the builds of services in the latest segment, by component.
        verdicts: the verdict that stands, by task.
        attempts: how many attempts of a task have ended, of those that count towards its verdict.
        held: how many of them failed during an incident and were followed by another, by task.
        segment: the number of the latest segment, from 0.
        groups: (method, group) of the checkpoints that stand.
        incidents: the number of its latest incident, by component.
        pages: of the latest attempt of a task what the metrics of pages, logs and tool calls are made of, if anything.
        moved: what the comparison of its duration with the baseline found, by task.
        troubles: what else counts over the whole run.
        finished: the latest segment came to its end.
        seconds: time that the segments took, without what lies between them.
    """

    start: Body = field(default_factory=dict)
    plan_digest: str = ""
    source_digest: str = ""
    builds: Body = field(default_factory=dict)
    verdicts: dict[str, Body] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    segment: int = 0
    groups: dict[tuple[str, str], int] = field(default_factory=dict)
    incidents: dict[str, int] = field(default_factory=dict)
    pages: dict[str, Body] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    troubles: Troubles = field(default_factory=Troubles)
    finished: bool = False
    seconds: float = 0.0
    _given: dict[str, list[tuple[int, Body]]] = field(default_factory=dict)
    _last: dict[str, Body] = field(default_factory=dict)
    _begun: str = ""
    _time: str = ""

    def add(self, event: Event) -> None:
        """Take one event in; what a newer version writes is passed over."""
        take = _TAKE.get(event.type)
        if take is not None and event.v <= CATALOGUE[event.type].version:
            take(self, event)
        self._begun = self._begun or event.time
        # What is written between two segments takes none of their time.
        if event.type != "rolled_back" and event.body.get("kind") != "torn":
            self._time = event.time

    def total_seconds(self) -> float:
        """Time that all segments took, the latest included."""
        return self.seconds + _between(self._begun, self._time)

    def half_done(self) -> list[str]:
        """Tasks whose last attempt was final and whose verdict was not written any more: nobody knows it for sure."""
        return [task for task, body in self._last.items() if task not in self.verdicts and not body["retry"]]

    def _run_started(self, event: Event) -> None:
        self.start = event.body
        self._in_force(event.body)

    def _run_resumed(self, event: Event) -> None:
        self.segment += 1
        self.finished = False
        self.seconds += _between(self._begun, self._time)
        self._begun = event.time
        self._in_force(event.body)
        self._reopen(event.body["rerun"])

    def _in_force(self, body: Body) -> None:
        self.plan_digest = body.get("plan_digest", self.plan_digest)
        self.source_digest = body.get("source_digest", self.source_digest)
        self.builds = body.get("builds", self.builds)

    def _attempt_finished(self, event: Event) -> None:
        self.attempts[event.body["task"]] = event.body["attempt"]
        self._last[event.body["task"]] = event.body
        self.pages.pop(event.body["task"], None)
        if "network" in event.body or "findings" in event.body:
            self.pages[event.body["task"]] = {part: event.body[part] for part in _PAGE if part in event.body}
        self.troubles.suspects += bool(event.body.get("infra_suspect"))
        if event.body.get("infra_suspect") and event.body["retry"]:
            self.held[event.body["task"]] = self.held.get(event.body["task"], 0) + 1

    def _verdict(self, event: Event) -> None:
        task = event.body["task"]
        self.verdicts[task] = event.body
        self._given.setdefault(task, []).append((event.seq, event.body))

    def _comparison(self, event: Event) -> None:
        self.moved[event.body["task"]] = event.body["result"]

    def _group_completed(self, event: Event) -> None:
        self.groups[event.body["method"], event.body["group"]] = event.seq

    def _incident(self, event: Event) -> None:
        body = event.body
        self._numbered(body["component"], body.get("id", ""))
        if body["state"] == "closed" and "." in body["component"]:  # a browser, whose rungs are told here alone
            self.troubles.recoveries += len(body.get("rungs", ()))

    def _service_event(self, event: Event) -> None:
        # A segment may have been cut off between this and the `incident` that follows from it.
        self._numbered(event.body["component"], event.body.get("incident", ""))
        action = event.body.get("action")
        self.troubles.recoveries += bool(action) and action != "fail_back"
        if action == "failover":
            self.troubles.failovers.add(event.body["component"])

    def _numbered(self, component: str, name: str) -> None:
        whose, _, number = name.rpartition("-")
        if whose == component and number.isdecimal():  # an incident of what it needs has the name of that
            self.incidents[component] = max(self.incidents.get(component, 0), int(number))

    def _rolled_back(self, event: Event) -> None:
        body = event.body
        self._reopen(body["reopened"])
        for task, done in body["restored"].items():
            before = [given for seq, given in self._given.get(task, ()) if seq <= body["to_seq"]]
            self.verdicts[task] = {**(before[-1] if before else {}), **done}
        self.groups = {key: seq for key, seq in self.groups.items() if seq <= body["to_seq"]}
        self.finished = False

    def _run_finished(self, _event: Event) -> None:
        self.finished = True

    def _reopen(self, tasks: Iterable[str]) -> None:
        for task in tasks:
            self.verdicts.pop(task, None)
            self.attempts.pop(task, None)
            self.held.pop(task, None)
            self._last.pop(task, None)
            self.pages.pop(task, None)
            self.moved.pop(task, None)


_TAKE: Final[Mapping[str, Callable[[Earlier, Event], None]]] = {
    name: getattr(Earlier, f"_{name}") for name in CATALOGUE if hasattr(Earlier, f"_{name}")
}


def earlier(events: Iterable[Event]) -> Earlier:
    """What the events of a run say."""
    found = Earlier()
    for event in events:
        found.add(event)
    return found


def look(folder: Path) -> Earlier:
    """What the ledger in a run's folder says. Raises LedgerError when it is damaged, MachineError when unreadable."""
    return earlier(read(folder / LEDGER))


def _between(begun: str, ended: str) -> float:
    """Seconds from one stamp to a later one; 0 where there is none."""
    if not begun or not ended:
        return 0.0
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()
