"""The JSON Schema of an answer: what can be read, and how a value violates it. Owns jsonschema-rs for values that are no spec.

jsonschema-rs knows the drafts 4 to 2020-12, bounds the search of a pattern, and takes microseconds for an answer. It gets no
file and no address: a schema is complete in itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, TypeAlias

import jsonschema_rs

Pointer: TypeAlias = tuple[str | int, ...]

_REFERENCES = ("$ref", "$dynamicRef", "$schema")
_TYPES = "array, boolean, integer, null, number, object, string"


class SchemaFaultError(Exception):
    """A JSON Schema cannot be used: where in it, and why."""

    def __init__(self, path: Pointer, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.hint = hint


class Violation(NamedTuple):
    """A part of a value that is not as its schema.

    Attributes:
        pointer: JSON pointer to the part; empty for the whole value.
        reason: what is wrong, without the value.
        allowed: the keyword of the schema with its value.
        value: the part.
    """

    pointer: str
    reason: str
    allowed: Any
    value: Any


def pointer(path: Pointer) -> str:
    """Return a path as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _refuse(_uri: str) -> NoReturn:
    raise ValueError("another file or address is not read")


def _validator(schema: Any) -> Any:
    return jsonschema_rs.validator_for(schema, retriever=_refuse, validate_formats=True, mask="it")


def check(schema: Any) -> None:
    """Check a schema itself.

    Raises:
        SchemaFaultError: it is none, or refers to what is not in it.
    """
    try:
        _validator(schema)
    except jsonschema_rs.ValidationError as error:
        path: Pointer = tuple(error.instance_path)
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
            raise _unresolved(schema, error.message) from None
        if not path:
            raise SchemaFaultError(path, f"the schema is not valid: {error.message}", "") from None
        given = json.dumps(error.instance, ensure_ascii=False)
        if path[-1] == "type":
            raise SchemaFaultError(path, f"{given} is no type of JSON Schema", f"write one of {_TYPES}") from None
        raise SchemaFaultError(
            path, f'the schema is not valid at "{pointer(path)}": {given}: {error.message}', ""
        ) from None


def _unresolved(schema: Any, message: str) -> SchemaFaultError:
    """Return the fault of a reference: the longest one that a message quotes."""
    named = [(path, text) for path, text in _references(schema, ()) if text.lstrip("#") in message]
    if not named:
        return SchemaFaultError((), f"the schema cannot be read: {message}", "")
    path, target = max(named, key=lambda one: len(one[1]))
    if path[-1] == "$schema":
        reason = f'"{target}" is no draft of JSON Schema'
        return SchemaFaultError(path, reason, 'write "https://json-schema.org/draft/2020-12/schema", or leave it out')
    reason = f'"{path[-1]}" leads to "{target}", which is not in this schema'
    return SchemaFaultError(path, reason, "copy the part under `$defs`, and write `#/$defs/NAME`")


def _references(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if key in _REFERENCES and isinstance(item, str):
            yield (*path, key), item
        else:
            yield from _references(item, (*path, key))


def violations(schema: Any, value: Any) -> Iterator[Violation]:
    """Yield every violation of a value, by the schema that `check` has passed."""
    for error in _validator(schema).iter_errors(value):
        trail, part = list(error.schema_path), schema
        for step in trail:
            part = part[int(step) if isinstance(part, list) else step]
        yield Violation(
            pointer(tuple(error.instance_path)),
            error.message,
            {str(trail[-1]): part} if trail else part,
            error.instance,
        )
