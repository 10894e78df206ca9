"""Implement `compile` apart from its options, also for a command line without any.

click reads options, and is imported for those only: a plain `orchestra compile` of 16 tests is an eighth shorter
without it (docs/benchmarks.md). So nothing here may import click.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from orchestra import nofollow, plan_file
from orchestra.compiler import after_edit, kept_specs
from orchestra.compiler.build import Built, build
from orchestra.compiler.emit import files as emit
from orchestra.compiler.emit.files import File
from orchestra.compiler.outputs import drift
from orchestra.diagnostic import listed
from orchestra.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, OrchestraError, UsageError
from orchestra.plan import Plan
from orchestra.printing import unbroken
from orchestra.project import Project
from orchestra.suggest import did_you_mean
from orchestra.yamltext.parse import parse


class Outcome(NamedTuple):
    """The result of a compile.

    Attributes:
        lines: what was found or done, for people.
        diff: what differs, if it was asked for, as data.
        last: how it ended, for people.
        code: the exit code.
    """

    lines: tuple[str, ...]
    diff: str
    last: str
    code: int


def compile_specs(
    project: Project,
    files: Sequence[str] = (),
    suite: str | None = None,
    *,
    check: bool = False,
    diff: bool = False,
    full: bool = False,
    over_edits: bool = True,
) -> Outcome:
    """Compile specs, or with `check` compare.

    Args:
        project: whose specs.
        files: those that are meant, as on the command line; none means all.
        suite: the suite that is meant.
        check: write nothing.
        diff: show what differs.
        full: compare everything; ignore the stamp of the last check.
        over_edits: overwrite outputs that were edited by hand.

    Raises:
        OrchestraError: what cannot be read or written, or must not be overwritten.
    """
    whole = full or bool(os.environ.get("CI"))
    edited = None if whole else after_edit.compiled(project.root, project.spec_files())
    if (
        edited is not None
        and (suite in (None, edited.suite))
        and {inside(project, file) for file in files} <= {edited.spec}
    ):
        report = drift.apply(project.root, edited.files, check=check, diff=diff, over_edits=over_edits)
        if not check:
            kept_specs.keep(project.root, edited.kept)
        tests = edited.tests if suite is None and not files else {edited.suite: edited.tests[edited.suite]}
        return _outcome(report, number_of(len(tests), sum(tests.values())))
    partial = bool(files) or suite is not None
    built = build(project.root, spec_paths(project, files, suite))
    if built.diagnostics:
        lines = tuple(listed(built.diagnostics))
        last = f"{problems(len(built.diagnostics))}; nothing was {'compared' if check else 'written'}"
        return Outcome(lines, "", last, EXIT_USAGE)
    outputs = _beside(project, built.plans) if partial else emit.files(built.plans, project.suite)
    report = drift.apply(
        project.root,
        outputs,
        check=check,
        diff=diff,
        full=whole,
        partial=partial,
        over_edits=over_edits,
    )
    if not (whole or partial or check):
        kept_specs.keep_all(project.root, built.specs)
    return _outcome(report, count(built))


def _outcome(report: drift.Report, number: str) -> Outcome:
    """Return the result of a compile; `number` has the suites and tests in words."""
    lines = tuple(map(unbroken, report.lines))
    if report.drifted:
        last = "the outputs differ from their specs: run `orchestra compile` and commit the result"
        return Outcome(lines, report.diff, last, EXIT_FAILED)
    return Outcome(lines, report.diff, f"{'compiled' if lines else 'up to date'}: {number}", EXIT_OK)


def spec_paths(project: Project, files: Sequence[str], suite: str | None = None) -> list[str]:
    """Return the spec files that are meant, relative to the root: those named, else that of a suite, else all of the
    project.

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
    return list(dict.fromkeys(inside(project, file) for file in files))


def inside(project: Project, file: str) -> str:
    """Return a path of the command line, relative to the root."""
    path = Path(os.path.normpath(Path.cwd() / file))
    base = path if path.is_relative_to(project.root) else Path(os.path.realpath(path))
    if not base.is_relative_to(project.root):
        raise UsageError(f'"{file}" is outside the project root {project.root}', "name a file of this project")
    return base.relative_to(project.root).as_posix()


def _spec_of(project: Project, paths: Sequence[str], suite: str) -> str:
    """Return the spec file that defines a suite; what cannot be read defines none."""
    suites: dict[str, str] = {}
    for path in paths:
        try:
            data = parse((project.root / path).read_bytes(), path).data
        except (OSError, OrchestraError):
            continue
        if isinstance(data, dict) and isinstance(data.get("suite"), str):
            suites.setdefault(str(data["suite"]), path)
    if suite not in suites:
        listed = ", ".join(f'"{name}"' for name in sorted(suites)) or "none"
        raise UsageError(f'no spec defines the suite "{suite}"{did_you_mean(suite, suites)}; there are {listed}')
    return suites[suite]


def count(built: Built) -> str:
    """Return how many suites and tests there are, in words."""
    suites = [plan for plan in built.plans if not plan.profile]
    return number_of(len(suites), sum(len(plan.tests) for plan in suites))


def number_of(suites: int, tests: int) -> str:
    """Return numbers of suites and tests in words."""
    return f"{suites} suite{'s' * (suites != 1)}, {tests} test{'s' * (tests != 1)}"


def problems(number: int) -> str:
    """Return how many problems there are, in words."""
    return f"{number} problem{'s' * (number != 1)}"


def _beside(project: Project, made: Sequence[Plan]) -> tuple[File, ...]:
    """Return the outputs of some suites, where the others stay as they were last compiled: a dodo.py serves all of
    them.
    """
    suites = {plan.suite for plan in made}
    others = [
        plan for name in project.suites() if name not in suites and (plan := _compiled(project, name)) is not None
    ]
    kept = {file.path for file in emit.files(others, project.suite) if file.kind != "doit"} if others else set()
    own = {f"{emit.FOLDER}/.gitattributes", f"{emit.FOLDER}/.gitignore", emit.INDEX}
    files = emit.files([*made, *others], project.suite)
    return tuple(file for file in files if file.path not in kept or file.path in own)


def _compiled(project: Project, suite: str) -> Plan | None:
    """Return the plan of a suite as it was last compiled; None when it cannot be read or its spec is gone."""
    name = project.plan_file(suite)
    try:
        plan = plan_file.load(nofollow.read(project.root / name), name)
    except (OSError, OrchestraError):
        return None
    return plan if plan.sources and (project.root / plan.sources[0]).is_file() else None
