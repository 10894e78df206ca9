"""A plan that may be executed: the one that its spec compiles to.

plan.json is in git, and anyone can compute its digests: they prove that the file is complete, not that it was compiled
from the spec. So the spec is compiled again in memory before a plan is executed. The stamp of the last compile saves
that if it covers the same bytes. In CI the stamp is not used.

A spec that was changed since and compiles to the same plan, by a comment for instance, makes no plan stale. Any other change
is refused, except by `orchestra run` with a person at its terminal: it compiles first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from orchestra.compiler.outputs import stamp
from orchestra.current import compiled
from orchestra.errors import PlanError
from orchestra.plan import Plan
from orchestra.project import Project
from orchestra.report.console.lines import line
from orchestra.report.watch import for_agent
from orchestra.runtime.load_plan import StaleError, load_plan
from orchestra.verbs.group import warn

_SHOWN = 5


def attended() -> bool:
    """Return whether a person is at the terminal: neither CI nor a coding agent."""
    return sys.stderr.isatty() and not os.environ.get("CI") and not for_agent()


def proven_plan(project: Project, suite: str, profile: str = "", *, renew: bool = False) -> Plan:
    """Return the compiled plan of a suite, to be executed.

    Args:
        project: whose suite.
        suite: its id.
        profile: of its spec, empty for none.
        renew: compile first if the plan is stale and no output was edited by hand; a line reports it.

    Raises:
        PlanError: as `load_plan`, or the spec compiles to another plan.
        SpecError: the spec does not compile by this version.
        UsageError: an output was edited by hand.
    """
    try:
        plan = load_plan(project, suite, profile)
    except StaleError as stale:
        made = compiled(project, stale.plan, stale if not renew else None)
        if made == stale.plan:
            return made
        if not renew:
            raise
        _compile(project, stale)
        plan = load_plan(project, suite, profile)
    file = project.plan_file(suite, profile)
    if not os.environ.get("CI") and stamp.vouches(project.root, (file, *plan.sources)):
        return plan
    made = compiled(project, plan)
    if made != plan:
        raise PlanError(
            f"{file}: the spec ({', '.join(plan.sources)}) compiles to another plan: {_difference(plan, made)}",
            "it was edited by hand, or compiled by another version: run `orchestra compile`, review the change, run again",
        )
    return plan


def _compile(project: Project, stale: StaleError) -> None:
    """Compile the suite of a stale plan, and report it in a line.

    Raises:
        UsageError: an output was edited by hand.
    """
    from orchestra.verbs.compiling import compile_specs  # noqa: PLC0415 - as above

    done = compile_specs(project, suite=stale.plan.suite, over_edits=False)
    if done.code:
        raise stale
    number = f"{len(done.lines)} output{'s' * (len(done.lines) != 1)} written"
    warn(line("compiled", ", ".join(stale.plan.sources), f"changed since the last compile: {number}"))


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
