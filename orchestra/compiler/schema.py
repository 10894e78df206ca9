"""Judge a spec by `schemas/orchestra.schema.json`: every violation at its place. Owns jsonschema and jsonschema-rs.

May import `include`, `violation` and `resources`. jsonschema-rs decides, because it takes milliseconds where jsonschema
takes seconds; jsonschema is the judge of record, asked only when there is something to say. A property test holds both
together.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs

from orchestra import resources
from orchestra.compiler.include import Assembled
from orchestra.compiler.violation import Violation, findings
from orchestra.diagnostic import Diagnostic

FILE = "orchestra.schema.json"


class JudgesDisagreeError(Exception):
    """jsonschema-rs refuses a spec in which jsonschema finds nothing: a defect of this program, not of the spec."""

    def __init__(self, said: tuple[str, ...]) -> None:
        super().__init__(f"the two schema validators disagree; the first says: {'; '.join(said)}")
        self.said = said


def judge(assembled: Assembled) -> list[Diagnostic]:
    """Every violation of the schema, sorted by place; empty for a valid spec.

    Raises:
        JudgesDisagreeError: the validators disagree.
    """
    if _fast_judge().is_valid(assembled.data):
        return []
    # jsonschema costs more than the whole compile of a valid spec, to import and to run: only a wrong spec pays for it.
    import jsonschema  # noqa: PLC0415

    judged = _suspects(assembled.data)
    found = findings(_violations(jsonschema, judged))
    if not found:
        raise JudgesDisagreeError(tuple(error.message for error in _fast_judge().iter_errors(judged)))
    return sorted(
        Diagnostic(assembled.place(one.path, key=one.at_key), one.rule, one.message, one.hint) for one in found
    )


@functools.cache
def _schema() -> Any:
    return json.loads(resources.read_text("schemas", FILE))


@functools.cache
def _fast_judge() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema(), validate_formats=False)


def _suspects(data: Any) -> Any:
    """The data without the entries of its sections in which there is no violation.

    The judge of record takes a second for a thousand tests. No rule of the schema speaks about two entries of a section
    at once, so that those without a violation can be left out.
    """
    if not isinstance(data, dict):
        return data
    wrong = {tuple(error.instance_path[:2]) for error in _fast_judge().iter_errors(data)}
    return {
        section: {key: entry for key, entry in entries.items() if (section, key) in wrong}
        if isinstance(entries, dict) and (section,) not in wrong
        else entries
        for section, entries in data.items()
    }


def _violations(jsonschema: Any, data: Any) -> list[Violation]:
    """What the judge of record says."""
    base = jsonschema.Draft202012Validator
    validator = jsonschema.validators.extend(base, {"pattern": _pattern_keyword(jsonschema.ValidationError)})(_schema())
    return [_violation(error) for error in validator.iter_errors(data)]


def _pattern_keyword(error: type[Exception]) -> Callable[[Any, str, Any, Any], Iterator[Exception]]:
    r"""The keyword `pattern` with the `$` of ECMA 262, as JSON Schema asks; Python's also stands before a last `\n`."""

    def pattern(validator: Any, value: str, instance: Any, _schema: Any) -> Iterator[Exception]:
        if validator.is_type(instance, "string") and not re.search(_ecma(value), instance):
            yield error(f"{instance!r} does not match {value!r}")

    return pattern


def _ecma(pattern: str) -> str:
    return pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern


def _violation(error: Any) -> Violation:
    branches: dict[int, list[Violation]] = {}
    for one in error.context:
        branches.setdefault(one.schema_path[0], []).append(_violation(one))
    return Violation(
        keyword=error.validator,
        value=error.validator_value,
        path=tuple(error.absolute_path),
        instance=error.instance,
        schema=error.schema,
        trail=tuple(error.absolute_schema_path),
        branches=tuple(tuple(branch) for _, branch in sorted(branches.items())),
    )
