"""Load the report of a run, ended or under way: its record, earlier runs, advice, and the contents of its evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from orchestra.errors import MachineError
from orchestra.ledger import baseline, history
from orchestra.ledger.reading import read
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.view import View
from orchestra.plan import Plan
from orchestra.report.advice.quicker import Known, advise
from orchestra.report.advice.waits import Waits
from orchestra.report.compare.comparison import Comparison, with_baselines
from orchestra.report.compare.sides import place_of
from orchestra.report.evidence_text import contents
from orchestra.report.fold import report
from orchestra.report.rows import Report
from orchestra.yamltext.places import Places

ADVISED_RUNS = 30
"""The earlier runs that advice looks at."""


def report_of(root: Path, plan: Plan, folder: Path, *, embed: bool = False) -> Report:
    """Return the report of a run from its ledger, with its pictures if it is to `embed` them. Raises as `write`."""
    view, waits = View(steps=len(plan.methods) > 1), Waits(plan.tests)
    for event in read(folder / LEDGER):
        view.see(event)
        waits.see(event)
    return ended(root, folder, plan, view, waits, embed=embed)


def under_way(root: Path, folder: Path, plan: Plan, view: View, before: Report | None = None) -> Report:
    """Return the report of a run so far: with earlier runs and its evidence, without advice.

    Args:
        root: the project root.
        folder: the run's.
        plan: that it executes.
        view: of its record up to now.
        before: its report a while ago, whose earlier runs are the same, and the contents until another attempt fails.
    """
    facts = report(plan, view, _places(root, plan))
    if before is None:
        earlier = tuple(history.before(folder.parent.parent, folder.name, ADVISED_RUNS))
        return dataclasses.replace(facts, earlier=earlier, contents=contents(root, folder, plan, facts))
    same = _failures(before) == _failures(facts)
    held = before.contents if same else contents(root, folder, plan, facts)
    return dataclasses.replace(facts, earlier=before.earlier, contents=held)


def _failures(report: Report) -> list[int]:
    return [len(row.failures) for row in report.rows]


def _places(root: Path, plan: Plan) -> Callable[[str], str]:
    places = Places(root, plan.sources)
    return lambda pointer: places.text((pointer,))


def ended(root: Path, folder: Path, plan: Plan, view: View, waits: Waits, *, embed: bool = False) -> Report:
    """Return the report of a run, with the advice from this run and earlier ones, and the contents of its evidence."""
    where = _places(root, plan)
    facts, place = report(plan, view, where), place_of(view)
    earlier = history.before(folder.parent.parent, folder.name, ADVISED_RUNS)
    here = tuple(record for record in earlier if record.place == place)
    asked = view.start.workers if view.start is not None else 0
    placed = [dataclasses.replace(wait, place=where(wait.place) or wait.place) for wait in waits.expired()]
    advice = advise(Known(plan, facts, here, asked, placed))
    return dataclasses.replace(
        facts,
        advice=advice,
        comparisons=_usual(plan, facts, folder, place),
        earlier=tuple(earlier),
        contents=contents(root, folder, plan, facts, embed=embed),
    )


def _usual(plan: Plan, report: Report, folder: Path, place: str) -> tuple[Comparison, ...]:
    """Return the comparisons of methods with the baselines of both; without them if the file is damaged, which the run
    has reported.
    """
    if not report.comparisons:
        return ()
    try:
        samples = baseline.known(folder.parent.parent)
    except MachineError:
        return report.comparisons
    return tuple(with_baselines(comparison, samples, place, plan.baseline) for comparison in report.comparisons)


def relative(path: Path, root: Path) -> str:
    """Return the path relative to the root when it lies inside, for people and for CI."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
