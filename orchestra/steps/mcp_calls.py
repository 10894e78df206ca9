"""A step of the plan as calls of tools of the Playwright MCP server: what the driver `mcp` sends, and `show` prints.

Every text is final when a call is sent: late names are
replaced, and paths are absolute.

A step uses a tool of the server where one exists. `expect` queries the page by `browser_evaluate` on the target: the
server finds it by its own locator, the answer is `{ok, found}`, and the client repeats the query. The tools named
`browser_verify_*` do not help: they search for a text anywhere on the page and support neither `not` nor counts. Steps
that need Playwright's ARIA engine (enabled, disabled, checked), a count, a download, a reload, a triple click or a wait
for a role go through `browser_run_code_unsafe`, by public methods alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, cast

import msgspec

from orchestra.steps import page_script
from orchestra.steps.conditions import conditions, conditions_of_target
from orchestra.steps.page_script import literal
from orchestra.steps.python_text import playwright_text
from orchestra.steps.target import Target, js_locator, target_of
from orchestra.steps.vocabulary import Step, file_name, is_repeated, milliseconds, row_of

__all__ = ["TYPED", "ToolCall", "chooser_calls", "mcp_calls", "no_key", "playwright_text"]

# How long one question to an element may take inside the server, in ms; the client asks again until its own deadline.
_INSTANT = 1000

NAVIGATION_MS = 300_000
"""The time that the server waits for a document by itself; the client enforces the limit of a step."""

ACTION_MS = 5000
"""The time that the server tries an action by itself (`--timeout-action`); the client repeats it until its own
deadline.
"""


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


def mcp_calls(step: Step, poll_seconds: float, folder: str = "") -> tuple[ToolCall, ...]:
    """Return the tool calls of a step, in order; none for a step that the runner carries out itself (`http`, `set`).

    Args:
        step: of the plan.
        poll_seconds: the longest single wait. A step's own `within_seconds` shortens it.
        folder: where screenshots and downloads are kept, absolute and with `/` at its end; names alone without it.
    """
    return tuple(row_of(_CALLS, step.verb, __name__)(_Context(step, step.args, poll_seconds, folder)))


def chooser_calls(step: Step) -> tuple[ToolCall, ToolCall]:
    """Return the tool calls of an `upload` whose element is no file input: the click that opens the chooser, and its
    answer.
    """
    the = _Context(step, step.args, 0.0, "")
    paths = [_text(path) for path in the.args["files"]]
    return ToolCall("browser_click", the.on_target()), ToolCall("browser_file_upload", {"paths": paths})


class _Context(msgspec.Struct, frozen=True):
    step: Step
    args: dict[str, Any]
    poll_seconds: float
    folder: str

    def target(self) -> str:
        """Return the JavaScript locator of the step's element."""
        return "" if self.step.target is None else js_locator(self.step.target)

    def on_target(self) -> dict[str, Any]:
        """Return the argument that names the element, if the step has one."""
        return {} if self.step.target is None else {"target": self.target()}

    def text(self, name: str) -> str:
        return _text(self.args[name])


def _text(value: Any) -> str:
    """Return a scalar as text: a block's parameter may have given a number."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _act(tool: str, **arguments: Any) -> Iterator[ToolCall]:
    yield ToolCall(tool, arguments)


def _code(*lines: str, kind: Literal["act", "ask", "wait"] = "act") -> Iterator[ToolCall]:
    body = "\n".join(lines)
    yield ToolCall("browser_run_code_unsafe", {"code": f"async (page) => {{\n{body}\n}}"}, kind)


def _goto(the: _Context) -> Iterator[ToolCall]:
    until = the.step.value("until")
    if until == "load":
        return _act("browser_navigate", url=the.text("url"))
    # The tool waits for the whole document, and five seconds for what it shows.
    options = {"waitUntil": until, "timeout": NAVIGATION_MS}
    return _code(f"await page.goto({literal(the.text('url'))}, {literal(options)});")


def _click(the: _Context) -> Iterator[ToolCall]:
    count, button, modifiers = the.step.value("count"), the.step.value("button"), the.step.value("modifiers")
    if count > 2 or "position" in the.args:
        place = {"position": the.args["position"]} if "position" in the.args else {}
        options = {"clickCount": count, "button": button, "modifiers": modifiers, **place}
        return _code(f"await page.{the.target()}.click({literal(options)});")
    given = {
        **({"doubleClick": True} if count == 2 else {}),
        **({"button": button} if button != "left" else {}),
        **({"modifiers": list(modifiers)} if modifiers else {}),
    }
    return _act("browser_click", target=the.target(), **given)


def _fill(the: _Context) -> Iterator[ToolCall]:
    return _act("browser_type", target=the.target(), text=the.text("value"))


def no_key(text: str) -> bool:
    """Return whether a text is a character that no key of a US keyboard makes: it is typed, not pressed."""
    return len(text) == 1 and not text.isascii()


def _focus(the: _Context) -> Iterator[ToolCall]:
    if the.step.target is not None or the.step.verb == "type":
        yield from _act("browser_evaluate", **the.on_target(), function=page_script.focusing(the.step.verb))


_TYPING = "page[Symbol.for('orchestra')]"

TYPED = ToolCall("browser_run_code_unsafe", {"code": f"async (page) => {{\nawait {_TYPING};\n}}"})
"""Waits for the end of typing, where a dialog has cut the call short."""


def _typing(text: str) -> Iterator[ToolCall]:
    return _code(f"{_TYPING} = page.keyboard.type({literal(text)});", f"await {_TYPING};")


def _type(the: _Context) -> Iterator[ToolCall]:
    yield from _focus(the)
    yield from _typing(the.text("value"))


def _press(the: _Context) -> Iterator[ToolCall]:
    yield from _focus(the)
    key = the.text("key")
    yield from _typing(key) if no_key(key) else _act("browser_press_key", key=key)


def _select(the: _Context) -> Iterator[ToolCall]:
    value = the.args["value"]
    values = [_text(one) for one in value] if isinstance(value, (list, tuple)) else [_text(value)]
    return _act("browser_select_option", target=the.target(), values=values)


def _checked(state: str) -> Callable[[_Context], Iterator[ToolCall]]:
    def calls(the: _Context) -> Iterator[ToolCall]:
        field = {"target": the.target(), "name": "checkbox", "type": "checkbox", "value": state}
        return _act("browser_fill_form", fields=[field])

    return calls


def _hover(the: _Context) -> Iterator[ToolCall]:
    return _act("browser_hover", target=the.target())


def _drag(the: _Context) -> Iterator[ToolCall]:
    onto = js_locator(cast("Target", target_of(the.args["onto"])))  # the schema asks for one
    yield ToolCall("browser_evaluate", {"target": onto, "function": page_script.ONCE})
    yield ToolCall("browser_drag", {"startTarget": the.target(), "endTarget": onto})


def _scroll(the: _Context) -> Iterator[ToolCall]:
    if "to" in the.args:
        yield ToolCall("browser_evaluate", {**the.on_target(), "function": page_script.scrolling(the.args["to"])})
        return
    yield ToolCall("browser_evaluate", {**the.on_target(), "function": page_script.ONCE})
    yield from _code(f"await page.{the.target()}.scrollIntoViewIfNeeded({literal({'timeout': ACTION_MS})});")


def _on_target(function: str) -> Callable[[_Context], Iterator[ToolCall]]:
    return lambda the: _act("browser_evaluate", **the.on_target(), function=function)


def _upload(the: _Context) -> Iterator[ToolCall]:
    # A file input is often hidden behind a styled label, and hidden elements cannot be clicked, so it gets its files
    # without a click. A click on any other element opens the file chooser (`chooser_calls`).
    if the.args.get("drop"):
        yield from _act("browser_drop", target=the.target(), paths=[_text(path) for path in the.args["files"]])
        return
    yield from _act("browser_evaluate", target=the.target(), function=page_script.FILE_INPUT)
    paths, limit = literal([_text(path) for path in the.args["files"]]), {"timeout": ACTION_MS}
    yield from _code(f"await page.{the.target()}.setInputFiles({paths}, {literal(limit)});")


def _expect(the: _Context) -> Iterator[ToolCall]:
    for part, wanted_of in the.args.get("page", {}).items():
        for name, wanted, negated in conditions(wanted_of):
            function = page_script.page_question(part, name, wanted, negated=negated)
            yield ToolCall("browser_evaluate", {"function": function}, "ask")
    for condition in conditions_of_target(the.args):
        if condition.of == "one":
            yield from _expect_element(the, condition.name, condition.wanted, negated=condition.negated)
        else:
            question = page_script.set_question(condition)
            yield from _code(f"return await page.{the.target()}.evaluateAll({question});", kind="ask")


def _expect_element(the: _Context, name: str, wanted: Any, *, negated: bool) -> Iterator[ToolCall]:
    wish = "!" if negated else ""
    if name == "have_count":
        found = f"const found = await page.{the.target()}.count();"
        return _code(found, f"return {{ ok: {wish}(found === {literal(wanted)}), found }};", kind="ask")
    if name == "be" and wanted in _STATES:
        method, yes, no = _STATES[wanted]
        return _code(
            f"const target = page.{the.target()};",
            "if (!await target.count()) return { ok: false, found: null };",
            f"const state = await target.{method}({{ timeout: {_INSTANT} }}).catch({_TIMELESS});",
            "if (state === null) return { ok: false, found: null };",
            f"const found = state ? {literal(yes)} : {literal(no)};",
            f"return {{ ok: {wish}(found === {literal(wanted)}), found }};",
            kind="ask",
        )
    if name in ("have_role", "have_accessible_name"):
        return _code(*_aria_lines(the, name, wanted), f"return {{ ok: {wish}ok, found }};", kind="ask")
    function = page_script.element_question(name, wanted, negated=negated)
    absent_ok = name == "be" and wanted == ("visible" if negated else "hidden")
    return iter([ToolCall("browser_evaluate", {"target": the.target(), "function": function}, "ask", absent_ok)])


# state: (the method that asks Playwright, what yes means, what no means)
_STATES: dict[str, tuple[str, str, str]] = {
    "enabled": ("isEnabled", "enabled", "disabled"),
    "disabled": ("isEnabled", "enabled", "disabled"),
    "checked": ("isChecked", "checked", "unchecked"),
    "editable": ("isEditable", "editable", "readOnly"),
}

# An element that went away between two questions is no error; the client asks again.
_IS_TIMEOUT = "error.name === 'TimeoutError'"
_TIMELESS = f"(error) => {{ if ({_IS_TIMEOUT}) return null; throw error; }}"


_ARIA = """const snapshot = await target.ariaSnapshot({ timeout: LIMIT }).catch(TIMELESS);
if (snapshot === null) return { ok: false, found: null };
const key = snapshot.split('\\n')[0].replace(/^- /, '');
const head = /^([a-z]+)(?: ("(?:[^"\\\\]|\\\\.)*"))?/.exec(key[0] === "'" ? key.slice(1).replace(/''/g, "'") : key);
const has = async (role) => await target.and(page.getByRole(role, { includeHidden: true })).count() > 0;
const [role, name] = head && await has(head[1]) ? [head[1], head[2] ? JSON.parse(head[2]) : ''] : ['', ''];"""


def _aria_lines(the: _Context, condition: str, wanted: str) -> Iterator[str]:
    """Yield the lines that find the role or the accessible name of an element, by the ARIA snapshot that begins with it."""
    yield f"const target = page.{the.target()}, wanted = {literal(wanted)};"
    yield "if (!await target.count()) return { ok: false, found: null };"
    yield _ARIA.replace("LIMIT", str(_INSTANT)).replace("TIMELESS", _TIMELESS)
    if condition == "have_role":
        yield "const ok = await has(wanted), found = ok ? wanted : role;"
    else:
        yield r"const found = name, ok = found === wanted.trim().replace(/\s+/g, ' ');"


def _wait(the: _Context) -> Iterator[ToolCall]:
    target = cast("Target", the.step.target)  # the schema asks for one
    unless = target_of(the.args.get("unless", {}))
    limit = milliseconds(min(the.poll_seconds, the.step.value("within_seconds")))
    be = the.step.value("be")
    if page_script.observable(target) and (unless is None or page_script.observable(unless)):
        function = page_script.observer(target, be, unless, limit)
        return iter([ToolCall("browser_evaluate", {"function": function}, "wait")])
    return _wait_by_locator(target, be, unless, limit)


def _wait_by_locator(target: Target, be: str, unless: Target | None, limit: int) -> Iterator[ToolCall]:
    late = f"const late = (error) => {{ if ({_IS_TIMEOUT}) return {{ ok: false, reason: 'time' }}; throw error; }};"
    waits = [
        f"page.{js_locator(target)}.waitFor({{ state: {literal(be)}, timeout }}).then(() => ({{ ok: true }}), late),"
    ]
    if unless is not None:
        marker = f"page.{js_locator(unless)}.filter({{ visible: true }}).first().waitFor({{ timeout }})"
        waits.insert(0, f"{marker}.then(() => ({{ ok: false, reason: 'unless' }}), late),")
    return _code(f"const timeout = {limit};", late, "return await Promise.race([", *waits, "]);", kind="wait")


def _evaluate(the: _Context) -> Iterator[ToolCall]:
    limit = milliseconds(the.step.value("within_seconds")) if is_repeated(the.args) else None
    return _act("browser_evaluate", function=page_script.evaluation(the.text("script"), limit), **the.on_target())


def _screenshot(the: _Context) -> Iterator[ToolCall]:
    whole = {"fullPage": True} if the.args.get("full_page") and the.step.target is None else {}
    name = f"{the.folder}{file_name(the.text('as'))}.png"
    return _act("browser_take_screenshot", filename=name, type="png", scale="css", **the.on_target(), **whole)


def _download(the: _Context) -> Iterator[ToolCall]:
    path = literal(the.folder + file_name(the.text("as")))
    limit = milliseconds(the.step.value("within_seconds"))
    return _code(
        "const [download] = await Promise.all([",
        f"page.waitForEvent('download', {{ timeout: {limit} }}),",
        f"page.{the.target()}.click({{ timeout: {limit} }}),",
        "]);",
        f"await download.saveAs({path});",
        f"return {{ path: {path}, suggested: download.suggestedFilename() }};",
    )


def _dialog(the: _Context) -> Iterator[ToolCall]:
    text = {"promptText": the.text("text")} if "text" in the.args else {}
    return _act("browser_handle_dialog", accept=the.args["accept"], **text)


def _page(the: _Context) -> Iterator[ToolCall]:
    # Which tab that is, is known when the step is carried out.
    return _act("browser_tabs", action="select", index=the.args.get("index", 0))


def _close_page(the: _Context) -> Iterator[ToolCall]:
    return _act("browser_tabs", action="close", index=the.args.get("index", 0))


def _viewport(the: _Context) -> Iterator[ToolCall]:
    return _act("browser_resize", width=the.args["width"], height=the.args["height"])


def _back(_the: _Context) -> Iterator[ToolCall]:
    return _act("browser_navigate_back")


def _reload(_the: _Context) -> Iterator[ToolCall]:
    # By the page's own location.reload() the next call would still meet the old document.
    return _code("await page.reload();")


def _nothing(_the: _Context) -> Iterator[ToolCall]:
    return iter(())


_CALLS: Mapping[str, Callable[[_Context], Iterator[ToolCall]]] = {
    "goto": _goto,
    "click": _click,
    "fill": _fill,
    "type": _type,
    "press": _press,
    "select": _select,
    "check": _checked("true"),
    "uncheck": _checked("false"),
    "hover": _hover,
    "drag": _drag,
    "scroll": _scroll,
    "focus": _focus,
    "blur": _on_target(page_script.BLUR),
    "upload": _upload,
    "expect": _expect,
    "wait": _wait,
    "evaluate": _evaluate,
    "screenshot": _screenshot,
    "download": _download,
    "dialog": _dialog,
    "page": _page,
    "close_page": _close_page,
    "mock": _nothing,
    "clock": _nothing,
    "viewport": _viewport,
    "back": _back,
    "reload": _reload,
    "http": _nothing,
    "set": _nothing,
}
