"""Attempts under way that an outage has overtaken: which of them are ended before their time, and whose result is void.

An attempt knows the addresses of its servers from its beginning. When one of them moves (another port, its backup, `up` that
died), whatever the attempt shows is about a server that is no longer the suite's. When one was started again where it was,
what the attempt had asked of it is lost: a page or a program may come back by itself, and has as long for that as the test
usually takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from orchestra.instances import Worker, component_of
from orchestra.plan import Test
from orchestra.runtime.attempt import AttemptFailure, Result
from orchestra.runtime.servers.row import Row

GRACE_SECONDS = 10.0
"""The least time that an attempt has to end by itself, once its servers are healthy again."""

UNKNOWN_SECONDS = 30.0
"""The same for a test without earlier durations."""


@dataclass(slots=True)
class _Attempt:
    """An attempt under way.

    Attributes:
        began: how often each component that it requires had been started when it began.
        used: the names that it was given, of the components that it asks itself.
        grace: seconds that it has once its servers are well again.
        worker: whose instances it uses, a number or a node; 0 for none.
        well_at: since when they are, after one of them was started again; None for not.
        why: why it is being ended; empty for it is not.
    """

    began: Mapping[str, int]
    used: Mapping[str, str]
    grace: float
    worker: Worker
    well_at: float | None = None
    why: str = ""


def used(test: Test, required: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return the names that a test uses: addresses of the components that it requires itself, and what its text names."""
    text = msgspec.json.encode(test)
    found = {name: value for name, value in names.items() if b"${%s}" % name.encode() in text}
    asked = {
        name for name in map(component_of, required) if name in test.requires or b'"base":"%s"' % name.encode() in text
    }
    parts = ((name, *name.split(".", 1)) for name in names)
    return found | {name: names[name] for name, head, part in parts if head in asked and part in _ADDRESS}


_ADDRESS = frozenset({"url", "host", "port"})


class Overtaken:
    """The attempts that require components. One thread owns it.

    Args:
        row: what is known of a component now.
        names: the names that are bound now, for one that uses the instances of a worker.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        row: Callable[[str], Row],
        names: Callable[[Worker], Mapping[str, str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._row = row
        self._names = names
        self._clock = clock
        self._attempts: dict[str, _Attempt] = {}

    def began(
        self, task: str, test: Test, required: Sequence[str], seconds: float | None, *, worker: Worker = 0
    ) -> None:
        """Take an attempt in, at its start.

        Args:
            task: `cli:B004`.
            test: its test.
            required: the components that the test requires, with all that these need.
            seconds: how long the test usually takes, as far as it is known.
            worker: whose instances are among them; 0 for none.
        """
        if required:
            grace = UNKNOWN_SECONDS if seconds is None else max(GRACE_SECONDS, seconds)
            starts = {name: self._row(name).attempts for name in required}
            self._attempts[task] = _Attempt(starts, used(test, required, self._names(worker)), grace, worker)

    def overdue(self) -> Iterator[str]:
        """Yield the tasks whose attempts are to be ended now, each once."""
        for task, attempt in self._attempts.items():
            if not attempt.why and (why := self._why(attempt)):
                attempt.why = why
                yield task

    def wait_seconds(self) -> float | None:
        """Return how long it takes at most until an attempt is overdue; None while nothing runs out."""
        ends = [
            attempt.well_at + attempt.grace
            for attempt in self._attempts.values()
            if attempt.well_at is not None and not attempt.why
        ]
        return max(0.0, min(ends) - self._clock()) if ends else None

    def _why(self, attempt: _Attempt) -> str:
        rows = {name: self._row(name) for name in attempt.began}
        if lost := next((row for row in rows.values() if row.state == "failed"), None):
            return f"{lost.id}, which it requires, {lost.reason}"
        if moved := self._moved(attempt):
            return moved
        again = [name for name, row in rows.items() if row.attempts != attempt.began[name]]
        if not again or any(row.state != "healthy" for row in rows.values()):
            attempt.well_at = None
            return ""
        attempt.well_at = attempt.well_at or self._clock()
        if self._clock() < attempt.well_at + attempt.grace:
            return ""
        listed, verb = " and ".join(again), "was" if len(again) == 1 else "were"
        return f"{listed} {verb} started again under it, and {attempt.grace:.0f} s later it had not ended"

    def _moved(self, attempt: _Attempt) -> str:
        """Return the change of the address of a server during an attempt; empty if none changed."""
        now = self._names(attempt.worker)
        for name, value in attempt.used.items():
            if now.get(name, value) != value:
                return f"{name.partition('.')[0]} moved while it ran: ${{{name}}} was {value} and is {now[name]}"
        return ""

    def ended(self, result: Result) -> Result:
        """Return the result of an attempt that has ended; a void one becomes an error with the reason."""
        attempt = self._attempts.pop(result.task, None)
        if attempt is None:
            return result
        why = self._moved(attempt)
        if not why and result.outcome != "passed":
            why = attempt.why
        if not why:
            return result
        outcome = "it had passed" if result.outcome == "passed" else "it was ended"
        failure = AttemptFailure("connection", f"{why}; {outcome}, and its result does not count")
        return msgspec.structs.replace(result, outcome="error", failure=failure)
