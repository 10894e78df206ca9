"""The verbs that look at a plan: plan, show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import click

from orchestra import draw, nofollow, plugins
from orchestra.current import current_plan
from orchestra.drivers import DriverKind
from orchestra.errors import EXIT_OK, OrchestraError, UsageError
from orchestra.layers import LAYERS
from orchestra.ledger.runs import LAST, is_run_id
from orchestra.plan import NESTED, Command, Component, Errors, Method, Plan, Probe, ResetStep, Test, closure
from orchestra.plugins import PluginError
from orchestra.printing import unbroken
from orchestra.project import Project
from orchestra.runtime.select import select, with_needs
from orchestra.steps.step import Step
from orchestra.steps.verb import Verb
from orchestra.steps.vocabulary import VERBS, mcp_calls, playwright_text, text_by
from orchestra.verbs.chosen_run import home_of, run_folder, run_ids, with_part
from orchestra.verbs.forecasting import (
    foreseen,
    look_back,
    print_forecast,
    print_forecast_json,
    print_hindsight,
    print_hindsight_json,
)
from orchestra.verbs.group import say, say_json
from orchestra.verbs.options import brief_option, methods_option, profile_option, project_of, suite_option
from orchestra.verbs.sharding import print_split, print_split_json, sharded
from orchestra.verbs.show import show_failed, show_record, show_why
from orchestra.yamltext.places import Places

_NO_SCRIPTS = UsageError(
    "--scripts is about tests as they will run", "name tests only, without a run, --why and --failed"
)
_SCRIPT_LENGTH, _SCRIPT_BEGIN = 160, 80
"""The longest script of a tool call that is printed whole, and the length of the beginning of a longer one."""


@click.command(
    epilog="\b\nExamples:\n  orchestra plan\n  orchestra plan --format mermaid > graph.mmd\n"
    "  orchestra plan --shards 4              the tests of each of four jobs, with their expected time\n"
    "  orchestra plan --shards 4 tag:smoke    of a selection\n"
    "  orchestra plan --forecast              how long a run will take here, and what decides it\n"
    "  orchestra plan --forecast --workers 4 --method cli\n"
    "  orchestra plan --forecast --run last   what was expected of the newest run, and what would have shortened it"
)
@click.argument("selection", nargs=-1)
@suite_option
@profile_option
@methods_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "json"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@click.option(
    "--shards",
    type=click.IntRange(min=1),
    metavar="N",
    help="Print N shards of a selection instead (default: of every test): tests, expected time, and what binds.",
)
@click.option(
    "--forecast",
    "foretold",
    is_flag=True,
    help="Print how long a run of a selection will take on this machine instead, what decides it, and with how many workers.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="With --forecast: workers (default: of the spec)."
)
@click.option(
    "--run",
    "ended",
    metavar="RUN",
    shell_complete=run_ids,
    help="With --forecast: that of a run that has ended, next to what its tests took.",
)
@click.option("--json", "as_json", is_flag=True, help="With --shards or --forecast: JSON output.")
@click.pass_context
def plan(
    ctx: click.Context,
    selection: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    methods: tuple[str, ...],
    form: str,
    shards: int | None,
    foretold: bool,
    workers: int | None,
    ended: str | None,
    as_json: bool,
) -> int:
    """Print the graph of a suite: tests in the order in which one worker runs them, with their edges."""
    _refuse_mixed(graph=shards is None and not foretold, selection=selection, form=form, as_json=as_json)
    if shards is not None and foretold:
        raise UsageError("--shards and --forecast are two questions", "ask one of them")
    if workers is not None and not foretold:
        raise UsageError("--workers is about a forecast", "add --forecast, or remove it")
    if ended is not None and (not foretold or workers is not None or selection or methods or profile):
        hint = f"{'' if foretold else 'add --forecast, and '}remove the selection, --method, --profile and --workers"
        raise UsageError("--run is about the forecast of a whole run that has ended", hint)
    project = project_of(ctx)
    if ended is not None:
        looked = look_back(project, run_folder(project, suite, ended))
        print_hindsight_json(*looked) if as_json else print_hindsight(*looked)
        return EXIT_OK
    name = project.choose(suite)
    compiled = current_plan(project, name, profile)
    if shards is not None:
        found = sharded(project, compiled, select(compiled, selection, methods), shards)
        print_split_json(compiled, found) if as_json else print_split(compiled, found)
        return EXIT_OK
    if foretold:
        expected = foreseen(project, compiled, with_needs(compiled, select(compiled, selection, methods)), workers)
        print_forecast_json(compiled, expected) if as_json else print_forecast(expected)
        return EXIT_OK
    if methods:
        if form == "json":
            raise UsageError("--format json prints the whole plan", "remove --method")
        by = {task.partition(":")[2] for task in select(compiled, (), methods)}
        compiled = compiled.narrowed(by)
    if form == "json":
        say_json(nofollow.read(project.root / project.plan_file(name, profile)), end="")
    elif form == "mermaid":
        say(draw.mermaid(compiled))
    else:
        say(draw.terminal_graph(compiled))
    return EXIT_OK


def _refuse_mixed(*, graph: bool, selection: Sequence[str], form: str, as_json: bool) -> None:
    """Refuse options of `plan` that belong to another of its outputs."""
    if graph and (selection or as_json):
        what = "a selection" if selection else "--json"
        hint = "add --shards N or --forecast, or use --format json for the plan itself"
        raise UsageError(f"{what} is about shards and forecasts", hint)
    if not graph and form != "text":
        raise UsageError(
            "--format prints the graph, --shards and --forecast do not",
            "remove one of them; --json prints them as JSON",
        )


@click.command(
    epilog="\b\nExamples:\n  orchestra show B004               as it will run\n"
    "  orchestra show B004 --method mcp  the tool calls\n"
    "  orchestra show last B004          the result of the newest run\n"
    "  orchestra show 1a2b B004          the result of the run with this part in its id\n"
    "  orchestra show B004 --why main    why `run --since main` runs it, or not\n"
    "  orchestra show --failed           the tests of the newest run that are not green"
)
@click.argument("selection", nargs=-1, metavar="[RUN] [TEST...]")
@suite_option
@profile_option
@click.option("--method", metavar="NAME", help="Method whose calls are shown (default: the first that runs the test).")
@click.option("--scripts", is_flag=True, help="The scripts of tool calls whole (default: the beginning of each).")
@click.option("--run", "run", metavar="RUN", help="RUN, where a test has the same name; `last` for the newest.")
@click.option(
    "--open",
    "opened",
    metavar="[KIND]",
    is_flag=False,
    flag_value="",
    help="With RUN: open the files of a kind (default: screenshot, else log).",
)
@click.option(
    "--why",
    metavar="[REV]",
    is_flag=False,
    flag_value="HEAD",
    help="Why a run of what changed since REV runs the tests, or does not (default: HEAD).",
)
@click.option("--failed", is_flag=True, help="The tests of RUN that are not green (default: of the newest run).")
@brief_option
@click.pass_context
def show(
    ctx: click.Context,
    selection: tuple[str, ...],
    *,
    suite: str | None,
    profile: str,
    method: str | None,
    scripts: bool,
    run: str | None,
    opened: str | None,
    why: str | None,
    failed: bool,
    brief: bool | None,
) -> int:
    """Print tests as they will run: place, edges, health rows, and each step as a Playwright or MCP tool call.

    With RUN: print their results in that run, of every test without TEST.
    """
    project = project_of(ctx)
    if scripts and (why is not None or failed):
        raise _NO_SCRIPTS
    if why is not None:
        if failed or run is not None or opened is not None:
            raise UsageError("--why is about tests as they are now", "remove --failed, --run and --open, or --why")
        compiled = current_plan(project, project.choose(suite), profile)
        return show_why(project, compiled, select(compiled, selection, [method] if method else []), why)
    if failed:
        word, *others = [*([run] if run is not None else []), *selection] or [LAST]
        if others or method or opened is not None:
            raise UsageError("the failed tests are a selection", "remove TEST, --method and --open, or --failed")
        return show_failed(project.root, run_folder(project, suite, word), brief=brief)
    if brief is not None:
        raise UsageError("--brief and --full need --failed", "add --failed, or remove them")
    if not selection and run is None:
        raise UsageError("a test is missing", "name one, or a run; see `orchestra show --help`")
    if run is None and _is_run(project, suite, profile, selection[0]):
        run, *rest = selection
        selection = tuple(rest)
    if scripts and (run is not None or opened is not None):
        raise _NO_SCRIPTS
    if run is not None:
        return show_record(project.root, run_folder(project, suite, run), selection, method, opened)
    if opened is not None:
        raise UsageError("--open needs a run", "name one before the test: `orchestra show last TEST --open`")
    _print_tests(project, current_plan(project, project.choose(suite), profile), selection, method, scripts=scripts)
    return EXIT_OK


def _print_tests(
    project: Project, compiled: Plan, selection: Sequence[str], method: str | None, *, scripts: bool
) -> None:
    """Print tests of a plan as they will run."""
    tasks = select(compiled, selection, [method] if method else [])
    places = Places(project.root, compiled.sources, compiled.profile)
    tests = {test.id: test for test in compiled.tests}
    methods = {one.id: one for one in compiled.methods}
    shown: set[str] = set()
    for task in tasks:
        by, _, test_id = task.partition(":")
        if test_id in shown:
            continue  # without --method the first one that runs it speaks for all
        if shown:
            say("")
        shown.add(test_id)
        own = steps_of(methods[by], project.root)
        told = describe(compiled, tests[test_id], methods[by], places, own, scripts=scripts)
        say("\n".join(map(unbroken, told)))


def steps_of(method: Method, root: Path) -> tuple[Verb, ...]:
    """Return the steps that the driver of a method brings; none if its plug-in cannot be loaded."""
    if method.plugin:
        with suppress(PluginError):
            return plugins.load("driver", method.driver, method.plugin, DriverKind, root).steps
    return ()


def _is_run(project: Project, suite: str | None, profile: str, word: str) -> bool:
    """Return whether a word means a run: `last`, an id, or a part of one that no test, group or tag is called."""
    if word == LAST or is_run_id(word):
        return True
    home = home_of(project, suite, (word,))
    if not with_part(home, word):
        return False
    try:
        select(current_plan(project, home.name, profile), (word,))
    except OrchestraError:
        return True
    return False


def _once(compiled: Plan, test: Test) -> Iterator[str]:
    """Yield where a test runs once for its group."""
    for group in compiled.groups:
        if test.id in group.before_all:
            yield f"before all others of {group.id}"
        if test.id in group.after_all:
            yield f"after all others of {group.id}"


def describe(
    compiled: Plan, test: Test, method: Method, places: Places, own: Sequence[Verb] = (), *, scripts: bool
) -> Iterator[str]:
    """Yield a test as it will run by a method, line by line.

    Args:
        compiled: the suite.
        test: one of its tests.
        method: one that runs it.
        places: where steps are in the spec.
        own: the steps that its driver brings.
        scripts: whether the scripts of tool calls are whole.
    """
    one_line = draw.one_line
    yield f"{test.id}  {one_line(test.title)}"
    place = places.find(f"/tests/{test.of or test.id}")
    rows: list[tuple[str, str]] = [
        ("at", str(place) if place is not None else ""),
        ("group", NESTED.join(reversed(test.groups))),
        ("methods", " ".join(test.methods)),
        ("needs", " ".join(draw.needs_of(test))),
        ("needed by", " ".join(other.id for other in compiled.tests if test.id in other.needs)),
        ("after", str(draw.followed(compiled)[test.id])),
        ("before", " ".join(other.id for other in compiled.tests if test.id in other.after)),
        ("once", "; ".join(_once(compiled, test))),
        ("resources", " ".join(f"{name}={count}" for name, count in test.resources.items())),
        ("exclusive", "runs alone" if test.exclusive else ""),
        ("tags", " ".join(test.tags)),
        ("matrix", " ".join(f"{name}={scalar(value)}" for name, value in test.matrix.items())),
        ("browser", test.browser if test.command is None else ""),
        ("timeout", f"{test.timeout_seconds:g} s"),
        ("retries", f"{test.retries.max} on {' '.join(test.retries.on)}" if test.retries.max else ""),
        ("login", test.login),
        ("takes", " ".join(f"{name}={pool}" for name, pool in test.takes.items())),
        ("emulate", ", ".join(draw.emulated(test.emulation_by.get(method.id, test.emulation)))),
        ("errors", _errors(test.errors_by.get(method.id, test.errors))),
        ("inputs", " ".join(test.inputs)),
        ("skip", test.skip),
    ]
    for name, value in rows:
        if value:
            yield f"  {name:<10} {one_line(value)}"
    yield from _health(compiled, test)
    yield f"  by {method.id} ({method.driver}):"
    of_method = test.substitutes_by.get(method.id, ())
    several = of_method or test.before or test.finally_
    sections = ("of the method", of_method), ("before", test.before), ("steps", test.steps), ("finally", test.finally_)
    for section, steps in sections:
        if (steps or (section == "steps" and test.command is not None)) and several:
            yield f"  {section}:"
        if section == "steps" and test.command is not None:
            yield from _command(test, test.command, places)
        yield from _section(steps, method, places, own, scripts=scripts)


def _shortened(value: object) -> object:
    """Return an argument of a tool call, the beginning of one that is a long script: it opens with what is wanted."""
    if not isinstance(value, str) or len(value) <= _SCRIPT_LENGTH:
        return value
    return f"{draw.clip(value, _SCRIPT_BEGIN)} ({len(value)} characters: --scripts)"


def _errors(errors: Errors) -> str:
    """Return the `errors` of a test that differ from the defaults."""
    plain = Errors()
    levels = [f"{layer} {level}" for layer in LAYERS if (level := getattr(errors, layer)) != getattr(plain, layer)]
    logs = [f"log of {name} {pattern!r}" for name, found in errors.log_patterns.items() for pattern in found]
    return ", ".join([*levels, *logs, *(f"allow {pattern!r}" for pattern in errors.allow)])


def scalar(value: object) -> str:
    """Return a value of the plan as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _health(compiled: Plan, test: Test) -> Iterator[str]:
    """Describe the rows of the health matrix that a test requires, and those that these need, in the order of the plan."""
    rows = closure(compiled.components, test.requires)
    if rows:
        yield "  health:"
    for row in rows:
        yield f"    {draw.one_line('; '.join(_row(row, test)))}"


def _row(row: Component, test: Test) -> Iterator[str]:
    yield f"{row.id} ({row.title}){'' if row.required else ', not required'}"
    if row.id not in test.requires:
        yield "needed by another row"
    if row.job is not None:
        yield f"job {_argv(row.job.run, shell=row.job.shell)}"
    if row.service is not None:
        low, high = row.service.ports or (0, 0)
        ports = "" if not low else f":{low}" if low == high else f":{low}-{high}"
        yield f"{_argv(row.service.run, shell=row.service.shell)} on {row.service.host}{ports}"
    if row.per != "run":
        yield f"one for each {row.per}"
    if row.where != "shared":
        yield "one on each node of a cluster"
    if row.reset:
        yield f"reset {' > '.join(map(_reset, row.reset))}"
    if row.url:
        yield row.url
    if row.needs:
        yield f"needs {' '.join(row.needs)}"
    if row.ready is not None:
        yield f"ready {_probe(row.ready.probe)} within {row.ready.within_seconds:g} s"
    if row.live is not None:
        yield f"live {_probe(row.live.probe)} every {row.live.every_seconds:g} s"
    if row.recover:
        yield f"recover {' > '.join(step.kind for step in row.recover)}"


def _reset(step: ResetStep) -> str:
    if step.request is not None:
        return _probe(step.request)
    return _argv(step.run, shell=False) if step.run else "restart"


def _probe(probe: Probe) -> str:
    return f"{probe.kind} {json.dumps(probe.args, ensure_ascii=False)}"


def _argv(words: Sequence[str], *, shell: bool) -> str:
    return f"{'sh -c ' if shell else ''}{json.dumps(list(words), ensure_ascii=False)}"


def _command(test: Test, command: Command, places: Places) -> Iterator[str]:
    of = test.of or test.id
    used = places.data(f"/tests/{of}/use")
    block = next(iter(used)) if isinstance(used, dict) else ""
    at = [f"/tests/{of}/use", f"/blocks/{block}/command"] if block else [f"/tests/{of}/command"]
    yield f"    command    {places.text(at)}"
    yield f"        {_argv(command.argv, shell=command.shell)}"
    facts = [
        *((name, json.dumps(value, ensure_ascii=False)) for name, value in command.env.items()),
        *([("in", command.cwd)] if command.cwd != "." else []),
        *([("exit codes", " ".join(map(str, command.exit_codes)))] if command.exit_codes != (0,) else []),
        *([command.report] if command.report else []),
        *([("attach", " ".join(command.attach))] if command.attach else []),
    ]
    for name, value in facts:
        yield f"        {name}: {draw.one_line(value)}"


def _section(
    steps: Iterable[Step], method: Method, places: Places, own: Sequence[Verb], *, scripts: bool
) -> Iterator[str]:
    for index, step in enumerate(steps):
        yield f"    {index + 1:>2}  {step.verb:<10} {places.text(step.at)}"
        if step.verb not in VERBS:
            yield from (f"        {text_by(verb, step)}" for verb in own if verb.name == step.verb)
            continue
        calls = mcp_calls(step, method.poll_seconds) if method.tool_calls else ()
        for call in calls:
            arguments = call.arguments if scripts else {key: _shortened(value) for key, value in call.arguments.items()}
            yield f"        {call.tool} {json.dumps(arguments, ensure_ascii=False)}"
        if not calls and (text := playwright_text(step)):
            yield f"        {text}"
