"""The verbs about specs: init, validate, compile, schema."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from orchestra import resources
from orchestra.compiler.build import build
from orchestra.compiler.rules.context import LINE_END
from orchestra.diagnostic import Diagnostic, Edit
from orchestra.errors import EXIT_OK, EXIT_USAGE, MachineError, UsageError
from orchestra.report.github import command
from orchestra.verbs import compiling
from orchestra.verbs.group import say, say_data, say_json, warn
from orchestra.verbs.options import project_of, suite_option
from orchestra.yamltext.parse import collector_paused

STARTER = "specs/suite.yaml"
SCHEMA = "orchestra.schema.json"
ATTRIBUTES = ".gitattributes"

_files = click.argument("files", nargs=-1, type=click.Path())


def _github(problem: Diagnostic) -> str:
    """Return a problem as an annotation of GitHub Actions."""
    place = problem.place
    text = problem.message + (f"\n{problem.hint}" if problem.hint else "")
    return command("error", text, file=place.file, line=str(place.line), col=str(place.column), title=problem.rule)


def edits_of(root: Path, problem: Diagnostic) -> dict[str, object]:
    """Return the keys `edit` and `edits` of a problem: without the edits whose texts are not there, as they are meant."""
    edit = _edit(root, problem, problem.edit) if problem.edit is not None else None
    edits = [done for one in problem.edits if (done := _edit(root, problem, one))]
    return {**({"edit": edit} if edit else {}), **({"edits": edits} if edits else {})}


def _edit(root: Path, problem: Diagnostic, edit: Edit) -> dict[str, object] | None:
    """Return an edit at its exact place; None if the text is not there."""
    old, new, value, place = edit
    place = place or problem.place
    line = LINE_END.split((root / place.file).read_text(encoding="utf-8"))[place.line - 1]
    start = place.column - 1
    if value:
        old = next((text for text in _written(old) if _is_at(line, start, text)), "")
    start = line.find(old, start) if old else -1
    if start < 0:
        return None
    elsewhere = {"file": place.file} if place.file != problem.place.file else {}
    where = {"line": place.line, "column": start + 1, "end_column": start + 1 + len(old)}
    return {**elsewhere, **where, "old": old, "new": new}


def _written(value: str) -> Iterator[str]:
    """Yield the ways to write a value that needs no escape."""
    yield from (f'"{value}"', f"'{value}'", value)


def _is_at(line: str, start: int, text: str) -> bool:
    """Return whether a value is written in a line from `start` on, with nothing of it left."""
    after = line[start + len(text) :].lstrip(" ")
    return line.startswith(text, start) and (not after or after[0] in ",]}#:")


def _json(root: Path, problems: Sequence[Diagnostic]) -> str:
    rows = [
        {
            "file": problem.place.file,
            "line": problem.place.line,
            "column": problem.place.column,
            "rule": problem.rule,
            "message": problem.message,
            "hint": problem.hint,
            **edits_of(root, problem),
        }
        for problem in problems
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


@click.command(epilog="\b\nExamples:\n  orchestra validate\n  orchestra validate specs/market.yaml --format github")
@_files
@suite_option
@click.option("--collect", is_flag=True, help="Also run the commands under `collect:`, and compare their lists.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@click.pass_context
@collector_paused()
def validate(ctx: click.Context, files: tuple[str, ...], *, suite: str | None, collect: bool, form: str) -> int:
    """Validate specs against the schema and every rule, and show all problems, each at its line.

    Without FILES: every spec of the project. Exit 2 when there is a problem. Each [rule] is a heading of docs/rules.md.
    """
    project = project_of(ctx)
    built = build(project.root, compiling.spec_paths(project, files, suite))
    problems = list(built.diagnostics)
    if collect:
        # It starts processes, which costs a third of a small compile to import.
        from orchestra.runtime import inherited  # noqa: PLC0415 - as above
        from orchestra.verbs import collect as collecting  # noqa: PLC0415

        environment = inherited.environment(os.environ, ())
        problems = sorted({*problems, *collecting.check(project.root, built.specs, environment)})
    if form == "json":
        say_json(_json(project.root, problems))
    elif problems:
        if form == "text":
            say("\n".join(problem.text() for problem in problems))
        else:
            say_data("\n".join(_github(problem) for problem in problems))
    if problems:
        warn(compiling.problems(len(problems)))
        return EXIT_USAGE
    warn(f"no problem: {compiling.count(built)}")
    return EXIT_OK


@click.command(
    "compile",
    epilog="\b\nExamples:\n  orchestra compile\n  orchestra compile --check --diff    (in CI)\n"
    "  orchestra compile specs/market.yaml",
)
@_files
@suite_option
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if an output differs from its spec.")
@click.option("--diff", is_flag=True, help="Print the differences.")
@click.option("--full", is_flag=True, help="Render and compare everything; ignore the stamp of the last check.")
@click.pass_context
@collector_paused()
def compile_(
    ctx: click.Context, files: tuple[str, ...], *, suite: str | None, check: bool, diff: bool, full: bool
) -> int:
    """Compile specs to dodo.py, the plan, slash commands and docs.

    Everything is written or nothing; what has not changed is left alone; a file that orchestra did not write is never
    overwritten. Without FILES: every spec of the project.
    """
    done = compiling.compile_specs(project_of(ctx), files, suite, check=check, diff=diff, full=full)
    for line in done.lines:
        warn(line)
    if done.diff:
        say(done.diff, end="")
    warn(done.last)
    return done.code


@click.command(epilog="\b\nExample:\n  orchestra schema > orchestra.schema.json")
def schema() -> int:
    """Print the JSON Schema (draft 2020-12) of specs, for editors and other tools."""
    say(resources.read_text("schemas", SCHEMA), end="")
    return EXIT_OK


@click.command(epilog="\b\nExamples:\n  orchestra init\n  orchestra init --suite checkout    (specs/checkout.yaml)")
@click.argument("file", required=False, type=click.Path())
@click.option("--suite", metavar="NAME", help="Suite name (default: the name of the file).")
@click.pass_context
def init(ctx: click.Context, file: str | None, *, suite: str | None) -> int:
    """Write a commented starter spec that compiles and runs as it is, the schema for editors, and .gitattributes for merges.

    Without FILE: specs/suite.yaml.
    """
    project = project_of(ctx)
    name = _suite_name(suite if suite is not None else Path(file or STARTER).stem)
    if suite is not None and suite != name:
        raise UsageError(
            f'"{suite}" is not a name for a suite', f"write a lower-case letter, then letters, digits and _: {name}"
        )
    path = compiling.inside(project, file) if file is not None else STARTER if suite is None else f"specs/{name}.yaml"
    target = project.root / path
    if not (real := Path(os.path.realpath(target.parent))).is_relative_to(project.root):
        raise UsageError(f'"{path}" is outside the project root, at {real}', "remove the link, or name another file")
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
    warn(f"wrote {path}")
    try:
        _write_new(target.with_name(SCHEMA), resources.read_text("schemas", SCHEMA))
    except OSError:
        pass  # it is there, or there is no room for it: editors complete less, nothing else
    else:
        warn(f"wrote {target.with_name(SCHEMA).relative_to(project.root).as_posix()}, for your editor")
    try:
        _write_new(project.root / ATTRIBUTES, resources.read_text("templates", "gitattributes"))
    except OSError:
        pass  # one that is there is the user's; what a merge must have is in .orchestra
    else:
        warn(f"wrote {ATTRIBUTES}, for merges of generated files")
    named = "" if path in project.spec_files() else f" {path}"
    warn(f"next: orchestra compile{named}, then doit")
    return EXIT_OK


def _suite_name(text: str) -> str:
    """Return a text as the id of a suite."""
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
