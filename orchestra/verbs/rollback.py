"""The verb `rollback`: a run goes back to a checkpoint, and its record grows by that event."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger.author import author_of
from orchestra.ledger.checkpoint import choose, go_back
from orchestra.ledger.runs import LAST, runs_of
from orchestra.ledger.view import look
from orchestra.printing import unbroken
from orchestra.project import Project
from orchestra.verbs.chosen_run import (
    home_of,
    require_methods,
    run_folder,
    with_part,
)
from orchestra.verbs.group import say, warn
from orchestra.verbs.options import methods_option, project_of, suite_option
from orchestra.verbs.records import locked


@click.command(
    epilog="\b\nExamples:\n  orchestra rollback                  the checkpoints of the newest run\n"
    "  orchestra rollback cli:basics       back to the end of a group\n"
    "  orchestra rollback 1a2b             the checkpoints of the run with this part in its id\n"
    "  orchestra rollback 1a2b 120         back to one of them, by the number of its event"
)
@click.argument("words", nargs=-1, metavar="[RUN] [CHECKPOINT]")
@suite_option
@click.option("--run", "run", metavar="RUN", help="RUN, where a checkpoint has the same name (default: the newest).")
@methods_option
@click.option("--reason", metavar="TEXT", default="", help="Reason, for the record.")
@click.pass_context
def rollback(
    ctx: click.Context,
    words: tuple[str, ...],
    suite: str | None,
    *,
    run: str | None,
    methods: tuple[str, ...],
    reason: str,
) -> int:
    """Take a run back to a checkpoint, the end of one of its groups; nothing is removed from its record.

    Tests with a later verdict wait again, for `orchestra run --resume`. Without CHECKPOINT: list them.
    """
    project = project_of(ctx)
    folder, checkpoint = _goal(project, suite, words, run)
    require_methods(project.root, folder, methods)
    home, author = folder.parent.parent, author_of(project.root, os.environ)
    points = [one for one in look(folder, steps=False).checkpoints if not methods or one.body.method in methods]
    if checkpoint and methods:
        checkpoint = str(choose(points, checkpoint).seq)
    if not checkpoint:
        for one in points:
            say(unbroken(f"{one.seq:>6}  {one.time[:19]}Z  {one.body.method}:{one.body.group}"))
        return EXIT_OK
    with locked(folder):
        point, view, durations = go_back(home, folder, checkpoint, lambda: datetime.now(UTC), reason, author)
    say(f"{folder.name}: back at {point.body.method}:{point.body.group} (event {point.seq}); {len(view.pending)} wait")
    if durations:
        say(unbroken(durations))
    newest = runs_of(home)[:1] == [folder.name]
    warn(f"hint: continue with `orchestra run --resume{'' if newest else f' {folder.name}'}`")
    return EXIT_OK


def _goal(project: Project, suite: str | None, words: Sequence[str], run: str | None) -> tuple[Path, str]:
    """Return the folder of the run to take back, and the checkpoint; empty for the list of them.

    A lone word is a checkpoint of the newest run, if that run has it, else a run, if there is one. So a word that is both
    never lists another run in place of a step back, and --run states what is a run.

    Raises:
        UsageError: there are too many words, or no such run.
    """
    if len(words) > 1 + (run is None):
        raise UsageError(
            f"one run and one checkpoint are meant, not {' '.join(words)}", "see `orchestra rollback --help`"
        )
    if run is not None:
        return run_folder(project, suite, run), words[0] if words else ""
    if len(words) == 2:
        return run_folder(project, suite, words[0]), words[1]
    if not words or words[0] == LAST:
        return run_folder(project, suite), ""
    home = home_of(project, suite, words)
    newest = run_folder(project, home.name)
    try:
        choose(look(newest, steps=False).checkpoints, words[0])
    except UsageError:
        if with_part(home, words[0]):
            return run_folder(project, home.name, words[0]), ""
    return newest, words[0]
