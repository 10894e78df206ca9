"""The verbs about specs: init, validate, compile, schema. May import `compiler`, `project`, `collect`, `group` and `options`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from orchestra import __version__, draw, resources, source
from orchestra import plan as plans
from orchestra.compiler import drift, emit
from orchestra.compiler.build import Built, build
from orchestra.compiler.emit import File
from orchestra.diagnostic import Diagnostic
from orchestra.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, MachineError, OrchestraError, UsageError
from orchestra.plan import Plan
from orchestra.project import Project
from orchestra.source import collector_paused
from orchestra.suggest import did_you_mean
from orchestra.verbs.group import say
from orchestra.verbs.options import project_of, suite_option

STARTER = "specs/suite.yaml"
SCHEMA = "orchestra.schema.json"

_files = click.argument("files", nargs=-1, type=click.Path())


def _paths(project: Project, files: Sequence[str], suite: str | None = None) -> list[str]:
    """The spec files that are meant, relative to the root: those named, else that of a suite, else all of the project.

    Raises:
        UsageError: none is named and none is there, a named one lies outside of the root, or there is no such suite.
    """
    if files and suite is not None:
        raise UsageError("both spec files and --suite are given", "name one or the other")
    if not files:
        found = project.spec_files()
        if not found:
            globs = ", ".join(f'"{glob}"' for glob in project.specs)
            raise UsageError(f"no spec file matches {globs} below {project.root}", "write one with `orchestra init`")
        return found if suite is None else [_spec_of(project, found, suite)]
    return list(dict.fromkeys(_inside(project, file) for file in files))


def _inside(project: Project, file: str) -> str:
    """A path of the command line, relative to the root."""
    path = Path(os.path.normpath(Path.cwd() / file))
    base = path if path.is_relative_to(project.root) else path.resolve()
    if not base.is_relative_to(project.root):
        raise UsageError(f'"{file}" lies outside of the project root {project.root}', "name a file of this project")
    return base.relative_to(project.root).as_posix()


def _spec_of(project: Project, paths: Sequence[str], suite: str) -> str:
    """The spec file that defines a suite; what cannot be read defines none."""
    suites: dict[str, str] = {}
    for path in paths:
        try:
            data = source.parse((project.root / path).read_bytes(), path).data
        except (OSError, OrchestraError):
            continue
        if isinstance(data, dict) and isinstance(data.get("suite"), str):
            suites.setdefault(str(data["suite"]), path)
    if suite not in suites:
        listed = ", ".join(f'"{name}"' for name in sorted(suites)) or "none"
        raise UsageError(f'no spec defines the suite "{suite}"{did_you_mean(suite, suites)}; there are {listed}')
    return suites[suite]


def _github(problem: Diagnostic) -> str:
    """A problem as a workflow command of GitHub Actions, escaped as its runner wants it."""

    def data(text: str) -> str:
        return draw.visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    def prop(text: str) -> str:
        return data(text).replace(":", "%3A").replace(",", "%2C")

    place = problem.place
    text = problem.message + (f"\n{problem.hint}" if problem.hint else "")
    where = f"file={prop(place.file)},line={place.line},col={place.column},title={prop(problem.rule)}"
    return f"::error {where}::{data(text)}"


def _json(problems: Sequence[Diagnostic]) -> str:
    rows = [
        {
            "file": problem.place.file,
            "line": problem.place.line,
            "column": problem.place.column,
            "rule": problem.rule,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in problems
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _count(built: Built) -> str:
    suites = [plan for plan in built.plans if not plan.profile]
    tests = sum(len(plan.tests) for plan in suites)
    return f"{len(suites)} suite{'s' * (len(suites) != 1)}, {tests} test{'s' * (tests != 1)}"


def _problems(count: int) -> str:
    return f"{count} problem{'s' * (count != 1)}"


@click.command(epilog="\b\nExamples:\n  orchestra validate\n  orchestra validate specs/market.yaml --format github")
@_files
@suite_option
@click.option("--collect", is_flag=True, help="Run the commands under `collect:` too, and judge what they list.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How problems are written.",
)
@click.pass_context
@collector_paused()
def validate(ctx: click.Context, files: tuple[str, ...], *, suite: str | None, collect: bool, form: str) -> int:
    """Judge specs by the schema and by every rule, and show all problems, each at its line.

    Without FILES: every spec of the project. Exit 2 when there is a problem. Each [rule] is a heading of docs/rules.md.
    """
    project = project_of(ctx)
    built = build(project.root, _paths(project, files, suite))
    problems = list(built.diagnostics)
    if collect:
        # It starts processes, which costs a third of a small compile to import.
        from orchestra.verbs import collect as collecting  # noqa: PLC0415

        problems = sorted({*problems, *collecting.check(project.root, built.specs, os.environ)})
    if form == "json":
        say(_json(problems))
    elif problems:
        say("\n".join(draw.visible(one.text()) if form == "text" else _github(one) for one in problems))
    if problems:
        click.echo(_problems(len(problems)), err=True)
        return EXIT_USAGE
    click.echo(f"no problem: {_count(built)}", err=True)
    return EXIT_OK


@click.command(
    "compile",
    epilog="\b\nExamples:\n  orchestra compile\n  orchestra compile --check --diff    (in CI)\n"
    "  orchestra compile specs/market.yaml",
)
@_files
@suite_option
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when an output differs from its spec.")
@click.option("--diff", is_flag=True, help="Show what differs.")
@click.option("--full", is_flag=True, help="Render and compare everything, whatever the stamp of the last check says.")
@click.pass_context
@collector_paused()
def compile_(
    ctx: click.Context, files: tuple[str, ...], *, suite: str | None, check: bool, diff: bool, full: bool
) -> int:
    """Compile specs to dodo.py, the plan, slash commands and docs.

    Everything is written or nothing; what has not changed is left alone; a file that orchestra did not write is never
    overwritten. Without FILES: every spec of the project.
    """
    project = project_of(ctx)
    partial = bool(files) or suite is not None
    built = build(project.root, _paths(project, files, suite))
    if built.diagnostics:
        click.echo("\n".join(draw.visible(problem.text()) for problem in built.diagnostics), err=True)
        click.echo(f"{_problems(len(built.diagnostics))}; nothing was {'compared' if check else 'written'}", err=True)
        return EXIT_USAGE
    outputs = _beside(project, built.plans) if partial else emit.files(built.plans, __version__, project.suite)
    report = drift.apply(
        project.root, outputs, check=check, diff=diff, full=full or bool(os.environ.get("CI")), partial=partial
    )
    for line in report.lines:
        click.echo(draw.visible(line), err=True)
    if report.diff:
        say(report.diff, end="")
    if report.drifted:
        click.echo("the outputs differ from their specs: run `orchestra compile` and commit the result", err=True)
        return EXIT_FAILED
    click.echo(f"{'compiled' if report.lines else 'up to date'}: {_count(built)}", err=True)
    return EXIT_OK


def _beside(project: Project, made: Sequence[Plan]) -> tuple[File, ...]:
    """The outputs of some suites, where the others stay as they were last compiled: a dodo.py serves all of them."""
    suites = {plan.suite for plan in made}
    others = [
        plan for name in project.suites() if name not in suites and (plan := _compiled(project, name)) is not None
    ]
    kept = (
        {file.path for file in emit.files(others, __version__, project.suite) if file.kind != "doit"}
        if others
        else set()
    )
    own = {".orchestra/.gitignore", emit.INDEX}
    files = emit.files([*made, *others], __version__, project.suite)
    return tuple(file for file in files if file.path not in kept or file.path in own)


def _compiled(project: Project, suite: str) -> Plan | None:
    """The plan of a suite as it was last compiled; None when it cannot be read or its spec is gone."""
    name = project.plan_file(suite)
    try:
        plan = plans.load((project.root / name).read_bytes(), name)
    except (OSError, OrchestraError):
        return None
    return plan if plan.sources and (project.root / plan.sources[0]).is_file() else None


@click.command(epilog="\b\nExample:\n  orchestra schema > orchestra.schema.json")
def schema() -> int:
    """Print the JSON Schema (draft 2020-12) of specs, for editors and other tools."""
    say(resources.read_text("schemas", SCHEMA), end="")
    return EXIT_OK


@click.command(epilog="\b\nExamples:\n  orchestra init\n  orchestra init --suite checkout    (specs/checkout.yaml)")
@click.argument("file", required=False, type=click.Path())
@click.option("--suite", metavar="NAME", help="The suite; without it the name of the file.")
@click.pass_context
def init(ctx: click.Context, file: str | None, *, suite: str | None) -> int:
    """Write a commented starter spec that compiles and runs as it is, and the schema for editors beside it.

    Without FILE: specs/suite.yaml.
    """
    project = project_of(ctx)
    name = _suite_name(suite if suite is not None else Path(file or STARTER).stem)
    if suite is not None and suite != name:
        raise UsageError(
            f'"{suite}" is no name of a suite', f"write a lower-case letter, then letters, digits and _: {name}"
        )
    path = _inside(project, file) if file is not None else STARTER if suite is None else f"specs/{name}.yaml"
    target = project.root / path
    text = resources.read_text("templates", "starter.yaml").replace("starter", name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_new(target, text)
    except FileExistsError as error:
        raise UsageError(f'"{path}" exists already', "name another suite: `orchestra init --suite checkout`") from error
    except OSError as error:
        raise MachineError(
            f'"{path}" cannot be written: {error.strerror}; nothing was written',
            "make room on the disk, or make the folder writable",
        ) from error
    click.echo(f"wrote {path}", err=True)
    try:
        _write_new(target.with_name(SCHEMA), resources.read_text("schemas", SCHEMA))
    except OSError:
        pass  # it is there, or there is no room for it: editors complete less, nothing else
    else:
        click.echo(f"wrote {target.with_name(SCHEMA).relative_to(project.root).as_posix()}, for your editor", err=True)
    named = "" if path in project.spec_files() else f" {path}"
    click.echo(f"next: orchestra compile{named}, then doit", err=True)
    return EXIT_OK


def _suite_name(text: str) -> str:
    """A text as the id of a suite."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"suite_{plain}".rstrip("_")


def _write_new(target: Path, text: str) -> None:
    """Write a file that is not there; one that cannot be written whole is taken away again."""
    with target.open("xb") as stream:
        try:
            stream.write(text.encode())
            stream.flush()
        except OSError:
            target.unlink()
            raise
