"""Write a recorded test into a suite: a new file, or one test more in one that is there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from orchestra.errors import SpecError, UsageError
from orchestra.recording.draft import Step
from orchestra.yamltext.document import Json
from orchestra.yamltext.flow import flow
from orchestra.yamltext.insert import NotBlockError, add_entry
from orchestra.yamltext.parse import parse

BROWSERS = ("playwright", "mcp")
"""The drivers that carry out the steps of a page."""

_HEAD = """\
# Begun by `orchestra record`. Every key and every kind of step: docs/spec.md and docs/steps.md of orchestra.
orchestra: 1
suite: {suite}
title: Recorded tests
{secrets}
methods:
  cli: {{title: Playwright, driver: playwright}}
  mcp: {{title: Playwright over MCP, driver: mcp}}

"""


def step_lines(steps: Sequence[Step]) -> list[str]:
    """Return steps as the items of a list."""
    return [f"- {_step(*next(iter(step.items())))}" for step in steps]


def _step(verb: str, body: Any) -> str:
    return verb if body == {} else f"{verb}: {flow(body)}"


def entry_lines(name: str, title: str, steps: Sequence[Step], methods: Sequence[str] = ()) -> list[str]:
    """Return a test as an entry of `tests`.

    Args:
        name: its id.
        title: for people.
        steps: in their order.
        methods: by which it runs, unless by all of its suite.
    """
    chosen = [f"  methods: {flow(list(methods))}"] if methods else []
    return [f"{name}:", f"  title: {flow(title)}", *chosen, "  steps:", *(f"    {line}" for line in step_lines(steps))]


def new_suite(suite: str, entry: Sequence[str], secrets: Collection[str] = ()) -> str:
    """Return the text of a suite with one test."""
    listed = f"secrets: {flow(sorted(secrets))}\n" if secrets else ""
    return add_entry(_HEAD.format(suite=suite, secrets=listed), "tests", entry)


def with_test(text: str, file: str, entry: Sequence[str]) -> str:
    """Return the text of a suite with one test more; everything else in it is as it was.

    Args:
        text: of the spec.
        file: its path, for messages.
        entry: of `entry_lines`.

    Raises:
        SpecError: the file cannot be read.
        UsageError: its tests are written in braces, or it is no spec.
    """
    before = parse(text.encode(), file).data
    if not isinstance(before, dict) or "orchestra" not in before:
        raise UsageError(f'"{file}" is no spec of orchestra: it has no key "orchestra"', "name another file")
    refusal = UsageError(
        f'a test cannot be added to "{file}": its `tests` are not written in lines of their own',
        "write `tests:` with a line for each test, or record into another file",
    )
    try:
        after = add_entry(text, "tests", entry)
    except NotBlockError:
        raise refusal from None
    try:
        changed = parse(after.encode(), file).data
    except SpecError:
        raise refusal from None
    name = entry[0].removesuffix(":")
    tests = {**tests_of(before), name: tests_of(changed).get(name)}
    if changed != {**before, "tests": tests}:
        raise refusal
    return after


def tests_of(data: Json) -> dict[str, Json]:
    """Return the tests of a spec's own file, by id."""
    tests = data.get("tests") if isinstance(data, dict) else None
    return tests if isinstance(tests, dict) else {}


def free_name(taken: Collection[str]) -> str:
    """Return the first of R001, R002, … that is not taken."""
    number = 1
    while f"R{number:03}" in taken:
        number += 1
    return f"R{number:03}"
