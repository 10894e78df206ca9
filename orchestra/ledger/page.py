"""The tables of docs/ledger.md, from the catalogue and the state.

`python -m orchestra.ledger.page docs/ledger.md` rewrites them between their markers; a test compares the page with
them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestra.ledger.event import CATALOGUE
from orchestra.ledger.state import state_schema
from orchestra.ledger.versions import Schema, event_schema

_PART = re.compile(r"(<!-- (\w+): generated[^\n]*-->\n).*?(\n<!-- end -->)", re.DOTALL)


def events() -> str:
    """Return each type of event, and the records that their bodies are made of."""
    schema = event_schema()
    records: Mapping[str, Schema] = schema["$defs"]
    bodies = {entry.body.__name__ for entry in CATALOGUE.values()}
    envelope = {name: part for name, part in schema["properties"].items() if name != "body"}
    lines = ["### The envelope", "", *_table({"properties": envelope, "required": schema["required"]})]
    for name, entry in CATALOGUE.items():
        record = records[entry.body.__name__]
        lines += ["", f"### `{name}`", "", f"{record['description']} Version {entry.version}.", "", *_table(record)]
    for name, record in records.items():
        if name not in bodies:
            lines += ["", f"### {name}", "", record["description"], "", *_table(record)]
    return "\n".join(lines)


def state() -> str:
    """Return the fields of `state.json`, and the records in it that no event has."""
    schema = state_schema()
    known = event_schema()["$defs"]
    lines = list(_table(schema))
    for name, record in schema["$defs"].items():
        if name not in known:
            lines += ["", f"### {name}", "", record["description"], "", *_table(record)]
    return "\n".join(lines)


_PARTS = {"events": events, "state": state}


def written(page: str) -> str:
    """Return the page with its generated parts as they are to be."""
    return _PART.sub(lambda part: f"{part[1]}\n{_PARTS[part[2]]()}\n{part[3]}", page)


def _table(record: Schema) -> Iterator[str]:
    required = set(record.get("required", ()))
    yield "| field | type | meaning |"
    yield "|---|---|---|"
    for name, part in record["properties"].items():
        shown = f"**`{name}`**" if name in required else f"`{name}`"
        yield f"| {shown} | {_type(part)} | {part.get('description', '').replace('|', chr(92) + '|')} |"


def _type(part: Any) -> str:
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    if "enum" in part or "const" in part:
        return ", ".join(f"`{word}`" for word in part.get("enum", [part.get("const")]))
    if "anyOf" in part:
        return " or ".join(map(_type, part["anyOf"]))
    kind = part.get("type", "anything")
    if kind == "array":
        return f"list of {_type(part['items'])}"
    if kind == "object":
        return f"map of {_type(part['additionalProperties'])}" if part.get("additionalProperties") else "map"
    return kind if isinstance(kind, str) else " or ".join(kind)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        file = Path(name)
        file.write_text(written(file.read_text(encoding="utf-8")), encoding="utf-8")
