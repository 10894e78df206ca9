"""The actions of a recovery in words, counted: what failed, and what brought the component back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_WORDS = {
    "retry": ("retry", "retries"),
    "restart": ("restart", "restarts"),
    "run": ("repair", "repairs"),
    "port": ("move to another port", "moves to another port"),
    "failover": ("failover", "failovers"),
}


def recovered(rungs: Sequence[str]) -> str:
    """Return how a component came back, by the actions that were taken in order: the last one did it.

    `by restart`, `by the 3rd retry`, `after 5 retries and 1 repair, by restart`; empty for no action.
    """
    if not rungs:
        return ""
    *failed, last = rungs
    number = 1
    while failed and failed[-1] == last:
        failed.pop()
        number += 1
    name = _WORDS.get(last, (last, ""))[0]
    by = f"by {name}" if number == 1 else f"by the {_ordinal(number)} {name}"
    return f"after {counted(failed)}, {by}" if failed else by


def counted(rungs: Sequence[str]) -> str:
    """Return how often each kind of action was taken, in the order of their first: `5 retries and 1 restart`."""
    parts = []
    for kind, count in Counter(rungs).items():
        one, many = _WORDS.get(kind, (kind, f"{kind}s"))
        parts.append(f"{count} {one if count == 1 else many}")
    return " and ".join(parts)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
