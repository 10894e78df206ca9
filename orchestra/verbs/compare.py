"""The verb compare: two methods, runs or branches side by side. May import `ledger`, `report`, `runtime` and `draw`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import history
from orchestra.ledger.log import read
from orchestra.plan import Plan
from orchestra.project import PLAN_FOLDER
from orchestra.report.compare import Side, Sides, of_method
from orchestra.report.compare import compare as compared
from orchestra.report.compare_text import compared_lines
from orchestra.runtime import dag
from orchestra.suggest import did_you_mean
from orchestra.verbs.group import say
from orchestra.verbs.options import profile_option, project_of, suite_option


@click.command(
    epilog="\b\nExamples:\n  orchestra compare                     the methods of the last run\n"
    "  orchestra compare cli mcp --run ID    two methods of a run\n"
    "  orchestra compare RUN RUN             two runs, `last` is one\n"
    "  orchestra compare branch:main last    the last run on a branch, and the last of all"
)
@click.argument("sides", nargs=-1, metavar="[FIRST SECOND]")
@suite_option
@profile_option
@click.option("--run", "run", default="last", show_default=True, metavar="ID", help="The run whose methods are meant.")
@click.option("--markdown", is_flag=True, help="Print it as Markdown.")
@click.pass_context
def compare(
    ctx: click.Context, sides: tuple[str, ...], *, suite: str | None, profile: str, run: str, markdown: bool
) -> int:
    """Compare two methods, runs or branches: verdicts, disagreements, what a test and a step take more."""
    project = project_of(ctx)
    name = project.choose(suite)
    plan = dag.load_plan(project, name, profile)
    home = project.root / PLAN_FOLDER / name
    methods = [method.id for method in plan.methods]
    if not sides:
        found = _sides(home, run)
        ran = [method for method in methods if of_method(found, method)]
        if len(ran) < 2:
            raise UsageError(
                f"run {run} has one method, {', '.join(ran) or 'or none'}", "name two runs: orchestra compare RUN last"
            )
        pairs = [(ran[0], other) for other in ran[1:]]
    elif len(sides) == 2:
        pairs = [(sides[0], sides[1])]
    else:
        raise UsageError(f"{len(sides)} side given; two are compared", "see `orchestra compare --help`")
    for number, (first, second) in enumerate(pairs):
        if number:
            say("")
        one, other = (_side(home, plan, side, run) for side in (first, second))
        if (first in methods) != (second in methods):
            raise UsageError(
                f'"{first}" and "{second}" are not of one kind', "name two methods, or two runs or branches"
            )
        for line in compared_lines(compared(first, one, second, other), "markdown" if markdown else "terminal"):
            say(line)
    return EXIT_OK


def _side(home: Path, plan: Plan, side: str, run: str) -> Mapping[str, Side]:
    """The tests of one side: of a method by id of the test, of a run or a branch by task."""
    if side in {method.id for method in plan.methods}:
        return of_method(_sides(home, run), side)
    if side.startswith("branch:"):
        branch = side.removeprefix("branch:")
        records, _ = history.refresh(home)
        of_branch = [record.run for record in records if record.branch == branch and record.finished]
        if not of_branch:
            known = sorted({record.branch for record in records if record.branch})
            listed = ", ".join(known) or "none"
            raise UsageError(
                f'no finished run on branch "{branch}"{did_you_mean(branch, known)}', f"there are {listed}"
            )
        side = of_branch[-1]
    return _sides(home, side)


def _sides(home: Path, run: str) -> dict[str, Side]:
    """What became of the tasks of a run.

    Raises:
        UsageError: there is no such run.
        LedgerError: its ledger is damaged.
    """
    ledger = home / "runs" / run / history.LEDGER
    if Path(run).name != run or not ledger.is_file():
        runs = home / "runs"
        known = sorted(path.name for path in runs.iterdir() if not path.is_symlink()) if runs.is_dir() else []
        latest = ", ".join(known[-3:]) or "none; `orchestra run` makes one"
        raise UsageError(f'no run or method "{run}"{did_you_mean(run, known)}', f"the latest runs are {latest}")
    sides = Sides()
    for event in read(ledger):
        sides.see(event)
    return sides.by_task()
