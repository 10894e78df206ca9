"""The one table of drivers: what carries out the steps of a method. To add a driver, write its module and its row here.

A package can bring drivers of its own (docs/plug-ins.md): it gives a `DriverKind` under the entry point
`orchestra.drivers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from orchestra.engines import ENGINES
from orchestra.steps.verb import Verb
from orchestra.steps.vocabulary import VERBS

Needs: TypeAlias = Literal["browser", "http", "command"]
"""The needs of a test: a page, requests alone, or a process of its own."""


class DriverKind(msgspec.Struct, frozen=True):
    """A driver, as compiler and runtime need to know it.

    Attributes:
        name: as a method names it: `driver: playwright`.
        doc: its meaning, as a noun phrase.
        able: what it can give a test.
        module: has `driver(environment)`, which gives a `orchestra.runtime.driver.contract.Driver`; a worker imports it
            when the first test asks for it. Empty for a driver without pages.
        browsers: those that it drives; none for a driver with pages of its own.
        verbs: the steps of orchestra on a page that it can carry out; None for all.
        steps: steps of its own, which no other driver can carry out: each needs a page, and has a text for readers.
        keys: the keys of a method that it reads, of those that not every driver reads (`OWN_KEYS`).
        tool_calls: a step is calls of MCP tools, as `orchestra show` prints them.
    """

    name: str
    doc: str
    able: frozenset[Needs]
    module: str = ""
    browsers: tuple[str, ...] = tuple(ENGINES)
    verbs: frozenset[str] | None = None
    keys: frozenset[str] = frozenset()
    tool_calls: bool = False
    steps: tuple[Verb, ...] = ()

    @property
    def pages(self) -> bool:
        """Return True if it carries out steps on a page."""
        return "browser" in self.able

    @property
    def own_pages(self) -> bool:
        """Return True if it carries out steps on pages without a browser."""
        return self.pages and not self.browsers

    def lacks(self, verb: str) -> bool:
        """Return True if it cannot carry out a step on a page."""
        if not self.pages or verb not in VERBS:
            return not any(own.name == verb for own in self.steps)
        return self.verbs is not None and verb not in self.verbs


OWN_KEYS: Final = ("session", "poll_seconds", "emulate", "har", "mock", "connect")
"""Keys of a method that have a meaning for some drivers only: those with sessions that last over several tests, with
browsers, or with browsers of another machine.
"""

_ALL: tuple[DriverKind, ...] = (
    DriverKind(
        "playwright",
        "Playwright, in a worker with a warm browser",
        frozenset({"browser", "http", "command"}),
        "orchestra.runtime.driver.playwright.driver",
        keys=frozenset({"emulate", "har", "mock", "connect"}),
    ),
    # A command needs a process of its own, so an MCP session cannot run it.
    DriverKind(
        "mcp",
        "tool calls of the Playwright MCP server",
        frozenset({"browser", "http"}),
        "orchestra.runtime.driver.mcp.driver",
        ("chromium", "firefox"),
        keys=frozenset({"session", "poll_seconds", "emulate", "har", "mock"}),
        tool_calls=True,
    ),
    DriverKind("command", "programs and requests", frozenset({"http", "command"}), browsers=()),
    DriverKind("http", "requests alone", frozenset({"http"}), browsers=()),
)

DRIVERS: Final[Mapping[str, DriverKind]] = {kind.name: kind for kind in _ALL}
"""Each driver that orchestra brings, by its name in a spec."""
