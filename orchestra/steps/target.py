"""Define targets: how a step names an element, and its locator.

A target has exactly one kind of `KINDS` and can be narrowed by `NARROWING`. Its locator has a JavaScript form, for the
Playwright MCP server, and a Python form, for readers of `orchestra show`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

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

NARROWING: dict[str, tuple[dict[str, Any], str, Any]] = {
    "name": ({"type": "string"}, "the accessible name; only with `role`", "Send"),
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
    """A target as the plan holds it: `by` is the kind, `value` what it is matched with."""

    by: Kind
    value: str
    name: str | None = None
    exact: bool = False
    nth: int | None = None
    has_text: str | None = None
    within: Target | None = None
    frame: str | None = None


def target_of(data: Mapping[str, Any]) -> Target | None:
    """Return the target that a mapping of the spec names, or None when it names none. Other keys are passed over."""
    for kind in KINDS:
        if kind in data:
            break
    else:
        return None
    if NARROWING.keys().isdisjoint(data):
        return Target(kind, data[kind])
    within = data.get("within")
    return Target(
        by=kind,
        value=data[kind],
        name=data.get("name"),
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

_TAKES_EXACT = frozenset({"label", "placeholder", "text", "alt", "title"})


def js_string(text: str) -> str:
    """Return the text as a single-quoted JavaScript string literal."""
    quoted = msgspec.json.encode(text).decode()[1:-1].replace('\\"', '"').replace("'", "\\'")
    return "'" + quoted.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029") + "'"


def in_words(target: Target) -> str:
    """Return a target as in the spec: `{role: "button", name: "Send"}`."""
    return "{" + _parts(target) + "}"


def _parts(target: Target) -> str:
    parts = [f"{target.by}: {_quoted(target.value)}"]
    narrowing = ((key, getattr(target, key)) for key in NARROWING if key != "within")
    parts += [f"{key}: {_quoted(value)}" for key, value in narrowing if value is not None and value is not False]
    if target.within is not None:
        parts.append(f"within: {{{_parts(target.within)}}}")
    return ", ".join(parts)


def _quoted(value: str | int) -> str:
    return json.dumps(value, ensure_ascii=False)


def js_locator(target: Target) -> str:
    """Return the target as a JavaScript locator without `page.`: `getByRole('button', { name: 'Send' }).nth(1)`."""
    parts = [] if target.within is None else [js_locator(target.within)]
    if target.frame is not None:
        parts.append(f"frameLocator({js_string(target.frame)})")
    options = []
    if target.name is not None:
        options.append(f"name: {js_string(target.name)}")
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
