"""Define a kind of step, and the fields that several have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from orchestra.steps.schemas import SECONDS, TEXT, Field, Schema
from orchestra.steps.step import Step
from orchestra.steps.target import python_locator
from orchestra.steps.tool_call import Asked, ToolCall

TextOf: TypeAlias = Callable[[Step, Mapping[str, Any]], str]
CallsOf: TypeAlias = Callable[[Asked], Iterator[ToolCall]]

WITHIN = Field("within_seconds", SECONDS, "the time to wait for it", 10, default=5.0)
FOR_ELEMENT = Field(
    "within_seconds", SECONDS, "the time to wait for its element (default: `action_timeout_seconds` of the test)", 10
)
MESSAGE = Field(
    "message", TEXT, "the name of the assertion, with which the message of its failure begins", "the cart is empty"
)
URL_GLOB = "a glob of whole URLs: `**` is any text, `*` any text without `/`, `{a,b}` one of them; all else is literal"


class Verb(msgspec.Struct, frozen=True):
    """A kind of step.

    Attributes:
        target: whether the step names an element.
        short: the field that a bare text sets (`goto: /` is `goto: {url: /}`), empty if there is none.
        bare: whether the verb alone is a step (`- reload`).
        browser: whether it needs a page; the others run under every driver.
        idempotent: whether it is repeatable without a further effect (a lost MCP session retries only such a step).
        playwright: the Playwright call for readers.
        mcp: the tools of the Playwright MCP server that it can use.
        detail: more for docs/steps.md, in Markdown.
        rules: what its JSON Schema holds in addition: which keys exclude or need each other.
        short_schema: of the bare text.
        method: the method of Playwright's `Locator` that is the whole step, with the required fields as its arguments.
        text: the step as Python, for readers; made of `method` where there is one.
        calls: the step as calls of tools by MCP, from its arguments with their defaults.
    """

    name: str
    doc: str
    example: Any
    target: Literal["required", "optional", "none"] = "none"
    fields: tuple[Field, ...] = ()
    short: str = ""
    bare: bool = False
    browser: bool = True
    idempotent: bool = False
    playwright: str = ""
    mcp: tuple[str, ...] = ()
    detail: str = ""
    rules: Schema = {}
    short_schema: Schema = {}
    method: str = ""
    text: TextOf | None = None
    calls: CallsOf | None = None


def python_subject(step: Step) -> str:
    """Return the subject of a step in Python: its element, or the page."""
    return "page" if step.target is None else f"page{python_locator(step.target)}"


def on_subject(method: str, *fields: str) -> TextOf:
    """Return the text of a step that is one call of a method of its subject, with these fields as arguments."""

    def text(step: Step, args: Mapping[str, Any]) -> str:
        return f"{python_subject(step)}.{method}({', '.join(repr(args[field]) for field in fields)})"

    return text
