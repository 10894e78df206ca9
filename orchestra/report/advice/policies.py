"""Compare the declared retry and recovery policies with those that earlier failures suggest. Pure.

Nothing here changes a verdict, a retry or a recovery policy: people do, in the spec.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from orchestra import draw
from orchestra.ledger.failure_odds import ENOUGH, Odds, Policy, suggested
from orchestra.plan import Plan
from orchestra.report.advice import recovery_steps
from orchestra.report.advice.recovery_steps import Record

Records = Mapping[tuple[str, str], Record]


def policies(plan: Plan, odds: Sequence[Odds], records: Records) -> str:
    """Return the table of failure classes, then the declared and the suggested policies.

    Args:
        plan: with the declared retries and recovery policies.
        odds: of the classes of failure.
        records: the results of recovery steps, from `recovery_steps.collect`.
    """
    return "\n".join(_lines(plan, odds, records))


def _lines(plan: Plan, odds: Sequence[Odds], records: Records) -> Iterator[str]:
    if odds:
        heads = (
            "failure",
            "cause",
            "transient",
            "permanent",
            "unknown",
            "chance of a retry",
            "odds",
            "retries in vain",
        )
        yield draw.terminal_table(heads, [_row(one) for one in odds])
        yield "chance: (transient + 1) / (transient + permanent + 2), Laplace's rule of succession"
    else:
        yield "no failure is on record"
    yield from _retries(plan, suggested(odds))
    for record in sorted(records.values(), key=lambda record: (record.component, record.step)):
        chance = (record.worked + 1) / (record.tries + 2)
        yield draw.one_line(
            f"step {record.component} {record.step}: {record.worked} of {record.tries} succeeded, "
            f"chance {chance:.2f}, {record.median:.1f} s in the median"
        )
    for row in plan.components:
        if row.recover and any(component == row.id for component, _ in records):
            declared = ", ".join(step.kind for step in row.recover)
            order = recovery_steps.suggestion(row, records)
            advice = f"suggested: recover: [{', '.join(order)}]" if order else "nothing else is suggested"
            yield f"recovery {row.id}: declared [{declared}]; {advice}"


def _row(odds: Odds) -> tuple[str, ...]:
    return (
        draw.one_line(odds.kind),
        odds.cause or "-",
        str(odds.transient),
        str(odds.permanent),
        str(odds.unknown),
        f"{odds.chance:.2f}",
        f"{odds.odds:.2f}",
        f"{odds.lost:.1f} s" if odds.lost else "-",
    )


def _retries(plan: Plan, policy: Policy | None) -> Iterator[str]:
    counted = Counter((test.retries.max, test.retries.on if test.retries.max else ()) for test in plan.tests)
    for (most, on), number in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        yield f"declared for {number} test{'s' * (number != 1)}: {_policy(Policy(on, most))}"
    if policy is None:
        yield f"suggested: nothing yet: no cause has {ENOUGH} classified failures"
    else:
        yield f"suggested: {_policy(policy)}"


def _policy(policy: Policy) -> str:
    return f"retries: {{max: {policy.max}, on: [{', '.join(policy.on)}]}}" if policy.max else "retries: {max: 0}"
