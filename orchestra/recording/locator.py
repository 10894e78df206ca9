"""Turn a locator of Playwright into a target of a spec.

A locator is a chain of links, each with the kind that Playwright's own generators of code give it. They come from its
JSON form, which the recorder gives, or from its JavaScript form, which the MCP server writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from orchestra.recording.javascript import Call, Chain, NotReadError, Pattern, expression
from orchestra.steps.target import STATES

Target: TypeAlias = dict[str, Any]
"""A target, as it is written in a spec."""

_BY = {
    "default": "css",
    "role": "role",
    "label": "label",
    "placeholder": "placeholder",
    "text": "text",
    "alt": "alt",
    "title": "title",
    "test-id": "testid",
}
_METHODS = {
    "locator": "default",
    "getByRole": "role",
    "getByLabel": "label",
    "getByPlaceholder": "placeholder",
    "getByText": "text",
    "getByAltText": "alt",
    "getByTitle": "title",
    "getByTestId": "test-id",
    "frameLocator": "frame-locator",
    "contentFrame": "frame",
    "nth": "nth",
    "first": "first",
    "last": "last",
}
_ATTRIBUTES = {"title": "title", "testid": "data-testid", "alt": "alt", "placeholder": "placeholder"}


class NoTargetError(Exception):
    """A locator that no target expresses; the message has the reason."""


class Link(msgspec.Struct, frozen=True):
    """One link of a locator.

    Attributes:
        kind: as Playwright names it.
        body: the role, text, selector or index.
        options: `name` and `exact`, and for `default` `hasText`.
    """

    kind: str
    body: Any = ""
    options: Mapping[str, Any] = {}


def of_json(data: Mapping[str, Any] | None) -> Target:
    """Return the target of a locator in its JSON form: `{"kind": "role", "body": "button", "options": {…}, "next": …}`.

    Raises:
        NoTargetError: no target expresses it.
    """
    return _target(_json_links(data))


def of_text(text: str) -> Target:
    """Return the target of a locator in its JavaScript form, or of a CSS selector.

    Raises:
        NoTargetError: no target expresses it.
    """
    try:
        chain = expression(text)
    except NotReadError:
        return {"css": text}
    return of_calls(chain.calls) if chain.calls and chain.calls[0].name in _METHODS else {"css": text}


def of_calls(calls: Iterable[Call]) -> Target:
    """Return the target of a chain of calls.

    Raises:
        NoTargetError: no target expresses it.
    """
    return _target(map(_link, calls))


def is_locator(name: str) -> bool:
    """Return whether a call is part of a locator."""
    return name in _METHODS or name == "filter"


def _json_links(data: Mapping[str, Any] | None) -> Iterator[Link]:
    while data:
        yield Link(data.get("kind", ""), data.get("body", ""), data.get("options") or {})
        data = data.get("next")


def _link(call: Call) -> Link:
    options = call.args[-1] if call.args and isinstance(call.args[-1], dict) else {}
    if call.name == "filter":
        if options.keys() != {"hasText"}:
            raise NoTargetError(f"a filter by {', '.join(options) or 'nothing'} has no key in a target")
        return Link("has-text", options["hasText"])
    if call.name not in _METHODS:
        raise NoTargetError(f"{call.name}() has no key in a target")
    body = call.args[0] if call.args and not isinstance(call.args[0], dict) else ""
    known = {"name", "exact", "hasText"}
    attributes = [{"name": name, "value": value} for name, value in options.items() if name not in known]
    return Link(_METHODS[call.name], body, {**options, "attrs": attributes})


def _target(links: Iterable[Link]) -> Target:
    """Return the target of all links, from the outermost on."""
    target: Target = {}
    frame = ""
    for link in links:
        if link.kind in _BY:
            inner = _found_by(link)
            if frame:
                inner["frame"], frame = frame, ""
            if target:
                inner["within"] = target
            target = inner
        elif link.kind == "frame-locator":
            target, frame = _outside(target, frame), _plain(link.body)
        elif link.kind == "frame":
            target, frame = _entered(target)
        else:
            _narrow(target, link)
    if frame:
        raise NoTargetError("a frame itself is no element")
    if not target:
        raise NoTargetError("the page itself is no element")
    return target


def _found_by(link: Link) -> Target:
    target: Target = {_BY[link.kind]: _plain(link.body)}
    options = link.options
    states = {str(option.get("name")): option.get("value") for option in options.get("attrs") or ()}
    if names := ", ".join(name for name in states if name not in STATES):
        raise NoTargetError(f"a locator by {names} has no key in a target")
    if options.get("hasNotText") is not None:
        raise NoTargetError("a locator by a text that is not there has no key in a target")
    if options.get("name") is not None:
        target["name"] = _plain(options["name"])
    target.update(states)
    if options.get("exact"):
        target["exact"] = True
    if options.get("hasText") is not None:
        target["has_text"] = _plain(options["hasText"])
    return target


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Pattern):
        raise NoTargetError(f"the pattern {value.source} has no key in a target")
    if isinstance(value, Chain):
        raise NoTargetError("a locator inside a locator has no key in a target")
    raise NoTargetError(f"{json.dumps(value, default=str)} has no key in a target")


def _narrow(target: Target, link: Link) -> None:
    if not target:
        raise NoTargetError(f"{link.kind} of the page has no key in a target")
    if "nth" in target:
        raise NoTargetError(f"{link.kind} after an index has no key in a target")
    if link.kind in {"first", "last"}:
        target["nth"] = 0 if link.kind == "first" else -1
    elif link.kind == "nth" and str(link.body).lstrip("-").isdigit():
        target["nth"] = int(link.body)
    elif link.kind == "has-text" and "has_text" not in target:
        target["has_text"] = _plain(link.body)
    else:
        raise NoTargetError(f"{link.kind} has no key in a target")


def _outside(target: Target, frame: str) -> Target:
    """Return the target inside which the next frame is: the document of the frame that the locator is in."""
    if not frame:
        return target
    outer: Target = {"css": "html", "frame": frame}
    return {**outer, "within": target} if target else outer


def _entered(target: Target) -> tuple[Target, str]:
    """Return the target inside which a frame is, and the CSS selector of the frame that a target means."""
    within: Target = target.get("within", {})
    if "frame" in target:
        within = _outside(within, target["frame"])
    rest = target.keys() - {"within", "frame", "exact"}
    for key, attribute in {"css": "", **_ATTRIBUTES}.items():
        if rest == {key}:
            value = target[key]
            whole = key == "testid" or "exact" in target
            test = f"={json.dumps(value)}" if whole else f"*={json.dumps(value)} i"
            return within, value if key == "css" else f"iframe[{attribute}{test}]"
    raise NoTargetError("a frame is found by a CSS selector alone")
