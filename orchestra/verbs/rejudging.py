"""Print the output of `orchestra audit --gates`."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestra import draw
from orchestra.ledger import plan_store
from orchestra.ledger.reading import read
from orchestra.ledger.runs import LEDGER
from orchestra.printing import unbroken
from orchestra.runtime.gates.rejudge import Number, Rejudged, rejudge
from orchestra.verbs.group import say


def print_gates(folder: Path) -> bool:
    """Print each gate of a run with its numbers as recorded and as the ledger gives them; whether all agree.

    Raises:
        LedgerError: the ledger is damaged.
        PlanError: the run keeps no plan.
    """
    found = list(rejudge(list(read(folder / LEDGER)), functools.partial(plan_store.load, folder)))
    rows = [row for one in found for row in _rows(one)]
    say(draw.terminal_table(("event", "gate", "result", "metric", "recorded", "again", ""), rows))
    wrong = [one for one in found if not one.same]
    for one in wrong:
        for line in _differs(one):
            say(unbroken(line))
    say(
        f"{len(found)} gates evaluated again: {f'{len(wrong)} differ' if wrong else 'every number and result is the same'}"
    )
    return not wrong


def _rows(one: Rejudged) -> Iterator[tuple[str, ...]]:
    event = str(one.seq) if one.seq else "-"
    if not one.numbers:
        yield event, one.gate, one.result or "-", "-", "-", "-", ""
    for place, number in enumerate(one.numbers):
        head = (event, one.gate, one.result) if not place else ("", "", "")
        yield (*head, number.metric, _value(number.recorded), *_again(number))


def _again(number: Number) -> tuple[str, str]:
    if number.measured:
        return "-", "measured then"
    return _value(number.again), "" if number.same else "DIFFERS"


def _value(value: Any) -> str:
    """Return a value of a metric: short enough for a table, exact enough to see that two differ."""
    if value is None:
        return "no value"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _differs(one: Rejudged) -> Iterator[str]:
    place = f"event {one.seq}: " if one.seq else ""
    if one.fault:
        yield f"{place}{one.gate}: {one.fault}"
    if one.result != one.result_again:
        results = f"is recorded as {one.result or 'nothing'}, and is {one.result_again} by the ledger"
        yield f"{place}{one.gate} {results}: {one.expression}"
    if one.message != one.message_again:
        yield f'{place}{one.gate} has the message "{one.message}", and by the ledger "{one.message_again}"'
