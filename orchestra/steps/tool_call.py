"""Define calls of tools of the Playwright MCP server, and what the steps share that are made of them.

Every text is final when a call is sent: late names are
replaced, and paths are absolute.

A step uses a tool of the server where one exists. `expect` queries the page by `browser_evaluate` on the target: the
server finds it by its own locator, the answer is `{ok, found}`, and the client repeats the query. The tools named
`browser_verify_*` do not help: they search for a text anywhere on the page and support neither `not` nor counts. Steps
that need Playwright's ARIA engine (enabled, disabled, checked), a count, a download, a reload, a triple click or a wait
for a role go through `browser_run_code_unsafe`, by public methods alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from orchestra.steps.step import Step
from orchestra.steps.target import js_locator

INSTANT_MS = 1000
"""The time that one question to an element may take inside the server; the client asks again until its own deadline."""

NAVIGATION_MS = 300_000
"""The time that the server waits for a document by itself; the client enforces the limit of a step."""

ACTION_MS = 5000
"""The time that the server tries an action by itself (`--timeout-action`); the client repeats it until its own
deadline.
"""

IS_TIMEOUT = "error.name === 'TimeoutError'"
"""In JavaScript, whether an error is that of a limit of Playwright's."""


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a tool of the Playwright MCP server.

    Attributes:
        tool: its name.
        arguments: what it is given.
        kind: `act` is done once; `ask` answers `{ok, found}` and is repeated until it is ok; `wait` answers
            `{ok, reason}`, where the reason is `time` (repeat it), `unless` (the marker came first) or `strict`.
        absent_ok: an element that does not exist is a good answer, because something is to be hidden.
    """

    tool: str
    arguments: dict[str, Any]
    kind: Literal["act", "ask", "wait"] = "act"
    absent_ok: bool = False


class Asked(msgspec.Struct, frozen=True):
    """A step whose calls are asked for, its arguments with their defaults, and the context of the call."""

    step: Step
    args: dict[str, Any]
    poll_seconds: float = 0.0
    folder: str = ""

    def target(self) -> str:
        """Return the JavaScript locator of the step's element."""
        return "" if self.step.target is None else js_locator(self.step.target)

    def on_target(self) -> dict[str, Any]:
        """Return the argument that names the element, if the step has one."""
        return {} if self.step.target is None else {"target": self.target()}

    def text(self, name: str) -> str:
        """Return an argument as text."""
        return text_of(self.args[name])


def text_of(value: Any) -> str:
    """Return a scalar as text: a block's parameter may have given a number."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def act(tool: str, **arguments: Any) -> Iterator[ToolCall]:
    """Yield one call of a tool."""
    yield ToolCall(tool, arguments)


def code(*lines: str, kind: Literal["act", "ask", "wait"] = "act") -> Iterator[ToolCall]:
    """Yield one call that runs lines of JavaScript with Playwright's own page."""
    body = "\n".join(lines)
    yield ToolCall("browser_run_code_unsafe", {"code": f"async (page) => {{\n{body}\n}}"}, kind)


def nothing(_the: Asked) -> Iterator[ToolCall]:
    """Yield no call: the runner carries out the step itself."""
    return iter(())
