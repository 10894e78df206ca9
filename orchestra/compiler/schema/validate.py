"""Validate a spec against `schemas/orchestra.schema.json`: every violation at its place. Owns jsonschema-rs.

jsonschema-rs decides, because it takes milliseconds where
jsonschema takes seconds; jsonschema describes the violations of an invalid spec. A property test holds both together.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema_rs

from orchestra import resources
from orchestra.compiler.include import Assembled
from orchestra.diagnostic import Diagnostic

FILE = "orchestra.schema.json"


class ValidatorsDisagreeError(Exception):
    """jsonschema-rs refuses a spec in which jsonschema finds nothing: a defect of this program, not of the spec."""

    def __init__(self, messages: tuple[str, ...]) -> None:
        super().__init__(f"the two schema validators disagree; the first reports: {'; '.join(messages)}")
        self.messages = messages


def violations(assembled: Assembled) -> list[Diagnostic]:
    """Return every violation of the schema, sorted by place; empty for a valid spec.

    Raises:
        ValidatorsDisagreeError: the validators disagree.
    """
    if _validator().is_valid(assembled.data):
        return []
    # jsonschema costs more than the whole compile of a valid spec, to import and to run: only a wrong spec pays for it.
    from orchestra.compiler.schema import explain  # noqa: PLC0415

    suspects = _suspects(assembled.data)
    found = explain.findings_of(suspects, _schema())
    if not found:
        raise ValidatorsDisagreeError(tuple(error.message for error in _validator().iter_errors(suspects)))
    return sorted(
        Diagnostic(assembled.place(one.path, key=one.at_key), one.rule, one.message, one.hint) for one in found
    )


@functools.cache
def _schema() -> Any:
    return json.loads(resources.read_text("schemas", FILE))


@functools.cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema(), validate_formats=False)


def _suspects(data: Any) -> Any:
    """Return the data without the entries of its sections in which there is no violation.

    jsonschema takes a second for a thousand tests. No rule of the schema involves two entries of a section, so entries
    without a violation can be left out.
    """
    if not isinstance(data, dict):
        return data
    wrong = {tuple(error.instance_path[:2]) for error in _validator().iter_errors(data)}
    return {
        section: {key: entry for key, entry in entries.items() if (section, key) in wrong}
        if isinstance(entries, dict) and (section,) not in wrong
        else entries
        for section, entries in data.items()
    }
