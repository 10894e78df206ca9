"""The verbs that look at a plan: plan, show. May import `runtime.dag` for the plan, `draw`, `calls` and `places`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import click

from orchestra import draw
from orchestra.calls import mcp_calls, playwright_text
from orchestra.errors import EXIT_OK, UsageError
from orchestra.places import Places
from orchestra.plan import Method, Plan, Test
from orchestra.runtime import dag
from orchestra.runtime.select import select
from orchestra.steps import Step
from orchestra.verbs.group import profile_option, project_of, suite_option


@click.command(epilog="\b\nExamples:\n  orchestra plan\n  orchestra plan --format mermaid > graph.mmd")
@suite_option
@profile_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "json"]),
    default="text",
    show_default=True,
    help="How the graph is written.",
)
@click.pass_context
def plan(ctx: click.Context, suite: str | None, profile: str, form: str) -> int:
    """Print the graph of a suite: tests in the order in which one worker runs them, with their edges."""
    project = project_of(ctx)
    name = project.choose(suite)
    compiled = dag.load_plan(project, name, profile)
    if form == "json":
        click.echo((project.root / project.plan_file(name, profile)).read_bytes(), nl=False)
    elif form == "mermaid":
        click.echo(draw.mermaid(compiled))
    else:
        click.echo(draw.terminal_graph(compiled))
    return EXIT_OK


@click.command(epilog="\b\nExamples:\n  orchestra show B004\n  orchestra show B004 --method mcp")
@click.argument("selection", nargs=-1, required=True, metavar="TEST...")
@suite_option
@profile_option
@click.option("--method", metavar="NAME", help="Show it as this method runs it.")
@click.pass_context
def show(ctx: click.Context, selection: tuple[str, ...], *, suite: str | None, profile: str, method: str | None) -> int:
    """Print tests as they will run: place, edges, health rows, and each step as a Playwright or MCP tool call."""
    project = project_of(ctx)
    compiled = dag.load_plan(project, project.choose(suite), profile)
    tasks = select(compiled, selection, [method] if method else [])
    places = Places(project.root, compiled.sources)
    tests = {test.id: test for test in compiled.tests}
    methods = {one.id: one for one in compiled.methods}
    shown: set[str] = set()
    for task in tasks:
        by, _, test_id = task.partition(":")
        if test_id in shown:
            continue  # without --method the first one that runs it speaks for all
        if shown:
            click.echo()
        shown.add(test_id)
        for line in describe(compiled, tests[test_id], methods[by], places):
            click.echo(draw.visible(line))
    if not shown:
        raise UsageError("nothing to show")
    return EXIT_OK


def describe(compiled: Plan, test: Test, method: Method, places: Places) -> Iterator[str]:
    """A test as it will run by a method, line by line."""
    yield f"{test.id}  {test.title}"
    place = places.find(f"/tests/{test.of or test.id}")
    rows: list[tuple[str, str]] = [
        ("at", str(place) if place is not None else ""),
        ("group", test.group),
        ("methods", " ".join(test.methods)),
        ("needs", " ".join(test.needs)),
        ("after", " ".join(test.after)),
        ("requires", " ".join(test.requires)),
        ("resources", " ".join(f"{name}={count}" for name, count in test.resources.items())),
        ("tags", " ".join(test.tags)),
        ("browser", test.browser if test.command is None else ""),
        ("timeout", f"{test.timeout_seconds:g} s"),
        ("retries", f"{test.retries.max} on {' '.join(test.retries.on)}" if test.retries.max else ""),
        ("skip", test.skip),
    ]
    for name, value in rows:
        if value:
            yield f"  {name:<10}{value}"
    yield f"  by {method.id} ({method.driver}):"
    if test.command is not None:
        yield f"    {'sh -c ' if test.command.shell else ''}{json.dumps(list(test.command.argv), ensure_ascii=False)}"
        for name, value in test.command.env.items():
            yield f"    {name}={value}"
    for section, steps in (("before", test.before), ("steps", test.steps), ("finally", test.finally_)):
        yield from _section(section, steps, method, places)
    rows_of = {row.id: row for row in compiled.components}
    for name in test.requires:
        yield f"  health: {name} ({rows_of[name].title})"


def _section(name: str, steps: Iterable[Step], method: Method, places: Places) -> Iterator[str]:
    for index, step in enumerate(steps):
        if not index and name != "steps":
            yield f"  {name}:"
        yield f"    {index + 1:>2}  {step.verb:<10} {places.text(step.at)}"
        if method.driver == "mcp":
            for call in mcp_calls(step, method.poll_seconds):
                yield f"        {call.tool} {json.dumps(call.arguments, ensure_ascii=False)}"
        elif text := playwright_text(step):
            yield f"        {text}"
