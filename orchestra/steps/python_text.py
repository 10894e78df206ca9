"""A step of the plan as a line of Python Playwright, for readers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestra.steps.target import python_locator, target_of
from orchestra.steps.vocabulary import Step, conditions, file_name, milliseconds, row_of


def playwright_text(step: Step) -> str:
    """Return the step as one line of Python for Playwright's synchronous interface; `page`, `expect` and `saved` exist."""
    return row_of(_PYTHON, step.verb, __name__)(step, step.args)


def _here(step: Step) -> str:
    return "page" if step.target is None else f"page{python_locator(step.target)}"


def _on_element(method: str, *fields: str) -> Callable[[Step, Mapping[str, Any]], str]:
    def text(step: Step, args: Mapping[str, Any]) -> str:
        return f"{_here(step)}.{method}({', '.join(repr(args[field]) for field in fields)})"

    return text


def _python_goto(step: Step, args: Mapping[str, Any]) -> str:
    until = step.value("until")
    return f"page.goto({args['url']!r}{'' if until == 'load' else f', wait_until={until!r}'})"


def _python_click(step: Step, args: Mapping[str, Any]) -> str:
    given = [
        f"click_count={args['count']!r}" if step.value("count") != 1 else "",
        f"button={args['button']!r}" if step.value("button") != "left" else "",
        f"modifiers={args['modifiers']!r}" if args.get("modifiers") else "",
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
}


def _assertion(name: str, wanted: Any) -> Iterator[tuple[str, str]]:
    """Yield the assertions of Playwright, with their arguments, that one condition is."""
    if name == "be":
        yield f"to_be_{wanted}", ""
    elif name == "have_attribute":
        yield from (("to_have_attribute", f"{key!r}, {value!r}") for key, value in wanted.items())
    elif name == "match":
        yield _ASSERTIONS[name], f"re.compile({wanted!r})"
    else:
        yield _ASSERTIONS[name], repr(wanted)


def _python_expect(step: Step, args: Mapping[str, Any]) -> str:
    timeout = f"timeout={milliseconds(step.value('within_seconds'))}"
    calls = []
    for part, wanted_of in args["page"].items() if "page" in args else ():
        for name, wanted, negated in conditions(wanted_of):
            pattern = {"contain": re.escape(wanted), "match": wanted}.get(name)
            value = repr(wanted) if pattern is None else f"re.compile({pattern!r})"
            calls.append(f"expect(page).{'not_' if negated else ''}to_have_{part}({value}, {timeout})")
    for name, wanted, negated in conditions(args.get("to", {})):
        for method, value in _assertion(name, wanted):
            given = ", ".join(filter(None, [value, timeout]))
            calls.append(f"expect({_here(step)}).{'not_' if negated else ''}{method}({given})")
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
    return f"httpx.request({', '.join(given)})"


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
    "upload": _on_element("set_input_files", "files"),
    "expect": _python_expect,
    "wait": _python_wait,
    "evaluate": _python_evaluate,
    "screenshot": _python_screenshot,
    "download": _python_download,
    "dialog": _python_dialog,
    "viewport": _python_viewport,
    "back": _on_element("go_back"),
    "reload": _on_element("reload"),
    "http": _python_http,
    "set": _python_set,
}
