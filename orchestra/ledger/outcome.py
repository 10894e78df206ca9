"""Define the meaning of verdicts, for runs and reports. Pure.

Gates and reports speak of the same words and the same agreement, so each is defined here once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from orchestra.ledger.case import Case
from orchestra.ledger.event import Verdict
from orchestra.plan import Cause, Plan, SpeedClass

GOOD: Final[frozenset[Verdict]] = frozenset({"passed", "flaky", "unchanged"})
"""The product did what the spec expects."""

FINE: Final[frozenset[Verdict]] = GOOD | {"skipped"}
"""Verdicts that fail neither a run nor what needs the test."""

CAUSES: Final[Mapping[str, Cause | None]] = {
    "assertion": "failed",
    "command": "failed",
    "timeout": "timeout",
    "connection": "connection",
    "crash": "crash",
    "setup": None,
}
"""The cause, as `retries.on` names it, of each kind of failure. Mistakes in the spec (`setup`) have none."""

HELD_ATTEMPTS: Final = 1
"""The number of failures of a test during incidents that are held: repeated at no cost to its own retries."""

TIMEOUT_CLASS: Final = "timeout"
TIMEOUT_MARK: Final = "❌"

Item = TypeVar("Item")


def speed_classes(plan: Plan) -> Mapping[str, tuple[SpeedClass, ...]]:
    """Return the classes of duration by method: its own, else those of the suite."""
    return {method.id: method.speed or plan.speed for method in plan.methods}


def mark_of(name: str | None, classes: Sequence[SpeedClass]) -> str:
    """Return the mark of a speed class in tables; empty for a test that has none."""
    if name == TIMEOUT_CLASS:
        return TIMEOUT_MARK
    return next((one.mark for one in classes if one.name == name), "")


def with_cases(
    executed: Iterable[tuple[str, str, Verdict, Iterable[Case], Item]], item_of: Callable[[Item, Case], Item]
) -> Iterator[tuple[str, Verdict, Item]]:
    """Yield the tests that were executed, and the cases of wrapped runners that are compared with a test.

    Args:
        executed: method, test, verdict, cases and an item of each task.
        item_of: the item of a case from that of its task.
    """
    tasks = list(executed)
    known = {(method, test) for method, test, *_ in tasks}
    for method, test, verdict, cases, item in tasks:
        yield test, verdict, item
        for case in cases:
            if case.of and case.verdict != "skipped" and (method, case.of) not in known:
                known.add((method, case.of))
                yield case.of, case.verdict, item_of(item, case)


def compared(executed: Iterable[tuple[str, Verdict, Item]]) -> list[tuple[bool, tuple[Item, ...]]]:
    """Return the tests that ran by more than one method, in order: whether all methods agree (good or not), and their
    items.

    Args:
        executed: test, verdict and its key, of each task with at least one attempt.
    """
    found: dict[str, list[tuple[bool, Item]]] = {}
    for test, verdict, item in executed:
        found.setdefault(test, []).append((verdict in GOOD, item))
    return [
        (len({good for good, _ in pairs}) == 1, tuple(item for _, item in pairs))
        for pairs in found.values()
        if len(pairs) > 1
    ]
