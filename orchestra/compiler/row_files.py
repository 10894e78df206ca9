"""Read the rows of tests from files: CSV, JSON and YAML, with the place of every value.

A spec that names a file (`rows: {file: data/cases.csv}`) gets its rows in place of the name, before anything looks at
it. So schema, rules and lowering treat them as rows that the spec has, and a message has the line of the data file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final, NoReturn, cast

from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import SpecError
from orchestra.yamltext.decoding import decode
from orchestra.yamltext.document import Document, Json, Marks, Path, line_starts
from orchestra.yamltext.parse import parse

RULE: Final = "row-file"
_KINDS: Final = (".csv", ".json", ".yaml", ".yml")


def with_profiles(data: dict[str, Json]) -> Iterator[tuple[Path, dict[str, Json]]]:
    """Yield a spec and each of its profiles, with its path; what is no mapping is left out."""
    yield (), data
    profiles = data.get("profiles")
    for name, profile in profiles.items() if isinstance(profiles, dict) else ():
        if isinstance(profile, dict):
            yield ("profiles", name), profile


def named(data: dict[str, Json]) -> Iterator[tuple[Path, str]]:
    """Yield the path of each `rows` of a spec that names a file, and the name: in tests, and in those of profiles."""
    for head, spec in with_profiles(data):
        tests = spec.get("tests")
        for test_id, test in tests.items() if isinstance(tests, dict) else ():
            rows = test.get("rows") if isinstance(test, dict) else None
            if isinstance(rows, dict) and list(rows) == ["file"] and isinstance(rows["file"], str):
                yield (*head, "tests", test_id, "rows"), rows["file"]


def replaced(data: Json, path: Path, value: Json) -> Json:
    """Return the data with another value at a path that exists; what is on the way is copied, not changed."""
    if not path:
        return value
    if isinstance(data, list):
        index = cast("int", path[0])
        return [*data[:index], replaced(data[index], path[1:], value), *data[index + 1 :]]
    mapping, name = cast("dict[str, Json]", data), str(path[0])
    return {**mapping, name: replaced(mapping[name], path[1:], value)}


def read(raw: bytes, file: str) -> Document:
    """Return the rows of a file as a document whose data is a list.

    Args:
        raw: its bytes.
        file: the path that messages show; its ending decides how the bytes are read.

    Raises:
        SpecError: it is of no kind that is read, is damaged, or is no list of rows.
    """
    kind = PurePosixPath(file).suffix.lower()
    if kind not in _KINDS:
        hint = f"its name must end with one of {', '.join(_KINDS)}"
        _refuse(Place(file, 1, 1), "the kind of the file with rows is unknown", hint)
    if kind == ".csv":
        return _csv(decode(raw.replace(b"\r\n", b"\n"), file), file)  # a checkout may change line ends, but no row
    if not raw.strip():
        _refuse(Place(file, 1, 1), "the file is empty", "write a list of mappings, each with an `id`")
    # A string of JSON holds no tab, so that every tab is white space, which YAML allows in fewer places.
    document = parse(raw.replace(b"\t", b" ") if kind == ".json" else raw, file)
    if not isinstance(document.data, list) or not document.data:
        _refuse(document.place(()), "the file is no list of rows", "write a list of mappings, each with an `id`")
    return document


def _refuse(place: Place, message: str, hint: str) -> NoReturn:
    raise SpecError((Diagnostic(place, RULE, message, hint),))


def _csv(text: str, file: str) -> Document:
    """Return the rows of a CSV file: its first line has the names, and every value is a text."""
    starts = line_starts(text)
    cells = _cells(text, file)
    head = next(cells, None)
    if head is None:
        _refuse(Place(file, 1, 1), "the file is empty", "write the names of the columns in the first line")
    names = [name for name, _ in head]
    _check_names(names, head, Marks([0], text), file)
    data: list[Json] = []
    marks: list[Any] = [head[0][1]]
    for row in cells:
        if len(row) != len(names):
            place = Place(file, *Marks([0], text).line_column(row[0][1]))
            message = f"the row has {len(row)} values, and the first line names {len(names)} columns"
            _refuse(place, message, "put a value with a comma in double quotes, and write an empty value as nothing")
        data.append(dict(zip(names, (value for value, _ in row), strict=True)))
        marks.append([row[0][1], *(at for (_, key), (_, value) in zip(head, row, strict=True) for at in (key, value))])
    if not data:
        _refuse(Place(file, len(starts), 1), "the file has no rows", "write a row below the names of the columns")
    return Document(file, data, Marks(marks, text))


def _check_names(names: list[str], head: list[tuple[str, int]], marks: Marks, file: str) -> None:
    for index, (name, at) in enumerate(head):
        place = Place(file, *marks.line_column(at))
        if not name:
            _refuse(place, f"column {index + 1} has no name", "name each column in the first line")
        if name in names[:index]:
            _refuse(place, f'two columns have the name "{name}"', "rename one of them")
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        _refuse(Place(file, 1, 1), f'the only column has the name "{names[0]}"', "separate columns by commas")


def _cells(text: str, file: str) -> Iterator[list[tuple[str, int]]]:
    """Yield the values of each line that has any, each with the index of its first character in the text."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    at = 0
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            hint = 'put a value with a comma, a quote or a line feed in double quotes, and write a quote in it as ""'
            _refuse(Place(file, line, 1), f"the line is not CSV: {error}", hint)
        if row is None:
            return
        cells = []
        for value in row:
            quoted = text.startswith('"', at)
            cells.append((value, at))
            at += (len(value) + value.count('"') + 2 if quoted else len(value)) + 1
        if row:
            yield cells
        else:
            at += 1
