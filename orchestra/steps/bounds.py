"""Expectations whose bounds, or whose list, every page meets or none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from orchestra.steps.conditions import conditions
from orchestra.steps.step import Step
from orchestra.steps.vacuous import Where

HINT = "correct the expectation, or remove it"


class Certain(NamedTuple):
    """An expectation whose result is known before the page is.

    Attributes:
        where: its path below the verb.
        holds: the result: whether it always holds, or never.
        reason: what is wrong with it, for a message.
    """

    where: Where
    holds: bool
    reason: str

    @property
    def message(self) -> str:
        """Return it as the message of a diagnostic."""
        return f"{self.reason}: it can never {'fail' if self.holds else 'hold'}"


def certain(step: Step) -> Iterator[Certain]:
    """Yield each expectation of an `expect` that always or never holds, whatever the page shows."""
    alone = step.target is not None and step.target.nth is not None
    for key in ("to", "all", "any"):
        for name, wanted, negated in conditions(step.args.get(key, {})):
            where = (key, *(("not",) if negated else ()), name)
            fault = _fault(name, wanted, alone=alone and key == "to")
            if fault is not None:
                holds, reason = fault
                yield Certain(where, holds != negated, f'"{name}" {reason}')


def _fault(name: str, wanted: Any, *, alone: bool) -> tuple[bool, str] | None:
    """Return whether a condition always or never holds, and why; None where that depends on the page."""
    if name == "have_count":
        return _of_count({"between": [wanted, wanted]} if isinstance(wanted, int) else wanted, alone=alone)
    if name == "have_number" and _numeric(wanted) and _no_number(wanted):
        return False, "has bounds that no number meets"
    several = isinstance(wanted, list) and len(wanted) > 1 and name != "have_values"
    if alone and several:
        return False, f'is a list of {len(wanted)}, and "nth" leaves one element'
    return None


def _of_count(wanted: Any, *, alone: bool) -> tuple[bool, str] | None:
    if not isinstance(wanted, dict) or not _numeric(wanted):
        return None
    low, high = wanted.get("between", (0, math.inf))
    low, high = max(low, wanted.get("at_least", 0)), min(high, wanted.get("at_most", math.inf))
    if low > high:
        return False, "has bounds that no count meets"
    if alone and low > 1:
        return False, f'is {low} or more, and "nth" leaves one element'
    return (True, "has bounds that every count meets") if low <= 0 and high == math.inf else None


def _no_number(wanted: Mapping[str, Any]) -> bool:
    low, high = wanted.get("between", (-math.inf, math.inf))
    above, below = wanted.get("above", -math.inf), wanted.get("below", math.inf)
    return bool(low > high or above >= below or above >= high or below <= low)


def _numeric(wanted: Mapping[str, Any]) -> bool:
    """Return True if all bounds are numbers; a name may stand for something else, which another rule refuses."""
    bounds = [wanted[key] for key in ("at_least", "at_most", "above", "below") if key in wanted]
    bounds += wanted.get("between", ())
    return all(type(bound) in (int, float) for bound in bounds)
