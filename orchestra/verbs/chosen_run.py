"""The run that a verb is about: RUN as a positional argument, in any suite of the project.

RUN is `last`, an id, or a part of an id that only one run has. Ids are unique over suites in practice, so a part of one
finds its suite as well; --suite is needed where two suites have a run with this part.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from orchestra.errors import OrchestraError, UsageError
from orchestra.ledger.runs import LAST, find_run, meant, runs_of
from orchestra.project import PLAN_FOLDER, Project
from orchestra.suggest import did_you_mean
from orchestra.verbs.options import project_of

_COMPLETED = 20
"""So many run ids, the newest, complete a word."""


def run_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a run by any part of its id."""
    del param
    try:
        project = project_of(ctx)
        suite = ctx.params.get("suite")
        suites = [suite] if suite else project.suites()
        names = [name for one in suites for name in runs_of(project.root / PLAN_FOLDER / one)]
    except OrchestraError:
        return []  # a completion has no place for a message
    fitting = [name for name in sorted(names, reverse=True) if incomplete in name]
    return [CompletionItem(name) for name in fitting[:_COMPLETED]]


run_argument = click.argument("run", required=False, default=LAST, shell_complete=run_ids)
optional_run_argument = click.argument("run", required=False, shell_complete=run_ids)


def run_folder(project: Project, suite: str | None, word: str = LAST) -> Path:
    """Return the folder of the run that a word means.

    Args:
        project: of the working folder.
        suite: of --suite; without it, that of the run, else the default suite.
        word: as in the docstring of this module.

    Raises:
        MachineError: the folder of runs cannot be read.
        UsageError: there is no such run or suite, or several have it.
    """
    return find_run(home_of(project, suite, (word,)), word)


def home_of(project: Project, suite: str | None, words: Iterable[str] = ()) -> Path:
    """Return `.orchestra/<suite>` of the suite that is meant: the named one, else the one that has a run of these words,
    else the default one.

    Raises:
        MachineError: the folder of runs cannot be read.
        UsageError: there is no such suite, or no way to choose.
    """
    known = project.suites()
    if suite is None and len(known) > 1:
        for word in words:
            having = {one: runs for one in known if (runs := with_part(project.root / PLAN_FOLDER / one, word))}
            if project.suite in having:
                break
            if len(having) > 1:
                listed = ", ".join(f"{runs[0]} of {one}" for one, runs in having.items())
                raise UsageError(
                    f'"{word}" is part of runs of {len(having)} suites: {listed}',
                    "write more of the id, or name the suite with --suite",
                )
            if having:
                return project.root / PLAN_FOLDER / next(iter(having))
    return project.root / PLAN_FOLDER / project.choose(suite)


def require_methods(root: Path, folder: Path, methods: Iterable[str]) -> None:
    """Raise UsageError if a run does not have one of these methods."""
    if not (wanted := list(methods)):
        return
    # a plan costs more than all else that `status` reads, and only --method needs it
    from orchestra.ledger import plan_store  # noqa: PLC0415

    known = [method.id for method in plan_store.latest(root, folder).methods]
    for method in wanted:
        if method not in known:
            listed = ", ".join(f'"{name}"' for name in known)
            raise UsageError(f'unknown method "{method}"{did_you_mean(method, known)}; run {folder.name} has {listed}')


def with_part(home: Path, word: str) -> list[str]:
    """Return the runs of a suite that a word may mean, the newest first; none for `last`, which is no part of an id."""
    return [] if word == LAST else meant(runs_of(home), word)
