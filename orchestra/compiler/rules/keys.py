"""Rules about keys that have no effect where they are written: a key is honoured, or refused at its line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.context import Context, Problem, mapping_of, rule
from orchestra.compiler.schema.tests import TestSpec
from orchestra.diagnostic import Edit
from orchestra.drivers import OWN_KEYS
from orchestra.layers import LAYERS
from orchestra.plan import REPORT_KINDS
from orchestra.steps.schemas import HTTP_METHODS
from orchestra.steps.target import KINDS, ROLES, STATES
from orchestra.steps.verbs.script import is_repeated
from orchestra.suggest import correction, did_you_mean
from orchestra.yamltext.document import Path

"""Keys of a method that only the driver `mcp` reads: the others give each test a page of its own, or none."""

PAGE_KEYS = ("browser", "record", "action_timeout_seconds", "emulate")
"""Keys of a test that speak of its page."""

PAGE_LAYERS = tuple(layer for layer in LAYERS if layer != "service_logs")


_REPORT_HINT = f"remove it, or name the report of the command: {', '.join(REPORT_KINDS)}"


@rule
def driver_lacks_key(context: Context) -> Iterator[Problem]:
    """A method has a key that its driver does not read.

    `session` and `poll_seconds` are for drivers whose sessions last over several tests, as those of `mcp` do. With
    `playwright` each test has a fresh context of its own. `emulate`, `har` and `mock` are for drivers with
    browsers. `connect` is for `playwright` alone: a Playwright server gives each connection a browser of its own, and `mcp` needs
    two to one browser, that of the MCP server and its own.
    """
    for name, method in context.spec.get("methods", {}).items():
        for key in OWN_KEYS:
            if key in method and key not in context.provided.drivers[method["driver"]].keys:
                message = f'"{key}" has no effect on the method "{name}", whose driver is "{method["driver"]}"'
                hint = "remove it"
                if key == "connect" and context.provided.drivers[method["driver"]].browsers:
                    hint = "remove it, or add a method with the driver playwright for remote browsers"
                yield Problem(context.place(("methods", name, key), key=True), message, hint)


@rule
def page_key(context: Context) -> Iterator[Problem]:
    """A test without a page has a key for its page.

    These are `browser`, `record`, `action_timeout_seconds`, `emulate`, and the layers of `errors` that a page fills, in a test
    that is a command or only sends requests.
    """
    for name, test in context.spec["tests"].items():
        errors = [("errors", layer) for layer in PAGE_LAYERS if layer in test.get("errors", {})]
        keys: list[Path] = [*((key,) for key in PAGE_KEYS if key in test), *errors]
        if keys and resolve.kind_of(context.spec, test) != "browser":
            for key in keys:
                message = f'"{key[-1]}" has no effect on "{name}", which has no page'
                yield Problem(context.place(("tests", name, *key), key=True), message, "remove it")


@rule
def no_cases(context: Context) -> Iterator[Problem]:
    """A test has a key for cases, and its command reports none.

    `cases` of `quarantine` and of a command name cases of a wrapped runner. They are known where the command has one of
    `junit`, `playwright_json` and `pytest_reportlog`.
    """
    for path, command, key in context.commands:
        if key == "argv" and "cases" in command and not any(kind in command for kind in REPORT_KINDS):
            message = '"cases" has no effect on a command that reports none'
            yield Problem(context.place((*path, "cases"), key=True), message, _REPORT_HINT)
    for name, test in context.spec["tests"].items():
        if "cases" in test.get("quarantine", {}) and not _reports(context, test):
            message = f'"cases" has no effect on "{name}", which reports none'
            yield Problem(context.place(("tests", name, "quarantine", "cases"), key=True), message, _REPORT_HINT)


def _reports(context: Context, test: TestSpec) -> bool:
    """Return whether a test is a command with a report of cases."""
    command: Mapping[str, Any] = test.get("command", {})
    if "use" in test:
        name, _ = resolve.block_use(test["use"])
        command = context.spec.get("blocks", {}).get(name, {}).get("command", {})
    return any(kind in command for kind in REPORT_KINDS)


@rule
def idle_key(context: Context) -> Iterator[Problem]:
    """A key of a step has no effect in combination with its other keys.

    `within_seconds` of `type` and `press` is for an element, that of `evaluate` for an element or for `equals` or `below`,
    `full_page` of `screenshot` and `look` for the page, `text` of `dialog` for an accepted prompt and its `message` for a dialog
    that a script opens, `base` of `http` for a path,
    `exact` for a text match, `within_seconds` of `page` for a page that opens and that of `scroll` for an element,
    `opens_with` and `message` for something in them. `cool_down_seconds` of a component needs `fail_back: true`.
    """
    for verb in ("type", "press", "evaluate"):
        for step in context.steps(verb):
            if "within_seconds" in mapping_of(step.body) and not _has_target(step.body) and not is_repeated(step.body):
                asks = verb == "evaluate"
                hint = f"remove it, {'name an element, or write `equals` or `below`' if asks else 'or name an element'}"
                yield _idle(context, step.path(verb, "within_seconds"), "without an element to wait for", hint)
    yield from _of_pictures(context)
    yield from _of_dialogs(context)
    for step in context.steps("http"):
        url = next((str(step.body[one]) for one in HTTP_METHODS if one in step.body), "")
        if "base" in step.body and "://" in url:
            yield _idle(context, step.path("http", "base"), "with a whole URL", "remove it, or write a path")
    yield from _of_pages(context)
    yield from _empty_messages(context)
    yield from _exact(context)
    for name, row in context.spec.get("health", {}).items():
        if "cool_down_seconds" in row and "failover" in row and not row.get("fail_back"):
            path: Path = ("health", name, "cool_down_seconds")
            yield _idle(context, path, "without `fail_back: true`", "write it, or remove this")


def _of_pictures(context: Context) -> Iterator[Problem]:
    for verb in ("screenshot", "expect"):
        for step in context.steps(verb):
            if mapping_of(step.body).get("full_page") and _has_target(step.body):
                yield _idle(context, step.path(verb, "full_page"), "on the picture of an element", "remove it")


def _of_dialogs(context: Context) -> Iterator[Problem]:
    for step in context.steps("dialog"):
        if "text" in step.body and step.body.get("accept") is False:
            yield _idle(context, step.path("dialog", "text"), "on a dialog that is dismissed", "write accept: true")
        elif "text" in step.body and step.body.get("type", "prompt") != "prompt":
            where = f"on the type {step.body['type']}"
            yield _idle(context, step.path("dialog", "text"), where, "remove it, or write type: prompt")
        if "default_value" in step.body and step.body.get("type", "prompt") != "prompt":
            where = f"on the type {step.body['type']}"
            yield _idle(context, step.path("dialog", "default_value"), where, "remove it, or write type: prompt")
        if "message" in step.body and step.body.get("type") == "beforeunload":
            where = "on the type beforeunload, whose message is the browser's own"
            yield _idle(context, step.path("dialog", "message"), where, "remove it")


def _of_pages(context: Context) -> Iterator[Problem]:
    for step in context.steps("page"):
        if "within_seconds" in mapping_of(step.body) and "name" in step.body:
            yield _idle(context, step.path("page", "within_seconds"), "on a page that is open", "remove it")
        if mapping_of(step.body).get("opens_with") == []:
            yield _idle(context, step.path("page", "opens_with"), "without a step", "remove it, or write the steps")
    for step in context.steps("scroll"):
        if "within_seconds" in mapping_of(step.body) and not _has_target(step.body):
            hint = "remove it, or name an element"
            yield _idle(context, step.path("scroll", "within_seconds"), "without an element to wait for", hint)


def _empty_messages(context: Context) -> Iterator[Problem]:
    for verb in ("expect", "evaluate", "http"):
        for step in context.steps(verb):
            if mapping_of(step.body).get("message") == "":
                yield _idle(context, step.path(verb, "message"), "without a text", "remove it, or name the assertion")


def _exact(context: Context) -> Iterator[Problem]:
    for _, path, target in context.narrowed_targets:
        unmatched = "css" in target or "testid" in target or ("role" in target and "name" not in target)
        if "exact" in target and (unmatched or isinstance(target.get("name"), dict)):
            hint = "remove it; css, testid, role and patterns are always exact"
            yield _idle(context, (*path, "exact"), "where no text is matched", hint)


@rule
def unknown_role(context: Context) -> Iterator[Problem]:
    """`role` of a target or `have_role` is no ARIA role, so that no element can have it."""
    for verb, path, target in context.narrowed_targets:
        if "role" in target and context.provided.verbs[verb].target != "none":
            yield from _role(context, (*path, "role"), str(target["role"]))
    for step in context.steps("expect"):
        wanted = step.body.get("to", {})
        for keys, asked in ((("to",), wanted), (("to", "not"), wanted.get("not", {}))):
            if "have_role" in asked:
                yield from _role(context, step.path("expect", *keys, "have_role"), str(asked["have_role"]))


@rule
def role_state(context: Context) -> Iterator[Problem]:
    """A target has a state that its role never has (`checked` of a `heading`), so that no element is found."""
    for _, path, target in context.narrowed_targets:
        role = target.get("role")
        for state in STATES.keys() & target:
            roles = STATES[state]
            if role in ROLES and role not in roles:
                allowed = ", ".join(f'"{one}"' for one in roles)
                message = f'an element of the role "{role}" has no state "{state}"'
                yield Problem(context.place((*path, state), key=True), message, f"it is a state of {allowed}")


@rule
def url_glob(context: Context) -> Iterator[Problem]:
    """`url` of `mock`, `har` or `expect: {request: …}` is a path: it is compared with whole URLs, so no request has it.

    Begin it with `**`, or write scheme and host.
    """
    asked = [(step.path("mock", "url"), step.body) for step in context.steps("mock")]
    asked += [(step.path("har", "url"), step.body) for step in context.steps("har") if "url" in mapping_of(step.body)]
    asked += [
        (step.path("expect", "request", "url"), step.body["request"])
        for step in context.steps("expect")
        if "request" in step.body
    ]
    for path, body in asked:
        url = str(body["url"])
        if not url.startswith(("*", "${")) and "://" not in url:
            message = f'"{url}" is no whole URL, and no request has it'
            glob = f"**{url if url.startswith('/') else f'/{url}'}"
            edit = Edit(url, json.dumps(glob), value=True)
            yield Problem(context.place(path), message, f"write {glob}", edit)


_NAMED = {"look": "the picture", "query": "the GraphQL request", "file": "the file"}


@rule
def empty_text(context: Context) -> Iterator[Problem]:
    """A text that must name something is empty: `look` of `expect`, `query` of `graphql`, the file of `mock` or `har`."""
    asked = [
        (step.path("expect", "look"), step.body["look"]) for step in context.steps("expect") if "look" in step.body
    ]
    asked += [
        (step.path("http", "graphql", "query"), step.body["graphql"]["query"])
        for step in context.steps("http")
        if "graphql" in step.body
    ]
    for verb in ("mock", "har"):
        for step in context.steps(verb):
            if isinstance(step.body, str):
                asked.append((step.path(verb), step.body))
            elif "file" in step.body:
                asked.append((step.path(verb, "file"), step.body["file"]))
    for path, text in asked:
        if not str(text).strip():
            key = str(path[-1])
            yield Problem(context.place(path), f'"{key}" is empty', f"write {_NAMED.get(key, 'the file')}")


def _role(context: Context, path: Path, role: str) -> Iterator[Problem]:
    if "${" not in role and role not in ROLES:
        message = f'"{role}" is no ARIA role{did_you_mean(role, ROLES)}'
        hint = "find a custom element by its test id, text or css"
        yield Problem(context.place(path), message, hint, correction(role, ROLES))


def _has_target(body: Any) -> bool:
    return any(kind in mapping_of(body) for kind in KINDS)


def _idle(context: Context, path: Path, where: str, hint: str) -> Problem:
    return Problem(context.place(path, key=True), f'"{path[-1]}" has no effect {where}', hint)


RULES = (driver_lacks_key, page_key, no_cases, idle_key, empty_text, unknown_role, role_state, url_glob)
