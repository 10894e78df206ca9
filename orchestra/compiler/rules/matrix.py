"""Rules about the combinations that a matrix leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.context import Context, Problem, quoted, rule, scalar
from orchestra.compiler.schema.tests import TestSpec
from orchestra.suggest import correction, did_you_mean
from orchestra.yamltext.document import Path


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
        elif not any(type(one) is type(value) and one == value for one in known[name]):
            message = f'"{name}" never is {scalar(value)} in this matrix, so the entry excludes nothing'
            hint = f"it is one of {', '.join(map(scalar, known[name]))}"
            yield Problem(context.place((*path, name)), message, hint)


RULES = (matrix_exclude,)
