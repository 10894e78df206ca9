"""The verbs about specs: init, validate, compile, schema. May import `compiler`, `project` and `group`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from orchestra import __version__, resources
from orchestra.compiler import drift, emit
from orchestra.compiler.build import Built, build
from orchestra.diagnostic import Diagnostic
from orchestra.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, UsageError
from orchestra.project import Project
from orchestra.verbs.group import project_of

STARTER = "specs/suite.yaml"

_files = click.argument("files", nargs=-1, type=click.Path())


def _paths(project: Project, files: Sequence[str]) -> list[str]:
    """The spec files that are meant, relative to the root: those named, else all of the project.

    Raises:
        UsageError: none is named and none is there, or a named one lies outside of the root.
    """
    if not files:
        found = project.spec_files()
        if not found:
            globs = ", ".join(f'"{glob}"' for glob in project.specs)
            raise UsageError(f"no spec file matches {globs} below {project.root}", "write one with `orchestra init`")
        return found
    paths = []
    for file in files:
        path = Path(os.path.normpath(Path.cwd() / file))
        if not path.is_relative_to(project.root) and not path.resolve().is_relative_to(project.root):
            raise UsageError(f'"{file}" lies outside of the project root {project.root}')
        base = path if path.is_relative_to(project.root) else path.resolve()
        paths.append(base.relative_to(project.root).as_posix())
    return list(dict.fromkeys(paths))


def _github(problem: Diagnostic) -> str:
    """A problem as a workflow command of GitHub Actions, escaped as its runner wants it."""

    def data(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

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
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How problems are written.",
)
@click.pass_context
def validate(ctx: click.Context, files: tuple[str, ...], form: str) -> int:
    """Judge specs by the schema and by every rule, and show all problems, each at its line.

    Without FILES: every spec of the project. Exit 2 when there is a problem. Each [rule] is a heading of docs/rules.md.
    """
    project = project_of(ctx)
    built = build(project.root, _paths(project, files))
    if form == "json":
        click.echo(_json(built.diagnostics))
    for problem in built.diagnostics if form != "json" else ():
        click.echo(problem.text() if form == "text" else _github(problem))
    if built.diagnostics:
        click.echo(_problems(len(built.diagnostics)), err=True)
        return EXIT_USAGE
    click.echo(f"no problem: {_count(built)}", err=True)
    return EXIT_OK


@click.command(
    "compile",
    epilog="\b\nExamples:\n  orchestra compile\n  orchestra compile --check --diff    (in CI)\n"
    "  orchestra compile specs/market.yaml",
)
@_files
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when an output differs from its spec.")
@click.option("--diff", is_flag=True, help="Show what differs.")
@click.option("--full", is_flag=True, help="Render and compare everything, whatever the stamp of the last check says.")
@click.pass_context
def compile_(ctx: click.Context, files: tuple[str, ...], *, check: bool, diff: bool, full: bool) -> int:
    """Compile specs to dodo.py, the plan, slash commands and docs.

    Everything is written or nothing; what has not changed is left alone; a file that orchestra did not write is never
    overwritten. Without FILES: every spec of the project.
    """
    project = project_of(ctx)
    paths = _paths(project, files)
    built = build(project.root, paths)
    if built.diagnostics:
        for problem in built.diagnostics:
            click.echo(problem.text(), err=True)
        click.echo(f"{_problems(len(built.diagnostics))}; nothing was written", err=True)
        return EXIT_USAGE
    outputs = emit.files(built.plans, __version__, default=project.suite)
    report = drift.apply(
        project.root, outputs, check=check, diff=diff, full=full or bool(os.environ.get("CI")), partial=bool(files)
    )
    for line in report.lines:
        click.echo(line, err=True)
    if diff and report.diff:
        click.echo(report.diff, nl=False)
    if check and report.drifted:
        click.echo("the outputs differ from their specs: run `orchestra compile` and commit the result", err=True)
        return EXIT_FAILED
    click.echo(f"{'up to date' if not report.lines else 'compiled'}: {_count(built)}", err=True)
    return EXIT_OK


@click.command(epilog="\b\nExample:\n  orchestra schema > orchestra.schema.json")
def schema() -> int:
    """Print the JSON Schema (draft 2020-12) of specs, for editors and other tools."""
    click.echo(resources.read_text("schemas", "orchestra.schema.json"), nl=False)
    return EXIT_OK


@click.command(epilog="\b\nExamples:\n  orchestra init\n  orchestra init specs/checkout.yaml")
@click.argument("file", default=STARTER, type=click.Path())
@click.pass_context
def init(ctx: click.Context, file: str) -> int:
    """Write a commented starter spec that compiles and runs as it is."""
    project = project_of(ctx)
    [path] = _paths(project, [file if file != STARTER else str(project.root / STARTER)])
    target = project.root / path
    suite = "".join(letter if letter.isalnum() else "_" for letter in target.stem.lower()).strip("_") or "suite"
    suite = suite if suite[0].isalpha() and suite.isascii() else f"suite_{suite}".encode("ascii", "ignore").decode()
    text = resources.read_text("templates", "starter.yaml").replace("suite: starter", f"suite: {suite}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already", "name another file: `orchestra init specs/other.yaml`") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    sys.stderr.write(f"wrote {path}\nnext: orchestra compile, then doit\n")
    return EXIT_OK
