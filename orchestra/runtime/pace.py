"""Durations against the baseline while a run goes on: who is asked to repeat, what is found, what is kept.

May import `ledger`, `plan`, `attempt`, `record`. One `Pace` belongs to one session and is told of every passing attempt;
it decides nothing about verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from orchestra.errors import MachineError
from orchestra.ledger import baseline
from orchestra.ledger.baseline import Bounds, Moved, Usual
from orchestra.ledger.disk import replace_file
from orchestra.ledger.transaction import Transaction
from orchestra.plan import Baseline, Test
from orchestra.runtime.attempt import Result

Add = Callable[[str, Mapping[str, Any]], object]

REPEAT: Final = "repeat"
"""In the name of the folder of a repeat, beside that of its attempt: `attempts/cli/B004/1-repeat-1`."""


def repeat_folder(attempt_folder: str, number: int) -> str:
    """The folder of a repeat, from that of an attempt of the same test; both relative to the run's."""
    return f"{attempt_folder}-{REPEAT}-{number}"


@dataclass(slots=True)
class _Doubt:
    """A passing attempt that was suspiciously slow or fast, and its repeats so far."""

    key: str
    moved: Moved
    usual: Usual
    limits: Bounds
    result: Result
    repeats: list[Result] = field(default_factory=list)


@dataclass(slots=True)
class Pace:
    """Compares durations with the baseline of a suite.

    Attributes:
        path: of `baseline.json`.
        rule: of the plan.
        machine: the shape of this machine.
        samples: by key, as the file has them.
        fault: of a file that could not be read; nothing is compared then, and nothing written over it.
        moved: tasks whose pace is another, confirmed.
    """

    path: Path
    rule: Baseline
    machine: str
    samples: Mapping[str, tuple[float, ...]]
    fault: str = ""
    moved: dict[str, Moved] = field(default_factory=dict)
    _compared: int = 0
    _changed: bool = False
    _found: dict[str, float] = field(default_factory=dict)
    _doubts: dict[str, _Doubt] = field(default_factory=dict)

    @classmethod
    def open(cls, home: Path, rule: Baseline, machine: str) -> Pace:
        """The pace of a run of the suite whose folder is `home`."""
        path = home / baseline.FILE
        try:
            return cls(path, rule, machine, baseline.load(path))
        except MachineError as error:
            return cls(path, rule, machine, {}, f"durations are not compared: {error}; {error.hint}")

    def after(self, result: Result, test: Test, browser: str, add: Add) -> int:
        """Take in the last attempt at a test, or a repeat of it, and say which repeat follows; 0 for none.

        Args:
            result: of the attempt or the repeat.
            test: of the plan.
            browser: the engine, empty for none.
            add: records an event.
        """
        doubt = self._doubts.get(result.task)
        if doubt is None:
            doubt = self._suspected(result, browser)
            if doubt is None:
                return 0
            self._doubts[result.task] = doubt
        else:
            doubt.repeats.append(result)
        agree = all(one.outcome == "passed" and self._same(doubt, one.seconds) for one in doubt.repeats)
        if agree and len(doubt.repeats) < self.rule.confirm:
            return len(doubt.repeats) + 1
        self.leave(result.task)
        self._settle(doubt, test, add, confirmed=agree)
        return 0

    def recall(self, task: str, seconds: float, browser: str, result: str) -> None:
        """Take in the pass of a test that an earlier segment of the run gave it: a run counts each once, as one segment would.

        Args:
            task: that passed.
            seconds: of the attempt.
            browser: the engine, empty for none.
            result: what a comparison had found, empty when there was none.
        """
        key = baseline.key_of(task, browser, self.machine)
        limits = self._limits(key)[1]
        self._compared += limits is not None
        if result in {"slower", "faster"}:
            self.moved[task] = cast("Moved", result)
        elif not self.fault:
            self._found[key] = seconds

    def repeating(self, task: str) -> int:
        """Which repeat of a task is under way; 0 for none."""
        doubt = self._doubts.get(task)
        return len(doubt.repeats) + 1 if doubt is not None else 0

    def leave(self, task: str) -> None:
        """No more repeats of a task."""
        del self._doubts[task]

    def figures(self) -> dict[str, int]:
        """The metric `regressions`; without a value when no test has a baseline to be compared with."""
        return {"regressions": sum(one == "slower" for one in self.moved.values())} if self._compared else {}

    def keep(self, folder: Path, add: Add) -> None:
        """Take what a good run measured into the samples, where windows are not full; an event says so, `commit` writes it.

        What the baseline was is kept in the run's folder first, so that `orchestra rollback` can bring it back.

        Args:
            folder: the run's.
            add: records an event.

        Raises:
            MachineError: the disk refuses; the old baseline stays.
        """
        if self.fault:
            return
        new = baseline.filled(self.samples, self._found, self.rule.window)
        if new == self.samples:
            return
        previous = baseline.digest_of(self.samples)
        if previous is not None:
            replace_file(folder / baseline.kept_name(previous), baseline.encode(self.samples))
        reason = f"{sum(new[key] != self.samples.get(key) for key in new)} of its tests passed in a good run"
        add("baseline", {"digest": baseline.digest_of(new), "previous": previous, "reason": reason, "by_run": True})
        self.samples = new
        self._changed = True

    def commit(self, change: Transaction) -> None:
        """Put the baseline among what a run changes when it has ended. Raises MachineError when the disk refuses."""
        if self._changed:
            change.write(baseline.FILE, baseline.encode(self.samples))

    def _suspected(self, result: Result, browser: str) -> _Doubt | None:
        if result.outcome != "passed" or self.fault:
            return None
        key = baseline.key_of(result.task, browser, self.machine)
        self._found[key] = result.seconds
        usual, limits = self._limits(key)
        if usual is None or limits is None:
            return None
        self._compared += 1
        moved = baseline.suspect(result.seconds, limits)
        return None if moved is None else _Doubt(key, moved, usual, limits, result)

    def _limits(self, key: str) -> tuple[Usual | None, Bounds | None]:
        """What is usual by the baseline, and the bounds of it; None where it says nothing yet."""
        taken = self.samples.get(key)
        usual = baseline.usual(taken[-self.rule.window :]) if taken else None
        return usual, baseline.bounds(usual, self.rule) if usual is not None else None

    @staticmethod
    def _same(doubt: _Doubt, seconds: float) -> bool:
        return baseline.suspect(seconds, doubt.limits) == doubt.moved

    def _settle(self, doubt: _Doubt, test: Test, add: Add, *, confirmed: bool) -> None:
        task = doubt.result.task
        if confirmed:
            self.moved[task] = doubt.moved
            self._found.pop(doubt.key)  # another pace is for somebody to accept
        add(
            "comparison",
            {
                "task": task,
                "test": test.id,
                "method": task.partition(":")[0],
                "result": doubt.moved if confirmed else "unconfirmed",
                "suspected": doubt.moved,
                "baseline": doubt.key,
                "seconds": doubt.result.seconds,
                "repeats": [one.seconds for one in doubt.repeats],
                "median_seconds": doubt.usual.median,
                "mad_seconds": doubt.usual.mad,
                "runs": doubt.usual.runs,
                "limit_seconds": doubt.limits.slow if doubt.moved == "slower" else doubt.limits.fast,
            },
        )
