"""Check the values that are only known in an expanded plan: numbers and expectations that contain names.

A spec may write `within_seconds: "${wait}"`, so that a duration can be a parameter of a block: in a plan it must be a
number. And an expectation such as `contain: "${word}"` may turn out to be true of everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.compiler.include import Assembled
from orchestra.compiler.lower.resolve import scalar_text
from orchestra.compiler.step_places import arguments_of, uses_of
from orchestra.diagnostic import Diagnostic
from orchestra.plan import Plan, Test
from orchestra.steps import bounds, vacuous
from orchestra.steps.conditions import CONDITIONS, EACH_CONDITIONS
from orchestra.steps.schemas import REFERENCE_TARGET, Schema
from orchestra.steps.step import Step
from orchestra.steps.target import NARROWING, Target
from orchestra.steps.verb import Verb
from orchestra.steps.vocabulary import VERBS
from orchestra.yamltext.document import Path

RULE = "number-value"
ALWAYS_TRUE = "always-true"
NEVER_TRUE = "never-true"
_NUMBERS = ("nth", "level")


def _fields(verb: Verb) -> tuple[tuple[str, Schema], ...]:
    return tuple((field.name, field.schema) for field in verb.fields if _may_be_number(field.schema))


def _may_be_number(schema: Schema) -> bool:
    """Return whether a value of this schema is a number, or holds one."""
    parts = (*schema.get("anyOf", ()), *schema.get("properties", {}).values(), schema.get("items", {}))
    kinds = schema.get("type", ())
    return "integer" in kinds or kinds == "number" or any(_may_be_number(part) for part in parts if part)


_FIELDS = {verb.name: _fields(verb) for verb in VERBS.values()}

TARGETS = {
    verb.name: tuple(field.name for field in verb.fields if field.schema == REFERENCE_TARGET) for verb in VERBS.values()
}
"""The fields of each verb that are targets, too: the numbers in them become script for the page."""


def check(plan: Plan, source: Assembled, verbs: Mapping[str, Verb] = VERBS) -> list[Diagnostic]:
    """Return each number of a plan that is none or out of bounds, and each empty expectation, once for each line and value."""
    problems = {
        problem
        for test in plan.tests
        for step in (*_of_methods(test), *test.before, *test.steps, *test.finally_)
        for problem in _misfits(step, source, verbs)
    }
    for login in plan.logins:
        checks = () if login.check is None else (login.check,)
        problems |= {problem for step in (*login.steps, *checks) for problem in _misfits(step, source, verbs)}
    return sorted(problems)


def _of_methods(test: Test) -> Iterator[Step]:
    return itertools.chain.from_iterable(test.substitutes_by.values())


def _misfits(step: Step, source: Assembled, verbs: Mapping[str, Verb]) -> Iterator[Diagnostic]:
    for path, value, schema in _numbers(step, verbs):
        kinds: tuple[type, ...] = (int,) if schema["type"] == "integer" else (int, float)
        if type(value) not in kinds or not _within(value, schema):
            yield _diagnostic(step, path, value, schema, source)
    if step.verb in ("expect", "download", "dialog"):
        for where, text in vacuous.in_step(step):
            place = source.place((*arguments_of(step), *where))
            message = f"{vacuous.message(where, text)}{uses_of(step, source)}"
            yield Diagnostic(place, ALWAYS_TRUE, message, vacuous.HINT)
    if step.verb == "expect":
        for fault in bounds.certain(step):
            place = source.place((*arguments_of(step), *fault.where))
            rule = ALWAYS_TRUE if fault.holds else NEVER_TRUE
            yield Diagnostic(place, rule, f"{fault.message}{uses_of(step, source)}", bounds.HINT)


def _numbers(step: Step, verbs: Mapping[str, Verb]) -> Iterator[tuple[Path, Any, Schema]]:
    """Yield every number of a step, with its path behind the verb and its schema."""
    fields = _FIELDS[step.verb] if step.verb in VERBS else _fields(verbs[step.verb])
    for name, schema in fields:
        if name in step.args:
            yield from _numbers_in(step.args[name], schema, (name,))
    if step.target is not None:
        yield from _of_target(step.target, ())
    if step.verb == "expect":
        for key, table in (("to", CONDITIONS), ("all", EACH_CONDITIONS), ("any", EACH_CONDITIONS)):
            wanted_of = step.args.get(key, {})
            for path, one in (((key,), wanted_of), ((key, "not"), wanted_of.get("not", {}))):
                for name in one.keys() & {"have_count", "have_number"}:
                    yield from _numbers_in(one[name], table[name][0], (*path, name))
    for name in TARGETS.get(step.verb, ()):
        yield from _of_mapping(step.args.get(name), (name,))
    for index, one in enumerate(step.args.get("mask", ())):
        yield from _of_mapping(one, ("mask", index))


def _numbers_in(value: Any, schema: Schema, path: Path) -> Iterator[tuple[Path, Any, Schema]]:
    """Yield every number of a value: the value itself, the entries of a mapping, the items of a list."""
    if "anyOf" in schema and "type" not in schema:
        wanted = "object" if isinstance(value, dict) else "string"
        schema = next((branch for branch in schema["anyOf"] if branch["type"] == wanted), {})
    kinds = schema.get("type", ())
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers_in(item, schema.get("properties", {}).get(key, {}), (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _numbers_in(item, schema.get("items", {}), (*path, index))
    elif "integer" in kinds:
        yield path, value, {**schema, "type": "integer"}
    elif kinds == "number":
        yield path, value, schema


def _of_target(target: Target | None, path: Path) -> Iterator[tuple[Path, Any, Schema]]:
    while target is not None:
        for key in _NUMBERS:
            if (value := getattr(target, key)) is not None:
                yield (*path, key), value, NARROWING[key][0]
        path, target = (*path, "within"), target.within


def _of_mapping(target: dict[str, Any] | None, path: Path) -> Iterator[tuple[Path, Any, Schema]]:
    while target is not None:
        for key in _NUMBERS:
            if key in target:
                yield (*path, key), target[key], NARROWING[key][0]
        path, target = (*path, "within"), target.get("within")


def _within(value: float, schema: Schema) -> bool:
    return (
        value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
    )


def _diagnostic(step: Step, path: Path, value: Any, schema: Schema, source: Assembled) -> Diagnostic:
    used = uses_of(step, source)
    wanted = "a whole number" if schema["type"] == "integer" else "a number"
    if "minimum" in schema:
        wanted += f" of at least {schema['minimum']}"
    if "maximum" in schema:
        wanted += f" and at most {schema['maximum']}"
    if "exclusiveMinimum" in schema:
        wanted += f" above {schema['exclusiveMinimum']}"
    late = isinstance(value, str) and "${" in value
    actual = f'"{value}", which has no value before the test runs' if late else f'"{scalar_text(value)}" here'
    return Diagnostic(
        source.place((*arguments_of(step), *path)),
        RULE,
        f'"{_name(path)}" becomes {actual}{used}; it must be {wanted}',
        "write a number, or a variable or parameter with a number",
    )


def _name(path: Path) -> str:
    """Return the last key of a path, with the position in its list."""
    return str(path[-1]) if isinstance(path[-1], str) else f"{path[-2]}[{path[-1]}]"
