"""Which earlier records a run trusts: a pull request can bring any.

A run trusts a record with a whole chain and a valid MAC of this user in its last line (`owner`). In CI it trusts none, only
the spec and the baselines, which are reviewed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestra import owner
from orchestra.errors import MachineError, UsageError
from orchestra.ledger.event import Body, Note, VerdictGiven
from orchestra.ledger.reading import Tail, last_mark
from orchestra.ledger.run_record import LastExecution
from orchestra.ledger.runs import LEDGER, is_run_id
from orchestra.ledger.view import view_of

Add = Callable[[Body], object]

PASSED = frozenset({"passed", "flaky"})


def trusts_records(environment: Mapping[str, str]) -> bool:
    """Return whether this process trusts any earlier record. In CI a checkout may have brought each of them."""
    return not environment.get("CI")


def vouched(folder: Path, secret: bytes, environment: Mapping[str, str], *, trust: bool) -> str:
    """Return why the record of a run that is resumed is trusted, for people. The chain is verified when it is read.

    Args:
        folder: the run's.
        secret: the user's key, empty for none.
        environment: of the process.
        trust: the user vouches for the record.

    Raises:
        UsageError: without `trust`: this user did not make the record on this machine, or this is CI.
        MachineError: it cannot be read.
    """
    in_ci = "" if trusts_records(environment) else "in CI no earlier record is trusted"
    why = in_ci or _unmarked(*last_mark(folder / LEDGER), secret)
    if why and not trust:
        raise UsageError(
            f"run {folder.name} cannot be resumed: {why}",
            f"check it with `orchestra audit {folder.name}`; `orchestra run --resume {folder.name} --trust` keeps its "
            "passed tests, `orchestra run` starts a new run",
        )
    because = (
        f"--trust was given, although {why}" if why else "its chain is intact, and this user wrote it on this machine"
    )
    return f"the passed tests of this record are trusted: {because}"


def _unmarked(tip: str, mac: str, secret: bytes) -> str:
    """Return why a record is not the user's, empty when it is."""
    if not secret:
        return "this user has no key on this machine to prove it"
    return "" if owner.is_own(secret, tip, mac) else "it was not written by this user on this machine"


@dataclass(slots=True)
class Passes:
    """The passes of earlier runs of a suite, by their own records.

    Attributes:
        home: `.orchestra/<suite>`, absolute.
        environment: of the process.
        secret: the user's key, empty for none.
    """

    home: Path
    environment: Mapping[str, str]
    secret: bytes
    _read: dict[str, Mapping[str, VerdictGiven] | str] = field(default_factory=dict)
    _noted: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, root: Path, home: Path, environment: Mapping[str, str]) -> Passes:
        """Return those that a user of this process may believe."""
        return cls(home, environment, owner.key(root, environment))

    def hold(self, task: str, last: LastExecution, add: Add) -> bool:
        """Return whether a record proves the pass of a task that the history names. A note gives each reason against it once.

        In CI no record is trusted, and no note is written.

        Args:
            task: its name.
            last: its last execution, by the history; with a run.
            add: records an event.
        """
        if not trusts_records(self.environment):
            return False
        doubt = self._doubt(task, last)
        if doubt and doubt not in self._noted:
            self._noted.add(doubt)
            message = f"{task} runs, although its inputs have not changed since it passed: {doubt}"
            add(Note(kind="unchanged_doubted", message=message))
        return not doubt

    def _doubt(self, task: str, last: LastExecution) -> str:
        if last.run not in self._read:
            self._read[last.run] = self._verdicts(last.run)
        verdicts = self._read[last.run]
        if isinstance(verdicts, str):
            return verdicts
        given = verdicts.get(task)
        if given is None or given.verdict not in PASSED or given.inputs != last.inputs:
            return f"run {last.run} has no pass of {task} on these inputs"
        return ""

    def _verdicts(self, run: str) -> Mapping[str, VerdictGiven] | str:
        """Return the final verdicts of a run, or why none of them is trusted."""
        if not is_run_id(run):
            return f'"{run}" is not a run'
        tail = Tail(self.home / "runs" / run / LEDGER)
        try:
            verdicts = view_of(tail.poll(), steps=False).verdicts
        except MachineError as error:
            return f"the record of run {run} is missing or damaged: {error}"
        why = _unmarked(tail.tip.hash, tail.tip.mac, self.secret)
        return f"the record of run {run} is not trusted: {why}" if why else verdicts
