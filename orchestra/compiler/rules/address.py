"""Rules about addresses: of components, requests and probes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.compiler.rules.context import Context, Problem, quoted, rule
from orchestra.compiler.schema.health import ComponentSpec
from orchestra.steps.schemas import HTTP_METHODS
from orchestra.yamltext.document import Path

ADDRESS = ("url", "host", "port")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|\$\{")
RESERVED = ("attempt", "env", "matrix", "method", "row", "saved", "test", "vars")


_GROUP = re.compile(r"\(\?P<([A-Za-z_]\w*)>")


def printed_names(row: ComponentSpec) -> frozenset[str]:
    """Return the names that a component prints: the named groups of the log probe that makes it ready."""
    ready: Mapping[str, Any] = row.get("ready", {})
    return frozenset(_GROUP.findall(ready.get("log", {}).get("match", "")))


def has_address(row: ComponentSpec) -> bool:
    """Return True if a component has an address: a `url`, or a service with a port of its own or one found in its log."""
    service: Mapping[str, Any] = row.get("service") or {}
    own = "url" in row or "port" in service or "port_range" in service
    return own or (bool(service) and "port" in printed_names(row))


def _without(context: Context) -> Mapping[str, ComponentSpec]:
    return {name: row for name, row in context.spec.get("health", {}).items() if not has_address(row)}


@rule
def missing_address(context: Context) -> Iterator[Problem]:
    """The address of a component is used, and it has none: no `url`, and no `port` or `port_range` in its service.

    It is used by `${COMPONENT.url}`, by `base` of a request, and by a probe `http` or `tcp` without an address of its
    own. A service can also announce its port in its log: `ready: {log: {match: 'on port (?P<port>[0-9]+)'}}`.
    """
    without = _without(context)
    if not without:
        return
    hint = "give it a url, or give its service a port or port_range"
    for text, references in context.references:
        for reference in references:
            head, _, part = reference.name.partition(".")
            if head in without and part in ADDRESS and part not in printed_names(without[head]):
                place = context.place_inside(text.path, text.value, reference.offset)
                yield Problem(place, f'"${{{reference.name}}}" has no value: "{head}" has no address', hint)
    for step in context.steps("http"):
        if step.body.get("base") in without:
            message = f'"{step.body["base"]}" has no base address for a path'
            yield Problem(context.place(step.path("http", "base")), message, hint)
    for path, kind, args in context.probes():
        if path[1] in without and kind.address and kind.address not in args:
            message = f'the probe "{kind.name}" of "{path[1]}" has no target: the component has no address'
            hint_here = f"write {kind.name}: {{{kind.address}: …}}, or {hint}"
            yield Problem(context.place(path, key=True), message, hint_here)


@rule
def relative_address(context: Context) -> Iterator[Problem]:
    """`goto` or a request without `base` has a path and not a whole address, and there is no base address."""
    bases = [name for name, row in context.spec.get("health", {}).items() if has_address(row)]
    example = bases[0] if bases else "frontend"
    for step in context.steps("goto"):
        short = isinstance(step.body, str)
        address = step.body if short else step.body["url"]
        if not _ABSOLUTE.match(address):
            path = step.path("goto") if short else step.path("goto", "url")
            slash = "" if address.startswith("/") else "/"
            yield _relative(context, path, address, f"write ${{{example}.url}}{slash}{address}")
    for step in context.steps("http"):
        if "base" not in step.body:
            method = next(one for one in HTTP_METHODS if one in step.body)
            if not _ABSOLUTE.match(step.body[method]):
                yield _relative(context, step.path("http", method), step.body[method], f"add base: {example}")


def _relative(context: Context, path: Path, address: str, hint: str) -> Problem:
    return Problem(context.place(path), f'the address "{address}" has no base address', hint)


@rule
def unordered_address(context: Context) -> Iterator[Problem]:
    """A component uses the address of another one that it does not need, so it may start before that address is known."""
    rows = context.spec.get("health", {})
    for text, references in context.references:
        if text.path[0] != "health":
            continue
        name = str(text.path[1])
        for reference in references:
            other, _, part = reference.name.partition(".")
            if other not in rows or other in _needed(rows, name):
                continue
            if part in ADDRESS or part in printed_names(rows[other]):
                place = context.place_inside(text.path, text.value, reference.offset)
                what = "the address" if part in ADDRESS else f'"{part}"'
                message = f'"{name}" uses {what} of "{other}", but does not need it'
                listed = ", ".join([*rows[name].get("needs", ()), other])
                yield Problem(place, message, f"write needs: [{listed}]")


def _needed(rows: Mapping[str, ComponentSpec], name: str) -> set[str]:
    """Return a component and all that is ready before it."""
    needed: set[str] = set()
    stack = [name]
    while stack:
        component = stack.pop()
        if component not in needed and component in rows:
            needed.add(component)
            stack += rows[component].get("needs", ())
    return needed


@rule
def reserved_name(context: Context) -> Iterator[Problem]:
    """A component has a name that is reserved as the start of other names (`env`, `saved`, …), so its address is
    ambiguous.
    """
    for name in context.spec.get("health", {}):
        if name in RESERVED:
            message = f'the component name "{name}" is taken: {quoted(RESERVED)} begin other names'
            yield Problem(context.place(("health", name), key=True), message, f"rename it, for instance {name}_server")


RULES = (missing_address, relative_address, unordered_address, reserved_name)
