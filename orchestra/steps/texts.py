"""Make texts of the values that stand where a step requires a text: a name may be replaced by a number or a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestra.steps.conditions import CONDITIONS, EACH_CONDITIONS, PAGE_CONDITIONS, Conditions
from orchestra.steps.schemas import TEXT, Schema
from orchestra.steps.target import KINDS, NARROWING
from orchestra.steps.verb import Verb
from orchestra.steps.vocabulary import VERBS

_TARGET: Schema = {
    "properties": {**dict.fromkeys(KINDS, TEXT), **{name: schema for name, (schema, _, _) in NARROWING.items()}}
}


def _bodies(table: Conditions) -> Schema:
    body: Schema = {"properties": {name: schema for name, (schema, _, _) in table.items()}}
    body["properties"]["not"] = body
    return body


_REFERENCES: dict[str, Schema] = {
    "#/$defs/Target": _TARGET,
    "#/$defs/Conditions": _bodies(CONDITIONS),
    "#/$defs/EachConditions": _bodies(EACH_CONDITIONS),
    "#/$defs/PageConditions": {"additionalProperties": _bodies(PAGE_CONDITIONS)},
}


def body_of(verb: Verb) -> Schema:
    """Return the schema of the arguments of a verb, as far as it requires texts."""
    return {
        "properties": {
            **_TARGET["properties"],
            **{field.name: field.schema for field in verb.fields},
            **({"url": TEXT} if verb.name == "http" else {}),
        }
    }


BODIES: dict[str, Schema] = {verb.name: body_of(verb) for verb in VERBS.values()}
"""The schema of the arguments of each verb, in a spec and in a plan, as far as it requires texts."""


def as_text(value: Any, schema: Schema, text_of: Callable[[Any], str]) -> Any:
    """Return a value with texts where its schema asks for a text, deep: a name may stand for a number or a list.

    Args:
        value: names replaced.
        schema: of the value.
        text_of: makes a text of a value that is none.
    """
    schema = _REFERENCES[schema["$ref"]] if "$ref" in schema else schema
    if isinstance(value, dict) and ("properties" in schema or "additionalProperties" in schema):
        named, other = schema.get("properties", {}), schema.get("additionalProperties") or {}
        return {key: as_text(item, named.get(key, other), text_of) for key, item in value.items()}
    if isinstance(value, list) and "items" in schema:
        return [as_text(item, schema["items"], text_of) for item in value]
    if "string" not in schema.get("type", ()) or (value is None and "null" in schema["type"]):
        return value
    return text_of(value)
