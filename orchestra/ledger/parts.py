"""Define the results of an attempt, as its executor reports them and its event records them: one set of structs for
both.

Executors fill them in another process; nothing here depends on a plan or a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from orchestra.layers import Layer

Outcome: TypeAlias = Literal["passed", "failed", "timeout", "error", "skipped", "interrupted"]
"""The outcome of an attempt, or of a step of it. A verdict results from attempts."""


class Ours:
    """Marks a string that this program or the spec makes: an id, a word of a fixed set, a digest, a path, an expression.

    Secrets are masked in every other string (`free_text`). One in such a string would be in the spec, too, which is in git;
    and a record whose ids and digests are changed cannot be read, audited or resumed.
    """


OURS: Final = Ours()

Id: TypeAlias = Annotated[str, OURS]


def means(text: str) -> msgspec.Meta:
    """Return the meaning of a field, for the schema and the page of the ledger."""
    return msgspec.Meta(description=text)


Seconds: TypeAlias = Annotated[float, means("duration in seconds, by a monotonic clock")]
Sha256: TypeAlias = Annotated[Id, means("SHA-256, 64 hexadecimal digits")]


class Part(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The base of all that is recorded. A field of a newer version is passed over."""


Section: TypeAlias = Literal["before", "steps", "finally"]
"""A list of steps of a test."""


def numbered(section: Section, index: int) -> str:
    """Return the number of a step as people count: `3`, `1 of finally`."""
    return str(index + 1) if section == "steps" else f"{index + 1} of {section}"


class Failure(Part, frozen=True):
    """The reason why an attempt did not pass."""

    kind: Annotated[
        Id, means("the kind of failure, which decides about retries: `timeout`, `connection`, `crash`, `assertion`, …")
    ]
    message: str
    step: Annotated[int | None, means("index of the step in its section, from 0; null outside of the steps")] = None
    at: Annotated[Id | None, means("place in the spec, `file:line`")] = None
    expected: str | None = None
    found: str | None = None
    hint: str | None = None
    section: Annotated[Section, means("the section of the step")] = "steps"
    log: Annotated[str | None, means("of an expectation: what was waited for, and what was seen, how often")] = None


class StepDone(Part, frozen=True, kw_only=True):
    """One step of an attempt."""

    index: Annotated[int, means("in its section, from 0")]
    verb: Annotated[Id, means("`goto`, `click`, …")]
    seconds: Seconds
    outcome: Outcome
    calls: Annotated[int, means("tool calls that it took (method mcp)")] = 0
    polls: Annotated[int, means("wait calls that it took (method mcp)")] = 0
    lag_seconds: Annotated[float | None, means("from the change in the page to the return of the wait")] = None
    section: Section = "steps"


class Box(Part, frozen=True):
    """The place of an element in a picture."""

    left: int
    top: int
    width: int
    height: int


class Evidence(Part, frozen=True, kw_only=True):
    """A file kept of an attempt, or a part of a file of the run, bound by its digest."""

    path: Annotated[Id, means("relative to the run's folder")]
    digest: Sha256
    bytes: int
    kind: Annotated[Id, means("`log`, `screenshot`, `picture`, `page`, `trace`, `console`, `network`, `download`, …")]
    marks: Annotated[
        tuple[Box, ...], means("boxes of the elements that the failed step is about, in pixels of the picture")
    ] = ()
    offset: Annotated[
        int | None,
        means("where it begins in the file, in bytes, if it is a part of one; `bytes` and `digest` are its own"),
    ] = None

    @property
    def place(self) -> str:
        """Its path, and of a part of a file also where that begins and its size: `output/passed.log@120+45`."""
        return self.path if self.offset is None else f"{self.path}@{self.offset}+{self.bytes}"


class Dropped(Part, frozen=True, kw_only=True):
    """A file that was not kept."""

    path: Annotated[Id, means("relative to the attempt's folder")]
    bytes: int
    kind: Id
    reason: Annotated[str, means("absent for one over `evidence_limit_megabytes`")] = ""


class Finding(Part, frozen=True, kw_only=True):
    """An error outside assertions."""

    layer: Layer
    level: Annotated[Literal["fail", "warn"], means("whether it fails the attempt")]
    text: str
    where: Annotated[str, means("address and line of a script, page of a request, log and line; empty when not known")]
    count: Annotated[int, means("number of occurrences")]


class Died(Part, frozen=True, kw_only=True):
    """A part of a browser session that died."""

    part: Annotated[Id, means("`browser` or `server`")]
    reason: str
    recovery_steps: Annotated[tuple[Id, ...], means("steps of recovery that were tried, in order")]
    before: Annotated[bool, means("it was found dead before the test")]
    seconds: Annotated[float, means("until it was back")] = 0.0


class Traffic(Part, frozen=True, kw_only=True):
    """Requests of a page."""

    requests: int
    failed: Annotated[
        int, means("without a response, or with a status of 400 or above, except those that the page cancelled")
    ]
    bytes: Annotated[int | None, means("of response bodies as they were sent; absent if one is unknown")] = None
    slowest_ms: Annotated[float | None, means("from its start to its last byte; absent if none was measured")] = None


class Host(Traffic, frozen=True, kw_only=True):
    """The requests of a page to one host."""

    component: Annotated[Id, means("the row of the health matrix for the host")] = ""


class Network(Traffic, frozen=True, kw_only=True):
    """The requests of the page of an attempt."""

    hosts: Annotated[Mapping[str, Host], means("by host and port")]
