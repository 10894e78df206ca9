"""Report the violations of a spec as data, by jsonschema. Owns jsonschema.

`schema` imports it only for an invalid spec: the import costs as much as the whole compile of a small spec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from orchestra.compiler.schema.violation import Finding, Violation, findings


def findings_of(data: Any, schema: Any) -> list[Finding]:
    """Return every finding about the data, which may be none."""
    return findings(violations(data, schema))


def violations(data: Any, schema: Any) -> list[Violation]:
    """Return every error of the data, as it comes."""
    return [_violation(error) for error in _Validator(schema).iter_errors(data)]


def _pattern(validator: Any, value: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    r"""Check the keyword `pattern` with the `$` of ECMA 262, as JSON Schema requires; Python's also matches before a
    last `\n`.
    """
    if validator.is_type(instance, "string") and not re.search(_ecma(value), instance):
        yield ValidationError(f"{instance!r} does not match {value!r}")


_Validator: Any = validators.extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


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
