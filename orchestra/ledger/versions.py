"""Read the bodies of events, of earlier versions too, and define the JSON Schema of an event."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from orchestra.ledger.canonical import EXACT
from orchestra.ledger.event import CATALOGUE, AttemptFinished, Body, GateJudged, Note, Unknown

Schema = dict[str, Any]

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

_WRITTEN: Final[Mapping[type[Body], tuple[str, int]]] = {
    entry.body: (name, entry.version) for name, entry in CATALOGUE.items()
}
_FREE: Final[Mapping[type[Body], str]] = {
    AttemptFinished: "facts",
    GateJudged: "values",
    Note: "data",
    Unknown: "fields",
}
"""The fields whose values have no declared type."""

_fields = msgspec.json.Decoder(dict[str, Any]).decode


@functools.lru_cache(maxsize=128)
def _reader(kind: str, version: int) -> Callable[[bytes | msgspec.Raw], Body] | None:
    """Return what reads a body; None for a type or a version that this program does not know.

    It is made when the first one comes: all of them take as long as a twentieth of the start of a run, which reads none.
    """
    entry = CATALOGUE.get(kind)
    known = entry is not None and 1 <= version <= entry.version
    return msgspec.json.Decoder(entry.body).decode if entry is not None and known else None


def type_of(body: Body) -> tuple[str, int]:
    """Return the type and version under which a body is written. Raises TypeError for `Unknown`, which is never
    written.
    """
    try:
        return _WRITTEN[type(body)]
    except KeyError:
        raise TypeError(f"no event has the body {type(body).__name__}") from None


def body_of(kind: str, version: int, text: bytes | msgspec.Raw) -> Body:
    """Return the body of an event from its JSON; `Unknown` for a type or a version that this program does not know.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is no body of its type.
    """
    read = _reader(kind, version)
    body = read(text) if read is not None else Unknown(_fields(text))
    name = _FREE.get(type(body))
    if name is not None and (free := getattr(body, name)) and (exact := _floats(free)) is not free:
        body = msgspec.structs.replace(body, **{name: exact})
    return body


def _floats(value: Any) -> Any:
    """Return the value with each number beyond 2**53 as the float that was written; itself where there is none."""
    if isinstance(value, dict):
        found = {key: _floats(item) for key, item in value.items()}
        return found if any(found[key] is not value[key] for key in value) else value
    if isinstance(value, list):
        items = [_floats(item) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return float(value) if type(value) is int and not -EXACT < value < EXACT else value


def event_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of one line of a ledger. Types that it does not know are allowed."""
    bodies, definitions = msgspec.json.schema_components(
        [entry.body for entry in CATALOGUE.values()], ref_template="#/$defs/{name}"
    )
    cases = [
        {
            "if": {"properties": {"type": {"const": name}, "v": {"enum": [*range(1, entry.version + 1)]}}},
            "then": {"properties": {"body": body}},
        }
        for (name, entry), body in zip(CATALOGUE.items(), bodies, strict=True)
    ]
    sha256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    return {
        "$schema": _DRAFT,
        "title": "orchestra event",
        "description": "One line of events.jsonl, in canonical JSON (RFC 8785).",
        "type": "object",
        "properties": {
            "seq": {"type": "integer", "minimum": 1, "description": "counted from 1 without gaps"},
            "time": {
                "type": "string",
                "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$",
                "description": "UTC; never before the event before",
            },
            "type": {"type": "string", "description": f"one of {', '.join(CATALOGUE)}, or one of a newer version"},
            "v": {"type": "integer", "minimum": 1, "description": "version of the body"},
            "prev": {**sha256, "description": "hash of the event before; 64 zeros for the first"},
            "hash": {**sha256, "description": "SHA-256 of the canonical JSON of this event without `hash` and `mac`"},
            "mac": {
                "type": "string",
                "pattern": "^[0-9a-f]{32}$",
                "description": "HMAC-SHA256 of `hash` by the key of the user who ran it, cut; missing where he has none",
            },
            "body": {"type": "object"},
        },
        "required": ["seq", "time", "type", "v", "prev", "hash", "body"],
        "additionalProperties": False,
        "allOf": cases,
        "$defs": dict(sorted(definitions.items())),
    }


def struct_schema(struct: type[msgspec.Struct], title: str) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a file that holds one struct, with each of its fields."""
    [schema], definitions = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    own = definitions.pop(schema["$ref"].rpartition("/")[2])
    required = {"required": list(own["properties"])}
    return {"$schema": _DRAFT, **own, **required, "title": title, "$defs": dict(sorted(definitions.items()))}
