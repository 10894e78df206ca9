"""The verb claim: a sentence or numbers about a run, compared with its sealed record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from orchestra.agent import claim as claims
from orchestra.errors import EXIT_FAILED, EXIT_OK, UsageError
from orchestra.ledger.audit import audit
from orchestra.ledger.event import VERDICTS
from orchestra.ledger.lock import under_way
from orchestra.ledger.runs import LAST
from orchestra.ledger.view import look
from orchestra.project import Project
from orchestra.report import loading
from orchestra.report.console.lines import line
from orchestra.verbs.chosen_run import run_folder
from orchestra.verbs.group import say
from orchestra.verbs.options import project_of, suite_option


def _numbers(function: Callable[..., int]) -> Callable[..., int]:
    """Add an option for each number of a run."""
    for name in reversed(["tests", *VERDICTS]):
        help_text = "Number of selected tests." if name == "tests" else f"Number of tests with the verdict {name}."
        function = click.option(f"--{name}", type=click.IntRange(min=0), help=help_text)(function)
    return function


@click.command(
    epilog='\b\nExamples:\n  orchestra claim "16 tests, 16 passed"\n  orchestra claim "14 of 16 passed, 2 failed" --run 1a2b\n'
    "  orchestra claim --tests 16 --passed 14 --failed 2"
)
@click.argument("sentence", required=False)
@click.option("--run", "run", metavar="RUN", default=LAST, help="Run that is meant (default: the newest).")
@suite_option
@_numbers
@click.pass_context
def claim(ctx: click.Context, /, sentence: str | None, *, run: str, suite: str | None, **numbers: Any) -> int:
    """Check a sentence or numbers about a run against its sealed record. Exit 1, with the differences, if they differ.

    A test that is not green or a failed gate that the claim leaves out is a difference, and so is a run that has not ended
    or whose record is damaged. Words of the sentence that no number of the record confirms are listed as not checked, with
    exit code 1.
    """
    given = {name: number for name, number in numbers.items() if number is not None}
    if (sentence is None) == (not given):
        raise UsageError("a claim is a sentence or numbers", 'write "16 tests, 16 passed", or --tests 16 --passed 16')
    stated = claims.parse(sentence) if sentence is not None else claims.Claim(given)
    project = project_of(ctx)
    folder = run_folder(project, suite, run)
    if fault := _fault(project, folder):
        say(line("claim", "without evidence", folder.name, fault))
        return EXIT_FAILED
    view = look(folder, steps=False)
    found = claims.recorded(view)
    shown = ", ".join(f"{number} {name}" for name, number in found.items() if number or name == claims.TESTS)
    differs = [*claims.differences(stated, found)]
    result = "differs" if differs else "undecided" if stated.unchecked else "holds"
    say(line("claim", result, folder.name, f"sealed {view.time}"))
    for claimed, actual in differs:
        say(line("", f"claimed {claimed}" if claimed else "not mentioned", f"recorded {actual}"))
    for words in stated.unchecked:
        say(line("", "not checked", words))
    say(line("record", shown))
    if stated.unchecked:
        say(line("hint", f"leave out what is not checked, and write only {claims.FORMS}"))
    return EXIT_OK if result == "holds" else EXIT_FAILED


def _fault(project: Project, folder: Path) -> str:
    """Return the reason why the record of a run proves nothing yet, or nothing at all; empty if it does."""
    if under_way(folder):
        return "the run goes on"
    audited = audit(folder)
    if audited.damage is not None:
        place = loading.relative(audited.damage.path, project.root)
        return f"{place}:{audited.damage.line}: {audited.damage.message}"
    return ""
