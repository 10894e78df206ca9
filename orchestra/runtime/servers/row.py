"""Define the row of a component in the health matrix, and its trouble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from orchestra.ledger.event import ServiceChanged

State: TypeAlias = Literal["idle", "starting", "healthy", "unhealthy", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Row:
    """The current state of a component.

    Attributes:
        id: the component's.
        state: `idle` until it is requested; `unhealthy` while it is being recovered; `failed` is the end.
        reason: why it is not healthy; reads after "which".
        pid: of its process, if it has one.
        port: its port, if it has one.
        url: its address, empty when it has none.
        attempts: how often it was started or asked to be ready.
        seconds: how long its last start took.
        hint: the fix.
        required: whether a run without it has failed.
        degraded: what is not as declared, for example `backend on failover`.
        identity: how its answers are known to be its own: `own`, `header`, `json` or `none`.
        incidents: how often it failed while tests ran.
        recoveries: the number of recovery steps taken.
        failovers: how often its backup took over.
        incident: the id of the incident that it is in, or that ended it; empty for none.
        latency_seconds: how long its last probe took; None before the first.
    """

    id: str
    state: State
    reason: str = ""
    pid: int | None = None
    port: int | None = None
    url: str = ""
    attempts: int = 0
    seconds: float = 0.0
    hint: str = ""
    required: bool = True
    degraded: str = ""
    identity: str = "own"
    incidents: int = 0
    recoveries: int = 0
    failovers: int = 0
    incident: str = ""
    latency_seconds: float | None = None


class RowChange(msgspec.Struct, frozen=True):
    """A change of a row on a node, as the node reports it.

    Attributes:
        event: with the names that the node has for the component and its incident.
        ago_seconds: how long before it the component was last known to be well.
        bound: the names that it binds: `url`, `host`, `port`, groups of its log probes.
        hint: what to do.
        degraded: it is on its failover.
    """

    event: ServiceChanged
    ago_seconds: float = 0.0
    bound: dict[str, str] = {}
    hint: str = ""
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """The reason why a component is not healthy, reading after "which", and the fix.

    Attributes:
        reason: in words.
        hint: what to do.
        stranger: another process answers in its place.
        ago_seconds: how long ago it was last known to be well.
    """

    reason: str
    hint: str = ""
    stranger: bool = False
    ago_seconds: float = 0.0
