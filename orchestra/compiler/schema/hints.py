"""Guess the meaning of a value or key that the schema refuses: a wrong kind of value, or the word of another tool for it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from orchestra.compiler.schema.health import ServiceSpec
from orchestra.diagnostic import Edit
from orchestra.steps.conditions import CONDITIONS
from orchestra.steps.vocabulary import VERBS
from orchestra.suggest import closest, correction

Path = tuple[str | int, ...]

_LONGEST = 60
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def quoted_value(value: Any) -> str:
    """Return a value as a message shows it: whole when it is short."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + '…"'
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return f"a mapping with {quoted_values(list(value)[:3])}" if value else "an empty mapping"
    return "null" if value is None else json.dumps(value)


def quoted_values(values: Sequence[Any]) -> str:
    """Return values as a message lists them."""
    return ", ".join(map(quoted_value, values))


_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|sec|seconds?|m|min|minutes?)")
_SELECTOR = re.compile(r"^[.#\[]|[>\]]")
_TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_DOUBLE_CLICK = "a double click is click: {role: button, name: Send, count: 2}"
_NO_PAUSE = "no step waits for a time; wait for an element: wait: {testid: reply, within_seconds: 10}"
_OPENS, _EXPECTS = ("goto", ""), ("expect", "for instance expect: {role: alert, to: {have_text: Saved}}")
_VERBS_ELSEWHERE = {
    # steps of other tools: the verb here, and its form where that differs
    "dblclick": ("click", _DOUBLE_CLICK),
    "doubleclick": ("click", _DOUBLE_CLICK),
    "double_click": ("click", _DOUBLE_CLICK),
    "sleep": ("", _NO_PAUSE),
    "pause": ("", _NO_PAUSE),
    "timeout": ("", _NO_PAUSE),
    "wait_for_timeout": ("", _NO_PAUSE),
    "visit": _OPENS,
    "open": _OPENS,
    "navigate": _OPENS,
    "assert": _EXPECTS,
    "should": _EXPECTS,
    "verify": _EXPECTS,
}
_TESTS_ELSEWHERE = {
    # keys of a test in other tools
    "only": ("", "choose tests in the command: orchestra run B001"),
    "depends_on": ("needs", ""),
    "description": ("title", ""),
    "name": ("title", ""),
    "timeout": ("timeout_seconds", ""),
}
_OF_EXPECT = {
    # conditions that are none of its keys
    "url": ("page", "write page: {url: {contain: /orders}}"),
    "not": ("to", "write to: {not: {be: visible}}"),
    "visible": ("to", "write to: {be: visible}"),
    "hidden": ("to", "write to: {be: hidden}"),
}
_OF_A_COMMAND = ("argv", "run", "command", "cmd", "args", "exec")
"""Keys for a command line, of which each mapping knows one."""
_VALUES_ELSEWHERE: dict[tuple[str, type], str] = {
    # key and type of a value that users of other tools write: the value in the words of a spec
    ("retries", int): "{{max: {}}}",
    ("to", str): "{{be: {}}}",
    ("not", str): "{{be: {}}}",
    ("session", str): "{{single: true}}",
    ("connect", str): '{{url: "{}"}}',
    ("title", str): '{{have_text: "{}"}}',
    ("url", str): '{{contain: "{}"}}',
    ("wait", int): "{{testid: reply, within_seconds: {}}}, which waits for an element",
    ("wait", float): "{{testid: reply, within_seconds: {}}}, which waits for an element",
}
_STATE_ELSEWHERE = re.compile(r"^(?:to_)?be_")
"""How other tools begin the name of a state: `be_visible`."""


def value_hint(path: Path, instance: Any, wanted: str) -> tuple[str, str]:
    """Return the hint for a value of a wrong type, and the text to write for it; each empty if there is no guess.

    Args:
        path: of the value.
        instance: the value.
        wanted: the kind of value that the schema wants, in words.
    """
    if path and path[-1] == "skip" and isinstance(instance, bool):
        return "write the reason: skip: the sandbox is closed" if instance else "remove it", ""
    if wanted.startswith("a text") and isinstance(instance, (bool, int, float)):
        new = f'"{json.dumps(instance)}"'
        return f"write it in quotes: {new}", new
    if wanted in ("a number", "a whole number") and isinstance(instance, str) and _NUMBER.fullmatch(instance):
        return f"write it without quotes: {instance}", instance
    if wanted == "a list" and isinstance(instance, (str, int, float)):
        words = _words(instance) if isinstance(instance, str) and path[-1] in ("argv", "run") else [instance]
        hint = f"write it as a list: [{', '.join(map(quoted_value, words))}]"
        return hint, json.dumps(words, ensure_ascii=False)
    return _value_elsewhere(path, instance, wanted)


def _words(line: str) -> list[str]:
    """Return a command line as the list that was wanted; as it is where its quotes do not close."""
    try:
        return shlex.split(line) or [line]
    except ValueError:
        return [line]


def _value_elsewhere(path: Path, instance: Any, wanted: str) -> tuple[str, str]:
    """Return the hint, and the text to write, for a value that users of other tools write."""
    key = str(path[-1]) if path else ""
    if wanted == "a mapping" and (key, type(instance)) in _VALUES_ELSEWHERE:
        form = _VALUES_ELSEWHERE[key, type(instance)].format(_STATE_ELSEWHERE.sub("", str(instance)))
        return f"write {key}: {form}", form if key == "retries" else ""  # the others are examples
    if wanted == "a mapping" and isinstance(instance, str) and key in VERBS and VERBS[key].target == "required":
        kind = "css" if _SELECTOR.search(instance) else "text"
        paused = key == "wait" and _DURATION.fullmatch(instance)
        return _NO_PAUSE if paused else f"write {key}: {{{kind}: {quoted_value(instance)}}}", ""
    if wanted == "true or false" and isinstance(instance, str) and instance.lower() in _TRUTH:
        truth = _TRUTH[instance.lower()]
        return f"write {truth}", truth
    if wanted in ("a number", "a whole number") and isinstance(instance, str):
        duration = _DURATION.fullmatch(instance)
        if duration is not None and key.endswith("_seconds"):
            factor = {"ms": 0.001, "s": 1.0}.get(duration[2][:2] if duration[2] == "ms" else duration[2][:1], 60.0)
            seconds = f"{float(duration[1]) * factor:g}"
            return f"write {seconds}: the unit is in the name of the key", seconds
    return "", ""


def step_hint(instance: str) -> str:
    """Return the hint for a verb that is no step alone."""
    verb = closest(instance, VERBS)
    if verb is None:
        return "every other step is a mapping with its verb as the key"
    return f"write it as a mapping, for instance {verb}: {json.dumps(VERBS[verb].example, ensure_ascii=False)}"


class KeyGuess(NamedTuple):
    """A guess about an unknown key: the known key in place of it, or the one around it; empty if there is no guess."""

    near: str
    hint: str = ""
    edit: Edit | None = None
    around: str = ""


def key_guess(key: str, known: Mapping[str, Any], taken: Container[str]) -> KeyGuess:
    """Return what was probably meant by an unknown key of a mapping."""
    if key in _OF_A_COMMAND and (guess := _command_key(key, known, taken)) is not None:
        return guess
    table = _VERBS_ELSEWHERE if "click" in known else _TESTS_ELSEWHERE if "known_failures" in known else {}
    if key in table:
        near, hint = table[key]
        return KeyGuess(near, hint, Edit(key, near) if near and near not in taken else None)
    if "a11y" in known and (key in CONDITIONS or key in _OF_EXPECT):
        around, hint = _OF_EXPECT.get(key, ("to", f"write to: {{{key}: …}}"))
        return KeyGuess("", hint, around=around)
    if "service" in known and key in ServiceSpec.__annotations__:
        return KeyGuess("", f"write it in service: {{{key}: …}}", around="service")
    return KeyGuess(closest(key, known) or "", edit=correction(key, known, taken=taken))


def _command_key(key: str, known: Mapping[str, Any], taken: Container[str]) -> KeyGuess | None:
    """Return the key of a mapping for its command line; None where it has none, or has it already."""
    for name in ("argv", "run"):
        if known.get(name, {}).get("type") == "array" and name not in taken:
            return KeyGuess(name, f"write {name}: the program and its arguments, one item each", Edit(key, name))
    if "command" in known and known["command"].get("type") != "string" and "command" not in taken:
        return KeyGuess("", "write command: {argv: [PROGRAM, ARGUMENT]}", around="command")
    if "service" in known and not any(kind in taken for kind in ("service", "job", "url")):
        return KeyGuess("", "write service: {run: [PROGRAM, ARGUMENT], port: 3000}", around="service")
    return None
