"""Turn the violations of jsonschema into the texts of diagnostics.

Pure: a tree of violations in, findings with a path out; the
caller looks up the place. One mistake yields one finding: consequences of another one (a missing key next to its
misspelt form) are left out. Longer than other modules because the keywords of JSON Schema and their texts are read
together.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from orchestra.compiler.schema.key import PATTERNS
from orchestra.compiler.schema.steps import REFERENCE
from orchestra.diagnostic import Edit
from orchestra.steps.conditions import CONDITIONS
from orchestra.steps.schemas import NAME
from orchestra.steps.vocabulary import VERBS
from orchestra.suggest import closest, correction, did_you_mean

RULES: dict[str, str] = {
    "schema-type": "a value has the wrong type for its key: a text, a number, a list, a mapping",
    "schema-value": "a value is not one of the allowed values of its key, or a list or mapping is empty",
    "schema-unknown-key": "a mapping has an unknown key",
    "schema-missing-key": "a mapping lacks a required key, or all keys of a set of which it needs one",
    "schema-conflict": "a mapping has keys that exclude each other, or a key without the one that it needs",
    "schema-pattern": "a name or text does not match the pattern of its key",
    "schema-range": "a number is below the minimum of its key, or above the maximum",
}

Path = tuple[str | int, ...]

_WORDS: dict[str, str] = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}

_PATTERN_WORDS: dict[str, str] = {
    **PATTERNS,
    REFERENCE: 'a number, or one name such as "${count}"',
    NAME["pattern"]: 'a letter or "_", then letters, digits, "_" and "-"',
}

_BARE = [verb.name for verb in VERBS.values() if verb.bare]
_LONGEST = 60
_MANY = 10
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Violation:
    """One error of a JSON Schema validator.

    Attributes:
        keyword: of the schema.
        value: of that keyword.
        path: of the instance in the document.
        instance: the value with the violation.
        schema: that has the keyword.
        trail: the keywords that led from the document's schema to this one.
        branches: for a union, the violations of each branch.
    """

    keyword: str
    value: Any
    path: Path
    instance: Any
    schema: Any
    trail: tuple[str | int, ...] = ()
    branches: tuple[tuple[Violation, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a path. `at_key` is true if the key is wrong and not its value.

    `lacking` are the keys that are missing, `meant` is the key that an unknown one was probably meant to be.
    """

    path: Path
    rule: str
    message: str
    hint: str = ""
    at_key: bool = False
    lacking: tuple[str, ...] = field(default=(), compare=False)
    meant: str = field(default="", compare=False)
    edit: Edit | None = field(default=None, compare=False)


def findings(violations: Sequence[Violation]) -> list[Finding]:
    """One finding for each mistake, without repetition, in the order in which they were found."""
    found = list(dict.fromkeys(one for violation in violations for one in _explain(violation)))
    # A key that is misspelt is not also missing.
    meant = {(one.path[:-1], one.meant) for one in found if one.meant}
    return [one for one in found if not any((one.path, key) in meant for key in one.lacking)]


def quoted_value(value: Any) -> str:
    """Return a value as a message shows it: whole when it is short."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _LONGEST else text[: _LONGEST - 2] + '…"'
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return f"a mapping with {_quoted(list(value)[:3])}" if value else "an empty mapping"
    return "null" if value is None else json.dumps(value)


def _quoted(values: Sequence[Any]) -> str:
    return ", ".join(map(quoted_value, values))


def _name(path: Path) -> str:
    """Return the last key of a path with the indices behind it: `"argv[0]"`; what has none is the spec."""
    indices = ""
    for part in reversed(path):
        if isinstance(part, str):
            return quoted_value(f"{part}{indices}")
        indices = f"[{part}]{indices}"
    return "the spec"


def _explain(violation: Violation) -> Iterator[Finding]:
    yield from _EXPLAIN[violation.keyword](violation)


def _words(line: str) -> list[str]:
    """Return a command line as the list that was wanted; as it is where its quotes do not close."""
    try:
        return shlex.split(line) or [line]
    except ValueError:
        return [line]


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
_MEANT: dict[tuple[str, type], str] = {
    # key and type of a value that users of other tools write: the value in the words of a spec
    ("retries", int): "{{max: {}}}",
    ("to", str): "{{be: {}}}",
    ("not", str): "{{be: {}}}",
    ("connect", str): '{{url: "{}"}}',
    ("title", str): '{{have_text: "{}"}}',
    ("url", str): '{{contain: "{}"}}',
    ("wait", int): "{{testid: reply, within_seconds: {}}}, which waits for an element",
    ("wait", float): "{{testid: reply, within_seconds: {}}}, which waits for an element",
}
_STATE_ELSEWHERE = re.compile(r"^(?:to_)?be_")
"""How other tools begin the name of a state: `be_visible`."""


def _meant(path: Path, instance: Any, wanted: str) -> tuple[str, str]:
    """Return the hint for a value of a wrong type, and the text to write for it; each empty if there is no guess."""
    key = str(path[-1]) if path else ""
    if wanted == "a mapping" and (key, type(instance)) in _MEANT:
        meant = _MEANT[key, type(instance)].format(_STATE_ELSEWHERE.sub("", str(instance)))
        return f"write {key}: {meant}", meant if key == "retries" else ""  # the others are examples
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


def _wrong_type(path: Path, instance: Any, wanted: str) -> Finding:
    is_what = "has no value" if instance is None else f"is {quoted_value(instance)}"
    hint, new = "", ""
    if path and path[-1] == "skip" and isinstance(instance, bool):
        hint = "write the reason: skip: the sandbox is closed" if instance else "remove it"
    elif wanted.startswith("a text") and isinstance(instance, (bool, int, float)):
        new = f'"{json.dumps(instance)}"'
        hint = f"write it in quotes: {new}"
    elif wanted in ("a number", "a whole number") and isinstance(instance, str) and _NUMBER.fullmatch(instance):
        hint, new = f"write it without quotes: {instance}", instance
    elif wanted == "a list" and isinstance(instance, (str, int, float)):
        words = _words(instance) if isinstance(instance, str) and path[-1] in ("argv", "run") else [instance]
        hint = f"write it as a list: [{', '.join(map(quoted_value, words))}]"
        new = json.dumps(words, ensure_ascii=False)
    else:
        hint, new = _meant(path, instance, wanted)
    message = f"{_name(path)} {is_what}; wanted is {wanted}"
    return Finding(path, "schema-type", message, hint, edit=_rewritten(instance, new))


def _rewritten(instance: Any, new: str) -> Edit | None:
    """Return the edit of a plain value; None if there is no single text to write for it."""
    if not new or not isinstance(instance, (str, bool, int, float)):
        return None
    return Edit(instance if isinstance(instance, str) else json.dumps(instance), new, value=True)


def _type(violation: Violation) -> Iterator[Finding]:
    if "enum" in violation.schema or "const" in violation.schema:
        return  # the allowed values are more helpful
    kinds = violation.value if isinstance(violation.value, list) else [violation.value]
    yield _wrong_type(violation.path, violation.instance, " or ".join(_WORDS[kind] for kind in kinds))


def _enum(violation: Violation) -> Iterator[Finding]:
    allowed = violation.value if violation.keyword == "enum" else [violation.value]
    instance = violation.instance
    near = did_you_mean(instance, [one for one in allowed if isinstance(one, str)]) if isinstance(instance, str) else ""
    is_what = "has no value" if instance is None else f"is {quoted_value(instance)}"
    are = "are" if len(allowed) > 1 else "is"
    message = f"{_name(violation.path)} {is_what}; allowed {are} {_quoted(allowed)}{near}"
    hint = _as_mapping(instance) if allowed == _BARE and not near else ""
    edit = correction(instance, [one for one in allowed if isinstance(one, str)]) if near else None
    yield Finding(violation.path, "schema-value", message, hint, edit=edit)


def _as_mapping(instance: str) -> str:
    """Return the hint for a verb that is no step alone."""
    verb = closest(instance, VERBS)
    if verb is None:
        return "every other step is a mapping with its verb as the key"
    return f"write it as a mapping, for instance {verb}: {json.dumps(VERBS[verb].example, ensure_ascii=False)}"


def _pattern(violation: Violation) -> Iterator[Finding]:
    words = _PATTERN_WORDS.get(violation.value, f"what matches {violation.value}")
    if "propertyNames" in violation.trail[-2:]:
        path = (*violation.path, violation.instance)
        message = f"the name {quoted_value(violation.instance)} is not allowed here; wanted is {words}"
        yield Finding(path, "schema-pattern", message, at_key=True)
    else:
        message = f"{_name(violation.path)} is {quoted_value(violation.instance)}; wanted is {words}"
        yield Finding(violation.path, "schema-pattern", message)


def _range(violation: Violation) -> Iterator[Finding]:
    relation = {"minimum": "at least", "maximum": "at most"}.get(violation.keyword, "above")
    message = f"{_name(violation.path)} is {quoted_value(violation.instance)}; it must be {relation} {violation.value}"
    yield Finding(violation.path, "schema-range", message)


def _empty(violation: Violation) -> Iterator[Finding]:
    keys = list(violation.schema.get("properties", ()))
    allowed = f"; allowed are {_quoted(keys)}" if keys else "; at least one entry is wanted"
    yield Finding(violation.path, "schema-value", f"{_name(violation.path)} is empty{allowed}")


def _length(violation: Violation) -> Iterator[Finding]:
    if not violation.instance:
        yield from _empty(violation)
        return
    bound = "at least" if violation.keyword == "minItems" else "at most"
    message = f"{_name(violation.path)} is {quoted_value(violation.instance)}; it must have {bound} {violation.value}"
    yield Finding(violation.path, "schema-value", message)


def _too_many(violation: Violation) -> Iterator[Finding]:
    first, *others = violation.instance
    known = violation.schema.get("properties")
    for other in others:
        # An unknown key next to it is reported as such.
        if known is None or (first in known and other in known):
            message = f"{quoted_value(other)} excludes {quoted_value(first)}; only one key is allowed here"
            yield Finding((*violation.path, other), "schema-conflict", message, at_key=True)


def _unknown(violation: Violation) -> Iterator[Finding]:
    known = violation.schema.get("properties", {})
    for key in violation.instance:
        if key not in known:
            guess = _guess(key, known, violation.instance)
            allowed = f"; allowed are {_quoted(list(known))}" if known else "; no key is allowed here"
            if (guess.near or guess.hint) and len(known) > _MANY:
                allowed = ""  # the list would hide the answer
            near = f' (did you mean "{guess.near}"?)' if guess.near not in ("", key) else ""
            yield Finding(
                (*violation.path, key),
                "schema-unknown-key",
                f"unknown key {quoted_value(key)}{near}{allowed}",
                guess.hint,
                at_key=True,
                meant=guess.near or guess.around,
                edit=guess.edit,
            )


class _Guess(NamedTuple):
    """A guess about an unknown key: the known key in place of it, or the one around it; empty if there is no guess."""

    near: str
    hint: str = ""
    edit: Edit | None = None
    around: str = ""


def _guess(key: str, known: Mapping[str, Any], taken: Container[str]) -> _Guess:
    """Return what was probably meant by an unknown key of a mapping."""
    if key in _OF_A_COMMAND and (guess := _command_key(key, known, taken)) is not None:
        return guess
    table = _VERBS_ELSEWHERE if "click" in known else _TESTS_ELSEWHERE if "known_failures" in known else {}
    if key in table:
        near, hint = table[key]
        return _Guess(near, hint, Edit(key, near) if near and near not in taken else None)
    if "a11y" in known and (key in CONDITIONS or key in _OF_EXPECT):
        around, hint = _OF_EXPECT.get(key, ("to", f"write to: {{{key}: …}}"))
        return _Guess("", hint, around=around)
    return _Guess(closest(key, known) or "", edit=correction(key, known, taken=taken))


def _command_key(key: str, known: Mapping[str, Any], taken: Container[str]) -> _Guess | None:
    """Return the key of a mapping for its command line; None where it has none, or has it already."""
    for name in ("argv", "run"):
        if known.get(name, {}).get("type") == "array" and name not in taken:
            return _Guess(name, f"write {name}: the program and its arguments, one item each", Edit(key, name))
    if "command" in known and known["command"].get("type") != "string" and "command" not in taken:
        return _Guess("", "write command: {argv: [PROGRAM, ARGUMENT]}", around="command")
    return None


def _required(violation: Violation) -> Iterator[Finding]:
    for key in violation.value:
        if key not in violation.instance:
            hint = ""
            for example in violation.schema.get("properties", {}).get(key, {}).get("examples", ())[:1]:
                hint = f"for instance {key}: {json.dumps(example, ensure_ascii=False)}"
            message = f'{_name(violation.path)} lacks the key "{key}"'
            yield Finding(violation.path, "schema-missing-key", message, hint, lacking=(key,))


def _one_of_keys(violation: Violation) -> Iterator[Finding]:
    """Exactly one, or at most one, of some keys; what is no mapping is another violation's matter."""
    if not isinstance(violation.instance, dict):
        return
    keys = [branch["required"][0] for branch in violation.value if "required" in branch]
    present = [key for key in violation.instance if key in keys]
    if not present:
        message = f"{_name(violation.path)} lacks one of {_quoted(keys)}"
        yield Finding(violation.path, "schema-missing-key", message, lacking=tuple(keys))
    for key in present[1:]:
        message = f'"{key}" excludes "{present[0]}"; only one of {_quoted(keys)} is allowed'
        yield Finding((*violation.path, key), "schema-conflict", message, at_key=True)


def _needs(violation: Violation) -> Iterator[Finding]:
    given = violation.instance
    pairs = [(key, other) for key, needed in violation.value.items() if key in given for other in needed]
    for key, other in [(key, other) for key, other in pairs if other not in given]:
        message = f'"{key}" needs "{other}"'
        yield Finding((*violation.path, key), "schema-conflict", message, at_key=True, lacking=(other,))


def _forbidden(violation: Violation) -> Iterator[Finding]:
    """Report a key that is never valid, because of another key."""
    trail = violation.trail
    beside = trail[len(trail) - trail[::-1].index("dependentSchemas")]
    message = f'{_name(violation.path)} excludes "{beside}"'
    yield Finding(violation.path, "schema-conflict", message, at_key=True)


def _union(violation: Violation) -> Iterator[Finding]:
    """Yield the problems of the branch whose kind the value has; a value of no branch's kind is of the wrong kind."""
    if all(set(branch) == {"required"} for branch in violation.value):
        yield from _one_of_keys(violation)
        return
    kinds = [_kind_mismatch(violation.path, branch) for branch in violation.branches]
    fitting = [branch for branch, kind in zip(violation.branches, kinds, strict=True) if kind is None]
    words = [_branch_words(kind) for kind in kinds if kind is not None]
    if fitting:
        for finding in (finding for one in fitting[0] for finding in _explain(one)):
            own_value = finding.rule == "schema-value" and finding.path == violation.path and words
            yield replace(finding, hint=f"{words[0]} is allowed too") if own_value else finding
        return
    yield _wrong_type(violation.path, violation.instance, " or ".join(words))


def _kind_mismatch(path: Path, branch: Sequence[Violation]) -> Violation | None:
    """Return the violation that shows that a branch is for another kind of value."""
    return next((one for one in branch if one.path == path and one.keyword == "type"), None)


def _branch_words(mismatch: Violation) -> str:
    schema = mismatch.schema
    if "enum" in schema:
        return f"one of {_quoted(schema['enum'])}"
    if "const" in schema:
        return _quoted([schema["const"]])
    if schema.get("pattern") == REFERENCE:
        return 'one name such as "${count}"'
    kinds = mismatch.value if isinstance(mismatch.value, list) else [mismatch.value]
    return " or ".join(_WORDS[kind] for kind in kinds)


_EXPLAIN: dict[str, Callable[[Violation], Iterator[Finding]]] = {
    "additionalProperties": _unknown,
    "anyOf": _union,
    "const": _enum,
    "dependentRequired": _needs,
    "enum": _enum,
    "exclusiveMinimum": _range,
    "maxItems": _length,
    "maxProperties": _too_many,
    "maximum": _range,
    "minItems": _length,
    "minProperties": _empty,
    "minimum": _range,
    "not": _forbidden,
    "oneOf": _one_of_keys,
    "pattern": _pattern,
    "required": _required,
    "type": _type,
}
