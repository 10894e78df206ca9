"""Checkpoints, and the way back to one. May import `log`, `state`, `runs`, `history`, `transaction`.

A group whose selected tests all have verdicts is a checkpoint. Going back appends one event that takes back what came
after it; nothing is removed, and the run then waits to go on from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from orchestra.errors import UsageError
from orchestra.ledger import history
from orchestra.ledger.log import Writer, read
from orchestra.ledger.runs import LEDGER, STATE
from orchestra.ledger.state import Checkpoint, Fold, State, rollback, write_state
from orchestra.ledger.transaction import recover
from orchestra.suggest import did_you_mean

_SEQ = re.compile(r"#?(\d+)")


def choose(points: Sequence[Checkpoint], word: str) -> Checkpoint:
    """The checkpoint that a word means: `cli:basics`, `basics` where one method has it, or the number of its event.

    Raises:
        UsageError: there is none, or several methods have it.
    """
    if not points:
        raise UsageError("the run has no checkpoint: none of its groups was completed")
    if (number := _SEQ.fullmatch(word)) and (found := [one for one in points if one["seq"] == int(number[1])]):
        return found[0]
    names = {f"{one['method']}:{one['group']}": one for one in points}  # the latest of a name stands
    found = [one for name, one in names.items() if word in {name, one["group"]}]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{name} (event {one['seq']})" for name, one in names.items())
    if found:
        raise UsageError(f'"{word}" was completed by {len(found)} methods; the checkpoints are {listed}', "name one")
    raise UsageError(
        f'no checkpoint "{word}"{did_you_mean(word, [*names, *(one["group"] for one in points)])}; the checkpoints are {listed}'
    )


def go_back(home: Path, folder: Path, word: str, now: Callable[[], datetime], reason: str) -> tuple[Checkpoint, State]:
    """Take a run back to a checkpoint: the compensating event, the state, and the history, in this order.

    The suite's lock must be held. A crash in between leaves the event: state is its fold, and the history is mended here
    when the same is asked again.

    Args:
        home: `.orchestra/<suite>`, absolute.
        folder: the run's.
        word: the checkpoint, as `choose` takes it.
        now: the clock, with a zone.
        reason: for the record.

    Returns:
        The checkpoint and the state after it.

    Raises:
        UsageError: there is no such checkpoint.
        LedgerError: the ledger is damaged.
        MachineError: the disk refuses.
    """
    recover(home)
    whole = Fold()
    with Writer(folder / LEDGER, now=now, seen=whole.add) as writer:
        state = whole.state()
        point = choose(state.checkpoints, word)
        before = Fold()
        for event in read(folder / LEDGER):
            if event.seq > point["seq"]:
                break
            before.add(event)
        body = rollback(before.state(), state, reason)
        whole.add(writer.append("rolled_back", body, sync=True))
    state = whole.state()
    write_state(folder / STATE, state)
    _forget(home / "history.json", folder.name, [*body["reopened"], *body["restored"]])
    return point, state


def _forget(file: Path, run: str, tasks: Sequence[str]) -> None:
    """A pass that was taken back is none that `unchanged` may rest on."""
    past = history.load(file)
    mended = {
        task: history.Past(one.seconds) if task in set(tasks) and one.run == run else one for task, one in past.items()
    }
    if mended != past:
        history.save(file, mended)
