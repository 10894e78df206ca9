"""JSON Schema of a TypedDict or dataclass, from its annotations and docstrings. Imports nothing of this package.

Small on purpose: it knows what the events and the state are made of, and refuses the rest.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}

Schema = dict[str, Any]


def object_schema(record: type, definitions: dict[str, Schema]) -> Schema:
    """The schema of a record type; nested record types go to `definitions` and are referred to.

    Raises:
        TypeError: an annotation is of a kind that this module does not know.
    """
    hints = get_type_hints(record, include_extras=True)
    optional: frozenset[str] = getattr(record, "__optional_keys__", frozenset())
    return {
        "type": "object",
        "description": inspect.cleandoc(record.__doc__ or "").split("\n\n")[0].replace("\n", " "),
        "properties": {name: _schema(hint, definitions) for name, hint in hints.items()},
        "required": [name for name in hints if name not in optional],
        "additionalProperties": False,
    }


def _schema(hint: Any, definitions: dict[str, Schema]) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (NotRequired, Required):
        schema = _schema(arguments[0], definitions)
    elif origin is Annotated:
        schema = _schema(arguments[0], definitions)
        text = next((one for one in arguments[1:] if isinstance(one, str)), "")
        schema = {**schema, "description": text} if text else schema
    elif origin is Literal:
        schema = {"enum": list(arguments)}
    elif origin in (Union, types.UnionType):
        schema = _union([_schema(argument, definitions) for argument in arguments])
    elif origin in (list, tuple):
        schema = {"type": "array", "items": _schema(arguments[0], definitions)}
    elif origin in (dict, Mapping):
        schema = {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    elif is_typeddict(hint) or dataclasses.is_dataclass(hint):
        schema = _reference(hint, definitions)
    elif hint is object:
        schema = {}
    elif hint in _NAMES:
        schema = {"type": _NAMES[hint]}
    else:
        raise TypeError(f"no JSON Schema is known for {hint!r}")
    return schema


def _reference(record: type, definitions: dict[str, Schema]) -> Schema:
    name = record.__name__
    if name not in definitions:
        definitions[name] = {}  # stands before its parts, so that a record may contain itself
        definitions[name] = object_schema(record, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _union(parts: list[Schema]) -> Schema:
    if all(set(part) == {"type"} for part in parts):
        return {"type": [part["type"] for part in parts]}
    return {"anyOf": parts}
