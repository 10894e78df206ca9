"""The steps that act on an element by pointer or focus, and set the state of a control."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from orchestra.steps import page_script
from orchestra.steps.page_script import literal
from orchestra.steps.schemas import COUNT, NUMBER, REFERENCE_TARGET, TEXT, Field, Schema, described, object_of
from orchestra.steps.step import Step
from orchestra.steps.target import KINDS, Target, js_locator, python_locator, target_of
from orchestra.steps.tool_call import ACTION_MS, Asked, ToolCall, act, code, text_of
from orchestra.steps.verb import FOR_ELEMENT, Verb, on_subject, python_subject

_POINT: Schema = {
    axis: described(NUMBER, f"the pixels from the {side}", 100) for axis, side in (("x", "left"), ("y", "top"))
}


def _checked(state: str) -> Callable[[Asked], Iterator[ToolCall]]:
    def calls(the: Asked) -> Iterator[ToolCall]:
        field = {"target": the.target(), "name": "checkbox", "type": "checkbox", "value": state}
        return act("browser_fill_form", fields=[field])

    return calls


def _on_target(function: str) -> Callable[[Asked], Iterator[ToolCall]]:
    return lambda the: act("browser_evaluate", **the.on_target(), function=function)


def _click_text(step: Step, args: Mapping[str, Any]) -> str:
    given = [
        f"click_count={args['count']!r}" if args["count"] != 1 else "",
        f"button={args['button']!r}" if args["button"] != "left" else "",
        f"modifiers={args['modifiers']!r}" if args.get("modifiers") else "",
        f"position={args['position']!r}" if "position" in args else "",
    ]
    return f"{python_subject(step)}.click({', '.join(filter(None, given))})"


def _click_calls(the: Asked) -> Iterator[ToolCall]:
    count, button, modifiers = the.args["count"], the.args["button"], the.args["modifiers"]
    if count > 2 or "position" in the.args:
        place = {"position": the.args["position"]} if "position" in the.args else {}
        options = {"clickCount": count, "button": button, "modifiers": modifiers, **place}
        return code(f"await page.{the.target()}.click({literal(options)});")
    given = {
        **({"doubleClick": True} if count == 2 else {}),
        **({"button": button} if button != "left" else {}),
        **({"modifiers": list(modifiers)} if modifiers else {}),
    }
    return act("browser_click", target=the.target(), **given)


def _select_calls(the: Asked) -> Iterator[ToolCall]:
    value = the.args["value"]
    values = [text_of(one) for one in value] if isinstance(value, (list, tuple)) else [text_of(value)]
    return act("browser_select_option", target=the.target(), values=values)


def _hover_calls(the: Asked) -> Iterator[ToolCall]:
    return act("browser_hover", target=the.target())


def _drag_text(step: Step, args: Mapping[str, Any]) -> str:
    onto = target_of(args["onto"])
    return f"{python_subject(step)}.drag_to(page{'' if onto is None else python_locator(onto)})"


def _drag_calls(the: Asked) -> Iterator[ToolCall]:
    onto = js_locator(cast("Target", target_of(the.args["onto"])))  # the schema asks for one
    yield ToolCall("browser_evaluate", {"target": onto, "function": page_script.ONCE})
    yield ToolCall("browser_drag", {"startTarget": the.target(), "endTarget": onto})


def _scroll_text(step: Step, args: Mapping[str, Any]) -> str:
    if "to" not in args:
        return f"{python_subject(step)}.scroll_into_view_if_needed()"
    return f"{python_subject(step)}.evaluate({page_script.scrolling(args['to'])!r})"


def _scroll_calls(the: Asked) -> Iterator[ToolCall]:
    if "to" in the.args:
        yield ToolCall("browser_evaluate", {**the.on_target(), "function": page_script.scrolling(the.args["to"])})
        return
    yield ToolCall("browser_evaluate", {**the.on_target(), "function": page_script.ONCE})
    yield from code(f"await page.{the.target()}.scrollIntoViewIfNeeded({literal({'timeout': ACTION_MS})});")


VERBS: tuple[Verb, ...] = (
    Verb(
        "click",
        "Click an element; a double click is `count: 2`.",
        {"role": "button", "name": "Send"},
        target="required",
        fields=(
            Field("count", COUNT, "the number of clicks", 2, default=1),
            Field("button", {"enum": ["left", "right", "middle"]}, "the mouse button", "right", default="left"),
            Field(
                "modifiers",
                {"type": "array", "items": {"enum": ["Alt", "Control", "ControlOrMeta", "Meta", "Shift"]}},
                "keys held down",
                ["Shift"],
                default=[],
            ),
            Field(
                "position",
                {"type": "object", "additionalProperties": False, "required": ["x", "y"], "properties": _POINT},
                "the point to click, from the top left corner of the element (default: its centre)",
                {"x": 10, "y": 5},
            ),
            FOR_ELEMENT,
        ),
        playwright="locator.click()",
        mcp=("browser_click", "browser_run_code_unsafe"),
        text=_click_text,
        calls=_click_calls,
    ),
    Verb(
        "select",
        "Choose options of a select by value or label.",
        {"label": "Ticker", "value": "NVDA"},
        target="required",
        fields=(
            Field(
                "value",
                {"type": ["string", "array"], "items": TEXT},
                "one option or a list of options",
                "NVDA",
                required=True,
            ),
            FOR_ELEMENT,
        ),
        idempotent=True,
        playwright="locator.select_option(value)",
        mcp=("browser_select_option",),
        method="select_option",
        calls=_select_calls,
    ),
    Verb(
        "check",
        "Make a checkbox or radio button checked.",
        {"label": "Compact view"},
        target="required",
        fields=(FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.check()",
        mcp=("browser_fill_form",),
        method="check",
        calls=_checked("true"),
    ),
    Verb(
        "uncheck",
        "Make a checkbox unchecked.",
        {"label": "Compact view"},
        target="required",
        fields=(FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.uncheck()",
        mcp=("browser_fill_form",),
        method="uncheck",
        calls=_checked("false"),
    ),
    Verb(
        "hover",
        "Move the pointer over an element.",
        {"testid": "reply"},
        target="required",
        fields=(FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.hover()",
        mcp=("browser_hover",),
        method="hover",
        calls=_hover_calls,
    ),
    Verb(
        "drag",
        "Drag an element and drop it onto another one.",
        {"text": "Buy milk", "onto": {"testid": "done"}},
        target="required",
        fields=(
            Field("onto", REFERENCE_TARGET, "the element to drop it onto", {"testid": "done"}, required=True),
            FOR_ELEMENT,
        ),
        playwright="locator.drag_to(other)",
        mcp=("browser_evaluate", "browser_drag"),
        text=_drag_text,
        calls=_drag_calls,
    ),
    Verb(
        "scroll",
        "Scroll until an element is in view, or the page or an element with scroll bars to a place.",
        {"testid": "footer"},
        target="optional",
        fields=(
            Field(
                "to",
                {"anyOf": [{"type": "string", "enum": ["top", "bottom"]}, {**object_of(_POINT)}]},
                "the place: an end, or CSS pixels from the top left corner",
                "bottom",
            ),
            FOR_ELEMENT,
        ),
        short="to",
        short_schema={"enum": ["top", "bottom"]},
        rules={"anyOf": [{"required": [key]} for key in ("to", *KINDS)]},
        idempotent=True,
        playwright="locator.scroll_into_view_if_needed()",
        mcp=("browser_evaluate", "browser_run_code_unsafe"),
        detail="With a target alone the element comes into view. `to` scrolls the page; with a target and `to` the content\n"
        "of the element is scrolled. Scrolling is instant, also where the page asks for a smooth one.\n"
        "It fails for an element that does not scroll, and for a negative place that the page does not have.",
        text=_scroll_text,
        calls=_scroll_calls,
    ),
    Verb(
        "focus",
        "Focus an element.",
        {"label": "Message"},
        target="required",
        fields=(FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.focus()",
        mcp=("browser_evaluate",),
        detail="It waits until the element is visible and enabled, and fails if it does not take the focus.",
        text=on_subject("focus"),
        calls=_on_target(page_script.focusing("focus")),
    ),
    Verb(
        "blur",
        "Take the focus from an element.",
        {"label": "Message"},
        target="required",
        fields=(FOR_ELEMENT,),
        idempotent=True,
        playwright="locator.blur()",
        mcp=("browser_evaluate",),
        method="blur",
        calls=_on_target(page_script.BLUR),
    ),
)
