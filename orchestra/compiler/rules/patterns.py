"""Rules about regular expressions, JSONPath and JSON Schema.

A pattern is read by the engine that searches for it in a run, so that what compiles can be read there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from orchestra.compiler.rules.context import Context, Problem, errors_of, mapping_of, rule
from orchestra.diagnostic import Edit
from orchestra.json_schema import SchemaFaultError
from orchestra.json_schema import check as check_schema
from orchestra.pattern import PatternFaultError, compiled
from orchestra.steps import vacuous
from orchestra.steps.verbs.pages import TEXTS_OF_DIALOG
from orchestra.yamltext.document import Path

# Python syntax that JavaScript lacks, or reads differently: the match, and the replacement.
_FOREIGN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\(\?P[<=>]"), "a group is named (?<name>…) and referred to by \\k<name>"),
    (re.compile(r"(?<!\\)(?:\\\\)*\\A"), "it has no \\A; write ^"),
    (re.compile(r"(?<!\\)(?:\\\\)*\\[Zz]"), "it has no \\Z; write $"),
    (re.compile(r"\(\?[aiLmsux]+\)"), "it has no flags inside; write [Nn][Vv] for either case"),
    (re.compile(r"\(\?#"), "it has no comments inside"),
    (re.compile(r"\(\?\("), "it has no conditions inside"),
)
# JavaScript in the spelling of Python, as far as it matters for whether it can be read.
_SPELLING: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\(\?<(?=[A-Za-z_$])"), "(?P<"),
    (re.compile(r"\\k<(\w+)>"), r"(?P=\1)"),
    (re.compile(r"\\[pP]\{[^}]*\}"), r"\\w"),
    (re.compile(r"\\u\{[0-9A-Fa-f]+\}"), "x"),
    (re.compile(r"\\c[A-Za-z]"), "x"),
    (re.compile(r"\[\^\]"), r"[\\s\\S]"),
)


def _python_fault(pattern: str) -> tuple[int, str] | None:
    """Return the position and the reason of an error in a Python pattern."""
    try:
        compiled(pattern)
    except PatternFaultError as error:
        return error.position, error.reason
    return None


def _javascript_fault(pattern: str) -> tuple[int, str] | None:
    """Return the position and the reason of an error in a JavaScript pattern, as far as Python's parser can find it."""
    for foreign, why in _FOREIGN:
        found = foreign.search(pattern)
        if found is not None:
            return found.start(), why
    spelled = pattern
    for there, here in _SPELLING:
        spelled = there.sub(here, spelled)
    fault = _python_fault(spelled)
    if fault is None or "look-behind" in fault[1]:
        return None  # JavaScript looks behind by any length
    return (fault[0] if spelled == pattern else 0), fault[1]


def _python_patterns(context: Context) -> Iterator[tuple[Path, str]]:
    for at, kind, args in context.probes():
        yield from (((*at, key), args[key]) for key in kind.holding("pattern") if key in args)
    for name, test in context.spec["tests"].items():
        for index, known in enumerate(test.get("known_failures", ())):
            yield ("tests", name, "known_failures", index, "match"), known["match"]
    for where, errors in errors_of(context):
        yield from (((*where, "allow", index), said) for index, said in enumerate(errors.get("allow", ())))
        for name, found in errors.get("log_patterns", {}).items():
            yield from (((*where, "log_patterns", name, index), said) for index, said in enumerate(found))
    for step in context.steps("download"):
        match = step.body.get("expect", {}).get("text", {}).get("match")
        if match is not None:
            yield step.path("download", "expect", "text", "match"), match
    for step in context.steps("dialog"):
        for key in TEXTS_OF_DIALOG:
            if "match" in mapping_of(step.body.get(key)):
                yield step.path("dialog", key, "match"), step.body[key]["match"]


def _javascript_patterns(context: Context) -> Iterator[tuple[Path, str]]:
    for step in context.steps("expect"):
        page = step.body.get("page", {})
        conditions: list[tuple[tuple[str, ...], Any]]
        conditions = [((key,), step.body[key]) for key in ("to", "all", "any") if key in step.body]
        conditions += [(("page", key), page[key]) for key in page]
        conditions += [((*keys, "not"), condition["not"]) for keys, condition in conditions if "not" in condition]
        for keys, condition in conditions:
            if "match" in condition:
                yield step.path("expect", *keys, "match"), condition["match"]
            if "pattern" in condition.get("have_number", ()):
                yield step.path("expect", *keys, "have_number", "pattern"), condition["have_number"]["pattern"]


def _name_fault(pattern: str) -> tuple[int, str] | None:
    """Return the position and the reason of an error in a pattern that both languages read."""
    return _javascript_fault(pattern) or _python_fault(pattern)


def _patterns_of_names(context: Context) -> Iterator[tuple[Path, str]]:
    for _, path, target in context.narrowed_targets:
        if isinstance(name := target.get("name"), dict) and "role" in target:
            yield (*path, "name", "match"), name["match"]


@rule
def pattern_syntax(context: Context) -> Iterator[Problem]:
    """A regular expression has a syntax error.

    The page evaluates `match` of `expect` and `pattern` of `have_number`, so they are written as in JavaScript. `match`
    of the `name` of a target is read by both languages. All others (`stdout`, `stderr`, `match` of probes, of downloads
    and of dialogs, `allow` and `log_patterns` of `errors`, `match` of `known_failures`) are written as in Python. A
    pattern has at most 2000 letters. docs/limits.md has the limits of a search.
    """
    for language, patterns, fault_of in (
        ("Python", _python_patterns(context), _python_fault),
        ("JavaScript", _javascript_patterns(context), _javascript_fault),
        ("JavaScript and Python", _patterns_of_names(context), _name_fault),
    ):
        for path, pattern in patterns:
            # The value of a name is not known yet.
            fault = fault_of(pattern) if "${" not in pattern else None
            if fault is not None:
                message = f'"{pattern}" is not valid in {language}: {fault[1]}'
                hint = "correct it; put a backslash before a character that is meant literally"
                yield Problem(context.place_inside(path, pattern, min(fault[0], len(pattern))), message, hint)


@rule
def always_true(context: Context) -> Iterator[Problem]:
    """An expectation is always true, so it can never fail.

    These are `contain` or `contains` with an empty text (of a page: with white space alone), `have_class` without a
    class, and a pattern that matches the empty text and so every text (`""`, `x*`, `^`, `.*`): in `match`, `stdout`,
    `stderr`, and, because it would excuse every failure, in `known_failures` and `allow` and `log_patterns` of
    `errors`. So is `have_count` with bounds that every count meets (`at_least: 0`), and under `not` all that rule
    `never-true` refuses. In steps the rule checks the values of names. A name without a value before the test runs is
    checked then: the test ends with an error.
    """
    for at, kind, args in context.probes():
        for key in kind.holding("part"):
            if args.get(key) == "":
                yield Problem(context.place((*at, key)), vacuous.message((key,), ""), vacuous.HINT)
    for path, pattern in _python_patterns(context):
        in_step = path[-1] == "match" and not {"download", "dialog"}.isdisjoint(
            path
        )  # looked at once names are replaced
        if not in_step and "${" not in pattern and vacuous.matches_everything(pattern):
            key = (
                "log_patterns"
                if "log_patterns" in path
                else next(str(one) for one in path[::-1] if one.__class__ is str)
            )
            yield Problem(context.place(path), vacuous.message((key,), pattern), vacuous.HINT)


@rule
def json_path(context: Context) -> Iterator[Problem]:
    """A JSONPath does not begin with `$`, the whole document: `$.messages[0].role`."""
    for step in context.steps("http"):
        for path in step.body.get("match", ()):
            yield from _check_json_path(context, step.path("http", "match", path), path, at_key=True)
        for path in step.body.get("until", {}).get("match", ()):
            yield from _check_json_path(context, step.path("http", "until", "match", path), path, at_key=True)
        for name, path in step.body.get("save", {}).items():
            yield from _check_json_path(context, step.path("http", "save", name), path, at_key=False)
    for step in context.steps("download"):
        for path in step.body.get("expect", {}).get("json", ()):
            yield from _check_json_path(context, step.path("download", "expect", "json", path), path, at_key=True)


_JSON_PATH = re.compile(r"\$(?:\.{1,2}(?=[^.])|\[|$)|\$\{")


def _check_json_path(context: Context, path: Path, text: str, *, at_key: bool) -> Iterator[Problem]:
    if not _JSON_PATH.match(text):
        steps = text.lstrip("$.")
        message = f'"{text}" is not a JSONPath: it begins with "$." or "$["'
        edit = Edit(text, f"$.{steps}") if steps else None
        yield Problem(context.place(path, key=at_key), message, f"write $.{steps}", edit)


@rule
def json_schema(context: Context) -> Iterator[Problem]:
    """The JSON Schema of an answer is not valid, or a `$ref` in it leads to another file or address.

    A schema is complete in itself: the parts that it refers to are under its `$defs`. A text in it can hold names, so `${` is
    written `$${`.
    """
    for step in context.steps("http"):
        if "schema" in step.body:
            try:
                check_schema(step.body["schema"])
            except SchemaFaultError as fault:
                path = step.path("http", "schema", *fault.path)
                yield Problem(context.place(path), fault.reason, fault.hint)


RULES = (pattern_syntax, always_true, json_path, json_schema)
