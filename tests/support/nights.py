"""Cases of one property: a few for each day, and all of them at night."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def at_night(*values: Any, **more: Any) -> Any:
    """Return the parameters of a case that only `make test-all` tries."""
    return pytest.param(*values, marks=pytest.mark.nightly, **more)


def in_one(cases: Iterable[str], *day: str) -> list[Any]:
    """Return tuples of names as parameters, each for one attempt: those of the day, and at night all.

    Raises:
        ValueError: `day` names what is no case.
    """
    by_day(names := list(cases), *day)
    return [pytest.param(day, id="day"), at_night(tuple(names), id="all")]


def by_day(cases: Iterable[str], *day: str) -> list[Any]:
    """Return the names of cases as parameters; those that `day` does not name are tried at night only.

    Raises:
        ValueError: `day` names what is no case.
    """
    names = list(cases)
    if unknown := set(day) - set(names):
        raise ValueError(f"no such case: {', '.join(sorted(unknown))}; cases: {', '.join(names)}")
    return [name if name in day else at_night(name) for name in names]
