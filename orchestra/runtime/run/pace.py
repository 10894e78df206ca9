"""Durations against the baseline while a run goes on: who is asked to repeat, what is found, what is kept.

One `Pace` belongs to one session and gets every passing attempt; it
decides no verdicts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orchestra.errors import MachineError
from orchestra.ledger import baseline
from orchestra.ledger.baseline import Bounds, Samples, Usual
from orchestra.ledger.disk import replace_file
from orchestra.ledger.event import BaselineChanged, Body, Compared, Moved
from orchestra.ledger.transaction import Transaction
from orchestra.ledger.view import View
from orchestra.plan import Baseline, Test
from orchestra.runtime.attempt import Result

Add = Callable[[Body], object]

REPEAT: Final = "repeat"
"""In the name of the folder of a repeat, next to that of its attempt: `attempts/cli/B004/1-repeat-1`."""


WAIT_SECONDS: Final = 30.0
"""So long a repeat waits at most for the load of other programs to end."""

WAIT_TOTAL_SECONDS: Final = 120.0
"""So long all repeats of a run wait at most."""


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
    waits_since: float | None = None


@dataclass(slots=True)
class Pace:
    """Compares durations with the baseline of a suite.

    Attributes:
        rule: of the plan.
        place: where the run is, as `baseline.place_of` gives it.
        accepted: the samples in git, by key.
        durations: what earlier runs measured on this machine, as its file has it.
        fault: of a file that could not be read; nothing is compared then, and nothing written over it.
        clock: monotonic seconds.
        samples: both together, as `baseline.together` does it.
    """

    rule: Baseline
    place: str
    accepted: Samples = field(default_factory=dict)
    durations: Samples = field(default_factory=dict)
    fault: str = ""
    clock: Callable[[], float] = time.monotonic
    samples: Samples = field(init=False)
    _patience: float = WAIT_TOTAL_SECONDS
    _changed: bool = False
    _doubts: dict[str, _Doubt] = field(default_factory=dict)
    _known: dict[str, tuple[Usual | None, Bounds | None]] = field(default_factory=dict)

    @classmethod
    def open(cls, home: Path, rule: Baseline, place: str) -> Pace:
        """Return the pace of a run of the suite whose folder is `home`."""
        try:
            return cls(rule, place, baseline.load(home / baseline.FILE), baseline.load(home / baseline.DURATIONS))
        except MachineError as error:
            return cls(rule, place, fault=f"durations are not compared: {error}; {error.hint}")

    def __post_init__(self) -> None:
        """Put the samples together."""
        self.samples = baseline.together(self.accepted, self.durations)

    def after(self, result: Result, test: Test, browser: str, add: Add, disturbed: str = "") -> int:
        """Record the last attempt at a test, or a repeat of it, and return the number of the next repeat; 0 for none.

        Args:
            result: of the attempt or the repeat.
            test: of the plan.
            browser: the engine, empty for none.
            add: records an event.
            disturbed: why its duration confirms nothing; empty when nothing disturbed it.
        """
        doubt = self._doubts.get(result.task)
        if doubt is None:
            doubt = self._suspected(result, browser)
            if doubt is None:
                return 0
            self._doubts[result.task] = doubt
        else:
            doubt.repeats.append(result)
        agree = all(repeat.outcome == "passed" and self._same(doubt, repeat.seconds) for repeat in doubt.repeats)
        # Repeats may find out when nothing disturbs them, even if something disturbed the attempt.
        calm = not (disturbed and doubt.repeats)
        if agree and calm and len(doubt.repeats) < self.rule.confirm:
            return len(doubt.repeats) + 1
        self.leave(result.task)
        self._settle(doubt, test, add, confirmed=agree and not disturbed, reason=disturbed if agree else "")
        return 0

    def patience(self, task: str) -> float:
        """Return how many seconds the next repeat of a task may still wait for the load of other programs to end."""
        now = self.clock()
        doubt = self._doubts[task]
        if doubt.waits_since is None:
            doubt.waits_since = now
        return max(0.0, min(WAIT_SECONDS, self._patience) - (now - doubt.waits_since))

    def waited(self, task: str) -> None:
        """Count what a task has waited: the next repeat begins, or never does."""
        doubt = self._doubts[task]
        if doubt.waits_since is not None:
            self._patience = max(0.0, self._patience - (self.clock() - doubt.waits_since))
            doubt.waits_since = None

    def give_up(self, task: str, test: Test, add: Add, why: str) -> None:
        """Leave a suspicious duration unconfirmed, because a repeat would confirm nothing."""
        doubt = self._doubts.pop(task)
        self._settle(doubt, test, add, confirmed=False, reason=why)

    def repeating(self, task: str) -> int:
        """Which repeat of a task is under way; 0 for none."""
        doubt = self._doubts.get(task)
        return len(doubt.repeats) + 1 if doubt is not None else 0

    def leave(self, task: str) -> None:
        """No more repeats of a task."""
        del self._doubts[task]

    def figures(self, view: View) -> dict[str, int]:
        """Return the metric `regressions`; without a value when no test has a baseline to be compared with."""
        passes = list(self._passes(view))
        if not any(self._limits(key)[1] is not None for key, _, _ in passes):
            return {}
        return {"regressions": sum(moved == "slower" for _, _, moved in passes)}

    def _passes(self, view: View) -> Iterator[tuple[str, float, str]]:
        """Yield the passes that can be compared: key of the baseline, seconds, and what the comparison found, if any."""
        for task, life in view.lives.items() if not self.fault else ():
            if (last := life.last) is not None and last.outcome == "passed" and life.started is not None:
                key = baseline.key_of(task, life.started.body.browser, self.place)
                moved = life.comparison.result if life.comparison is not None else ""
                if not last.disturbed or moved in {"slower", "faster"}:
                    yield key, last.seconds, moved

    def keep(self, folder: Path, view: View, add: Add) -> None:
        """Add the measurements of a good run to windows that are not full; an event records it, `commit` writes it.

        The former durations are stored in the folder of the run first, so that `orchestra rollback` can restore them.

        Args:
            folder: the run's.
            view: of the run; a repeated measurement counts once, in any segment.
            add: records an event.

        Raises:
            MachineError: the disk refuses; the old durations stay.
        """
        if self.fault:
            return
        # Another pace, if confirmed, is for people to accept.
        found = {key: seconds for key, seconds, moved in self._passes(view) if moved not in {"slower", "faster"}}
        new = baseline.filled(self.samples, found, self.rule.window)
        if new == self.samples:
            return
        previous = baseline.digest_of(self.durations)
        if previous is not None:
            replace_file(folder / baseline.kept_name(previous), baseline.encode(baseline.plain(self.durations)))
        reason = f"{sum(new[key] != self.samples.get(key) for key in new)} of its tests passed in a good run"
        self.durations = {key: taken for key, taken in new.items() if taken != self.accepted.get(key)}
        add(BaselineChanged(digest=baseline.digest_of(self.durations), previous=previous, reason=reason, by_run=True))
        self.samples = new
        self._changed = True

    def commit(self, change: Transaction) -> None:
        """Put the durations among what a run changes when it has ended. Raises MachineError when the disk refuses."""
        if self._changed:
            change.write(baseline.DURATIONS, baseline.encode(baseline.plain(self.durations)))

    def _suspected(self, result: Result, browser: str) -> _Doubt | None:
        if result.outcome != "passed" or self.fault:
            return None
        key = baseline.key_of(result.task, browser, self.place)
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

    def _settle(self, doubt: _Doubt, test: Test, add: Add, *, confirmed: bool, reason: str) -> None:
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
                repeats=tuple(repeat.seconds for repeat in doubt.repeats),
                median_seconds=doubt.usual.median,
                mad_seconds=doubt.usual.mad,
                runs=doubt.usual.runs,
                limit_seconds=doubt.limits.slow if doubt.moved == "slower" else doubt.limits.fast,
                reason=reason,
            )
        )
