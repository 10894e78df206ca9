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
    gates = list(rejudge(list(read(folder / LEDGER)), functools.partial(plan_store.load, folder)))
    rows = [row for gate in gates for row in _rows(gate)]
    say(draw.terminal_table(("event", "gate", "result", "metric", "recorded", "again", ""), rows))
    wrong = [gate for gate in gates if not gate.same]
    for gate in wrong:
        for line in _differs(gate):
            say(unbroken(line))
    say(
        f"{len(gates)} gates evaluated again: {f'{len(wrong)} differ' if wrong else 'every number and result is the same'}"
    )
    return not wrong


def _rows(gate: Rejudged) -> Iterator[tuple[str, ...]]:
    event = str(gate.seq) if gate.seq else "-"
    if not gate.numbers:
        yield event, gate.gate, gate.result or "-", "-", "-", "-", ""
    for place, number in enumerate(gate.numbers):
        head = (event, gate.gate, gate.result) if not place else ("", "", "")
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


def _differs(gate: Rejudged) -> Iterator[str]:
    place = f"event {gate.seq}: " if gate.seq else ""
    if gate.fault:
        yield f"{place}{gate.gate}: {gate.fault}"
    if gate.result != gate.result_again:
        results = f"is recorded as {gate.result or 'nothing'}, and is {gate.result_again} by the ledger"
        yield f"{place}{gate.gate} {results}: {gate.expression}"
    if gate.message != gate.message_again:
        yield f'{place}{gate.gate} has the message "{gate.message}", and by the ledger "{gate.message_again}"'
