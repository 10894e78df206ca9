"""Define the small JSON Schemas from which the keys of steps and probes are made, and the key itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import msgspec

Schema: TypeAlias = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 1}
SECONDS: Schema = {"type": "number", "exclusiveMinimum": 0}
SIZE: Schema = SECONDS
ANY: Schema = {}
TEXTS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
MAPPING: Schema = {"type": "object", "additionalProperties": {}}
TEXT_MAPPING: Schema = {"type": "object", "additionalProperties": TEXT}
REFERENCE_TARGET: Schema = {"$ref": "#/$defs/Target"}
NAME: Schema = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"}
NATURAL: Schema = {"type": "integer", "minimum": 0}
NEVER: Schema = {"not": {}}
"""No value: `false` has the same meaning, but jsonschema loses the key that it forbids."""

HTTP_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def object_of(properties: Schema, **more: Any) -> Schema:
    """Return the schema of a mapping with at least one of these keys and no others."""
    return {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": properties, **more}


def described(schema: Schema, doc: str, example: Any, default: Any = None) -> Schema:
    """Return a schema with its meaning, an example, and its default."""
    described = {**schema, "description": doc, "examples": [example]}
    return described if default is None else {**described, "default": default}


def one_of(keys: Iterable[str]) -> Schema:
    """Return the rule that exactly one of these keys is there."""
    return {"oneOf": [{"required": [key]} for key in keys]}


class Field(msgspec.Struct, frozen=True):
    """A key of a step or of a probe: its JSON Schema, its meaning, an example, whether it is required, and its default.

    `holds` is more about a text or number, for rules: a `pattern` (a regular expression in the syntax of Python), a
    `path` of the project, a `port`, the name of a `variable` of the environment, a `part` of a text.
    """

    name: str
    schema: Schema
    doc: str
    example: Any
    required: bool = False
    default: Any = None
    holds: Literal["", "pattern", "path", "port", "variable", "part"] = ""


def asks_for_text(schema: Schema) -> bool:
    """Return False if a value of any type is allowed somewhere in a value of this schema."""
    if "properties" in schema or "additionalProperties" in schema:
        inner = [*schema.get("properties", {}).values(), schema.get("additionalProperties") or TEXT]
        return all(asks_for_text(one) for one in inner) and schema.get("additionalProperties") != {}
    if "items" in schema:
        return asks_for_text(schema["items"])
    return schema != ANY
