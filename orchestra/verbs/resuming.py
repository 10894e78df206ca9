"""Resolve `orchestra run --resume`: which run is meant, and which of its tasks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestra.errors import UsageError
from orchestra.ledger.runs import LAST, find_run, runs_of
from orchestra.ledger.view import look
from orchestra.runtime.run.resume import nothing_to_resume


@dataclass(frozen=True, slots=True)
class Target:
    """The run that `--resume` resumes.

    Attributes:
        run: the id of the resumed run; empty if there is nothing to resume.
        selection: its tasks; where nothing is left of it, those of the new run.
        profile: the profile that it ran with.
        why: why nothing goes on, for people.
    """

    run: str = ""
    selection: tuple[str, ...] = ()
    profile: str = ""
    why: str = ""


def target(home: Path, word: str, profile: str) -> Target:
    """Return the target of `--resume WORD`.

    Args:
        home: `.orchestra/<suite>`, absolute.
        word: `last`, or an id of a run or a part of one.
        profile: the profile of the command line, empty for none.

    Raises:
        UsageError: there is no such run, or it ran with another profile.
        LedgerError: its ledger is damaged.
    """
    if word == LAST and not runs_of(home):
        return Target(profile=profile, why="no run is recorded yet")
    folder = find_run(home, word)
    before = look(folder, steps=False)
    ran_with = before.start.profile or "" if before.start is not None else ""
    if why := nothing_to_resume(before):
        why = f"run {folder.name} has nothing left to do: {why}"
        return Target(selection=before.selection, profile=profile or ran_with, why=why)
    if profile and profile != ran_with:
        with_it = f'with profile "{ran_with}"' if ran_with else "without a profile"
        raise UsageError(f'run {folder.name} ran {with_it}, not with "{profile}"', "remove --profile")
    return Target(folder.name, before.selection, ran_with)
