"""Define a kind of probe: the keys that a spec writes, the question that a run asks, and what both need to know.

A package can bring kinds of its own (docs/plug-ins.md): it gives a `ProbeKind` under the entry point `orchestra.probes`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from orchestra.plan import Probe
from orchestra.steps.schemas import SECONDS, Field

TIMEOUT = Field("timeout_seconds", SECONDS, "the limit of one probe", 2, default=int(Probe("", {}).timeout_seconds))
"""The limit of a probe, for kinds that can take long; the runtime enforces it, the question never sees it."""


class Answer(msgspec.Struct, frozen=True):
    """The result of a probe.

    Attributes:
        reason: why the component is not fit, as the end of a sentence about it; empty when it is.
        hint: the fix.
        final: to ask again cannot change it.
        names: what the answer binds, from named groups of a log probe.
        peer: host and port that answered, if any: the runtime checks that they belong to the component.
        timed_out: the probe's time was over before there was an answer.
    """

    reason: str = ""
    hint: str = ""
    final: bool = False
    names: Mapping[str, str] = {}
    peer: tuple[str, int] | None = None
    timed_out: bool = False


class Reply(msgspec.Struct, frozen=True):
    """The reply to a request: status, headers (found in any case) and decoded body, or why there is none, and the fix."""

    status: int = 0
    headers: Mapping[str, str] = {}
    body: bytes = b""
    fault: str = ""
    hint: str = ""
    final: bool = False


class Ended(msgspec.Struct, frozen=True):
    """The end of a program: its exit code (negative: the signal that ended it) and its output."""

    code: int
    stdout: str
    stderr: str


class Scene(Protocol):
    """The component and the tools of a question. Each tool is bounded: the time of the probe ends it."""

    @property
    def root(self) -> Path:
        """The project root."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of the run."""

    @property
    def host(self) -> str:
        """The host of the component, empty when it has none."""

    @property
    def port(self) -> int | None:
        """Its port."""

    @property
    def url(self) -> str:
        """Its address."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """The expected identity in a reply, `{header: …, json: …}`."""

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], *, verify_tls: bool | None = None
    ) -> Reply:
        """Send a request; the body is read up to a megabyte. `verify_tls` overrides `tls` of the spec."""

    async def connect(self, host: str, port: int) -> Answer:
        """Open a connection and close it again."""

    async def run(self, argv: list[str]) -> Ended:
        """Run a program in the project root, without a shell; its processes are ended with it."""

    async def search(self, pattern: str, text: str, *, lines: bool = False) -> Mapping[str, str] | None:
        """Return the named groups of a regular expression in a text, None without a match; `^` and `$` mean `lines`."""

    async def log(self, pattern: str) -> Mapping[str, str] | None:
        """Return the named groups of a pattern in the output of the service, None without a match."""

    def busy(self, port: int) -> str:
        """Return who holds a port of this machine; empty if it is free."""


Args: TypeAlias = Mapping[str, Any]
"""The keys of a probe as the spec has them, with names replaced."""


class ProbeKind(msgspec.Struct, frozen=True):
    """A kind of probe.

    Attributes:
        name: its key in a spec, `http` in `ready: {http: {path: /health}}`.
        doc: its meaning, as a noun phrase.
        example: its keys, for editors and docs.
        ask: asks; the runtime adds the limit of time, and reports what it raises as a bug of the kind.
        fields: its keys. `Field.holds` makes rules of the compiler check a pattern, a path or a port.
        question: the question in words, for the message about one that has no answer in time.
        timed: whether a spec can set `timeout_seconds`.
        at_most_one: keys of which a spec has one at most.
        address: the key in place of the address of the component, for kinds that ask at an address.
        reads_log: whether it looks for its key `match` in the output of the service: named groups become names.
    """

    name: str
    doc: str
    example: dict[str, Any]
    ask: Callable[[Args, Scene], Awaitable[Answer]]
    fields: tuple[Field, ...] = ()
    question: Callable[[Args, Scene], str] | None = None
    timed: bool = False
    at_most_one: tuple[str, ...] = ()
    address: str = ""
    reads_log: bool = False

    @property
    def keys(self) -> tuple[Field, ...]:
        """All its keys, the limit of its time included."""
        return (*self.fields, TIMEOUT) if self.timed else self.fields

    def holding(self, what: str) -> tuple[str, ...]:
        """Return the names of its keys that hold this (`Field.holds`)."""
        return tuple(field.name for field in self.fields if field.holds == what)

    def in_words(self, args: Args, scene: Scene) -> str:
        """Return the question in words."""
        return f"the {self.name} probe" if self.question is None else self.question(args, scene)
