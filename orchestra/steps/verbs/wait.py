"""The step `wait`: for an element, or for the marker of a failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from orchestra.steps import wait_script
from orchestra.steps.moment import milliseconds
from orchestra.steps.page_script import literal
from orchestra.steps.schemas import REFERENCE_TARGET, SECONDS, Field
from orchestra.steps.step import Step
from orchestra.steps.target import Target, js_locator, python_locator, target_of
from orchestra.steps.tool_call import IS_TIMEOUT, Asked, ToolCall, code
from orchestra.steps.verb import MESSAGE, Verb, python_subject


def _wait_by_locator(target: Target, be: str, unless: Target | None, limit: int) -> Iterator[ToolCall]:
    late = f"const late = (error) => {{ if ({IS_TIMEOUT}) return {{ ok: false, reason: 'time' }}; throw error; }};"
    waits = [
        f"page.{js_locator(target)}.waitFor({{ state: {literal(be)}, timeout }}).then(() => ({{ ok: true }}), late),"
    ]
    if unless is not None:
        marker = f"page.{js_locator(unless)}.filter({{ visible: true }}).first().waitFor({{ timeout }})"
        waits.insert(0, f"{marker}.then(() => ({{ ok: false, reason: 'unless' }}), late),")
    return code(f"const timeout = {limit};", late, "return await Promise.race([", *waits, "]);", kind="wait")


def _wait_text(step: Step, args: Mapping[str, Any]) -> str:
    given = f"state={args['be']!r}, timeout={milliseconds(args['within_seconds'])}"
    marker = target_of(args.get("unless", {}))
    if marker is None:
        return f"{python_subject(step)}.wait_for({given})"
    sign = f"page{python_locator(marker)}"
    first = f"{python_subject(step)}.or_({sign}).first" if args["be"] == "visible" else python_subject(step)
    return f"{first}.wait_for({given}); expect({sign}).not_to_be_visible(timeout=1)"


def _wait_calls(the: Asked) -> Iterator[ToolCall]:
    target = cast("Target", the.step.target)  # the schema asks for one
    unless = target_of(the.args.get("unless", {}))
    limit = milliseconds(min(the.poll_seconds, the.args["within_seconds"]))
    be = the.args["be"]
    if wait_script.observable(target) and (unless is None or wait_script.observable(unless)):
        function = wait_script.observer(target, be, unless, limit)
        return iter([ToolCall("browser_evaluate", {"function": function}, "wait")])
    return _wait_by_locator(target, be, unless, limit)


VERBS: tuple[Verb, ...] = (
    Verb(
        "wait",
        "Wait for an element; fail at once if the failure marker appears first.",
        {"testid": "reply", "within_seconds": 60, "unless": {"testid": "error-banner"}},
        target="required",
        fields=(
            Field("within_seconds", SECONDS, "the time to wait for it", 60, default=30.0),
            Field("be", {"enum": ["visible", "hidden"]}, "the state to wait for", "hidden", default="visible"),
            Field(
                "unless",
                REFERENCE_TARGET,
                "the failure marker: fail at once if it is visible first",
                {"testid": "error-banner"},
            ),
            MESSAGE,
        ),
        idempotent=True,
        playwright="locator.wait_for()",
        mcp=("browser_evaluate", "browser_run_code_unsafe"),
        text=_wait_text,
        calls=_wait_calls,
    ),
)
