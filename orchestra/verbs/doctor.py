"""The verb that looks at the machine: doctor."""

from __future__ import annotations

import os
from collections.abc import Iterable

import click

from orchestra.current import current_plan
from orchestra.errors import EXIT_MACHINE, EXIT_OK
from orchestra.printing import unbroken
from orchestra.runtime.agent_setup import examine_agents, lines_for_agents
from orchestra.runtime.doctor import Finding, examine
from orchestra.verbs.group import say
from orchestra.verbs.options import project_of


@click.command(epilog="\b\nExamples:\n  orchestra doctor\n  orchestra doctor --agents  the needs of coding agents")
@click.option("--agents", is_flag=True, help="Report the needs of coding agents instead, and lines for AGENTS.md.")
@click.pass_context
def doctor(ctx: click.Context, *, agents: bool) -> int:
    """Check this machine and this project, and report missing parts. Exit 3 if a required part is missing."""
    project = project_of(ctx)
    if not agents:
        return _report(examine(project, os.environ, current_plan))
    plans = [current_plan(project, suite) for suite in project.suites()]
    code = _report(examine_agents(project.root, plans, os.environ))
    if lines := lines_for_agents(plans):
        say("\nlines for AGENTS.md:\n")
        say("\n".join(lines))
    return code


def _report(findings: Iterable[Finding]) -> int:
    """Print findings as they come, and return the exit code."""
    broken = 0
    for finding in findings:
        broken += finding.state == "broken"
        say(unbroken(f"{finding.state:<8} {finding.subject:<16} {finding.found}"))
        if finding.hint:
            say(unbroken(f"{'':<25} hint: {finding.hint}"))
    return EXIT_MACHINE if broken else EXIT_OK
