"""The words that a run and its nodes exchange, as JSON. No node writes the record: the run alone does."""

from __future__ import annotations

from typing import Final

import msgspec

from orchestra.ledger.running_step import RunningStep
from orchestra.runtime.attempt import Request, Result
from orchestra.runtime.servers.row import RowChange

BEAT_SECONDS: Final = 2.0
"""The time between two heartbeats: the run asks, the node answers."""

LOST_SECONDS: Final = 10.0
"""After so long without a heartbeat the run gives the attempts of a node up, and a node ends those of a run."""

CHUNK_BYTES: Final = 1 << 20
"""The most of a file in one answer."""

SLOT: Final = "slot"
"""The resource of Dask of which each attempt takes one."""

INLINE_BYTES: Final = 3072
"""A result up to this size comes with the answer of the task; a larger one is fetched like a file."""


class Hello(msgspec.Struct, frozen=True):
    """The introduction of a run to a node.

    Attributes:
        run: its id.
        mark: the tree mark of the run.
        suite: the suite.
        profile: the profile of its plan.
        browsers: the engines that its tests need.
        programs: the programs that its `command` tests start, by name.
        variables: those of the environment that its plan refers to.
    """

    run: str
    mark: str
    suite: str
    profile: str
    browsers: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


class Versions(msgspec.Struct, frozen=True):
    """The versions that must be the same on the node and here. `browsers` has those of the browsers, by engine."""

    orchestra: str
    python: str
    playwright: str
    transport: str
    browsers: dict[str, str] = {}


class Proof(msgspec.Struct, frozen=True):
    """The answer of a node: what it has.

    Attributes:
        session: a word for this visit; another one means that the node was started again.
        network: identifies what `127.0.0.1` means there.
        plan: digest of its plan; empty if it could not load one.
        fault: why not.
        versions: of what it runs.
        missing: programs, browsers and variables that it does not have, as phrases.
    """

    session: str
    network: str
    plan: str = ""
    fault: str = ""
    versions: Versions = Versions("", "", "", "")
    missing: tuple[str, ...] = ()


class Pulse(msgspec.Struct, frozen=True):
    """The answer to a heartbeat: the steps that the node executes, each with the seconds since its begin as `since`.

    The clocks of two machines differ, so no time of day is sent.
    `changes` are those of its rows after the ones that the run has taken; `moving`: more are about to follow.
    """

    steps: tuple[RunningStep, ...] = ()
    changes: tuple[RowChange, ...] = ()
    moving: bool = False


class Order(msgspec.Struct, frozen=True):
    """An attempt for a node. `request` has a folder relative to that of the run, and no variable of the environment."""

    session: str
    lease: str
    request: Request


class Sent(msgspec.Struct, frozen=True):
    """A file of an attempt on a node: its path in the folder of the attempt, its size and its SHA-256."""

    path: str
    bytes: int
    digest: str


class Parcel(msgspec.Struct, frozen=True):
    """All that came of an attempt: its result, and the files that are to be fetched.

    `learnt` has the secret values of the logins of the node, by the names that hide them. A parcel with some is fetched from
    the node, so that they do not pass the scheduler. `fault` is why the node can carry out nothing more.
    """

    result: Result
    files: tuple[Sent, ...] = ()
    learnt: dict[str, tuple[str, ...]] = {}
    fault: str = ""


class Answer(msgspec.Struct, frozen=True):
    """The answer of a task: its lease, and the parcel, or the digest and the size of one that is to be fetched."""

    lease: str
    parcel: Parcel | None = None
    digest: str = ""
    bytes: int = 0


class Wanted(msgspec.Struct, frozen=True):
    """Components that a node is to start, or to look at."""

    session: str
    components: tuple[str, ...] = ()


class Ask(msgspec.Struct, frozen=True):
    """A question to a node about one lease: a part of a file, or of its parcel where `path` is empty.

    Of a heartbeat `offset` is how many changes of its rows the run has taken.
    """

    session: str
    lease: str = ""
    path: str = ""
    offset: int = 0


PARCEL: Final = ""
"""The path that means the parcel itself."""

DATA: Final = b"="
"""The first byte of an answer with a part of a file, or with a pulse; others are words."""
