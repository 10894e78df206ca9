"""Read the JSON Schemas of answers from files: JSON and YAML, with the place of every value.

A step that names a file (`schema: schemas/order.json`) gets its content in place of the name, before anything looks at it,
as tests get the rows of files. So the plan has the schema, and a message has the line of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from orchestra.compiler.row_files import with_profiles
from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import SpecError
from orchestra.yamltext.document import Document, Json, Path
from orchestra.yamltext.parse import parse

RULE: Final = "schema-file"
_STEPS: Final = ("before", "steps", "finally")
_KINDS: Final = (".json", ".yaml", ".yml")


def named(data: dict[str, Json]) -> Iterator[tuple[Path, str]]:
    """Yield the path of each `schema` of an `http` step that names a file, and the name: in profiles, too."""
    for head, spec in with_profiles(data):
        yield from _of_entry(spec.get("defaults"), (*head, "defaults"))
        for section in ("groups", "logins", "blocks", "tests"):
            entries = spec.get(section)
            for name, entry in entries.items() if isinstance(entries, dict) else ():
                yield from _of_entry(entry, (*head, section, name))


def _of_entry(entry: Json, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(entry, dict):
        for key in _STEPS:
            yield from _of_steps(entry.get(key), (*path, key))
        yield from _of_step(entry.get("check"), (*path, "check"))


def _of_steps(steps: Json, path: Path) -> Iterator[tuple[Path, str]]:
    for index, step in enumerate(steps) if isinstance(steps, list) else ():
        yield from _of_step(step, (*path, index))


def _of_step(step: Json, path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(step, dict):
        return
    request, page = step.get("http"), step.get("page")
    if isinstance(request, dict) and isinstance(request.get("schema"), str):
        yield (*path, "http", "schema"), str(request["schema"])
    if isinstance(page, dict):
        yield from _of_steps(page.get("opens_with"), (*path, "page", "opens_with"))


def read(raw: bytes, file: str) -> Document:
    """Return the schema of a file as a document whose data is a mapping.

    Args:
        raw: its bytes.
        file: the path that messages show.

    Raises:
        SpecError: it is damaged, or no mapping.
    """
    kind = PurePosixPath(file).suffix.lower()
    # A string of JSON holds no tab, so that every tab is white space, which YAML allows in fewer places.
    hint = f"its name must end with one of {', '.join(_KINDS)}, and its content be a mapping such as {{type: object}}"
    if not raw.strip():
        raise SpecError((Diagnostic(Place(file, 1, 1), RULE, "the file is empty", hint),))
    document = parse(raw.replace(b"\t", b" ") if kind == ".json" else raw, file)
    if kind not in _KINDS or not isinstance(document.data, dict) or not document.data:
        raise SpecError((Diagnostic(document.place(()), RULE, "the file is no JSON Schema", hint),))
    return document
