"""`orchestra plan --forecast`: how long a run will take, why, and with how many workers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from orchestra.draw import duration, megabytes
from orchestra.errors import UsageError
from orchestra.ledger import baseline, history, plan_store, run_record
from orchestra.ledger.event import Expected
from orchestra.ledger.origin import machine_shape
from orchestra.ledger.view import look
from orchestra.plan import Plan
from orchestra.printing import unbroken
from orchestra.project import PLAN_FOLDER, Project
from orchestra.report.console.lines import expected_text
from orchestra.runtime import forecast
from orchestra.runtime.engine.slots import available_megabytes, room
from orchestra.runtime.forecast import Forecast, Known
from orchestra.runtime.hindsight import Hindsight, hindsight
from orchestra.runtime.run.provenance import this_machine
from orchestra.runtime.shorten import Saving, shortest
from orchestra.verbs.group import say, say_json

_SHOWN = 8


class Foreseen(NamedTuple):
    """A selection with its forecast.

    Attributes:
        place: the shape of this machine, and the profile.
        known: what the forecast rests on.
        slots: tests that run at once, by method.
        forecast: of the run.
        by_workers: seconds of the run by number of workers.
        savings: the changes that would shorten it most.
        available: megabytes of memory that are available now.
    """

    place: str
    known: Known
    slots: Mapping[str, int]
    forecast: Forecast
    by_workers: Mapping[int, float]
    savings: Sequence[Saving]
    available: float


def foreseen(project: Project, plan: Plan, tasks: Sequence[str], workers: int | None) -> Foreseen:
    """Return the forecast of tasks, what they need included, on this machine.

    Raises:
        MachineError: the file of durations is damaged or cannot be read.
    """
    home = project.root / PLAN_FOLDER / plan.suite
    place = baseline.place_of(machine_shape(this_machine()), plan.profile)
    known = forecast.known_of(plan, baseline.known(home), history.latest(home, forecast.EARLIER), place, room())
    load = known.load(tasks, workers)
    slots = forecast.slots_of(known, workers, load)
    found = forecast.forecast(known, tasks, slots, load)
    workers_seconds = forecast.by_workers(known, tasks, slots, found.beyond, load)
    savings = shortest(known, tasks, slots, found, load=load)
    return Foreseen(place, known, slots, found, workers_seconds, savings, available_megabytes())


def summary(foreseen: Foreseen) -> str:
    """Return the forecast in one line."""
    expected = foreseen.forecast
    text = f"{duration(expected.seconds)} expected"
    if expected.low is not None and expected.high is not None:
        text += f", {duration(expected.low)} to {duration(expected.high)} in nine of ten runs"
    return text


def memory(found: Foreseen) -> str:
    """Return the memory of tests at the peak and the available memory, in one line."""
    peak, one = found.forecast.peak, found.forecast
    if peak is None:
        return f"not known: no earlier run on {found.place} has measured one of these tests"
    if not peak.megabytes:
        return f"no test has had more than orchestra itself, of {megabytes(found.available)} available"
    at_once = f"{len(peak.tasks)} test{'s' * (len(peak.tasks) != 1)} at once"
    text = f"{megabytes(peak.megabytes)} at the peak, by {at_once}, of {megabytes(found.available)} available"
    return f"{text}; measured for {one.measured} of {one.tasks} tests"


def print_forecast(found: Foreseen) -> None:
    """Print the forecast, what it rests on, the tests that decide the end, and the time by number of workers."""
    for text in _lines(found):
        say(unbroken(text))


def _lines(foreseen: Foreseen) -> Iterator[str]:
    expected = foreseen.forecast
    yield f"time      {summary(foreseen)}"
    if expected.known:
        rest = f"{duration(expected.rest)} of it beyond the tests, as in {expected.runs} earlier run{'s' * (expected.runs != 1)}"
        yield f"rests on  {expected.known} of {expected.tasks} tests have a known duration on {foreseen.place}; {rest}"
    else:
        yield f"rests on  no duration is known on {foreseen.place}: a step counts as a second, and services take no time"
    yield f"workers   {', '.join(f'{name} {count}' for name, count in foreseen.slots.items())}"
    yield f"memory    {memory(foreseen)}"
    if expected.path:
        yield f"path      {duration(expected.path[-1].ended)}, each test began when the one before it ended:"
        skipped = expected.path[:-_SHOWN]
        if skipped:
            yield f"          {len(skipped)} tests before these, to {duration(skipped[-1].ended)}"
        for start in expected.path[-_SHOWN:]:
            why = f"waited for {start.why}" if start.why else ""
            yield f"          {start.task}  {duration(start.ended - start.begun)}  {why}".rstrip()
    waits = expected.waits()
    if waits:
        yield f"binds     {', '.join(f'{why} ({duration(seconds)})' for why, seconds in waits.items())}"
    if len(foreseen.by_workers) > 1:
        knee = forecast.knee(foreseen.by_workers)
        times = (
            f"{count}: {duration(seconds)}{' (knee)' if count == knee else ''}"
            for count, seconds in foreseen.by_workers.items()
            if count <= max(2 * knee, *foreseen.slots.values())
        )
        yield f"by number of workers  {'  '.join(times)}"
    for saving in foreseen.savings:
        yield f"shorter   by {duration(saving.seconds)}: {saving.change.text}"


def print_forecast_json(plan: Plan, foreseen: Foreseen) -> None:
    """Print the forecast as JSON."""
    expected = foreseen.forecast
    fields: dict[str, Any] = {
        "suite": plan.suite,
        "plan_digest": plan.digest(),
        "place": foreseen.place,
        "seconds": round(expected.seconds, 6),
        "low": None if expected.low is None else round(expected.low, 6),
        "high": None if expected.high is None else round(expected.high, 6),
        "rest_seconds": round(expected.rest, 6),
        "known": expected.known,
        "tests": expected.tasks,
        "runs": expected.runs,
        "workers": dict(foreseen.slots),
        "path": [
            {"task": start.task, "begun": round(start.begun, 6), "ended": round(start.ended, 6), "why": start.why}
            for start in expected.path
        ],
        "memory": None
        if expected.peak is None
        else {
            "megabytes": round(expected.peak.megabytes, 1),
            "tasks": list(expected.peak.tasks),
            "available_megabytes": round(foreseen.available, 1),
            "measured": expected.measured,
        },
        "waits": {why: round(seconds, 6) for why, seconds in expected.waits().items()},
        "by_workers": {str(count): round(seconds, 6) for count, seconds in foreseen.by_workers.items()},
        "knee": forecast.knee(foreseen.by_workers),
        "shorter": _savings(foreseen.savings),
    }
    say_json(json.dumps(fields, ensure_ascii=False, indent=1))


def look_back(project: Project, folder: Path) -> tuple[str, Expected | None, Hindsight]:
    """Return the id of a run, the forecast that it recorded, and the run looked back at.

    Args:
        project: the project.
        folder: of the run.

    Raises:
        MachineError: its record or the history cannot be read.
        UsageError: it has no end, or executed no test.
    """
    home, view = folder.parent.parent, look(folder, steps=False)
    record = run_record.record_of(view)
    if record is None or not record.finished or not record.executions:
        raise UsageError(
            f"run {folder.name} has no end, is a shard, or executed no test", "name a run that ran tests to its end"
        )
    if record.shards:
        raise UsageError(
            f"run {folder.name} was merged from shards, which no forecast of one machine is about",
            "name a run that no shards were merged into",
        )
    plan = plan_store.latest(project.root, folder)
    before = history.before(home, record.run, forecast.EARLIER)
    expected = view.start.expected if view.start is not None else None
    return record.run, expected, hindsight(plan, before, record, room())


def print_hindsight(run: str, expected: Expected | None, found: Hindsight) -> None:
    """Print what was expected of a run and what it took, in all and by test, and the changes that would have shortened it."""
    for text in _looked_back(run, expected, found):
        say(unbroken(text))


def _looked_back(run: str, expected: Expected | None, found: Hindsight) -> Iterator[str]:
    before = expected_text(expected) or "no duration was known before"
    yield f"run       {run}  took {duration(found.seconds)}, {before}"
    beyond = found.seconds - found.simulated
    rest = (
        f"{duration(beyond)} beyond them"
        if beyond >= 0
        else "more than it took: it ran more tests at once, or in another order"
    )
    yield f"tests     {duration(found.simulated)} simulated with the durations that they had, {rest}"
    yield f"rests on  {found.known} of {len(found.tests)} tests had a known duration before; those furthest off come first:"
    for test in found.tests[:_SHOWN]:
        yield f"          {test.task}  took {duration(test.took)}, expected {duration(test.expected)}"
    if left := found.tests[_SHOWN:]:
        off = max(abs(test.took - test.expected) for test in left)
        yield f"          {len(left)} more, off by {duration(off)} at most"
    for saving in found.savings:
        yield f"shorter   by {duration(saving.seconds)}: {saving.change.text}"


def print_hindsight_json(run: str, expected: Expected | None, found: Hindsight) -> None:
    """Print it as JSON."""
    shown: dict[str, Any] = {
        "run": run,
        "seconds": round(found.seconds, 6),
        "expected_seconds": None if expected is None else round(expected.seconds, 6),
        "low": None if expected is None else round(expected.low, 6),
        "high": None if expected is None else round(expected.high, 6),
        "simulated_seconds": round(found.simulated, 6),
        "known": found.known,
        "tests": [
            {"task": test.task, "expected_seconds": round(test.expected, 6), "seconds": round(test.took, 6)}
            for test in found.tests
        ],
        "shorter": _savings(found.savings),
    }
    say_json(json.dumps(shown, ensure_ascii=False, indent=1))


def _savings(savings: Sequence[Saving]) -> list[dict[str, Any]]:
    return [
        {
            "kind": saving.change.kind,
            "subject": saving.change.subject,
            "seconds": round(saving.seconds, 6),
            "text": saving.change.text,
        }
        for saving in savings
    ]
