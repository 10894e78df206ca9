"""Turn the tool calls of a session with the Playwright MCP server into steps.

An element that the agent named by a reference of a snapshot (`e12`) is the locator that the server carried out and wrote
down. Calls that only look at the page are no steps; those that failed, and those that no step expresses, are notes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from orchestra.recording.calls import Called
from orchestra.recording.draft import Draft
from orchestra.recording.javascript import Call, Chain, statements
from orchestra.recording.locator import NoTargetError, Target, is_locator, of_calls, of_text

_REFERENCE = re.compile(r"^(?:f\d+)?e\d+$")
_DOWNLOAD = re.compile(r"^- Downloading file (.+) \.\.\.$", re.MULTILINE)
"""A download that begins; its end can be reported many calls later."""

LOOKS = frozenset(
    {
        "browser_snapshot",
        "browser_take_screenshot",
        "browser_console_messages",
        "browser_network_requests",
        "browser_network_request",
        "browser_find",
        "browser_generate_locator",
        "browser_highlight",
        "browser_hide_highlight",
        "browser_get_config",
        "browser_install",
        "browser_close",
        "browser_cookie_list",
        "browser_cookie_get",
        "browser_localstorage_list",
        "browser_localstorage_get",
        "browser_sessionstorage_list",
        "browser_sessionstorage_get",
        "browser_storage_state",
        "browser_route_list",
    }
)
"""Tools that change nothing of the page: what an agent looks at is no step."""


def draft_of(calls: Iterable[Called], draft: Draft) -> Draft:
    """Add the steps of calls to a draft, and return it."""
    for call in calls:
        if call.tool not in LOOKS:
            _add(call, draft)
        for name in _DOWNLOAD.findall(call.events):  # a look can be the first to hear of it
            draft.download(name)
    return draft


def _add(call: Called, draft: Draft) -> None:
    """Add the step of a call, or a note why it has none."""
    if call.error:
        draft.note(f"line {call.line}: {call.tool} had failed and is left out: {_first_line(call.error)}")
        return
    step = _STEPS.get(call.tool)
    if step is None:
        draft.note(f"line {call.line}: no step does what {call.tool} does: it is left out")
        return
    try:
        step(_Asked(call), draft)
    except NoTargetError as error:
        draft.note(f"line {call.line}: {call.tool} is left out: {error}")


class _Asked:
    """A call, its arguments by any of their names, and the locators that it used."""

    def __init__(self, call: Called) -> None:
        self.line = call.line
        self.args: Mapping[str, Any] = call.args
        self._chains = [*statements(call.code)]

    def text(self, *names: str) -> str:
        """Return the first of the arguments that is there; empty if none is."""
        return next((str(self.args[name]) for name in names if self.args.get(name) is not None), "")

    def target(self, *names: str, index: int = 0) -> Target:
        """Return the target of an argument.

        Args:
            names: of the argument.
            index: of the locator in the code, among those that the call used.

        Raises:
            NoTargetError: neither the argument nor the code has one that a target expresses.
        """
        written = self.text(*(names or ("target", "ref", "selector")))
        if written and not _REFERENCE.fullmatch(written):
            return of_text(written)
        located = list(self._located())
        if index >= len(located):
            raise NoTargetError(
                f'"{written}" is a reference of a snapshot, and the log has no code: start the server with '
                "--codegen=typescript"
            )
        return of_calls(located[index])

    def _located(self) -> Iterator[tuple[Call, ...]]:
        """Yield the locators of the code, in order; those inside of `expect(…)` and `dragTo(…)`, too."""
        for chain in self._chains:
            yield from _locators(chain)


def _locators(chain: Chain) -> Iterator[tuple[Call, ...]]:
    own: list[Call] = []
    for call in chain.calls:
        if not is_locator(call.name):
            break
        own.append(call)
    if own:
        yield tuple(own)
    for call in chain.calls[len(own) :]:
        for value in call.args:
            if isinstance(value, Chain):
                yield from _locators(value)


def _click(asked: _Asked, draft: Draft) -> None:
    fields: dict[str, Any] = {}
    if asked.args.get("doubleClick"):
        fields["count"] = 2
    if asked.text("button") not in {"", "left"}:
        fields["button"] = asked.text("button")
    if asked.args.get("modifiers"):
        fields["modifiers"] = list(asked.args["modifiers"])
    draft.add("click", asked.target(), **fields)


def _type(asked: _Asked, draft: Draft) -> None:
    target = asked.target()
    if asked.args.get("slowly"):
        draft.add("type", target, value=asked.text("text"))
    else:
        draft.fill(target, asked.text("text"))
    if asked.args.get("submit"):
        draft.add("press", target, key="Enter")


def _form(asked: _Asked, draft: Draft) -> None:
    fields = asked.args.get("fields")
    for index, field in enumerate(fields if isinstance(fields, list) else ()):
        if not isinstance(field, dict):
            continue
        one = _Asked(Called("", field))
        one._chains = asked._chains  # noqa: SLF001 - the code of the whole form
        target, value = one.target(index=index), one.text("value")
        kind = one.text("type")
        if kind in {"checkbox", "radio"}:
            draft.add("uncheck" if value == "false" else "check", target)
        elif kind == "combobox":
            draft.add("select", target, value=value)
        else:
            draft.fill(target, value)


def _select(asked: _Asked, draft: Draft) -> None:
    values = asked.args.get("values")
    chosen = [str(value) for value in values] if isinstance(values, list) else [asked.text("values", "value")]
    draft.add("select", asked.target(), value=chosen[0] if len(chosen) == 1 else chosen)


def _drag(asked: _Asked, draft: Draft) -> None:
    onto = asked.target("endTarget", "endRef", index=1)
    draft.add("drag", asked.target("startTarget", "startRef"), onto=onto)


def _upload(asked: _Asked, draft: Draft) -> None:
    paths = asked.args.get("paths")
    if isinstance(paths, list) and paths:
        draft.upload([str(path) for path in paths])
    else:
        draft.note(f"line {asked.line}: a file chooser was cancelled: it is left out")


def _drop(asked: _Asked, draft: Draft) -> None:
    paths = asked.args.get("paths")
    if not (isinstance(paths, list) and paths):
        raise NoTargetError("only files can be dropped")
    draft.add("upload", asked.target(), files=[str(path) for path in paths], drop=True)


def _wait(call: _Asked, draft: Draft) -> None:
    limit = {"within_seconds": call.args["time"]} if call.args.get("time") else {}
    if call.text("text"):
        draft.add("wait", {"text": call.text("text"), "nth": 0}, **limit)
    if call.text("textGone"):
        draft.add("wait", {"text": call.text("textGone"), "nth": 0}, be="hidden", **limit)
    if not (call.text("text") or call.text("textGone")):
        draft.note(f"line {call.line}: a pause is left out: an `expect` or a `wait` states the condition")


def _visible(asked: _Asked, draft: Draft) -> None:
    try:
        target = asked.target("target")
    except NoTargetError:
        if asked.text("text"):
            target = {"text": asked.text("text"), "nth": 0}
        elif asked.text("role"):
            target = {"role": asked.text("role"), "name": asked.text("accessibleName")}
        else:
            raise
    draft.add("expect", target, to={"be": "visible"})


def _list(asked: _Asked, draft: Draft) -> None:
    items = asked.args.get("items")
    if isinstance(items, list) and items:
        target = asked.target()
        for item in items:
            draft.add("expect", target, to={"contain": str(item)})


def _value(asked: _Asked, draft: Draft) -> None:
    target, value = asked.target(), asked.text("value")
    if asked.text("type") in {"checkbox", "radio"}:
        checked: dict[str, Any] = {"be": "checked"}
        draft.add("expect", target, to={"not": checked} if value.lower() == "false" else checked)
    else:
        draft.add("expect", target, to={"have_value": value})


def _tabs(asked: _Asked, draft: Draft) -> None:
    action, index = asked.text("action"), asked.text("index")
    if action == "select":
        _go_to_page(index or "0", draft)
    elif action == "close":
        draft.steps.append({"close_page": f"page_{index}" if index else {}})
    elif action in {"new", "create"}:
        draft.note(f"line {asked.line}: a new tab was opened by hand: the steps go on in the same page")
        if asked.text("url"):
            draft.goto(asked.text("url"))


def _go_to_page(index: str, draft: Draft) -> None:
    name = "main" if index == "0" else f"page_{index}"
    known = any(step.get("page") in (name, {"as": name}) for step in draft.steps)
    draft.steps.append({"page": name if known or name == "main" else {"as": name}})


_Tool: TypeAlias = Callable[[_Asked, Draft], None]
_STEPS: dict[str, _Tool] = {
    "browser_navigate": lambda asked, draft: draft.goto(asked.text("url")),
    "browser_click": _click,
    "browser_type": _type,
    "browser_press_sequentially": lambda asked, draft: draft.add("type", value=asked.text("text")),
    "browser_press_key": lambda asked, draft: draft.press(asked.text("key")),
    "browser_fill_form": _form,
    "browser_select_option": _select,
    "browser_check": lambda asked, draft: draft.add("check", asked.target()),
    "browser_uncheck": lambda asked, draft: draft.add("uncheck", asked.target()),
    "browser_hover": lambda asked, draft: draft.add("hover", asked.target()),
    "browser_drag": _drag,
    "browser_drop": _drop,
    "browser_file_upload": _upload,
    "browser_handle_dialog": lambda asked, draft: draft.dialog(
        accept=bool(asked.args.get("accept")), text=asked.text("promptText") or None
    ),
    "browser_wait_for": _wait,
    "browser_verify_element_visible": _visible,
    "browser_verify_text_visible": _visible,
    "browser_verify_list_visible": _list,
    "browser_verify_value": _value,
    "browser_tabs": _tabs,
    "browser_navigate_back": lambda _, draft: draft.add("back"),
    "browser_reload": lambda _, draft: draft.add("reload"),
    "browser_resize": lambda asked, draft: draft.add(
        "viewport", width=int(asked.args.get("width", 0)), height=int(asked.args.get("height", 0))
    ),
}


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0]
