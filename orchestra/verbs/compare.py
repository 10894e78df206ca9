"""The verb compare: two methods, runs or branches side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from orchestra.current import current_plan
from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import baseline
from orchestra.ledger.runs import LAST, find_run, last_ended, runs_of
from orchestra.ledger.view import look
from orchestra.report.by_hand import ByHand, by_hand
from orchestra.report.compare.comparison import Agreement, Comparison, agreements, with_baselines
from orchestra.report.compare.comparison import compare as compared
from orchestra.report.compare.sides import Side, of_method, place_of
from orchestra.report.compare.sides import sides as sides_of
from orchestra.report.compare.text import Form, agreement_lines, by_hand_lines, compared_lines
from orchestra.report.compared_page import compared_page
from orchestra.runtime.select import select
from orchestra.suggest import did_you_mean
from orchestra.verbs.chosen_run import home_of, with_part
from orchestra.verbs.group import say, say_data
from orchestra.verbs.options import methods_option, profile_option, project_of, suite_option
from orchestra.verbs.run_records import records_of


class _Executed(NamedTuple):
    """A side of a comparison.

    Attributes:
        tests: the result of each.
        place: the shape of the machine that it ran on.
        folder: of its run.
        claims: the results that were seen by hand in it.
    """

    tests: Mapping[str, Side]
    place: str
    folder: Path
    claims: Sequence[ByHand]


_BRANCH = "branch:"
_LATEST = 3


@click.command(
    epilog="\b\nExamples:\n  orchestra compare                     the last run with the one before\n"
    "  orchestra compare last                the methods of the last run\n"
    "  orchestra compare RUN cli mcp         two methods of a run\n"
    "  orchestra compare RUN                 the methods of a run, by its id or a part that only it has\n"
    "  orchestra compare RUN last            two runs, `last` is one; --method mcp: by one method\n"
    "  orchestra compare RUN OTHER last      more than two: who agrees with whom, then each with the first\n"
    "  orchestra compare branch:main last    the last run on a branch, and the last of all\n"
    "  orchestra compare RUN last --format html > compare.html   a page with pictures of both"
)
@click.argument("sides", nargs=-1, metavar="[RUN] [FIRST SECOND...]")
@suite_option
@profile_option
@methods_option
@click.option("--run", "run", metavar="RUN", help="RUN, where a method has the same name (default: last).")
@click.option("--markdown", is_flag=True, help="Markdown output; the same as --format markdown.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "html"]),
    help="Form of the output: text (the default), markdown, or html: one page with the last pictures of both.",
)
@click.pass_context
def compare(
    ctx: click.Context,
    sides: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    methods: tuple[str, ...],
    run: str | None,
    markdown: bool,
    form: str | None,
) -> int:
    """Compare two methods, runs or branches: verdicts, disagreements, what a test and a step take more."""
    project = project_of(ctx)
    home = home_of(project, suite, (*sides, run or LAST))
    plan = current_plan(project, home.name, profile)
    known = [method.id for method in plan.methods]
    select(plan, (), methods)  # an unknown method is reported, with suggestions
    if markdown and form not in {None, "markdown"}:
        raise UsageError(f"--markdown and --format {form} are two forms of output", "remove one of them")
    sides = sides or (_last_two(home) if run is None and not methods else ())
    if run is None and sides and sides[0] not in known and _has(home, sides[0]) and set(sides[1:]) <= set(known):
        run, *rest = sides
        sides = tuple(rest)
    run = run or LAST
    if not sides:
        executions = _sides(home, run).tests
        sides = tuple(method for method in methods or known if of_method(executions, method))
        if len(sides) < 2:
            raise UsageError(
                f"run {run} has one method, {', '.join(sides) or 'or none'}{' of these' if methods else ''}",
                "name two runs: orchestra compare RUN last",
            )
        methods = ()
    _require_sides(home, sides, known, by_method=bool(methods))
    of = {side: _side(home, side, run, known, methods) for side in sides}
    agreed = agreements({side: record.tests for side, record in of.items()}) if len(sides) > 2 else []
    samples = baseline.known(home) if sides[0] in known else {}
    first = of[sides[0]]
    comparisons = [
        with_baselines(compared(sides[0], first.tests, second, of[second].tests), samples, first.place, plan.baseline)
        for second in sides[1:]
    ]
    claims = {record.folder.name: record.claims for record in of.values()}
    if form == "html":
        folders = {side: record.folder for side, record in of.items()}
        say_data(compared_page(plan.title or plan.suite, comparisons, agreed, folders, claims))
        return EXIT_OK
    written: Form = "markdown" if markdown or form == "markdown" else "terminal"
    _print(comparisons, agreed, written)
    for line in by_hand_lines(claims, written):
        say(line)
    return EXIT_OK


def _print(made: Sequence[Comparison], agreed: Sequence[Agreement], form: Form) -> None:
    """Print comparisons with the first side, after who agrees with whom."""
    if agreed:
        for line in agreement_lines(agreed, form):
            say(line)
        say("")
    for number, comparison in enumerate(made):
        if number:
            say("")
        for line in compared_lines(comparison, form):
            say(line)


def _last_two(home: Path) -> tuple[str, ...]:
    """Return the run before the last one that ended, and the last one; nothing if there are no two."""
    last = last_ended(home)
    before = (name for name in runs_of(home) if last is not None and name < last.name and not _is_shard(home, name))
    first = next(before, "")
    return (first, last.name) if last is not None and first else ()


def _is_shard(home: Path, run: str) -> bool:
    start = look(find_run(home, run), steps=False).start
    return start is not None and start.shard is not None


def _has(home: Path, word: str) -> bool:
    """Return whether a word means a run, or several: `last`, an id or a part of one."""
    return word == LAST or bool(with_part(home, word))


def _require_sides(home: Path, sides: Sequence[str], methods: Sequence[str], *, by_method: bool) -> None:
    """Raise UsageError if these sides cannot be compared with each other."""
    if len(set(sides)) < len(sides):
        raise UsageError(f"nothing is compared with itself: {', '.join(sides)}", "name two different sides or more")
    for side in sides:
        if side not in methods and not side.startswith(_BRANCH) and not _has(home, side):
            every = runs_of(home)
            latest = ", ".join(every[:_LATEST]) or "none; `orchestra run` creates one"
            suggestion = did_you_mean(side, [*methods, *every])
            raise UsageError(f'no run or method "{side}"{suggestion}', f"the latest runs are {latest}")
    if len(sides) < 2:
        raise UsageError(
            f"two sides or more are compared, not {sides[0]} alone",
            "name a second method or run; see `orchestra compare --help`",
        )
    runs = [find_run(home, side, ended=True) for side in sides if _has(home, side) and side not in methods]
    if len(set(runs)) < len(runs):
        raise UsageError(f"nothing is compared with itself: {', '.join(sides)}", "name two different runs or more")
    if len({side in methods for side in sides}) > 1:
        raise UsageError(f"{', '.join(sides)} are of different kinds", "name methods, or else runs and branches")
    if by_method and sides[0] in methods:
        raise UsageError("--method is about runs and branches, and the sides are methods", "remove it, or the sides")


def _side(home: Path, side: str, run: str, known: Collection[str], methods: Collection[str]) -> _Executed:
    """Return the tests of one side, of a method by id of the test, of a run or a branch by task."""
    if side in known:
        executed = _sides(home, run)
        return executed._replace(tests=of_method(executed.tests, side))
    if side.startswith(_BRANCH):
        side = _last_of(home, side.removeprefix(_BRANCH))
    executed = _sides(home, side)
    tests = {task: one for task, one in executed.tests.items() if not methods or task.partition(":")[0] in methods}
    return executed._replace(tests=tests)


def _last_of(home: Path, branch: str) -> str:
    """Return the id of the last finished run on a branch."""
    records = records_of(home)
    of_branch = [record.run for record in records if record.branch == branch and record.finished]
    if not of_branch:
        known = sorted({record.branch for record in records if record.branch})
        listed = ", ".join(known) or "none"
        raise UsageError(f'no finished run on branch "{branch}"{did_you_mean(branch, known)}', f"there are {listed}")
    return of_branch[-1]


def _sides(home: Path, run: str) -> _Executed:
    """Return the results of the tasks of a run.

    Raises:
        UsageError: there is no such run.
        LedgerError: its ledger is damaged.
    """
    folder = find_run(home, run, ended=True)
    view = look(folder)
    return _Executed(sides_of(view), place_of(view), folder, by_hand(view))
