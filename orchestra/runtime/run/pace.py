"""Durations against the baseline while a run goes on: who is asked to repeat, what is found, what is kept.

May import `ledger`, `plan`, `attempt`, `record`. One `Pace` belongs to one session and gets every passing attempt; it
decides no verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orchestra.errors import MachineError
from orchestra.ledger import baseline
from orchestra.ledger.baseline import Bounds, Usual
from orchestra.ledger.disk import replace_file
from orchestra.ledger.event import BaselineChanged, Body, Compared, Moved
from orchestra.ledger.transaction import Transaction
from orchestra.ledger.view import View
from orchestra.plan import Baseline, Test
from orchestra.runtime.attempt import Result

Add = Callable[[Body], object]

REPEAT: Final = "repeat"
"""In the name of the folder of a repeat, next to that of its attempt: `attempts/cli/B004/1-repeat-1`."""


def repeat_folder(attempt_folder: str, number: int) -> str:
    """Return the folder of a repeat, from that of an attempt of the same test; both relative to the run's."""
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
    """

    path: Path
    rule: Baseline
    machine: str
    samples: Mapping[str, tuple[float, ...]]
    fault: str = ""
    _changed: bool = False
    _doubts: dict[str, _Doubt] = field(default_factory=dict)
    _known: dict[str, tuple[Usual | None, Bounds | None]] = field(default_factory=dict)

    @classmethod
    def open(cls, home: Path, rule: Baseline, machine: str) -> Pace:
        """Return the pace of a run of the suite whose folder is `home`."""
        path = home / baseline.FILE
        try:
            return cls(path, rule, machine, baseline.load(path))
        except MachineError as error:
            return cls(path, rule, machine, {}, f"durations are not compared: {error}; {error.hint}")

    def after(self, result: Result, test: Test, browser: str, add: Add) -> int:
        """Record the last attempt at a test, or a repeat of it, and return the number of the next repeat; 0 for none.

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

    def repeating(self, task: str) -> int:
        """Which repeat of a task is under way; 0 for none."""
        doubt = self._doubts.get(task)
        return len(doubt.repeats) + 1 if doubt is not None else 0

    def leave(self, task: str) -> None:
        """No more repeats of a task."""
        del self._doubts[task]

    def figures(self, view: View) -> dict[str, int]:
        """Return the metric `regressions`; without a value when no test has a baseline to be compared with."""
        if not any(self._limits(key)[1] is not None for key, _, _ in self._passes(view)):
            return {}
        return {"regressions": sum(moved == "slower" for _, _, moved in self._passes(view))}

    def _passes(self, view: View) -> Iterator[tuple[str, float, str]]:
        """Yield the passes that stand: key of the baseline, seconds, and what the comparison found, empty without one."""
        for task, life in view.lives.items() if not self.fault else ():
            if (last := life.last) is not None and last.outcome == "passed" and life.started is not None:
                key = baseline.key_of(task, life.started.body.browser, self.machine)
                yield key, last.seconds, life.comparison.result if life.comparison is not None else ""

    def keep(self, folder: Path, view: View, add: Add) -> None:
        """Add the measurements of a good run to windows that are not full; an event records it, `commit` writes it.

        The former baseline is stored in the folder of the run first, so that `orchestra rollback` can restore it.

        Args:
            folder: the run's.
            view: of the run; a repeated measurement counts once, in any segment.
            add: records an event.

        Raises:
            MachineError: the disk refuses; the old baseline stays.
        """
        if self.fault:
            return
        # Another pace, if confirmed, is for people to accept.
        found = {key: seconds for key, seconds, moved in self._passes(view) if moved not in {"slower", "faster"}}
        new = baseline.filled(self.samples, found, self.rule.window)
        if new == self.samples:
            return
        previous = baseline.digest_of(self.samples)
        if previous is not None:
            replace_file(folder / baseline.kept_name(previous), baseline.encode(self.samples))
        reason = f"{sum(new[key] != self.samples.get(key) for key in new)} of its tests passed in a good run"
        add(BaselineChanged(digest=baseline.digest_of(new), previous=previous, reason=reason, by_run=True))
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
        usual, limits = self._limits(key)
        if usual is None or limits is None:
            return None
        moved = baseline.suspect(result.seconds, limits)
        return None if moved is None else _Doubt(key, moved, usual, limits, result)

    def _limits(self, key: str) -> tuple[Usual | None, Bounds | None]:
        """Return the usual duration of the baseline and its bounds; None without a baseline."""
        if key not in self._known:
            taken = self.samples.get(key)
            usual = baseline.usual(taken[-self.rule.window :]) if taken else None
            self._known[key] = usual, baseline.bounds(usual, self.rule) if usual is not None else None
        return self._known[key]

    @staticmethod
    def _same(doubt: _Doubt, seconds: float) -> bool:
        return baseline.suspect(seconds, doubt.limits) == doubt.moved

    def _settle(self, doubt: _Doubt, test: Test, add: Add, *, confirmed: bool) -> None:
        task = doubt.result.task
        add(
            Compared(
                task=task,
                test=test.id,
                method=task.partition(":")[0],
                result=doubt.moved if confirmed else "unconfirmed",
                suspected=doubt.moved,
                baseline=doubt.key,
                seconds=doubt.result.seconds,
                repeats=tuple(one.seconds for one in doubt.repeats),
                median_seconds=doubt.usual.median,
                mad_seconds=doubt.usual.mad,
                runs=doubt.usual.runs,
                limit_seconds=doubt.limits.slow if doubt.moved == "slower" else doubt.limits.fast,
            )
        )
