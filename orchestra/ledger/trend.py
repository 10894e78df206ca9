"""Analyse a test over its runs: slope, change points, first bad run. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from orchestra.ledger.outcome import GOOD
from orchestra.ledger.run_record import RunRecord

LEAST: Final = 5
"""The minimum of runs on each side of a change."""

CHANCE: Final = 0.01
"""A change is one when chance would make such a picture in fewer than this share of cases."""

MOST_SLOPE: Final = 200
"""Durations that a slope looks at, the latest: it looks at each pair."""

_BARS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None]) -> str:
    """One bar a value, from the least to the greatest; a dot where there is none."""
    there = [value for value in values if value is not None]
    if not there:
        return "·" * len(values)
    low, span = min(there), max(there) - min(there)
    return "".join(
        "·" if value is None else _BARS[min(7, int(8 * (value - low) / span)) if span else 3] for value in values
    )


def slope(seconds: Sequence[float]) -> float:
    """Seconds a run by which durations grow: the median of the slopes of all pairs (Theil 1950, Sen 1968).

    A fifth of outliers does not move it. 0.0 for fewer than two durations.
    """
    taken = seconds[-MOST_SLOPE:]
    pairs = [
        (later - earlier) / (second - first)
        for first, earlier in enumerate(taken)
        for second, later in enumerate(taken[first + 1 :], first + 1)
    ]
    return statistics.median(pairs) if pairs else 0.0


class Change(NamedTuple):
    """A change of level: the first value of the new one, the medians before and after in seconds, and the chance."""

    at: int
    before: float
    after: float
    chance: float


def changes(seconds: Sequence[float]) -> tuple[Change, ...]:
    """Return the changes of the level of durations, in order.

    The test is Pettitt's (1979): it takes the ranks only, so that neither the form of the noise nor an outlier matters.
    Its chance of a false change is about 2 exp(-6 K^2 / (n^3 + n^2)). It is asked about intervals of many lengths
    (seeded binary segmentation, Kovacs and others 2023), so that a level which came and went is seen, too; the chance
    is multiplied by their number (Bonferroni). The surest change splits the runs, and each part is searched again.
    """
    points = sorted(_points(seconds, 0))
    edges = [0, *(at for at, _ in points), len(seconds)]
    return tuple(
        Change(
            at,
            statistics.median(seconds[edges[number] : at]),
            statistics.median(seconds[at : edges[number + 2]]),
            chance,
        )
        for number, (at, chance) in enumerate(points)
    )


def _points(seconds: Sequence[float], start: int) -> list[tuple[int, float]]:
    parts = list(_intervals(len(seconds)))
    if not parts:
        return []
    chance, at = min(_pettitt(seconds[low:high], low) for low, high in parts)
    chance *= len(parts)
    # An interval ends anywhere: what its change splits the runs into must be long enough, too.
    if chance >= CHANCE or not LEAST <= at <= len(seconds) - LEAST:
        return []
    return [(start + at, chance), *_points(seconds[:at], start), *_points(seconds[at:], start + at)]


def _intervals(number: int) -> Iterator[tuple[int, int]]:
    """Intervals that get shorter by sqrt(2) and overlap by half or more, none shorter than two sides."""
    length, layer = float(number), 0
    while length >= 2 * LEAST:
        count = 2 * math.ceil(2 ** (layer / 2)) - 1
        for index in range(count):
            low = round(index * (number - length) / (count - 1)) if count > 1 else 0
            yield low, min(number, low + math.ceil(length))
        length, layer = length / math.sqrt(2), layer + 1


def _pettitt(seconds: Sequence[float], start: int) -> tuple[float, int]:
    """Return the chance of the surest change in an interval, and where it is."""
    number = len(seconds)
    ranks = _ranks(seconds)
    total, best, at = 0.0, 0.0, 0
    for place in range(1, number):
        total += 2 * ranks[place - 1] - (number + 1)
        if abs(total) > best and LEAST <= place <= number - LEAST:
            best, at = abs(total), place
    return min(1.0, 2 * math.exp(-6 * best**2 / (number**3 + number**2))), start + at


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    place = 0
    while place < len(order):
        end = place
        while end < len(order) and values[order[end]] == values[order[place]]:
            end += 1
        for index in order[place:end]:
            ranks[index] = (place + 1 + end) / 2
        place = end
    return ranks


class Bad(NamedTuple):
    """The runs since which a test fails: the last good one (None when it never was) and the first bad one."""

    last_good: RunRecord | None
    first_bad: RunRecord

    def commits(self) -> str:
        """Return the range of commits in which it broke, as git writes it; empty where a commit is not known."""
        if self.last_good is None or not self.last_good.commit or not self.first_bad.commit:
            return ""
        if self.last_good.commit == self.first_bad.commit:
            return f"{self.first_bad.commit[:12]} both"
        return f"{self.last_good.commit[:12]}..{self.first_bad.commit[:12]}"


def first_bad(task: str, records: Sequence[RunRecord]) -> Bad | None:
    """Since when a test that fails now fails; None when its last execution was good or there is none."""
    bad: RunRecord | None = None
    for record in reversed(records):
        one = record.executions.get(task)
        if one is None:
            continue
        if one.verdict in GOOD:
            return None if bad is None else Bad(record, bad)
        bad = record
    return None if bad is None else Bad(None, bad)
