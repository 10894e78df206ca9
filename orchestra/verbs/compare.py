"""The verb compare: two methods, runs or branches side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import baseline, history
from orchestra.ledger.runs import LAST, last_ended, meant, runs_of
from orchestra.ledger.view import look
from orchestra.plan import Plan
from orchestra.project import PLAN_FOLDER
from orchestra.report.compare.comparison import Side, agreements, of_method, place_of, with_baselines
from orchestra.report.compare.comparison import compare as compared
from orchestra.report.compare.comparison import sides as sides_of
from orchestra.report.compare.text import Form, agreement_lines, compared_lines
from orchestra.runtime import dag
from orchestra.suggest import did_you_mean
from orchestra.verbs.group import say
from orchestra.verbs.options import profile_option, project_of, suite_option


@click.command(
    epilog="\b\nExamples:\n  orchestra compare                     the methods of the last run\n"
    "  orchestra compare cli mcp --run ID    two methods of a run\n"
    "  orchestra compare RUN                 the methods of a run, by its id or a part that only it has\n"
    "  orchestra compare RUN last            two runs, `last` is one\n"
    "  orchestra compare RUN OTHER last      more than two: who agrees with whom, then each with the first\n"
    "  orchestra compare branch:main last    the last run on a branch, and the last of all"
)
@click.argument("sides", nargs=-1, metavar="[FIRST SECOND...]")
@suite_option
@profile_option
@click.option("--run", "run", default=LAST, show_default=True, metavar="RUN", help="Run whose methods are compared.")
@click.option("--markdown", is_flag=True, help="Markdown output.")
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
    form: Form = "markdown" if markdown else "terminal"
    if len(sides) == 1 and sides[0] not in methods and (sides[0] == LAST or meant(runs_of(home), sides[0])):
        run, sides = sides[0], ()
    if not sides:
        found = _sides(home, run)[0]
        sides = tuple(method for method in methods if of_method(found, method))
        if len(sides) < 2:
            raise UsageError(
                f"run {run} has one method, {', '.join(sides) or 'or none'}",
                "name two runs: orchestra compare RUN last",
            )
    if len(set(sides)) < len(sides):
        raise UsageError(f"nothing is compared with itself: {', '.join(sides)}", "name two different sides or more")
    if len(sides) < 2:
        raise UsageError(
            f"two sides or more are compared, not {sides[0]} alone, and no run has this id",
            "`orchestra history` lists the runs; see `orchestra compare --help`",
        )
    if len({side in methods for side in sides}) > 1:
        raise UsageError(f"{', '.join(sides)} are of different kinds", "name methods, or else runs and branches")
    of = {side: _side(home, plan, side, run) for side in sides}
    if len(sides) > 2:
        for line in agreement_lines(agreements({side: tests for side, (tests, _) in of.items()}), form):
            say(line)
        say("")
    samples = baseline.known(home) if sides[0] in methods else {}
    one, place = of[sides[0]]
    for number, second in enumerate(sides[1:]):
        if number:
            say("")
        told = compared(sides[0], one, second, of[second][0])
        for line in compared_lines(with_baselines(told, samples, place, plan.baseline), form):
            say(line)
    return EXIT_OK


def _side(home: Path, plan: Plan, side: str, run: str) -> tuple[Mapping[str, Side], str]:
    """The tests of one side, of a method by id of the test, of a run or a branch by task; and where it ran."""
    if side in {method.id for method in plan.methods}:
        found, place = _sides(home, run)
        return of_method(found, side), place
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


def _sides(home: Path, run: str) -> tuple[dict[str, Side], str]:
    """Return the results of the tasks of a run, and the shape of its machine.

    Raises:
        UsageError: there is no such run.
        LedgerError: its ledger is damaged.
    """
    known = runs_of(home)[::-1]
    names = meant(known, run)
    if len(names) > 1:
        raise UsageError(f'"{run}" is part of {len(names)} runs: {", ".join(names[-3:])}', "give more of the id")
    folder = last_ended(home) if run == LAST else home / "runs" / names[0] if names else None
    if folder is None:
        latest = ", ".join(known[-3:]) or "none; `orchestra run` creates one"
        raise UsageError(f'no run or method "{run}"{did_you_mean(run, known)}', f"the latest runs are {latest}")
    view = look(folder)
    return sides_of(view), place_of(view)
