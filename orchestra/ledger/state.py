"""The state of a run as a fold of its events, and `state.json`, its form on disk. May import the ledger's own parts.

`fold` is pure. `Fold` is the same with memory that it changes in place: for a million events, and for a run that shows
its state ten times a second. What the events do not say is not in the state. Long because the state, and how each event
moves it, are read together.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypedDict

import msgspec

from orchestra import nofollow
from orchestra.ledger.chain import GENESIS
from orchestra.ledger.disk import disk_error, replace_file
from orchestra.ledger.event import CATALOGUE, VERDICTS, Done, Event, RolledBack
from orchestra.ledger.schema import Schema, object_schema

Phase = Literal["idle", "starting", "running", "closing", "finished"]

KEPT: Final = 100
"""How many errors, recoveries and incidents the state keeps, the latest; the counters go on."""


class Running(TypedDict):
    """An attempt under way."""

    attempt: int
    dir: str
    since: str


class Checkpoint(TypedDict):
    """A completed group: a point to roll back to."""

    seq: int
    method: str
    group: str
    time: str


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands."""

    seq: Annotated[int, "the last event folded in"] = 0
    head: Annotated[str, "its hash"] = GENESIS
    time: Annotated[str, "its time"] = ""
    run: str = ""
    started: str = ""
    phase: Phase = "idle"
    profile: str | None = None
    plan_digest: str = ""
    source_digest: str = ""
    methods: tuple[str, ...] = ()
    workers: int = 0
    completed: Annotated[Mapping[str, Done], "final verdict by task"] = field(default_factory=dict)
    current: Annotated[Mapping[str, Running], "attempts under way by task"] = field(default_factory=dict)
    pending: Annotated[tuple[str, ...], "tasks that wait, in order"] = ()
    blocked: Annotated[Mapping[str, str], "reason by task"] = field(default_factory=dict)
    counts: Annotated[Mapping[str, int], "tasks by verdict, all nine words"] = field(
        default_factory=lambda: dict.fromkeys(VERDICTS, 0)
    )
    class_distribution: Annotated[Mapping[str, int], "executed tasks by speed class"] = field(default_factory=dict)
    resource_use: Annotated[Mapping[str, object], "the last sample and the peaks"] = field(default_factory=dict)
    error_count: Annotated[int, "failed attempts so far, retried ones too"] = 0
    errors: Annotated[tuple[Mapping[str, object], ...], "the latest of them"] = ()
    recovery_count: int = 0
    recoveries: Annotated[tuple[Mapping[str, object], ...], "the latest steps of recovery"] = ()
    incident_count: int = 0
    incidents: Annotated[Mapping[str, str], "reason by component, of those that are open"] = field(default_factory=dict)
    outages: Annotated[tuple[Mapping[str, object], ...], "the latest incidents that are over"] = ()
    sessions: Annotated[Mapping[str, Mapping[str, object]], "browser session by method"] = field(default_factory=dict)
    health: Annotated[Mapping[str, Mapping[str, object]], "last service event by component"] = field(
        default_factory=dict
    )
    gates: Annotated[Mapping[str, Mapping[str, object]], "result and message by `phase:name`"] = field(
        default_factory=dict
    )
    checkpoints: tuple[Checkpoint, ...] = ()
    baseline: Annotated[str | None, "digest of the baseline that this run set"] = None
    interrupted: Annotated[str | None, "the signal that asked the run to end"] = None
    exit_code: int | None = None
    sealed: Annotated[bool, "the last event is a seal"] = False
    resumes: int = 0
    unknown_events: Annotated[int, "events of a newer version, kept and skipped"] = 0


def fold(state: State, event: Event) -> State:
    """The state after one more event. Pure."""
    memory = Fold(state)
    memory.add(event)
    return memory.state()


def fold_all(events: Iterable[Event], start: State | None = None) -> State:
    """The state after all the events: what repeated `fold` gives, in linear time."""
    memory = Fold(start or State())
    for event in events:
        memory.add(event)
    return memory.state()


class Fold:
    """A state that takes events in place. `state()` is a copy that later events do not touch."""

    def __init__(self, start: State | None = None) -> None:
        start = start or State()
        self._now: dict[str, Any] = {name: getattr(start, name) for name in _PLAIN}
        self._maps: dict[str, dict[str, Any]] = {name: dict(getattr(start, name)) for name in _MAPS}
        self._completed, self._current, self._blocked = (
            self._maps[name] for name in ("completed", "current", "blocked")
        )
        self._counts, self._classes = self._maps["counts"], self._maps["class_distribution"]
        self._pending = dict.fromkeys(start.pending)
        self._latest = {name: deque(getattr(start, name), maxlen=KEPT) for name in _LATEST}
        self._last: Event | None = None

    def add(self, event: Event) -> None:
        """Take one event in. A type or a version that this program does not know counts, and changes nothing else."""
        self._last = event
        handler = _HANDLERS.get(event.type)
        if handler is None or event.v > CATALOGUE[event.type].version:
            self._now["unknown_events"] += 1
        else:
            handler(self, event)

    def state(self) -> State:
        """The state as it is now."""
        if self._last:
            self._now.update(
                seq=self._last.seq, head=self._last.hash, time=self._last.time, sealed=self._last.type == "seal"
            )
        fields: dict[str, Any] = {name: dict(content) for name, content in self._maps.items()}
        fields |= {name: tuple(content) for name, content in self._latest.items()}
        return State(**self._now, **fields, pending=tuple(self._pending))

    def _run_started(self, event: Event) -> None:
        body = event.body
        self._now.update({name: body[name] for name in ("run", "profile", "plan_digest", "source_digest", "workers")})
        self._now.update(started=event.time, phase="starting", methods=tuple(body["methods"]))
        self._pending = dict.fromkeys(body["selection"])

    def _run_resumed(self, event: Event) -> None:
        body, now = event.body, self._now
        now.update({name: body[name] for name in ("plan_digest", "source_digest", "workers") if name in body})
        now.update(phase="starting", exit_code=None, interrupted=None, resumes=now["resumes"] + 1)
        for name in ("gates", "health", "incidents"):
            self._maps[name].clear()
        self._stop_current()
        for task in body["rerun"]:
            self._reopen(task)

    def _attempt_started(self, event: Event) -> None:
        body = event.body
        self._now["phase"] = "running"
        self._pending.pop(body["task"], None)
        self._current[body["task"]] = {"attempt": body["attempt"], "dir": body["dir"], "since": event.time}

    def _attempt_finished(self, event: Event) -> None:
        body = event.body
        error = body["error"]
        if error is not None:
            self._now["error_count"] += 1
            said = {key: error.get(key) for key in ("kind", "message", "at")}
            self._latest["errors"].append({"seq": event.seq, "task": body["task"], "attempt": body["attempt"], **said})

    def _verdict(self, event: Event) -> None:
        body = event.body
        task = body["task"]
        self._current.pop(task, None)
        self._pending.pop(task, None)
        done: dict[str, Any] = {
            "verdict": body["verdict"],
            "speed_class": body["speed_class"],
            "seconds": body["seconds"],
            "attempts": body["attempts"],
        }
        if body["reason"]:
            done["reason"] = body["reason"]
        self._take_back(task)
        self._put(task, done)

    def _service_event(self, event: Event) -> None:
        body = event.body
        self._maps["health"][body["component"]] = {**body, "time": event.time}
        if body.get("action"):
            self._now["recovery_count"] += 1
            said = {key: body[key] for key in ("component", "action", "state", "attempt", "reason", "seconds")}
            self._latest["recoveries"].append({"seq": event.seq, "time": event.time, **said})

    def _gate(self, event: Event) -> None:
        body = event.body
        if body["phase"] == "after":
            self._now["phase"] = "closing"
        self._maps["gates"][f"{body['phase']}:{body['name']}"] = {"result": body["result"], "message": body["message"]}

    def _group_completed(self, event: Event) -> None:
        body = event.body
        point = Checkpoint(seq=event.seq, method=body["method"], group=body["group"], time=event.time)
        self._now["checkpoints"] = (*self._now["checkpoints"], point)

    def _session(self, event: Event) -> None:
        self._maps["sessions"][event.body["method"]] = {**event.body, "time": event.time}

    def _resource(self, event: Event) -> None:
        body, use = event.body, self._maps["resource_use"]
        for name in ("cpu_percent", "memory_percent"):
            use[f"{name}_peak"] = max(use.get(f"{name}_peak", 0), body[name])
        use.update(body, time=event.time)
        self._now["workers"] = body["workers"]

    def _incident(self, event: Event) -> None:
        body, still_open = event.body, self._maps["incidents"]
        if body["state"] == "opened":
            self._now["incident_count"] += 1
            still_open[body["component"]] = body["reason"]
        else:
            still_open.pop(body["component"], None)
            self._latest["outages"].append({"seq": event.seq, "time": event.time, **body})

    def _interrupted(self, event: Event) -> None:
        self._now["interrupted"] = event.body["signal"]

    def _rolled_back(self, event: Event) -> None:
        body = event.body
        self._stop_current()
        for task, done in body["restored"].items():
            self._take_back(task)
            self._pending.pop(task, None)
            self._put(task, dict(done))
        for task in body["reopened"]:
            self._reopen(task)
        self._now["checkpoints"] = tuple(point for point in self._now["checkpoints"] if point["seq"] <= body["to_seq"])
        self._now.update(phase="starting", exit_code=None, baseline=body["baseline"])

    def _baseline(self, event: Event) -> None:
        self._now["baseline"] = event.body["digest"]

    def _run_finished(self, event: Event) -> None:
        self._now.update(phase="finished", exit_code=event.body["exit_code"])

    def _nothing(self, _event: Event) -> None:
        """The event stands for itself; the state does not change."""

    def _put(self, task: str, done: Mapping[str, Any]) -> None:
        self._completed[task] = done
        self._counts[done["verdict"]] += 1
        if done["speed_class"] is not None:
            self._classes[done["speed_class"]] = self._classes.get(done["speed_class"], 0) + 1
        if done["verdict"] == "blocked":
            self._blocked[task] = done.get("reason", "")

    def _take_back(self, task: str) -> None:
        done = self._completed.pop(task, None)
        if done is None:
            return
        self._counts[done["verdict"]] -= 1
        self._blocked.pop(task, None)
        if done["speed_class"] is not None:
            self._classes[done["speed_class"]] -= 1
            if not self._classes[done["speed_class"]]:
                del self._classes[done["speed_class"]]

    def _reopen(self, task: str) -> None:
        self._take_back(task)
        self._pending[task] = None

    def _stop_current(self) -> None:
        """What was under way when the segment ended waits again, unless it repeated a test that has its verdict."""
        waiting = (task for task in self._current if task not in self._completed)
        self._pending = {**dict.fromkeys(waiting), **self._pending}
        self._current.clear()


_HANDLERS: Final[Mapping[str, Callable[[Fold, Event], None]]] = {
    name: getattr(Fold, f"_{name}", Fold._nothing)  # noqa: SLF001 (the table belongs to the class)
    for name in CATALOGUE
}
_MAPS: Final = (
    *("completed", "current", "blocked", "counts", "class_distribution", "resource_use"),
    *("incidents", "sessions", "health", "gates"),
)
_LATEST: Final = ("errors", "recoveries", "outages")
_TUPLES: Final = ("methods", "pending", "checkpoints", *_LATEST)
_PLAIN: Final = tuple(item.name for item in dataclasses.fields(State) if item.name not in (*_MAPS, "pending", *_LATEST))


def rollback(before: State, now: State, reason: str = "") -> RolledBack:
    """The body of the event that takes the verdicts of `now` back to `before`, an earlier state of the same run."""
    restored = {task: done for task, done in before.completed.items() if now.completed.get(task) != done}
    reopened = [task for task in now.completed if task not in before.completed]
    return RolledBack(to_seq=before.seq, reopened=reopened, restored=restored, baseline=before.baseline, reason=reason)


def as_json(state: State) -> str:
    """The state as JSON with one field a line: quick to write, and a person can still find the field."""
    fields = (
        f"  {json.dumps(item.name)}: {msgspec.json.encode(getattr(state, item.name)).decode()}"
        for item in dataclasses.fields(state)
    )
    return "{\n" + ",\n".join(fields) + "\n}\n"


def from_json(text: str | bytes) -> State:
    """The state that `as_json` wrote. Fields of a newer version are passed over.

    Raises:
        ValueError: the text is something else.
    """
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("a state is a JSON object")  # noqa: TRY004 (one kind of error for one kind of damage)
    known = {item.name for item in dataclasses.fields(State)}
    fields: dict[str, Any] = {name: value for name, value in data.items() if name in known}
    return State(**fields | {name: tuple(fields[name]) for name in _TUPLES if name in fields})


def write_state(path: Path, state: State) -> None:
    """Replace `state.json` at once and durably. Raises MachineError when the disk refuses; the old file then stands."""
    replace_file(path, as_json(state).encode())


def read_state(path: Path) -> State:
    """Read `state.json`.

    Raises:
        MachineError: it cannot be read.
        ValueError: it is not a state; the ledger still has it all.
    """
    try:
        content = nofollow.read(path)
    except OSError as error:
        raise disk_error(error, path, "read") from error
    return from_json(content)


def state_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of `state.json`."""
    definitions: dict[str, Schema] = {}
    schema = object_schema(State, definitions)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "orchestra state"}
    return {**head, **schema, "$defs": dict(sorted(definitions.items()))}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(state_schema(), indent=2, ensure_ascii=False) + "\n")
