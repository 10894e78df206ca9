"""Implement `orchestra show RUN TEST`: print the record of tests in a run, or open their evidence."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import plan_store
from orchestra.ledger.disk import disk_error
from orchestra.ledger.evidence_file import evidence_file, open_evidence
from orchestra.ledger.life import Life
from orchestra.ledger.outcome import FINE
from orchestra.ledger.parts import Evidence
from orchestra.ledger.view import look
from orchestra.plan import Plan, closure
from orchestra.printing import unbroken
from orchestra.project import Project
from orchestra.report.attempt_text import attested_lines, evidence_of, lines
from orchestra.report.console.brief import NAMED
from orchestra.report.console.brief import verdict_lines as short
from orchestra.report.console.lines import line, verdict_lines
from orchestra.report.loading import relative, report_of
from orchestra.report.watch import for_agent
from orchestra.runtime.files import matching
from orchestra.runtime.select import select
from orchestra.runtime.since import reasons, revision
from orchestra.verbs.group import say, warn
from orchestra.verbs.opening import opener, serve_run, start

SHOWN_FAILURES = 10
"""So many tests are shown with their explanation in the short form."""

_FIRST = ("screenshot", "log")


def show_record(root: Path, folder: Path, selection: Sequence[str], method: str | None, opened: str | None) -> int:
    """Print the record of the selected tests, or open their evidence of a kind.

    Args:
        root: the project root.
        folder: the run's.
        selection: tests, as for `run`, of the plan that the run executed.
        method: only by this method.
        opened: the kind of evidence to open, empty for the first that there is; None to print.

    Raises:
        UsageError: the selection matches no test, or there is no evidence of that kind.
    """
    plan = plan_store.latest(root, folder)
    tasks = select(plan, selection, [method] if method else [])
    view = look(folder)
    lives = {task: life for task in tasks if not (life := view.life(task)).empty}
    if not lives:
        raise UsageError(f"run {folder.name} has no verdict and no attempt of {' '.join(selection) or 'any test'}")
    if opened is None:
        for task, life in lives.items():
            say("\n".join(lines(task, life, relative(folder, root), view.held.get(task))))
        for seen in view.attested:
            if any(task.partition(":")[2] == seen.body.test for task in lives):
                say("\n".join(attested_lines(seen.body, relative(folder, root))))
        return EXIT_OK
    if opened == "trace":
        return _show_trace(root, folder, list(lives.values()))
    for one in _files(list(lives.values()), opened):
        file = _readable(folder, one)
        program = opener(root)
        warn(f"opening {unbroken(relative(file, root))}")
        start(root, program, str(file))
    return EXIT_OK


def show_failed(root: Path, folder: Path, *, brief: bool | None) -> int:
    """Print each test of a run that is not green, with its explanation.

    Args:
        root: the project root.
        folder: the run's.
        brief: in the short form, a limited number of them; None leaves it to the environment.
    """
    brief = for_agent() if brief is None else brief
    plan, place = plan_store.latest(root, folder), relative(folder, root)
    rows = [row for row in report_of(root, plan, folder).rows if row.verdict not in FINE]
    for row in rows[:SHOWN_FAILURES] if brief else rows:
        for text in short(row, place, whole=True) if brief else verdict_lines(row, place):
            say(text)
    if brief and rows[SHOWN_FAILURES:]:
        say(f"and {len(rows) - SHOWN_FAILURES} more: {', '.join(row.task for row in rows[SHOWN_FAILURES:][:NAMED])}, …")
    if not rows:
        warn(f"all tests of run {folder.name} are green")
    return EXIT_OK


def show_why(project: Project, plan: Plan, tasks: Sequence[str], name: str) -> int:
    """Print why each test may have another result than at a revision, or on which files and services it rests.

    Args:
        project: of the plan.
        plan: the compiled suite.
        tasks: the tests.
        name: the revision.

    Raises:
        UsageError: git does not know it.
    """
    then = revision(project.root, name, project.plan_file(plan.suite, plan.profile))
    why, tests = reasons(project.root, plan, then), {test.id: test for test in plan.tests}
    for task in tasks:
        if task in why:
            say(line("runs", task, why[task]))
            continue
        test = tests[task.partition(":")[2]]
        files = sum(1 for _ in matching(project.root, test.inputs))
        rows = [row.id for row in closure(plan.components, test.requires)]
        rests = [f"{files} input{'s' * (files != 1)}", *([f"services {', '.join(rows)}"] if rows else [])]
        say(
            line(
                "left out",
                task,
                f"the same as in {name} ({then.commit[:12]}): its part of the spec, {', '.join(rests)}",
            )
        )
    return EXIT_OK


def _show_trace(root: Path, folder: Path, every: Sequence[Life]) -> int:
    """Serve the latest trace of the first test that has one, until a signal ends it."""
    trace = _files(every, "trace")[0]
    _readable(folder, trace)
    return serve_run(root, folder, trace)


def _readable(folder: Path, one: Evidence) -> Path:
    """Return a file of evidence that exists, is not a link, and is in the folder of the run; of a part a copy.

    No program can open a part of a file, so it is copied to the folder for temporary files, for the user alone.
    """
    try:
        with open_evidence(folder, one) as content:
            if one.offset is None:
                return evidence_file(folder, one.path)
            copy = Path(tempfile.mkdtemp(prefix="orchestra-")) / PurePosixPath(one.path).name
            copy.write_bytes(content.read())
            return copy
    except OSError as error:
        raise disk_error(error, folder / one.path, "open") from error


def _files(every: Sequence[Life], kind: str) -> list[Evidence]:
    for wanted in [kind] if kind else [*_FIRST, ""]:
        if files := [one for life in every for one in evidence_of(life, wanted)]:
            return files
    there = sorted({one.kind for life in every for seen in life.attempts for one in seen.body.evidence})
    raise UsageError(f'there is no file of the kind "{kind}"; there is {", ".join(there) or "nothing"}')
