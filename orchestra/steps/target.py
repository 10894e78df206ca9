"""Define targets: how a step names an element, and its locator.

A target has exactly one kind of `KINDS` and can be narrowed by `NARROWING`. Its locator has a JavaScript form, for the
Playwright MCP server, and a Python form, for readers of `orchestra show`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from orchestra.pattern import compiled

Kind: TypeAlias = Literal["role", "label", "placeholder", "text", "alt", "title", "testid", "css"]

KINDS: dict[Kind, str] = {
    "role": "the ARIA role, narrowed by the accessible `name`",
    "label": "the text of the form control's label",
    "placeholder": "the placeholder of an input",
    "text": "the visible text of the element",
    "alt": "the alternative text of an image",
    "title": "the title attribute",
    "testid": "the data-testid attribute",
    "css": "a CSS selector, the last resort",
}

_NAME = {
    "type": ["string", "object"],
    "additionalProperties": False,
    "required": ["match"],
    "properties": {
        "match": {
            "type": "string",
            "description": "a regular expression to find in the name, which JavaScript and Python read alike",
            "examples": ["^Send( all)?$"],
        }
    },
}
_BOOLEAN = {"type": "boolean"}

STATES: dict[str, tuple[str, ...]] = {
    "checked": ("checkbox", "menuitemcheckbox", "menuitemradio", "option", "radio", "switch", "treeitem"),
    "expanded": (
        "application", "button", "checkbox", "columnheader", "combobox", "gridcell", "link", "listbox", "menuitem",
        "menuitemcheckbox", "menuitemradio", "row", "rowheader", "switch", "tab", "treeitem",
    ),
    "pressed": ("button",),
    "selected": ("columnheader", "gridcell", "option", "row", "rowheader", "tab", "treeitem"),
    "level": ("heading", "listitem", "row", "treeitem"),
}  # fmt: skip
"""The states of a role by which an element can be found, and the roles that have them, as for Playwright."""

NARROWING: dict[str, tuple[dict[str, Any], str, Any]] = {
    "name": (_NAME, "the accessible name; only with `role`", "Send"),
    "checked": (_BOOLEAN, "whether the element is checked; only with `role`", True),
    "expanded": (_BOOLEAN, "whether it is expanded; only with `role`", True),
    "pressed": (_BOOLEAN, "whether it is pressed; only with `role`", True),
    "selected": (_BOOLEAN, "whether it is selected; only with `role`", True),
    "level": ({"type": "integer", "minimum": 1}, "the level of a heading; only with `role`", 2),
    "exact": ({"type": "boolean"}, "match the whole text and its case (default: a part in any case)", True),
    "nth": ({"type": "integer"}, "the index among several matches, from 0; -1 is the last", 0),
    "has_text": ({"type": "string"}, "only elements that contain this text", "Buy milk"),
    "within": (
        {"$ref": "#/$defs/Target"},
        "search inside this target only",
        {"role": "listitem", "has_text": "Buy milk"},
    ),
    "frame": ({"type": "string"}, "search inside the frame with this CSS selector", "iframe#chart"),
}


WITH_ROLE: dict[str, list[str]] = {key: ["role"] for key in ("name", *STATES)}
"""The keys that need another one."""

ROLES = frozenset((
    "alert", "alertdialog", "application", "article", "banner", "blockquote", "button", "caption", "cell",
    "checkbox", "code", "columnheader", "combobox", "complementary", "contentinfo", "definition", "deletion",
    "dialog", "directory", "document", "emphasis", "feed", "figure", "form", "generic", "grid", "gridcell",
    "group", "heading", "img", "insertion", "link", "list", "listbox", "listitem", "log", "main", "mark",
    "marquee", "math", "meter", "menu", "menubar", "menuitem", "menuitemcheckbox", "menuitemradio", "navigation",
    "none", "note", "option", "paragraph", "presentation", "progressbar", "radio", "radiogroup", "region", "row",
    "rowgroup", "rowheader", "scrollbar", "search", "searchbox", "separator", "slider", "spinbutton", "status",
    "strong", "subscript", "superscript", "switch", "tab", "table", "tablist", "tabpanel", "term", "textbox",
    "time", "timer", "toolbar", "tooltip", "tree", "treegrid", "treeitem",
))  # fmt: skip
"""The ARIA roles that an element can have for Playwright: the value of `role` of any other finds nothing."""


class Target(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A target as the plan holds it: `by` is the kind, `value` what it is matched with.

    Attributes:
        name: the accessible name of a role.
        name_match: a pattern of it.
    """

    by: Kind
    value: str
    name: str | None = None
    exact: bool = False
    nth: int | None = None
    has_text: str | None = None
    within: Target | None = None
    frame: str | None = None
    name_match: str | None = None
    checked: bool | None = None
    expanded: bool | None = None
    pressed: bool | None = None
    selected: bool | None = None
    level: int | None = None


def target_of(data: Mapping[str, Any]) -> Target | None:
    """Return the target that a mapping of the spec names, or None when it names none. Other keys are passed over."""
    for kind in KINDS:
        if kind in data:
            break
    else:
        return None
    if NARROWING.keys().isdisjoint(data):
        return Target(kind, data[kind])
    within, name = data.get("within"), data.get("name")
    pattern = name["match"] if isinstance(name, Mapping) else None
    return Target(
        by=kind,
        value=data[kind],
        name=None if isinstance(name, Mapping) else name,
        name_match=pattern,
        **{state: data[state] for state in STATES if state in data},
        exact=data.get("exact", False),
        nth=data.get("nth"),
        has_text=data.get("has_text"),
        within=None if within is None else target_of(within),
        frame=data.get("frame"),
    )


_JS_CALL: dict[Kind, str] = {
    "role": "getByRole",
    "label": "getByLabel",
    "placeholder": "getByPlaceholder",
    "text": "getByText",
    "alt": "getByAltText",
    "title": "getByTitle",
    "testid": "getByTestId",
    "css": "locator",
}

_LITERAL = re.compile(r"\\[^\n\r\u2028\u2029]|[\\/\n\r\u2028\u2029]")
"""An escape, which stays, or a character that a literal of a pattern cannot hold: a backslash alone is one."""

_TAKES_EXACT = frozenset({"label", "placeholder", "text", "alt", "title"})


def js_string(text: str) -> str:
    """Return the text as a single-quoted JavaScript string literal."""
    quoted = msgspec.json.encode(text).decode()[1:-1].replace('\\"', '"').replace("'", "\\'")
    return "'" + quoted.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029") + "'"


def js_pattern(pattern: str) -> str:
    """Return a pattern as a JavaScript literal, which no text of the pattern can end: `/^Send$/`."""
    escaped = {"/": "\\/", "\n": "\\n", "\r": "\\r", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    inner = _LITERAL.sub(lambda one: one[0] if len(one[0]) > 1 else escaped.get(one[0], "\\\\"), pattern)
    return f"/{inner or '(?:)'}/"


def in_words(target: Target) -> str:
    """Return a target as in the spec: `{role: "button", name: "Send"}`."""
    return "{" + _parts(target) + "}"


def _parts(target: Target) -> str:
    parts = [f"{target.by}: {_quoted(target.value)}"]
    if target.name_match is not None:
        parts.append(f"name: {{match: {_quoted(target.name_match)}}}")
    narrowing = ((key, getattr(target, key)) for key in NARROWING if key != "within")
    absent = {"exact": False}
    parts += [f"{key}: {_quoted(value)}" for key, value in narrowing if value is not absent.get(key)]
    if target.within is not None:
        parts.append(f"within: {{{_parts(target.within)}}}")
    return ", ".join(parts)


def _quoted(value: str | int) -> str:
    return json.dumps(value, ensure_ascii=False)


def _states(target: Target) -> Iterator[tuple[str, bool | int]]:
    for state in STATES:
        value = getattr(target, state)
        if value is not None:
            yield state, value


def js_locator(target: Target) -> str:
    """Return the target as a JavaScript locator without `page.`: `getByRole('button', { name: 'Send' }).nth(1)`."""
    parts = [] if target.within is None else [js_locator(target.within)]
    if target.frame is not None:
        parts.append(f"frameLocator({js_string(target.frame)})")
    options = []
    if target.name is not None:
        options.append(f"name: {js_string(target.name)}")
    if target.name_match is not None:
        options.append(f"name: {js_pattern(target.name_match)}")
    options += [f"{state}: {_quoted(value)}" for state, value in _states(target)]
    if target.exact and (target.by in _TAKES_EXACT or target.name is not None):
        options.append("exact: true")
    arguments = js_string(target.value) + (f", {{ {', '.join(options)} }}" if options else "")
    parts.append(f"{_JS_CALL[target.by]}({arguments})")
    if target.has_text is not None:
        parts.append(f"filter({{ hasText: {js_string(target.has_text)} }})")
    if target.nth is not None:
        parts.append(f"nth({target.nth})")
    return ".".join(parts)


_PYTHON_CALL: dict[Kind, str] = {
    "role": "get_by_role",
    "label": "get_by_label",
    "placeholder": "get_by_placeholder",
    "text": "get_by_text",
    "alt": "get_by_alt_text",
    "title": "get_by_title",
    "testid": "get_by_test_id",
    "css": "locator",
}


class Call(msgspec.Struct, frozen=True):
    """One link of a Python locator: a method, its positional arguments and its keyword arguments."""

    method: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}


def python_calls(target: Target) -> tuple[Call, ...]:
    """Return the target as the chain of calls that makes its Python locator, from a page, frame or locator."""
    calls: list[Call] = [] if target.within is None else list(python_calls(target.within))
    if target.frame is not None:
        calls.append(Call("frame_locator", (target.frame,)))
    options: dict[str, Any] = {} if target.name is None else {"name": target.name}
    if target.name_match is not None:
        options["name"] = compiled(js_pattern(target.name_match)[1:-1])  # Playwright for Python escapes no slash
    options.update(_states(target))
    if target.exact and (target.by in _TAKES_EXACT or target.name is not None):
        options["exact"] = True
    calls.append(Call(_PYTHON_CALL[target.by], (target.value,), options))
    if target.has_text is not None:
        calls.append(Call("filter", (), {"has_text": target.has_text}))
    if target.nth is not None:
        calls.append(Call("nth", (target.nth,)))
    return tuple(calls)


def python_locator(target: Target) -> str:
    """Return the target as Python source after `page`, for instance `.get_by_role('button', name='Send').nth(1)`."""
    return "".join(
        f".{call.method}({', '.join([*map(repr, call.args), *(f'{k}={v!r}' for k, v in call.kwargs.items())])})"
        for call in python_calls(target)
    )
