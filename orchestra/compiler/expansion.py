"""Limit the growth of a spec when it is lowered: steps of nested blocks, and combinations of matrices.

Ten lines can expand to a billion steps, as with aliases in YAML. These limits are checked before the rules, which walk
blocks and matrices. A cycle of blocks has no size; a rule reports it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from orchestra.compiler.include import Assembled
from orchestra.compiler.lower import resolve
from orchestra.compiler.schema.key import StepSpec
from orchestra.compiler.schema.spec import Spec
from orchestra.compiler.schema.tests import TestSpec
from orchestra.diagnostic import Diagnostic

MOST_STEPS = 10_000
MOST_DEPTH = 32
MOST_COMBINATIONS = 1_000
MOST_TESTS = 100_000
MOST_STEPS_IN_ALL = 200_000
_ENOUGH = 10**9


def check(spec: Spec, source: Assembled) -> list[Diagnostic]:
    """Return every test, block and matrix of a valid spec that makes too much, sorted by place."""
    sizes: dict[str, tuple[int, int]] = {}
    problems = sorted([*_blocks(spec, source, sizes), *_matrices(spec, source)])
    return problems or [*_suite(spec, source, sizes)]


def steps_in_all(spec: Spec) -> int:
    """Return how many steps all tests of a spec without a problem have."""
    sizes: dict[str, tuple[int, int]] = {}
    blocks = {name: block["steps"] for name, block in spec.get("blocks", {}).items() if "steps" in block}
    for name in resolve.topological(list(blocks), {name: list(_uses(steps)) for name, steps in blocks.items()}):
        sizes[name] = _grown(blocks[name], sizes)
    return _steps(spec, sizes)


def _steps(spec: Spec, sizes: Mapping[str, tuple[int, int]]) -> int:
    return sum(
        _combinations(test) * sum(_grown(section, sizes)[0] for section in resolve.sections(spec, test))
        for test in spec["tests"].values()
    )


def has_circle(spec: Spec) -> bool:
    """Return True if blocks use each other in a cycle, so that a walk of them would not end."""
    uses = {name: list(_uses(block["steps"])) for name, block in spec.get("blocks", {}).items() if "steps" in block}
    return len(resolve.topological(list(uses), uses)) < len(uses)


def _uses(steps: Sequence[StepSpec]) -> Iterator[str]:
    for step in resolve.flat(steps):
        verb, body = resolve.verb_of(step)
        if verb == "use":
            yield resolve.block_use(body)[0]


def _grown(steps: Sequence[StepSpec], sizes: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Return how many steps a list makes, and how deep its blocks lie in each other."""
    if not any(step.__class__ is dict and ("use" in step or "page" in step) for step in steps):
        return len(steps), 0  # as nearly every list of a long suite
    used = [sizes.get(name, (0, 0)) for name in _uses(steps)]
    return sum(1 for _ in resolve.flat(steps)) - len(used) + sum(size for size, _ in used), max(
        (depth for _, depth in used), default=0
    )


def _blocks(spec: Spec, source: Assembled, sizes: dict[str, tuple[int, int]]) -> Iterator[Diagnostic]:
    """Yield problems of too many steps or too deeply nested blocks; `sizes` gets steps and depth of each block."""
    blocks = {name: block["steps"] for name, block in spec.get("blocks", {}).items() if "steps" in block}
    for name in resolve.topological(list(blocks), {name: list(_uses(steps)) for name, steps in blocks.items()}):
        size, depth = _grown(blocks[name], sizes)
        sizes[name] = size, depth + 1
        if depth + 1 > MOST_DEPTH:
            message = f'the block "{name}" nests blocks {depth + 1} deep; at most {MOST_DEPTH} are allowed'
            yield Diagnostic(
                source.place(("blocks", name), key=True), "block-depth", message, "use the inner one directly"
            )
            return
    for test_id, test in spec["tests"].items() if sizes else ():
        count = sum(_grown(steps, sizes)[0] for steps in resolve.sections(spec, test))
        if count > MOST_STEPS:
            message = (
                f'the test "{test_id}" has {count:,} steps with those of its blocks; at most {MOST_STEPS:,} are allowed'
            )
            yield Diagnostic(source.place(("tests", test_id), key=True), "block-size", message, "split it")


def _combinations(test: TestSpec) -> int:
    """Return how many tests an entry makes; beyond a billion it does not matter any more."""
    if "matrix" not in test and "rows" not in test:
        return 1
    return min(math.prod(map(len, resolve.dimensions(test).values())) + len(resolve.included(test)), _ENOUGH)


def _matrices(spec: Spec, source: Assembled) -> Iterator[Diagnostic]:
    for test_id, test in spec["tests"].items():
        count = _combinations(test)
        if count > MOST_COMBINATIONS:
            shown = f"{count:,}" if count < _ENOUGH else "a billion or more"
            message = f'the matrix of "{test_id}" makes {shown} tests; at most {MOST_COMBINATIONS:,} are allowed'
            hint = "leave values out, or split the test"
            yield Diagnostic(source.place(("tests", test_id, "matrix"), key=True), "matrix-size", message, hint)


def _suite(spec: Spec, source: Assembled, sizes: Mapping[str, tuple[int, int]]) -> Iterator[Diagnostic]:
    count = sum(map(_combinations, spec["tests"].values()))
    if count > MOST_TESTS:
        message = f"the suite has {count:,} tests; at most {MOST_TESTS:,} are allowed"
        yield Diagnostic(source.place(("tests",), key=True), "matrix-size", message, "split it into several suites")
        return
    steps = _steps(spec, sizes)
    if steps > MOST_STEPS_IN_ALL:
        message = f"the suite has {steps:,} steps in all its tests; at most {MOST_STEPS_IN_ALL:,} are allowed"
        yield Diagnostic(source.place(("tests",), key=True), "block-size", message, "split it into several suites")
