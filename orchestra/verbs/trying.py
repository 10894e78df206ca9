"""Compile a step that a person types while a test is paused, as if it were the last step of that test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec

from orchestra.compiler import include, profile
from orchestra.compiler.build import problems_of, problems_of_plan
from orchestra.compiler.lower.suite import lower
from orchestra.compiler.provided import provided
from orchestra.compiler.schema.spec import Spec
from orchestra.diagnostic import Diagnostic
from orchestra.errors import SpecError, UsageError
from orchestra.plan import Plan, Test
from orchestra.recording.suite import step_lines
from orchestra.runtime.pausing import TRY_SECONDS
from orchestra.steps.step import Step
from orchestra.steps.target import KINDS, NARROWING
from orchestra.steps.vocabulary import DEFAULTS
from orchestra.yamltext.parse import parse

_NUMBERED = re.compile(r'"steps\[\d+\]')

_EXAMPLE = "type a step as in the spec, `click: {role: button, name: Save}`, or a target, `{text: Saved}`"


def typed_step(line: str) -> Any:
    """Return a typed line as a step of a spec; a target becomes the expectation that its element is visible.

    Raises:
        UsageError: the line is no step.
    """
    try:
        data = parse(line.encode(), "step").data
    except SpecError as error:
        raise UsageError("; ".join(problem.message for problem in error.diagnostics), _EXAMPLE) from None
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if isinstance(data, dict) and data and data.keys() <= {*KINDS, *NARROWING}:
        return {"expect": {**data, "to": {"be": "visible"}}}
    if isinstance(data, str) or (isinstance(data, dict) and len(data) == 1):
        return data
    raise UsageError(f'"{line.strip()}" is no step', _EXAMPLE)


def step_line(step: Any) -> str:
    """Return a step as an item of a spec."""
    return f"- {step}" if isinstance(step, str) else step_lines([step])[0]


def compiled_step(root: Path, plan: Plan, test: Test, step: Any, tried: Sequence[Any] = ()) -> tuple[Step, ...]:
    """Return the steps of the plan that a step of the spec becomes: several if it uses a block.

    Args:
        root: the project root.
        plan: of the run.
        test: that is paused.
        step: as in the spec.
        tried: the steps that were tried before it and passed: it may read what they save.

    Raises:
        SpecError: the spec does not compile with it.
        UsageError: the spec has no such test any more.
    """
    assembled = include.load(root, plan.sources[0])
    if plan.profile:
        assembled = profile.apply(assembled, plan.profile)
    name = test.of or test.id
    data = cast("dict[str, Any]", assembled.data)
    written = data.get("tests", {}).get(name)
    if not isinstance(written, dict):
        raise UsageError(f"the spec has no test {name} any more", "quit, and run again")
    before = [*written.get("steps", []), *tried]
    tests = {**data["tests"], name: {**written, "steps": [*before, step]}}
    assembled = replace(assembled, data={**data, "tests": tests})
    usable, problems = provided(assembled, root)
    problems = problems or problems_of(assembled, usable, root)
    if problems:
        raise SpecError(tuple(problems))
    spec = cast("Spec", assembled.data)
    made = lower(spec, usable, sources=assembled.paths, profile=plan.profile)
    if problems := problems_of_plan(made, assembled, usable):
        raise SpecError(tuple(problems))
    at = f"/tests/{name}/steps/{len(before)}"
    steps = next(one.steps for one in made.tests if one.id == test.id)
    own = "within_seconds" in str(step)
    return tuple(one if own else _impatient(one) for one in steps if one.at[0] == at)


def _impatient(step: Step) -> Step:
    """Return a step that waits no longer than a person."""
    seconds = step.args.get("within_seconds")
    if not isinstance(seconds, float) or seconds != DEFAULTS.get(step.verb, {}).get("within_seconds"):
        return step
    return msgspec.structs.replace(step, args={**step.args, "within_seconds": min(seconds, TRY_SECONDS)})


def reasons(problems: Sequence[Diagnostic]) -> list[str]:
    """Return the problems of a typed step: it has no line in the spec, so without places."""
    lines = []
    for problem in problems:
        message = _NUMBERED.sub('"step', problem.message)
        lines.append(f"{message} [{problem.rule}]")
        lines += [f"hint: {problem.hint}"] if problem.hint else []
    return lines
