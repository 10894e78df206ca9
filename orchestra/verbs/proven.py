"""A plan that may be executed: the one that its spec compiles to.

plan.json is in git, and anyone can compute its digests: they prove that the file is complete, not that it was compiled
from the spec. So the spec is compiled again in memory before a plan is executed. The stamp of the last compile saves
that if it covers the same bytes. In CI the stamp is not used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from orchestra.compiler.outputs import stamp
from orchestra.errors import PlanError, SpecError
from orchestra.plan import Plan
from orchestra.project import Project
from orchestra.runtime.load_plan import load_plan

_SHOWN = 5


def proven_plan(project: Project, suite: str, profile: str = "") -> Plan:
    """Return the compiled plan of a suite, to be executed.

    Raises:
        PlanError: as `load_plan`, or the spec compiles to another plan.
        SpecError: the spec does not compile by this version.
    """
    plan = load_plan(project, suite, profile)
    file = project.plan_file(suite, profile)
    if not os.environ.get("CI") and stamp.vouches(project.root, (file, *plan.sources)):
        return plan
    from orchestra.compiler.build import build  # noqa: PLC0415 - a fifth of a start, which the stamp saves

    built = build(project.root, plan.sources[:1])
    if built.diagnostics:
        raise SpecError(built.diagnostics)
    made = next((one for one in built.plans if (one.suite, one.profile) == (suite, profile)), None)
    if made != plan:
        raise PlanError(
            f"{file}: the spec ({', '.join(plan.sources)}) compiles to another plan: {_difference(plan, made)}",
            "it was edited by hand, or compiled by another version: run `orchestra compile`, review the change, run again",
        )
    return plan


def _difference(plan: Plan, made: Plan | None) -> str:
    if made is None:
        return "it has no such suite or profile"
    there, here = ({test.id: test for test in one.tests} for one in (plan, made))
    tests = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    if tests:
        return f"{_listed(tests)} differ{'s' * (len(tests) == 1)}"
    parts = [name for name in plan.__struct_fields__ if getattr(plan, name) != getattr(made, name)]
    return f"{_listed(parts)} differ{'s' * (len(parts) == 1)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f'"{name}"' for name in names[:_SHOWN]) + more
