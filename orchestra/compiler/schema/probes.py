"""JSON Schema of probes and drivers, made from their tables, and extended by those of plug-ins."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from orchestra.compiler.provided import Provided
from orchestra.compiler.schema.steps import mapping_of, step_of
from orchestra.drivers import DRIVERS
from orchestra.probes.kind import ProbeKind
from orchestra.probes.table import PROBES
from orchestra.steps.schemas import Schema, described

PROBED = ("Ready", "Live")
"""The definitions of the mappings that hold one probe in addition to their own keys."""


def _definition(kind: ProbeKind) -> Schema:
    properties = {field.name: described(field.schema, field.doc, field.example, field.default) for field in kind.keys}
    schema = mapping_of(f"{kind.doc[0].upper()}{kind.doc[1:]}.", properties)
    required = [field.name for field in kind.keys if field.required]
    if required:
        schema["required"] = required
    if kind.at_most_one:
        branches = _required(kind.at_most_one)
        schema["oneOf"] = [*branches, {"not": {"anyOf": branches}}]
    return schema


def _required(keys: Iterable[str]) -> list[Schema]:
    return [{"required": [key]} for key in keys]


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("-", "_").split("_")) + "Probe"


def add_probes(definitions: dict[str, Any], kinds: Mapping[str, ProbeKind], known: Iterable[str] = ()) -> None:
    """Add kinds of probe to the definitions of a schema, and to the mappings that hold one.

    Args:
        definitions: of the schema, changed in place.
        kinds: to be added, by name.
        known: the names that the definitions have already.
    """
    for name, kind in kinds.items():
        definitions[_title(name)] = _definition(kind)
    for title in PROBED:
        holder = definitions[title]
        probes = {
            name: described({"$ref": f"#/$defs/{_title(name)}"}, kind.doc, kind.example) for name, kind in kinds.items()
        }
        # The probes come first, in the order of their table.
        own = {key: value for key, value in holder["properties"].items() if key not in known}
        before = {key: value for key, value in holder["properties"].items() if key in known}
        holder["properties"] = {**before, **probes, **own}
        holder["oneOf"] = _required([*before, *probes])
        holder["additionalProperties"] = False


def extended(schema: Mapping[str, Any], provided: Provided) -> dict[str, Any]:
    """Return the schema of a spec with the probes, drivers and steps of plug-ins."""
    made: dict[str, Any] = copy.deepcopy(dict(schema))
    more = {name: kind for name, kind in provided.probes.items() if name not in PROBES}
    add_probes(made["$defs"], more, PROBES)
    made["$defs"]["Method"]["properties"]["driver"]["enum"] += [
        name for name in provided.drivers if name not in DRIVERS
    ]
    made["$defs"]["Step"] = step_of(provided.verbs.values())
    return made
