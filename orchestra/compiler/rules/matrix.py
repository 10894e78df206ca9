"""Rules about the tests that a matrix and rows make of one entry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.context import Context, Problem, quoted, rule, scalar
from orchestra.compiler.schema.tests import TestSpec
from orchestra.engines import ENGINES
from orchestra.suggest import correction, did_you_mean
from orchestra.yamltext.document import Path

# Ids are names of folders, of doit tasks and of JUnit cases, and are typed on command lines.
_LABEL = re.compile(r"[\w.+@-]+(?: [\w.+@-]+)*")


@rule
def matrix_value(context: Context) -> Iterator[Problem]:
    """A list of a `matrix` is empty, or has a value that cannot be part of a test id, or two values with the same id.

    Values are plain: numbers, truth values, or texts of letters, digits, inner spaces and `_ . + @ -`.
    """
    for test_id, test in context.spec["tests"].items():
        for name, values in resolve.axes(test).items():
            path: Path = ("tests", test_id, "matrix", name)
            if not values:
                message = f'the matrix value "{name}" of "{test_id}" has an empty list, so that there is no test'
                yield Problem(context.place(path), message, "list its values, or remove it")
            seen: set[str] = set()
            for index, value in enumerate(values):
                label = resolve.scalar_text(value)
                place = context.place((*path, index))
                if isinstance(value, (dict, list)) or not _LABEL.fullmatch(label):
                    found = (
                        "a list"
                        if isinstance(value, list)
                        else "a mapping"
                        if isinstance(value, dict)
                        else f'"{label}"'
                    )
                    hint = (
                        "use letters, digits, inner spaces and _ . + @ -; move a longer text into a block or variable"
                    )
                    yield Problem(
                        place, f"{found} cannot be a matrix value, because it becomes part of the test id", hint
                    )
                elif label in seen:
                    message = f'"{label}" occurs twice in the matrix, so two tests would be "{test_id}[{label}]"'
                    yield Problem(place, message, "remove one of them")
                elif name == "browser" and value not in ENGINES:
                    message = f"unknown browser {scalar(value)}{did_you_mean(label, tuple(ENGINES))}"
                    yield Problem(
                        place, message, f"there are {quoted(tuple(ENGINES))}", correction(label, tuple(ENGINES))
                    )
                seen.add(label)


@rule
def row_id(context: Context) -> Iterator[Problem]:
    """A row of `rows` has no `id`, one that cannot be part of a test id, or that of another row, or `matrix` has a `row`.

    An id is a number, or a text of letters, digits, inner spaces and `_ . + @ -`. All other keys may have any value.
    """
    for test_id, test in context.spec["tests"].items():
        if "rows" in test and "row" in test.get("matrix", {}):
            place = context.place(("tests", test_id, "matrix", "row"), key=True)
            yield Problem(place, '"row" is the name for the rows of the test', "choose another name")
        seen: set[str] = set()
        for index, row in enumerate(resolve.rows(test)):
            path: Path = ("tests", test_id, "rows", index)
            value = row.get("id")
            label = resolve.scalar_text(value)
            if value is None:
                yield Problem(context.place(path), f'row {index + 1} of "{test_id}" lacks the key "id"', "name the row")
            elif isinstance(value, (dict, list, bool)) or not _LABEL.fullmatch(label):
                message = f"{scalar(value)} cannot be the id of a row, because it becomes part of the test id"
                yield Problem(context.place((*path, "id")), message, "use letters, digits, inner spaces and _ . + @ -")
            elif label in seen:
                message = f'"{label}" is the id of two rows, so two tests would be "{test_id}[{label}]"'
                yield Problem(context.place((*path, "id")), message, "give each row its own id")
            seen.add(label)


@rule
def matrix_exclude(context: Context) -> Iterator[Problem]:
    """An entry of `exclude` in a matrix excludes nothing, or no test is left.

    An entry is a mapping of names of the matrix to values; `row` is the id of a row. A combination that has all of its
    values is no test. To run a test in none of them, remove it.
    """
    for test_id, test in context.spec["tests"].items():
        if resolve.EXCLUDE not in test.get("matrix", {}):
            continue
        path: Path = ("tests", test_id, "matrix", resolve.EXCLUDE)
        for index, entry in enumerate(test["matrix"][resolve.EXCLUDE]):
            yield from _entry(context, test, entry, (*path, index))
        if next(resolve.matrix_tests(test_id, test), None) is None:
            yield Problem(context.place(path, key=True), f'"{test_id}" has no test left', "remove an entry")


def _entry(context: Context, test: TestSpec, entry: Any, path: Path) -> Iterator[Problem]:
    known = resolve.dimensions(test)
    if not isinstance(entry, dict) or not entry:
        message = f"{scalar(entry)} is no combination of the matrix"
        yield Problem(context.place(path), message, f"write a mapping with some of {quoted(list(known))}")
        return
    for name, value in entry.items():
        if name not in known:
            near = did_you_mean(name, known)
            place = context.place((*path, name), key=True)
            message = f'the matrix has no "{name}"{near}'
            yield Problem(place, message, f"it has {quoted(list(known))}", correction(name, known))
        elif not any(_same(one, value) for one in known[name]):
            message = f'"{name}" never is {scalar(value)} in this matrix, so the entry excludes nothing'
            hint = f"it is one of {', '.join(map(scalar, known[name]))}"
            yield Problem(context.place((*path, name)), message, hint)


@rule
def matrix_include(context: Context) -> Iterator[Problem]:
    """An entry of `include` in a matrix is no further combination.

    An entry is a mapping with a value for each name of the matrix, which may be a new one; `row` is the id of a row. It
    cannot be a combination that the lists of the matrix make.
    """
    for test_id, test in context.spec["tests"].items():
        path: Path = ("tests", test_id, "matrix", resolve.INCLUDE)
        entries: list[Any] = test.get("matrix", {}).get(resolve.INCLUDE, [])
        known = resolve.dimensions(test)
        seen: list[Any] = []
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict) or not known or entry.keys() != known.keys():
                message = f"{scalar(entry)} is no combination of the matrix"
                names = f"a mapping with {quoted(list(known))}" if known else "the combinations as `rows`"
                yield Problem(context.place((*path, index)), message, f"write {names}")
                continue
            yield from (
                problem for name in entry for problem in _value(context, name, entry[name], (*path, index), known)
            )
            made = [name for name in known if any(_same(entry[name], value) for value in known[name])]
            if len(made) == len(known) or entry in seen:
                message = f"{scalar(entry)} is a combination of the matrix already"
                yield Problem(context.place((*path, index)), message, "remove the entry")
            seen.append(entry)


def _value(context: Context, name: str, value: Any, path: Path, known: dict[str, list[Any]]) -> Iterator[Problem]:
    label = resolve.scalar_text(value)
    place = context.place((*path, name))
    if isinstance(value, (dict, list)) or not _LABEL.fullmatch(label):
        message = f"{scalar(value)} cannot be a matrix value, because it becomes part of the test id"
        yield Problem(place, message, "use letters, digits, inner spaces and _ . + @ -")
    elif name == "browser" and value not in ENGINES:
        near = did_you_mean(label, tuple(ENGINES))
        edit = correction(label, tuple(ENGINES))
        yield Problem(place, f"unknown browser {scalar(value)}{near}", f"there are {quoted(tuple(ENGINES))}", edit)
    elif name == "row" and value not in known["row"]:
        message = f"no row has the id {scalar(value)}{did_you_mean(label, list(map(str, known['row'])))}"
        yield Problem(place, message, f"the ids are {', '.join(map(scalar, known['row']))}")


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


RULES = (matrix_value, row_id, matrix_exclude, matrix_include)
