"""The step `evaluate`: a script of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.steps import page_script
from orchestra.steps.moment import milliseconds
from orchestra.steps.schemas import ANY, NAME, NUMBER, SECONDS, TEXT, Field
from orchestra.steps.step import Step
from orchestra.steps.tool_call import Asked, ToolCall, act
from orchestra.steps.verb import MESSAGE, Verb, python_subject


def is_repeated(args: Mapping[str, Any]) -> bool:
    """Return True if the script of an `evaluate` is run again until its value is the expected one."""
    return "within_seconds" in args and bool({"equals", "below"} & args.keys())


def _evaluate_text(step: Step, args: Mapping[str, Any]) -> str:
    call = f"{python_subject(step)}.evaluate({args['script']!r})"
    if "save" in args:
        call = f"saved[{args['save']!r}] = {call}"
        subject = f"saved[{args['save']!r}]"
    else:
        subject = call
    judged = [
        *([f"{subject} == {args['equals']!r}"] if "equals" in args else []),
        *([f"{subject} < {args['below']!r}"] if "below" in args else []),
    ]
    checks = f"assert {' and '.join(judged)}" if judged else ""
    return "; ".join(filter(None, [call if "save" in args or not judged else "", checks]))


def _evaluate_calls(the: Asked) -> Iterator[ToolCall]:
    limit = milliseconds(the.args["within_seconds"]) if is_repeated(the.args) else None
    return act("browser_evaluate", function=page_script.evaluation(the.text("script"), limit), **the.on_target())


VERBS: tuple[Verb, ...] = (
    Verb(
        "evaluate",
        "Run JavaScript in the page and check or save its result.",
        {"script": "() => document.title", "equals": "Market Parser"},
        target="optional",
        fields=(
            Field(
                "script",
                TEXT,
                "a JavaScript function; with a target it gets the element",
                "() => document.title",
                required=True,
            ),
            Field("equals", ANY, "the expected result", "Market Parser"),
            Field("below", NUMBER, "the exclusive upper bound of a numeric result", 2000),
            Field("save", NAME, "save the result as `${saved.NAME}` until the end of the test", "elapsed_ms"),
            MESSAGE,
            Field(
                "within_seconds",
                SECONDS,
                "the time to wait for its element (default: `action_timeout_seconds` of the test), and for the expected result",
                10,
            ),
        ),
        short="script",
        playwright="page.evaluate(script)",
        mcp=("browser_evaluate",),
        detail="The script is a function or an expression, with or without a semicolon or a comment at its end. Its value is\n"
        "JSON, the same by both methods: `undefined` becomes `null`, a date or any other object with `toJSON` the result of\n"
        "that function, and half of a surrogate pair in a text U+FFFD. A value without a JSON form (`NaN`, `Infinity`, a big\n"
        "integer, a function, a map, a set, an element, a circular reference) fails a step with `equals`, `below` or `save`,\n"
        "and is ignored by a step without them. With `within_seconds` and `equals` or `below` the script is run again\n"
        "until they hold, also when it throws, and a promise that does not settle in that time fails the step; without\n"
        "`within_seconds` it is run once, with the time that the test has left.",
        text=_evaluate_text,
        calls=_evaluate_calls,
    ),
)
