"""The steps that write into inputs and press keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.steps import page_script
from orchestra.steps.page_script import literal
from orchestra.steps.schemas import TEXT, Field
from orchestra.steps.step import Step
from orchestra.steps.target import python_locator
from orchestra.steps.tool_call import Asked, ToolCall, act, code
from orchestra.steps.verb import FOR_ELEMENT, Verb, python_subject


def no_key(text: str) -> bool:
    """Return whether a text is a character that no key of a US keyboard makes: it is typed, not pressed."""
    return len(text) == 1 and not text.isascii()


_TYPING = "page[Symbol.for('orchestra')]"


TYPED = ToolCall("browser_run_code_unsafe", {"code": f"async (page) => {{\nawait {_TYPING};\n}}"})
"""Waits for the end of typing, where a dialog has cut the call short."""


def _typing(text: str) -> Iterator[ToolCall]:
    return code(f"{_TYPING} = page.keyboard.type({literal(text)});", f"await {_TYPING};")


def _focus_calls(the: Asked) -> Iterator[ToolCall]:
    if the.step.target is not None or the.step.verb == "type":
        yield from act("browser_evaluate", **the.on_target(), function=page_script.focusing(the.step.verb))


def _fill_calls(the: Asked) -> Iterator[ToolCall]:
    return act("browser_type", target=the.target(), text=the.text("value"))


def _type_text(step: Step, args: Mapping[str, Any]) -> str:
    if step.target is None:
        return f"page.keyboard.type({args['value']!r})"
    return f"{python_subject(step)}.press_sequentially({args['value']!r})"


def _type_calls(the: Asked) -> Iterator[ToolCall]:
    yield from _focus_calls(the)
    yield from _typing(the.text("value"))


def _press_text(step: Step, args: Mapping[str, Any]) -> str:
    return f"page{'.keyboard' if step.target is None else python_locator(step.target)}.press({args['key']!r})"


def _press_calls(the: Asked) -> Iterator[ToolCall]:
    yield from _focus_calls(the)
    key = the.text("key")
    yield from _typing(key) if no_key(key) else act("browser_press_key", key=key)


VERBS: tuple[Verb, ...] = (
    Verb(
        "fill",
        "Replace the content of an input.",
        {"label": "Message", "value": "Market status"},
        target="required",
        fields=(Field("value", TEXT, "the new content", "Market status", required=True), FOR_ELEMENT),
        idempotent=True,
        playwright="locator.fill(value)",
        mcp=("browser_type",),
        method="fill",
        calls=_fill_calls,
    ),
    Verb(
        "type",
        "Type a text key by key: each character has its key events.",
        {"label": "Message", "value": "Market status"},
        target="optional",
        fields=(Field("value", TEXT, "the text to type", "Market status", required=True), FOR_ELEMENT),
        short="value",
        playwright="locator.press_sequentially(value)",
        mcp=("browser_evaluate", "browser_run_code_unsafe"),
        detail="The text is added to the content of an input at its caret, which is at the start of an input without focus\n"
        "([press](#press)). Without a target it goes to the element with the focus. A character that no key of a US keyboard\n"
        "makes is inserted, as by an input method. [fill](#fill) replaces the content at once and suits most forms.\n"
        "It waits until the element is visible, enabled and editable, and has the focus, and fails if it never is.",
        text=_type_text,
        calls=_type_calls,
    ),
    Verb(
        "press",
        "Press a key or a chord, on an element or on the page.",
        {"label": "Message", "key": "Enter"},
        target="optional",
        fields=(
            Field("key", TEXT, "the key by its Playwright name, or any one character", "Enter", required=True),
            FOR_ELEMENT,
        ),
        short="key",
        playwright="locator.press(key)",
        mcp=("browser_evaluate", "browser_press_key", "browser_run_code_unsafe"),
        detail="As with Playwright itself, the caret of an input without focus is at its start; `End` moves it to the end.\n"
        "It waits until the element is visible and enabled.",
        text=_press_text,
        calls=_press_calls,
    ),
)
