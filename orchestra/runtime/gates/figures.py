"""The values of the metrics, from the view of a run. Pure.

A run adds those that only it can observe (`Metric.measured`), and `regressions`, for which it knows the baselines.
"""

from __future__ import annotations

import functools
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from orchestra.gates.expression import holes, names_in
from orchestra.instances import worker_of, worst
from orchestra.ledger.case import BAD, Case
from orchestra.ledger.event import VERDICTS, VerdictGiven
from orchestra.ledger.outcome import GOOD, compared, speed_classes, with_cases
from orchestra.ledger.view import View
from orchestra.plan import Gate, Plan
from orchestra.runtime.attempts.page_figures import page_figures
from orchestra.runtime.attempts.verdict import speed_class


class HealthRow(Protocol):
    """The state of a row of the health matrix, for gates."""

    @property
    def state(self) -> str:
        """`healthy`, `starting` or another state."""

    @property
    def required(self) -> bool:
        """Return True if the run needs the row."""


def figures(plan: Plan, view: View, rows: Mapping[str, HealthRow]) -> dict[str, Any]:
    """Return the metrics that the record of a run gives a value, from all that happened so far.

    Args:
        plan: the suite.
        view: of the run.
        rows: the health matrix.
    """
    done = view.verdicts.values()
    values: dict[str, Any] = dict.fromkeys(VERDICTS, 0)
    for verdict in done:
        values[verdict.verdict] += not verdict.excused
    values["excused"] = sum(bool(verdict.excused) for verdict in done)
    ran = [verdict for verdict in done if verdict.attempts]
    values |= _case_figures(done)
    values["total"] = len(view.selection)
    values["executed"] = len(ran)
    values["retries"] = sum(verdict.attempts - 1 - view.lives[verdict.task].held for verdict in ran)
    values["mocked"] = sum(verdict.verdict in GOOD and _mocked(view, verdict) for verdict in ran)
    values["skipped_silently"] = sum(
        (last := view.verdicts.get(task)) is None or (last.verdict == "skipped" and not last.reason)
        for task in view.selection
    )
    values["servers_down"] = sum(row.required and row.state == "failed" for row in rows.values())
    values |= {f"health.{name}": state for name, state in worst({key: row.state for key, row in rows.items()}).items()}
    values |= outage_figures(view)
    classes = speed_classes(plan)
    paces = Counter(speed_class(verdict.seconds, verdict.verdict, classes.get(verdict.method, ())) for verdict in ran)
    values |= {
        f"class.{name}": paces[name] for name in sorted({pace.name for group in classes.values() for pace in group})
    }
    values |= _seconds(plan, ran)
    planned = sum(len(test.methods) for test in plan.tests)
    if planned:
        values["coverage"] = (len(ran) + sum(verdict.verdict == "unchanged" for verdict in done)) / planned
    for name, verdicts in (("", done), *((f"method.{method.id}.", _by(done, method.id)) for method in plan.methods)):
        counted = [verdict for verdict in verdicts if verdict.verdict != "skipped" and not verdict.excused]
        good = sum(verdict.verdict in GOOD for verdict in counted)
        if name:
            values[f"{name}failed"] = sum(verdict.verdict == "failed" for verdict in counted)
        if counted:
            values[f"{name}pass_rate"] = good / len(counted)
    passed = [verdict for verdict in done if verdict.verdict in GOOD]
    if passed:
        values["flaky_rate"] = sum(verdict.verdict == "flaky" for verdict in passed) / len(passed)
    if view.start is not None and (burn_in := view.start.burn_in):
        bad = {verdict.task for verdict in ran if verdict.verdict not in GOOD}
        burned = sum(executions.good == executions.executed and task not in bad for task, executions in burn_in.items())
        values["burned_in"] = burned / len(burn_in)
    return {**values, **_agreement(view, ran), **page_figures(plan, view)}


def _agreement(view: View, ran: Sequence[VerdictGiven]) -> dict[str, float]:
    """Return the part of the tests that all of their methods agree on; of none that has several no value."""
    if len({verdict.method for verdict in ran}) < 2 and not any(verdict.cases for verdict in ran):
        return {}
    executed = ((verdict.method, verdict.test, verdict.verdict, _cases(view, verdict), None) for verdict in ran)
    pairs = compared(with_cases(executed, lambda item, _: item))
    return {"agreement": sum(agree for agree, _ in pairs) / len(pairs)} if pairs else {}


def _mocked(view: View, given: VerdictGiven) -> bool:
    """Return whether a mock answered a request in the attempt that decided a verdict."""
    last = view.lives[given.task].last
    return last is not None and "mocks" in last.facts and any(last.facts["mocks"].values())


def _cases(view: View, given: VerdictGiven) -> Sequence[Case]:
    """Return the cases of a task; to look for them costs nothing where its verdict has none."""
    last = view.lives[given.task].last if given.cases else None
    return last.cases if last is not None else ()


def _case_figures(done: Iterable[VerdictGiven]) -> dict[str, int]:
    """Return the metrics of the cases of wrapped runners."""
    counts: Counter[str] = Counter()
    for given in done:
        if given.cases:
            counts.update(given.cases)
    bad = sum(counts[verdict] for verdict in BAD)
    return {"cases": counts.total(), "cases_failed": bad, "cases_skipped": counts["skipped"]}


def outage_figures(view: View) -> dict[str, int]:
    """Return the metrics of incidents and recovery, over all segments of the run."""
    lives = (*view.lives.values(), *(life for some in view.earlier_lives.values() for life in some))
    actions = [seen.body for seen in view.health.changes if seen.body.action]
    # A part of a browser session has no recovery of its own, only the incident at its end.
    parts = [
        outage.closed.body
        for outage in view.health.outages
        if outage.closed is not None and _is_part(outage.closed.body.component)
    ]
    return {
        "incidents": sum(view.health.numbers.values()),
        "infra_suspect": sum(life.suspects for life in lives),
        "recoveries": sum(change.action != "fail_back" for change in actions)
        + sum(len(part.recovery_steps) for part in parts),
        "degraded": len({change.component for change in actions if change.action == "failover"}),
    }


def _is_part(row: str) -> bool:
    """Return whether a row is a part of a browser session: `cli.browser`, and in a merged run `cli.browser@2`."""
    return "." in row and not worker_of(row.partition("@")[0])


def _seconds(plan: Plan, ran: Sequence[VerdictGiven]) -> dict[str, float]:
    """Percentiles of the executed tests: of all, and of the methods, groups and tests that a gate asks for; of none no value."""
    taken = {"": [verdict.seconds for verdict in ran]}
    wanted_names = _asked(plan.gates)
    groups = {test.id: test.groups for test in plan.tests} if wanted_names else {}
    for verdict in ran if wanted_names else ():
        around = (f"group.{name}." for name in groups.get(verdict.test, ()))
        for name in (f"method.{verdict.method}.", *around, f"test.{verdict.test}."):
            if name in wanted_names:
                taken.setdefault(name, []).append(verdict.seconds)
    values: dict[str, float] = {}
    for name, seconds in taken.items():
        if name.startswith("test."):
            values[f"{name}seconds_max"] = max(seconds)
        elif seconds:
            seconds.sort()
            values[f"{name}seconds_p50"] = statistics.median(seconds)
            values[f"{name}seconds_p95"] = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
    if taken[""]:
        values["seconds_max"] = taken[""][-1]
    return values


@functools.lru_cache(maxsize=1)
def _asked(gates: tuple[Gate, ...]) -> frozenset[str]:
    """Return the methods, groups and tests whose pace a gate reads or shows, as `group.basics.`: each costs a pass over
    all tests.
    """
    read = {name for gate in gates for name in (*names_in(gate.require), *(hole for _, hole in holes(gate.message)))}
    parts = [name.rpartition(".") for name in read]
    return frozenset(f"{head}." for head, _, last in parts if head and last.startswith("seconds_"))


def _by(done: Iterable[VerdictGiven], method: str) -> list[VerdictGiven]:
    return [given for given in done if given.method == method]
