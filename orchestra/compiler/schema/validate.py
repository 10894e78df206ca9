"""Validate a spec against `schemas/orchestra.schema.json`: every violation at its place. Owns jsonschema-rs.

jsonschema-rs decides, because it takes milliseconds where
jsonschema takes seconds; jsonschema describes the violations of an invalid spec. A property test holds both together.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import jsonschema_rs

from orchestra import resources
from orchestra.compiler.include import Assembled
from orchestra.compiler.provided import BUILT_IN, Provided
from orchestra.diagnostic import Diagnostic
from orchestra.plugins import Sort
from orchestra.yamltext.document import Path

Offer: TypeAlias = Callable[[Sort, str], str]

FILE = "orchestra.schema.json"


class ValidatorsDisagreeError(Exception):
    """jsonschema-rs refuses a spec in which jsonschema finds nothing: a defect of this program, not of the spec."""

    def __init__(self, messages: tuple[str, ...]) -> None:
        super().__init__(f"the two schema validators disagree; the first reports: {'; '.join(messages)}")
        self.messages = messages


def violations(
    assembled: Assembled, provided: Provided = BUILT_IN, offer: Offer = lambda _sort, _name: ""
) -> list[Diagnostic]:
    """Return every violation of the schema, sorted by place; empty for a valid spec.

    Args:
        assembled: the spec.
        provided: the kinds that it can use.
        offer: a hint for an unknown probe or driver: the installed package that brings it.

    Raises:
        ValidatorsDisagreeError: the validators disagree.
    """
    schema, fast = (_schema(), _validator()) if provided is BUILT_IN else _extended(provided)
    if fast.is_valid(assembled.data):
        return []
    # jsonschema costs more than the whole compile of a valid spec, to import and to run: only a wrong spec pays for it.
    from orchestra.compiler.schema import explain  # noqa: PLC0415

    data = assembled.data
    suspects = _suspects(assembled.data, fast)
    findings = explain.findings_of(suspects, schema)
    if not findings:
        raise ValidatorsDisagreeError(tuple(error.message for error in fast.iter_errors(suspects)))
    return sorted(
        Diagnostic(
            assembled.place(finding.path, key=finding.at_key),
            finding.rule,
            finding.message,
            finding.hint or _offer(finding.rule, finding.path, data, offer),
            finding.edit,
        )
        for finding in findings
    )


def _offer(rule: str, path: Path, data: Any, offer: Offer) -> str:
    """Return the hint for a probe or a driver that only a plug-in may know."""
    match rule, path:
        case "schema-unknown-key", ("health", _, "ready" | "live", str() as name):
            return offer("probe", name)
        case "schema-value", ("methods", method, "driver") if isinstance(
            name := data["methods"][method]["driver"], str
        ):
            return offer("driver", name)
    return ""


@functools.cache
def _schema() -> Any:
    return json.loads(resources.read_text("schemas", FILE))


@functools.cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema(), validate_formats=False)


def _extended(provided: Provided) -> tuple[Any, jsonschema_rs.Draft202012Validator]:
    """Return the schema with the kinds of plug-ins, and its validator."""
    from orchestra.compiler.schema.probes import extended  # noqa: PLC0415 - only a spec with plug-ins pays for it

    schema = extended(_schema(), provided)
    return schema, jsonschema_rs.Draft202012Validator(schema, validate_formats=False)


def _suspects(data: Any, fast: jsonschema_rs.Draft202012Validator) -> Any:
    """Return the data without the entries of its sections in which there is no violation.

    jsonschema takes a second for a thousand tests. No rule of the schema involves two entries of a section, so entries
    without a violation can be left out. A single one stays: it may be the one that its section must have.
    """
    if not isinstance(data, dict):
        return data
    wrong = {tuple(error.instance_path[:2]) for error in fast.iter_errors(data)}
    return {
        section: {key: entry for key, entry in entries.items() if (section, key) in wrong}
        if isinstance(entries, dict) and len(entries) > 1 and (section,) not in wrong
        else entries
        for section, entries in data.items()
    }
