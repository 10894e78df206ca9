"""The record of a run's state, as `state.json` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from orchestra.ledger.case import CaseVerdict
from orchestra.ledger.chain import GENESIS
from orchestra.ledger.event import (
    VERDICTS,
    Done,
    GateResult,
    NodeState,
    ServiceChanged,
    SessionChanged,
    WorkerUse,
)
from orchestra.ledger.parts import Part, means
from orchestra.ledger.view import Phase

FORMAT: Final = 1
"""The version of `state.json`; a field that is added does not change it."""


class Running(Part, frozen=True, kw_only=True):
    """An attempt under way."""

    attempt: int
    dir: str
    since: str
    node: Annotated[str, means("that carries it out; absent on one machine")] = ""


class NodeRow(Part, frozen=True, kw_only=True):
    """A node of a run on several machines, as it was last recorded."""

    state: NodeState
    message: str
    slots: int = 0
    running: Annotated[tuple[str, ...], means("the tasks that it executes now")] = ()


class Checkpoint(Part, frozen=True, kw_only=True):
    """A completed group: a point to roll back to."""

    seq: int
    method: str
    group: str
    time: str


class Failed(Part, frozen=True, kw_only=True):
    """An attempt that did not pass."""

    seq: int
    task: str
    attempt: int
    kind: str
    message: str
    at: str | None


class CaseRow(Part, frozen=True, kw_only=True):
    """A case of a wrapped runner that did not simply pass."""

    name: str
    verdict: CaseVerdict
    seconds: float
    retries: int = 0
    message: Annotated[str, means("the first line of its reason")] = ""
    excused: str = ""


class Recovery(Part, frozen=True, kw_only=True):
    """A step of the recovery of a component."""

    seq: int
    time: str
    component: str
    action: str
    state: str
    attempt: int
    reason: str
    seconds: float


class GateState(Part, frozen=True, kw_only=True):
    """The result of a gate."""

    result: GateResult
    message: str


class ServiceRow(ServiceChanged, frozen=True, kw_only=True):
    """The latest change of a row of the health matrix."""

    time: str


class SessionRow(SessionChanged, frozen=True, kw_only=True):
    """The browser session of a method as its latest event has it."""

    time: str


class PastIncident(Part, frozen=True, kw_only=True):
    """An incident that is over."""

    seq: int
    time: str
    component: str
    state: str
    reason: str
    id: str
    tests: tuple[str, ...]
    recovery_steps: tuple[str, ...]
    seconds: float | None
    outcome: str


class ResourceUse(Part, frozen=True, kw_only=True):
    """The load of the machine: the latest sample, and the peaks. Empty before the first sample."""

    time: Annotated[str, means("of the latest sample")] = ""
    cpu_percent: Annotated[float | None, means("of the latest sample, of all processors")] = None
    memory_percent: Annotated[float | None, means("of the latest sample")] = None
    workers: Annotated[int | None, means("slots in use or allowed")] = None
    reason: Annotated[str, means("why the number of workers changed")] = ""
    cpu_percent_peak: Annotated[float | None, means("the most in about a second")] = None
    memory_percent_peak: float | None = None
    cpu_percent_mean: Annotated[float | None, means("over all samples")] = None
    other_cpu_percent_mean: Annotated[float | None, means("by programs that are no part of the run")] = None
    read_megabytes: Annotated[float | None, means("from disks, by all programs")] = None
    written_megabytes: Annotated[float | None, means("to disks")] = None
    received_megabytes: Annotated[float | None, means("by networks, without the loopback device")] = None
    sent_megabytes: float | None = None
    by_worker: Annotated[tuple[WorkerUse, ...], means("sums, and the most memory, sorted by name")] = ()


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a run."""

    format: Annotated[int, means("the version of this file")] = FORMAT
    seq: Annotated[int, means("the last event folded in")] = 0
    head: Annotated[str, means("its hash")] = GENESIS
    time: Annotated[str, means("its time")] = ""
    run: str = ""
    started: str = ""
    phase: Phase = "idle"
    profile: str | None = None
    plan_digest: str = ""
    source_digest: str = ""
    methods: tuple[str, ...] = ()
    workers: int = 0
    completed: Annotated[Mapping[str, Done], means("final verdict by task")] = {}
    current: Annotated[Mapping[str, Running], means("attempts under way by task")] = {}
    pending: Annotated[tuple[str, ...], means("tasks that wait, in order")] = ()
    blocked: Annotated[Mapping[str, str], means("reason by task")] = {}
    cases: Annotated[
        Mapping[str, tuple[CaseRow, ...]],
        means("by task, the cases of a wrapped runner that did not simply pass; `completed` has the counts of all"),
    ] = {}
    counts: Annotated[Mapping[str, int], means("tasks by verdict, all nine words")] = msgspec.field(
        default_factory=lambda: dict.fromkeys(VERDICTS, 0)
    )
    class_distribution: Annotated[Mapping[str, int], means("executed tasks by speed class")] = {}
    resource_use: Annotated[ResourceUse, means("the last sample, and all samples together")] = ResourceUse()
    spent: Annotated[Mapping[str, float], means("seconds by what the run did; the rows add up to its time")] = {}
    error_count: Annotated[int, means("failed attempts so far, retried ones too")] = 0
    errors: Annotated[tuple[Failed, ...], means("the latest of them")] = ()
    recovery_count: int = 0
    recoveries: Annotated[tuple[Recovery, ...], means("the latest recovery steps")] = ()
    incident_count: int = 0
    incidents: Annotated[Mapping[str, str], means("reason by component, of those that are open")] = {}
    past_incidents: Annotated[tuple[PastIncident, ...], means("the latest incidents that are over")] = ()
    nodes: Annotated[Mapping[str, NodeRow], means("of a run on several machines, by name")] = {}
    sessions: Annotated[Mapping[str, SessionRow], means("browser session by method")] = {}
    health: Annotated[Mapping[str, ServiceRow], means("last service event by component")] = {}
    gates: Annotated[Mapping[str, GateState], means("result and message by `phase:name`")] = {}
    checkpoints: tuple[Checkpoint, ...] = ()
    baseline: Annotated[str | None, means("digest of the durations that this run left for later ones")] = None
    interrupted: Annotated[str | None, means("the signal that asked the run to end")] = None
    exit_code: int | None = None
    sealed: Annotated[bool, means("the last event is a seal")] = False
    resumes: int = 0
    unknown_events: Annotated[int, means("events of a newer version, preserved and skipped")] = 0
