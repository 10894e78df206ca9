"""A step of the plan as a line of Python Playwright, for readers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from orchestra.steps.conditions import Condition, conditions, conditions_of_target
from orchestra.steps.page_script import scrolling
from orchestra.steps.target import python_locator, target_of
from orchestra.steps.vocabulary import Step, file_name, milliseconds, row_of


def playwright_text(step: Step) -> str:
    """Return the step as one line of Python for Playwright's synchronous interface.

    `page`, `pages`, `expect` and `saved` exist; where Playwright has no assertion, `number(text)` is the number in a text and
    `holds(call, one)` whether a call on an element passes, and `eventually(call, wanted)` the first reply that is so.
    """
    return row_of(_PYTHON, step.verb, __name__)(step, step.args)


def _here(step: Step) -> str:
    return "page" if step.target is None else f"page{python_locator(step.target)}"


def _on_element(method: str, *fields: str) -> Callable[[Step, Mapping[str, Any]], str]:
    def text(step: Step, args: Mapping[str, Any]) -> str:
        return f"{_here(step)}.{method}({', '.join(repr(args[field]) for field in fields)})"

    return text


def _python_drag(step: Step, args: Mapping[str, Any]) -> str:
    onto = target_of(args["onto"])
    return f"{_here(step)}.drag_to(page{'' if onto is None else python_locator(onto)})"


def _python_scroll(step: Step, args: Mapping[str, Any]) -> str:
    if "to" not in args:
        return f"{_here(step)}.scroll_into_view_if_needed()"
    return f"{_here(step)}.evaluate({scrolling(args['to'])!r})"


def _python_upload(step: Step, args: Mapping[str, Any]) -> str:
    if args.get("drop"):
        return f"{_here(step)}.drop({{'files': {args['files']!r}}})"
    return f"{_here(step)}.set_input_files({args['files']!r})"


def _python_goto(step: Step, args: Mapping[str, Any]) -> str:
    until = step.value("until")
    return f"page.goto({args['url']!r}{'' if until == 'load' else f', wait_until={until!r}'})"


def _python_click(step: Step, args: Mapping[str, Any]) -> str:
    given = [
        f"click_count={args['count']!r}" if step.value("count") != 1 else "",
        f"button={args['button']!r}" if step.value("button") != "left" else "",
        f"modifiers={args['modifiers']!r}" if args.get("modifiers") else "",
        f"position={args['position']!r}" if "position" in args else "",
    ]
    return f"{_here(step)}.click({', '.join(filter(None, given))})"


def _python_type(step: Step, args: Mapping[str, Any]) -> str:
    if step.target is None:
        return f"page.keyboard.type({args['value']!r})"
    return f"{_here(step)}.press_sequentially({args['value']!r})"


def _python_press(step: Step, args: Mapping[str, Any]) -> str:
    return f"page{'.keyboard' if step.target is None else python_locator(step.target)}.press({args['key']!r})"


_ASSERTIONS: dict[str, str] = {
    "have_text": "to_have_text",
    "contain": "to_contain_text",
    "match": "to_have_text",
    "have_value": "to_have_value",
    "have_count": "to_have_count",
    "have_class": "to_contain_class",
    "have_values": "to_have_values",
    "have_role": "to_have_role",
    "have_accessible_name": "to_have_accessible_name",
}


def _bounds(value: str, wanted: Mapping[str, Any]) -> str:
    """Return the comparison of a number with the bounds of a condition."""
    low, high = wanted.get("between", (None, None))
    parts = [
        f"{low!r} <= {value} <= {high!r}" if "between" in wanted else "",
        *(f"{value} {sign} {wanted[key]!r}" for key, sign in _SIGNS.items() if key in wanted),
    ]
    return " and ".join(filter(None, parts))


_SIGNS = {"above": ">", "below": "<", "at_least": ">=", "at_most": "<="}


def _checked(here: str, name: str, wanted: Any) -> str:
    """Return the expression for a condition that Playwright has no assertion for; empty if it has one."""
    if name == "have_number":
        pattern = f", {wanted['pattern']!r}" if "pattern" in wanted else ""
        return _bounds(f"number({here}.text_content(){pattern})", wanted)
    if name == "have_count" and isinstance(wanted, dict):
        return _bounds(f"{here}.count()", wanted)
    if name == "have_class" and isinstance(wanted, dict) and "set" in wanted:
        return f"set({here}.get_attribute('class').split()) == set({wanted['set']!r})"
    if name == "have_attribute" and None in wanted.values():
        return f"{here}.get_attribute({next(iter(wanted))!r}) is None"
    return ""


def _assertion(here: str, name: str, wanted: Any, timeout: str, *, negated: bool) -> str:
    """Return a condition as an assertion."""
    checked = _checked(here, name, wanted)
    if checked:
        return f"assert {'not ' if negated else ''}({checked})"
    if name == "be":
        method, value = f"to_be_{wanted}", ""
    elif name in ("have_attribute", "have_css"):
        ((key, text),) = wanted.items()
        method, value = f"to_{name}", f"{key!r}, {text!r}"
    elif name == "match":
        method, value = _ASSERTIONS[name], f"re.compile({wanted!r})"
    elif isinstance(wanted, dict):
        method, value = "to_have_class", repr(wanted["exact"])
    else:
        method, value = _ASSERTIONS[name], repr(wanted)
    given = ", ".join(filter(None, [value, timeout]))
    return f"expect({here}).{'not_' if negated else ''}{method}({given})"


def _quantified(here: str, asked: Condition, timeout: str) -> str:
    call = _assertion("one", asked.name, asked.wanted, timeout, negated=asked.negated).removeprefix("assert ")
    return f"assert {asked.of}(holds(lambda one: {call}, one) for one in {here}.all())"


def _python_expect(step: Step, args: Mapping[str, Any]) -> str:
    timeout = f"timeout={milliseconds(step.value('within_seconds'))}"
    calls = []
    for part, wanted_of in args["page"].items() if "page" in args else ():
        for name, wanted, negated in conditions(wanted_of):
            pattern = {"contain": re.escape(wanted), "match": wanted}.get(name)
            value = repr(wanted) if pattern is None else f"re.compile({pattern!r})"
            calls.append(f"expect(page).{'not_' if negated else ''}to_have_{part}({value}, {timeout})")
    if "request" in args:
        calls.append(f"assert sent(context, {args['request']!r}, {timeout})")
    for one in conditions_of_target(args):
        if one.of in ("all", "any"):
            calls.append(_quantified(_here(step), one, timeout))
        else:
            calls.append(_assertion(_here(step), one.name, one.wanted, timeout, negated=one.negated))
    return "; ".join(calls)


def _python_wait(step: Step, args: Mapping[str, Any]) -> str:
    given = f"state={step.value('be')!r}, timeout={milliseconds(step.value('within_seconds'))}"
    marker = target_of(args.get("unless", {}))
    if marker is None:
        return f"{_here(step)}.wait_for({given})"
    sign = f"page{python_locator(marker)}"
    first = f"{_here(step)}.or_({sign}).first" if step.value("be") == "visible" else _here(step)
    return f"{first}.wait_for({given}); expect({sign}).not_to_be_visible(timeout=1)"


def _python_evaluate(step: Step, args: Mapping[str, Any]) -> str:
    call = f"{_here(step)}.evaluate({args['script']!r})"
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


def _python_screenshot(step: Step, args: Mapping[str, Any]) -> str:
    whole = ", full_page=True" if args.get("full_page") and step.target is None else ""
    return f"{_here(step)}.screenshot(path={file_name(args['as']) + '.png'!r}{whole})"


def _python_download(step: Step, args: Mapping[str, Any]) -> str:
    timeout = f"timeout={milliseconds(step.value('within_seconds'))}"
    return (
        f"with page.expect_download({timeout}) as download: {_here(step)}.click()  # kept as {file_name(args['as'])!r}"
    )


def _python_dialog(_step: Step, args: Mapping[str, Any]) -> str:
    answer = f"accept({args['text']!r})" if args["accept"] and "text" in args else "accept()"
    return f"page.once('dialog', lambda dialog: dialog.{answer if args['accept'] else 'dismiss()'})"


def _python_page(_step: Step, args: Mapping[str, Any]) -> str:
    if "as" in args:
        return f"page = pages[{args['as']!r}] = page.context.pages[-1]"
    return f"page = pages[{args['name']!r}]"


def _python_close_page(_step: Step, args: Mapping[str, Any]) -> str:
    return f"pages[{args['name']!r}].close()" if "name" in args else "page.close(); page = pages['main']"


def _python_mock(_step: Step, args: Mapping[str, Any]) -> str:
    if "abort" in args:
        act = f"route.abort({args['abort']!r})"
    else:
        kinds = {"json": "json", "body": "body", "file": "path"}
        given = [f"status={args['status']!r}", *(f"{kinds[key]}={args[key]!r}" for key in kinds if key in args)]
        act = f"route.fulfill({', '.join(given)})"
    return f"context.route({args['url']!r}, lambda route: {act})"


def _python_clock(_step: Step, args: Mapping[str, Any]) -> str:
    if "advance_seconds" in args:
        return f"context.clock.fast_forward({milliseconds(args['advance_seconds'])})"
    if "resume" in args:
        return "context.clock.resume()"
    call, time = ("install", args["set"]) if "set" in args else ("set_fixed_time", args["fix"])
    return f"context.clock.{call}({time!r})"


def _python_viewport(_step: Step, args: Mapping[str, Any]) -> str:
    return f"page.set_viewport_size({{'width': {args['width']!r}, 'height': {args['height']!r}}})"


def _python_http(step: Step, args: Mapping[str, Any]) -> str:
    body = {"json": "json", "form": "data", "body": "content"}
    given = [
        repr(args["method"]),
        repr(args["url"] if "base" not in args else f"${{{args['base']}.url}}{args['url']}"),
        *([f"headers={args['headers']!r}"] if args.get("headers") else []),
        *(f"{keyword}={args[name]!r}" for name, keyword in body.items() if name in args),
        f"timeout={step.value('within_seconds'):g}",
    ]
    request = f"httpx.request({', '.join(given)})"
    return f"eventually(lambda: {request}, {args['until']!r})" if "until" in args else request


def _python_set(_step: Step, args: Mapping[str, Any]) -> str:
    return f"saved.update({args['values']!r})"


_PYTHON: dict[str, Callable[[Step, Mapping[str, Any]], str]] = {
    "goto": _python_goto,
    "click": _python_click,
    "fill": _on_element("fill", "value"),
    "type": _python_type,
    "press": _python_press,
    "select": _on_element("select_option", "value"),
    "check": _on_element("check"),
    "uncheck": _on_element("uncheck"),
    "hover": _on_element("hover"),
    "drag": _python_drag,
    "scroll": _python_scroll,
    "focus": _on_element("focus"),
    "blur": _on_element("blur"),
    "upload": _python_upload,
    "expect": _python_expect,
    "wait": _python_wait,
    "evaluate": _python_evaluate,
    "screenshot": _python_screenshot,
    "download": _python_download,
    "dialog": _python_dialog,
    "page": _python_page,
    "close_page": _python_close_page,
    "mock": _python_mock,
    "clock": _python_clock,
    "viewport": _python_viewport,
    "back": _on_element("go_back"),
    "reload": _on_element("reload"),
    "http": _python_http,
    "set": _python_set,
}
