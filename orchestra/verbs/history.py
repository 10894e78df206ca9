"""The verb history: what earlier runs say. May import `ledger`, `report`, `runtime` and `draw`."""

from __future__ import annotations

import json

import click

from orchestra import draw
from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import baseline as baselines
from orchestra.ledger import history as past
from orchestra.ledger.flaky import flaky as flaky_tests
from orchestra.project import PLAN_FOLDER
from orchestra.report.past import executions_of, flaky_table, overview, story
from orchestra.runtime import dag
from orchestra.runtime.select import select
from orchestra.verbs.group import say
from orchestra.verbs.options import profile_option, project_of, suite_option


@click.command(
    epilog="\b\nExamples:\n  orchestra history              every test: verdicts, durations, slope\n"
    "  orchestra history B004         one test: levels, changes, since when it fails\n"
    "  orchestra history --flaky      tests that gave both outcomes on the same inputs"
)
@click.argument("selection", nargs=-1, metavar="[TEST]...")
@suite_option
@profile_option
@click.option("--flaky", "only_flaky", is_flag=True, help="Only flaky tests, those with the greatest impact first.")
@click.option("--runs", type=click.IntRange(min=1), metavar="N", help="Look at the latest N runs only.")
@click.option("--machine", default="", metavar="SHAPE", help="Look at runs on this shape of machine only.")
@click.option("--rebuild", is_flag=True, help="Make the cache anew from the ledgers that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print the executions as JSON, one run a line.")
@click.pass_context
def history(
    ctx: click.Context,
    selection: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    only_flaky: bool,
    runs: int | None,
    machine: str,
    rebuild: bool,
    as_json: bool,
) -> int:
    """Show what earlier runs say: verdicts, durations, slope, changes of level, since when a test fails, flakiness."""
    project = project_of(ctx)
    name = project.choose(suite)
    plan = dag.load_plan(project, name, profile)
    tasks = select(plan, selection)
    home = project.root / PLAN_FOLDER / name
    records, refused = past.refresh(home, rebuild=rebuild)
    for sentence in refused:
        click.echo(f"note: {draw.visible(sentence)}", err=True)
    records = [record for record in records if machine in {"", record.machine}][-(runs or past.KEPT_RUNS) :]
    if as_json:
        for record in records:
            say(json.dumps(past.plain(record, set(tasks)), sort_keys=True, ensure_ascii=False))
        return EXIT_OK
    known = [task for task in tasks if executions_of(task, records)]
    if not known:
        raise UsageError("no run has executed what is selected", "`orchestra run` makes history")
    if only_flaky:
        found = [one for one in flaky_tests(records) if one.task in set(known)]
        say(flaky_table(found) if found else "no test is flaky")
    elif selection:
        samples = baselines.load(home / baselines.FILE)
        say("\n\n".join(story(task, records, samples, plan.baseline) for task in known))
    else:
        say(overview(known, records))
    return EXIT_OK
