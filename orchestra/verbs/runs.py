"""The verbs about runs and the machine: run, doctor. May import `runtime`, `report`, `project`, `group` and `options`."""

from __future__ import annotations

import os
import sys

import click
from click.shell_completion import CompletionItem

from orchestra import draw
from orchestra.errors import EXIT_MACHINE, EXIT_OK, OrchestraError
from orchestra.report import watch
from orchestra.runtime import dag
from orchestra.runtime.dag import Launch
from orchestra.runtime.doctor import examine
from orchestra.runtime.select import select, with_needs
from orchestra.runtime.session import Options
from orchestra.verbs.options import profile_option, project_of, suite_option


def _tests(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids, groups and tags of the suite, for the shell's completion; silent when there is no plan to ask."""
    del param
    try:
        project = project_of(ctx)
        plan = dag.load_plan(project, project.choose(ctx.params.get("suite")))
    except OrchestraError:
        return []
    tags = sorted({f"tag:{tag}" for test in plan.tests for tag in test.tags})
    words = [*(test.id for test in plan.tests), *(group.id for group in plan.groups), *tags]
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


@click.command(
    epilog="\b\nExamples:\n  orchestra run                      every test by every method\n"
    "  orchestra run B004..B009 tag:smoke  some of them, and what they need\n"
    "  orchestra run basics --method mcp   a group by one method\n"
    "  orchestra run --list                what there is\n"
    "\n\b\nA selection is an id, a glob, a range A..B, a group, tag:NAME, or METHOD:ID."
)
@click.argument("selection", nargs=-1, shell_complete=_tests)
@suite_option
@profile_option
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Only this method; may be repeated.")
@click.option("--list", "listing", is_flag=True, help="Print the selected tests and stop.")
@click.option("--dry-run", is_flag=True, help="Print what would run, in order, with what is pulled in, and stop.")
@click.option("--workers", type=click.IntRange(min=1), help="How many tests at once, for each method.")
@click.option("--headed", is_flag=True, help="Show the browser.")
@click.option("--force", is_flag=True, help="Run tests whose inputs have not changed, too.")
@click.pass_context
def run(
    ctx: click.Context,
    selection: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    methods: tuple[str, ...],
    listing: bool,
    dry_run: bool,
    workers: int | None,
    headed: bool,
    force: bool,
) -> int:
    """Run tests, and what they need, with services, retries, gates and a record of everything."""
    project = project_of(ctx)
    name = project.choose(suite)
    plan = dag.load_plan(project, name, profile)
    tasks = select(plan, selection, methods)
    if listing or dry_run:
        chosen = set(tasks)
        titles = {test.id: test.title for test in plan.tests}
        for task in with_needs(plan, tasks) if dry_run else tasks:
            pulled = "" if task in chosen else "  (needed)"
            click.echo(f"{task}  {titles[task.partition(':')[2]]}{pulled}")
        return EXIT_OK
    launch = Launch(
        project=project,
        watch=watch.observers,
        options=Options(argv=("orchestra", *sys.argv[1:]), workers=workers, headed=headed, force=force),
        profile=profile,
    )
    return dag.run(launch, name, plan, tasks)


@click.command(epilog="\b\nExample:\n  orchestra doctor")
@click.pass_context
def doctor(ctx: click.Context) -> int:
    """Look at this machine and this project, and say what is to be mended. Exit 3 when something needed is missing."""
    broken = 0
    for finding in examine(project_of(ctx), os.environ):
        broken += finding.state == "broken"
        click.echo(draw.visible(f"{finding.state:<8} {finding.subject:<16} {finding.found}"))
        if finding.mend:
            click.echo(draw.visible(f"{'':<25} mend: {finding.mend}"))
    return EXIT_MACHINE if broken else EXIT_OK
