"""From spec files to plans: the one place that strings the stages together. May import every stage of the compiler.

    source ► include ► schema ► rules ► lower        for the spec itself and for each of its profiles

All problems of all files are gathered before anything is refused, except that a stage is not asked about what the stage
before it has refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from orchestra.compiler import include, profile, schema
from orchestra.compiler.include import Assembled
from orchestra.compiler.lower import lower
from orchestra.compiler.rules import Context, check, check_suites
from orchestra.compiler.spec import Spec
from orchestra.diagnostic import Diagnostic
from orchestra.errors import SpecError
from orchestra.plan import Plan


@dataclass(frozen=True, slots=True)
class Built:
    """What came of spec files: the plans, one for each spec and one for each of its profiles, and every problem."""

    plans: tuple[Plan, ...]
    diagnostics: tuple[Diagnostic, ...]


def judge(assembled: Assembled) -> list[Diagnostic]:
    """Every problem of one assembled spec: those of the schema, or if there are none, those of the rules."""
    return schema.judge(assembled) or check(cast("Spec", assembled.data), assembled)


def build_one(assembled: Assembled) -> tuple[list[Plan], list[Diagnostic]]:
    """The plans of one assembled spec, its own first, and its problems; with problems there are no plans."""
    problems = judge(assembled)
    if problems:
        return [], problems
    spec = cast("Spec", assembled.data)
    versions = [("", assembled), *((name, profile.apply(assembled, name)) for name in spec.get("profiles", {}))]
    for name, version in versions[1:]:
        problems += [_in_profile(problem, name) for problem in judge(version)]
    if problems:
        return [], problems
    return [
        lower(cast("Spec", version.data), sources=assembled.paths, source_digest=assembled.digest, profile=name)
        for name, version in versions
    ], []


def _in_profile(problem: Diagnostic, name: str) -> Diagnostic:
    return Diagnostic(problem.place, problem.rule, f'with profile "{name}": {problem.message}', problem.hint)


def build(root: Path, paths: Sequence[str]) -> Built:
    """The plans of spec files and every problem in them, sorted by place.

    Args:
        root: the project root.
        paths: the spec files, relative to the root.

    Raises:
        UsageError: a spec file is missing, unreadable, or outside of the root.
    """
    plans: list[Plan] = []
    contexts: list[Context] = []
    problems: set[Diagnostic] = set()
    for path in paths:
        try:
            assembled = include.load(root, path)
        except SpecError as error:
            problems.update(error.diagnostics)
            continue
        made, found = build_one(assembled)
        plans += made
        problems.update(found)
        if made:
            contexts.append(Context(cast("Spec", assembled.data), assembled))
    problems.update(check_suites(contexts))
    return Built(() if problems else tuple(plans), tuple(sorted(problems)))
