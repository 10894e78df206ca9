"""Checkpoints, and the way back to one.

A group whose selected tests all have verdicts is a checkpoint. Going back appends one event that takes back what came
after it; nothing is removed, and the run then waits to go on from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from orchestra.errors import MachineError, UsageError
from orchestra.ledger import baseline, history, run_record
from orchestra.ledger.author import UNKNOWN, Author
from orchestra.ledger.event import BaselineChanged, GroupCompleted
from orchestra.ledger.life import Seen
from orchestra.ledger.log import Writer
from orchestra.ledger.quick import STATE
from orchestra.ledger.reading import read
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.state import rollback, state_of, write_state
from orchestra.ledger.transaction import Transaction, recover
from orchestra.ledger.view import View
from orchestra.suggest import did_you_mean

_SEQ = re.compile(r"#?(\d+)")


def choose(points: Sequence[Seen[GroupCompleted]], word: str) -> Seen[GroupCompleted]:
    """Return the checkpoint that a word means: `cli:basics`, `basics` where one method has it, or the number of its
    event.

    Raises:
        UsageError: there is none, or several methods have it.
    """
    if not points:
        raise UsageError("the run has no checkpoint: no group is complete")
    if (number := _SEQ.fullmatch(word)) and (found := [point for point in points if point.seq == int(number[1])]):
        return found[0]
    names = {f"{point.body.method}:{point.body.group}": point for point in points}  # the latest of a name counts
    found = [one for name, one in names.items() if word in {name, one.body.group}]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{name} (event {one.seq})" for name, one in names.items())
    if found:
        raise UsageError(f'"{word}" was completed by {len(found)} methods; the checkpoints are {listed}', "name one")
    nearest = did_you_mean(word, [*names, *(point.body.group for point in points)])
    raise UsageError(f'no checkpoint "{word}"{nearest}; the checkpoints are {listed}')


class Back(NamedTuple):
    """A run that was taken back.

    Attributes:
        point: the checkpoint.
        view: of the run after it.
        durations: what became of the durations, in a sentence; empty when the run had not changed them since.
    """

    point: Seen[GroupCompleted]
    view: View
    durations: str


def go_back(
    home: Path, folder: Path, word: str, now: Callable[[], datetime], reason: str, author: Author = UNKNOWN
) -> Back:
    """Take a run back to a checkpoint: the compensating event, the state, then history and durations in one step.

    The suite's lock must be held. A crash in between leaves the event: state is its fold, and a second call repairs
    history and baseline.

    Args:
        home: `.orchestra/<suite>`, absolute.
        folder: the run's.
        word: the checkpoint, as `choose` takes it.
        now: the clock, with a zone.
        reason: for the record.
        author: as of `Writer`.

    Raises:
        UsageError: there is no such checkpoint.
        LedgerError: the ledger is damaged.
        MachineError: the disk refuses.
    """
    recover(home)
    view = View()
    with Writer(folder / LEDGER, now=now, seen=view.see, author=author) as writer:
        point = choose(view.checkpoints, word)
        before = View()
        for event in read(folder / LEDGER):
            if event.seq > point.seq:
                break
            before.see(event)
        change = Transaction(home)
        durations = _durations_back(home, folder, [one.body for one in view.baselines if one.seq > point.seq], change)
        view.see(writer.append(rollback(before, view, reason), sync=True))
    write_state(folder / STATE, state_of(view))
    taken = [one.body for one in view.rollbacks if one.seq > point.seq]
    _forget(
        home / history.LAST, folder.name, {name for one in taken for name in (*one.reopened, *one.restored)}, change
    )
    if (record := run_record.record_of(view)) is not None:
        change.write(history.EXECUTIONS, history.with_record(home, record))
    change.commit()
    return Back(point, view, durations)


def undone(bodies: Sequence[BaselineChanged]) -> tuple[str | None, str | None] | None:
    """The digests of the durations that a run left last, and of those that it found; None when it changed none.

    Args:
        bodies: of the `baseline` events behind a checkpoint, in order. Where an earlier rollback, or another
            change, lies between two of the run's own, only those after it are taken together.
    """
    own = [body for body in bodies if body.by_run]
    if not own:
        return None
    target = own[-1].previous
    for body in reversed(own[:-1]):
        if body.digest != target:
            break
        target = body.previous
    return own[-1].digest, target


def _durations_back(home: Path, folder: Path, bodies: Sequence[BaselineChanged], change: Transaction) -> str:
    """Prepare that the durations are again what they were before the run, where they are as the run left them."""
    found = undone(bodies)
    if found is None:
        return ""
    made, target = found
    file = home / baseline.DURATIONS
    try:
        there = baseline.digest_of(baseline.load(file))
    except MachineError as error:
        return f"{baseline.DURATIONS} is left alone: {error}; {error.hint}"
    if there == target:
        return f"{baseline.DURATIONS} is already as it was before the run changed it"
    if there != made:
        return f"{baseline.DURATIONS} has changed since then, and is left alone"
    if target is None:
        change.remove(baseline.DURATIONS)
        return f"{baseline.DURATIONS} is removed: there was none before the run"
    kept = folder / baseline.kept_name(target)
    try:
        before = baseline.load(kept)
    except MachineError:
        before = {}
    if baseline.digest_of(before) != target:
        return f"{baseline.DURATIONS} is left alone: the copy of the ones before, {kept.name} in the run's folder, is not whole"
    change.write(baseline.DURATIONS, baseline.encode(baseline.plain(before)))
    return f"{baseline.DURATIONS} is restored to its state before the run"


def _forget(file: Path, run: str, tasks: Container[str], change: Transaction) -> None:
    """Remove a revoked pass from those that `unchanged` can refer to."""
    last = history.load(file)
    left = {
        task: run_record.LastExecution(one.seconds) if task in tasks and one.run == run else one
        for task, one in last.items()
    }
    if left != last:
        change.write(file.name, history.encoded(left))
