"""The plan of a suite as the spec is now: a change that compiles to the same plan, of a comment for instance, is none."""

from __future__ import annotations

import os

import msgspec

from orchestra import plan_file
from orchestra.errors import PlanError, SpecError
from orchestra.plan import Plan
from orchestra.project import Project
from orchestra.runtime.load_plan import StaleError, load_plan


def current_plan(project: Project, suite: str, profile: str = "") -> Plan:
    """Return the compiled plan of a suite, to be shown. Only if its spec was changed since is the spec compiled again.

    Raises:
        PlanError: as `load_plan`.
    """
    try:
        return load_plan(project, suite, profile)
    except StaleError as stale:
        if compiled(project, stale.plan, stale) != stale.plan:
            raise
        return stale.plan


def compiled(project: Project, plan: Plan, instead: PlanError | None = None) -> Plan | None:
    """Return the plan that the spec of a plan compiles to now; None if the suite or the profile is gone.

    Raises:
        SpecError: the spec does not compile; `instead` of it another error, where there is one.
    """
    from orchestra.compiler.build import build  # noqa: PLC0415 - a fifth of a start, which the stamp saves

    if not os.environ.get("CI") and (made := _after_edit(project, plan)) is not None:
        return made
    built = build(project.root, plan.sources[:1])
    if built.diagnostics:
        raise instead or SpecError(built.diagnostics)
    return next((one for one in built.plans if (one.suite, one.profile) == (plan.suite, plan.profile)), None)


def _after_edit(project: Project, plan: Plan) -> Plan | None:
    """Return the plan as the spec is now, if only some of its tests were edited since its compile."""
    from orchestra.compiler import after_edit  # noqa: PLC0415 - as above

    edited = after_edit.compiled(project.root, project.spec_files())
    if edited is None or edited.suite != plan.suite:
        return None
    name = project.plan_file(plan.suite, plan.profile)
    file = next((file for file in edited.files if file.path == name), None)
    if file is None:
        return None
    return msgspec.structs.replace(plan_file.load(file.content, name), source_digest=file.source_digest)
