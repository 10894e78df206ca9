"""Render earlier runs as text: the trends of tests, and the flaky tests. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestra import draw
from orchestra.ledger import baseline
from orchestra.ledger.flaky import Flaky
from orchestra.ledger.outcome import GOOD
from orchestra.ledger.run_record import Execution, RunRecord
from orchestra.ledger.trend import changes, first_bad, slope, sparkline
from orchestra.plan import Baseline

SHOWN = 40
"""Runs that a sparkline shows, the latest."""

_LETTERS = {"passed": ".", "flaky": "f", "failed": "F", "timeout": "T", "error": "E"}
LEGEND = ". passed   f flaky   F failed   T timeout   E error   · not executed"

Pairs = Sequence[tuple[RunRecord, Execution]]


def executions_of(task: str, records: Sequence[RunRecord]) -> list[tuple[RunRecord, Execution]]:
    """Return the runs that executed a task, in order, with its executions."""
    return [(record, record.executions[task]) for record in records if task in record.executions]


def overview(tasks: Sequence[str], records: Sequence[RunRecord]) -> str:
    """Return a table with a row for each task: its runs, its share of good ones, its last verdicts, its durations, their slope.

    Args:
        tasks: those to show, in order.
        records: runs in the order of time.
    """
    heads = ("task", "runs", "good", "verdicts", "seconds", "median s", "slope s/run")
    rows = [row for task in tasks if (row := _row(task, records)) is not None]
    return f"{draw.terminal_table(heads, rows)}\n{LEGEND}" if rows else ""


def _row(task: str, records: Sequence[RunRecord]) -> tuple[str, ...] | None:
    pairs = executions_of(task, records)
    if not pairs:
        return None
    good = sum(one.verdict in GOOD for _, one in pairs)
    passing = _seconds(pairs)
    shown = [record.executions.get(task) for record in records[-SHOWN:]]
    return (
        task,
        str(len(pairs)),
        f"{100 * good / len(pairs):.0f} %",
        "".join("·" if one is None else _LETTERS.get(one.verdict, "?") for one in shown),
        sparkline([None if one is None else one.passing for one in shown]),
        f"{baseline.usual(passing).median:.3f}" if passing else "-",
        f"{slope(passing):+.4f}" if len(passing) > 1 else "-",
    )


def _seconds(pairs: Pairs) -> list[float]:
    return [one.passing for _, one in pairs if one.passing is not None]


def story(task: str, records: Sequence[RunRecord], samples: Mapping[str, tuple[float, ...]], rule: Baseline) -> str:
    """Return all that is known of one task: its level by browser and machine, changes, and since when it fails."""
    return "\n".join(_story(task, records, samples, rule))


def _story(
    task: str, records: Sequence[RunRecord], samples: Mapping[str, tuple[float, ...]], rule: Baseline
) -> Iterator[str]:
    pairs = executions_of(task, records)
    yield f"{draw.one_line(task)}  {len(pairs)} run{'s' * (len(pairs) != 1)}"
    by_key: dict[str, list[tuple[RunRecord, Execution]]] = {}
    for record, one in pairs:
        by_key.setdefault(baseline.key_of(task, one.browser, record.place), []).append((record, one))
    for key, some in by_key.items():
        yield from _level(key, some, samples.get(key, ()), rule)
    yield from _cases(pairs)
    bad = first_bad(task, records)
    if bad is not None:
        why = bad.first_bad.executions[task]
        good = f"last good run {bad.last_good.run}" if bad.last_good is not None else "it has never passed"
        yield f"  fails since  {bad.first_bad.run}: {why.verdict} {draw.one_line(why.message)}".rstrip()
        yield f"               {good}{f', commits {bad.commits()}' if bad.commits() else ''}"


def _cases(pairs: Pairs) -> Iterator[str]:
    """Yield the cases of a wrapped runner that did not pass each time, with their latest verdicts."""
    runs: dict[str, list[Execution | None]] = {}
    for number, (_, one) in enumerate(pairs):
        for name, inner in one.by_case:
            runs.setdefault(name, [None] * len(pairs))[number] = inner
    odd = {name: some for name, some in runs.items() if any(one and one.verdict != "passed" for one in some)}
    for name, some in odd.items():
        letters = "".join("·" if one is None else _LETTERS.get(one.verdict, "?") for one in some[-SHOWN:])
        yield f"  case         {letters}  {draw.one_line(name)}"


def _level(key: str, pairs: Pairs, taken: Sequence[float], rule: Baseline) -> Iterator[str]:
    yield f"  {draw.one_line(key.partition(' ')[2])}"
    passing = [(record, one.passing) for record, one in pairs if one.passing is not None]
    if not passing:
        yield "    no passing execution"
        return
    seconds = [taken for _, taken in passing]
    usual = baseline.usual(seconds)
    yield f"    seconds    {sparkline(seconds[-SHOWN:])}  median {usual.median:.3f} s, MAD {usual.mad:.3f} s over {usual.runs}"
    yield f"    slope      {slope(seconds):+.4f} s a run (Theil-Sen)"
    if taken:
        base = baseline.usual(taken[-rule.window :])
        limits = baseline.bounds(base, rule)
        above = (
            f", slower above {limits.slow:.3f} s" if limits is not None else f", compared after {rule.min_runs} runs"
        )
        yield f"    baseline   median {base.median:.3f} s, MAD {base.mad:.3f} s over {base.runs}{above}"
    for change in changes(seconds):
        record, _ = passing[change.at]
        commits = f", commits {before}..{record.commit[:12]}" if (before := _commit(passing, change.at)) else ""
        ratio = f" ({change.after / change.before:.2f} x)" if change.before > 0 else ""
        yield (
            f"    changed    at {record.run}: {change.before:.3f} s to {change.after:.3f} s{ratio}{commits}"
            f" (Pettitt, chance {change.chance:.2g})"
        )


def _commit(passing: Sequence[tuple[RunRecord, float]], at: int) -> str:
    """Return the commit before a change, where both are known and not the same."""
    before, after = passing[at - 1][0].commit, passing[at][0].commit
    return before[:12] if before and after and before != after else ""


def flaky_table(tests: Sequence[Flaky]) -> str:
    """Return the flaky tests, those with the greatest impact first."""
    heads = ("task", "rate", "95 % interval", "failed", "runs", "impact", "seconds lost", "last", "message")
    rows = [
        (
            test.task,
            f"{100 * test.rate:.1f} %",
            f"{100 * test.interval.low:.1f} to {100 * test.interval.high:.1f} %",
            f"{test.failed} of {test.attempts}",
            str(test.runs),
            f"{test.impact:.1f}",
            f"{test.seconds:.1f}",
            test.last,
            draw.clip(draw.one_line(test.message), 60),
        )
        for test in tests
    ]
    return draw.terminal_table(heads, rows)
