"""From spec files to plans: the one place that strings the stages together.

    source ► include ► schema ► expansion ► rules ► lower ► expanded_values and recorded_files, for the spec and each profile

All problems of all files are gathered before anything is refused, except that a stage is not asked about what the stage
before it has refused.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from orchestra.compiler import expanded_values, expansion, include, profile, recorded_files
from orchestra.compiler.include import Assembled
from orchestra.compiler.lower.suite import lower
from orchestra.compiler.provided import Provided, idle, offer, provided
from orchestra.compiler.rules import RULES, Context, check, check_suites
from orchestra.compiler.schema import validate
from orchestra.compiler.schema.spec import Spec
from orchestra.diagnostic import Diagnostic
from orchestra.errors import SpecError
from orchestra.plan import Plan, encode


class Built(NamedTuple):
    """The result of compiling spec files.

    Attributes:
        plans: one for each spec and one for each of its profiles; none when there is a problem.
        diagnostics: every problem, sorted by place.
        specs: the spec files that were validated without a problem.
    """

    plans: tuple[Plan, ...]
    diagnostics: tuple[Diagnostic, ...]
    specs: tuple[Assembled, ...] = ()


def problems_of(assembled: Assembled, usable: Provided, root: Path) -> list[Diagnostic]:
    """Return every problem of one assembled spec: of the schema, or if there is none, of its size, or else of the
    rules.
    """
    spec = cast("Spec", assembled.data)
    problems = validate.violations(assembled, usable, functools.partial(offer, root)) or expansion.check(
        spec, assembled
    )
    if not problems and expansion.has_circle(spec):
        problems = sorted(RULES["block-cycle"](Context(spec, assembled, usable)))
    return problems or sorted([*check(spec, assembled, usable), *idle(assembled, usable)])


def problems_of_plan(plan: Plan, assembled: Assembled, usable: Provided) -> list[Diagnostic]:
    """Return every problem of a spec that shows in its plan alone, where blocks are expanded and names replaced."""
    return sorted([*expanded_values.check(plan, assembled, usable.verbs), *recorded_files.check(plan, assembled)])


def build_one(assembled: Assembled, root: Path) -> tuple[list[Plan], list[Diagnostic]]:
    """Return the plans of one assembled spec, its own first, and its problems; with problems there are no plans."""
    usable, problems = provided(assembled, root)
    problems = problems or problems_of(assembled, usable, root)
    if problems:
        return [], problems
    spec = cast("Spec", assembled.data)
    versions = [("", assembled), *((name, profile.apply(assembled, name)) for name in spec.get("profiles", {}))]
    plans: list[Plan] = []
    for name, version in versions:
        in_version: list[Diagnostic] = []
        if name:
            usable, in_version = provided(version, root)
            in_version = in_version or problems_of(version, usable, root)
        if not in_version:
            plan = lower(
                cast("Spec", version.data),
                usable,
                sources=assembled.paths,
                source_digest=assembled.digest,
                profile=name,
            )
            in_version = problems_of_plan(plan, version, usable)
            if not in_version:
                plans.append(_as_stored(plan))
        problems += [_in_profile(problem, name) for problem in in_version] if name else in_version
    return ([], problems) if problems else (plans, [])


def _as_stored(plan: Plan) -> Plan:
    """Return the plan as it is read back from its file, so that both have one digest: what is a default is left out by
    identity.

    Tests are lowered in their stored form, because a round trip of a thousand tests takes longer than their validation.
    """
    stored = msgspec.json.decode(encode(msgspec.structs.replace(plan, tests=())), type=Plan)
    return msgspec.structs.replace(stored, tests=plan.tests)


def _in_profile(problem: Diagnostic, name: str) -> Diagnostic:
    return problem._replace(message=f'with profile "{name}": {problem.message}')


def build(root: Path, paths: Sequence[str]) -> Built:
    """Return the plans of spec files and every problem in them, sorted by place.

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
        made, refused = build_one(assembled, root)
        plans += made
        problems.update(refused)
        if made:
            contexts.append(Context(cast("Spec", assembled.data), assembled))
    problems.update(check_suites(contexts))
    specs = tuple(context.source for context in contexts)
    return Built(() if problems else tuple(plans), tuple(sorted(problems)), specs)
