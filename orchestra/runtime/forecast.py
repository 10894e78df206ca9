"""Predict how long a run takes, from durations that are known. Pure: the same arguments give the same forecast.

The schedule is simulated with the queue of the run itself, so needs, order, resources, sessions and methods count as they
will. The time beyond the tests (start, services, gates, the end) is learned from earlier runs: their seconds less
those of the same simulation with the durations that they had. The interval holds nine of ten outcomes of a bootstrap: each
duration varies as its samples did, the rest of a run as that of earlier runs.
"""

from __future__ import annotations

import functools
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from orchestra.ledger.baseline import NORMAL, Samples, parts_of, usual
from orchestra.ledger.run_record import RunRecord
from orchestra.plan import Plan
from orchestra.runtime.costs import Cost, costs_of, estimated, has_cost
from orchestra.runtime.engine.admission import Load, Need
from orchestra.runtime.engine.slots import Slots
from orchestra.runtime.expected import Durations, expected
from orchestra.runtime.select import task_name
from orchestra.runtime.simulation import Peak, Simulator, Start

DRAWS: Final = 60
"""Simulated runs behind an interval of a small suite: no test starts before them, and more do not hold the truth more often."""

SMALL: Final = 180
"""A suite of more tasks gets fewer draws, by the square of their number: its sum varies less, and each draw costs more."""

SIMULATED_TASKS: Final = 20_000
"""Tasks that are simulated at most where changes of a suite are tried."""

FEWEST_DRAWS: Final = 4
MANY_DRAWS: Final = 40
STUDENT: Final = 2.353
"""The 95th percentile of Student's t with three degrees of freedom: for the interval of `FEWEST_DRAWS` draws."""

EARLIER: Final = 5
"""The number of the latest runs from which the time beyond the tests is learned."""

ENOUGH: Final = 4
"""Samples of a test from which its own spread is believed; with fewer that of the tests of its method counts."""

USUAL_SIGMA: Final = 0.2
"""The spread (sigma of the logarithm) where no test has enough samples."""

MOST_WORKERS: Final = 16
_SOME_WORKERS: Final = (1, 2, 3, 4, 6, 8, 12, MOST_WORKERS)
LARGE: Final = 2_000
"""With more tasks than this only some numbers of workers and the latest run are simulated."""

NEAR: Final = 1.05
"""The knee is the least number of workers whose run takes at most so many times the shortest."""


class Forecast(NamedTuple):
    """A predicted run.

    Attributes:
        seconds: expected, of the whole run.
        low, high: nine of ten runs are between them; None where nothing is known that varies.
        rest: the part of `seconds` beyond the tests.
        known: how many of the tasks have a known duration.
        tasks: how many there are.
        runs: the earlier runs from which `rest` is learned.
        path: the tasks that decide the end.
        peak: the moment at which the tests have most memory; None where no earlier run has measured them.
        measured: of how many tasks an earlier run has measured the cost.
    """

    seconds: float
    low: float | None
    high: float | None
    rest: float
    known: int
    tasks: int
    runs: int
    path: Sequence[Start]
    peak: Peak | None = None
    measured: int = 0

    @property
    def beyond(self) -> float:
        """Return the seconds beyond the simulated run of its tests with the usual duration of each: `rest`, and what it takes
        longer because durations vary.
        """
        return self.seconds - (self.path[-1].ended if self.path else 0.0)

    def waits(self) -> dict[str, float]:
        """Return the seconds of the path by what its tasks waited for, the most first; the first task waits for nothing."""
        found: dict[str, float] = defaultdict(float)
        for start in self.path:
            if start.why:
                found[start.why] += start.ended - start.begun
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


class Known(NamedTuple):
    """The data of a forecast.

    Attributes:
        plan: the suite.
        expected: seconds of each task of the plan.
        samples: of the durations by task, on the shape of machine and in the profile that the run has.
        earlier: runs there, in the order of time.
        measured: the costs of tasks that these runs have measured.
        costs: of all tasks, as far as these show them.
        room: the capacity of the machine; None where costs bound nothing.
    """

    plan: Plan
    expected: Mapping[str, float]
    samples: Mapping[str, Sequence[float]]
    earlier: Sequence[RunRecord]
    measured: Mapping[str, Cost] = {}
    costs: Mapping[str, Cost] = {}
    room: Need | None = None

    def load(self, selection: Iterable[str], workers: int | None) -> Load | None:
        """Return what the tasks of a selection take of the machine; None where that bounds nothing.

        It bounds the methods whose number of workers the machine decides, if the cost of each of their tests is known.

        Args:
            selection: the tasks.
            workers: of the command line; None for those of the spec.
        """
        if self.room is None:
            return None
        tests, unknown, needs = {test.id: test for test in self.plan.tests}, set[str](), dict[str, Need]()
        for task in selection:
            method, _, name = task.partition(":")
            cost = self.costs.get(task)
            if cost is not None and cost.cores is not None:
                needs[task] = Need(round(1000 * cost.cores), math.ceil(cost.megabytes))
            elif has_cost(tests[name]):
                unknown.add(method)
        open_ = (method.id for method in self.plan.methods if not Slots(method, workers).fixed)
        methods = frozenset(
            name for name in open_ if name not in unknown and any(_method(task) == name for task in needs)
        )
        return Load(self.room, needs, methods) if methods else None


def _method(task: str) -> str:
    return task.partition(":")[0]


def known_of(plan: Plan, samples: Samples, earlier: Sequence[RunRecord], place: str, room: Need | None = None) -> Known:
    """Return what is known at a place: a shape of machine, in a profile.

    Args:
        plan: the suite.
        samples: of durations, by the keys of baselines.
        earlier: runs, in the order of time; those at other places are left out.
        place: as `baseline.place_of` gives it.
        room: the capacity of the machine; None where costs bound nothing.
    """
    here = [run for run in earlier if run.place == place]
    known = {**_passes(plan, here), **_samples_of(plan, samples, place)}
    medians = {task: statistics.median(values) for task, values in known.items()}
    measured = costs_of(plan, here)
    costs = estimated(plan, measured)
    return Known(plan, expected(plan, Durations(place, medians)), known, here, measured, costs, room)


def _passes(plan: Plan, earlier: Iterable[RunRecord]) -> dict[str, Sequence[float]]:
    """Return what passes took in earlier runs: it counts for tests without samples, which a busy machine leaves none of."""
    browsers = {test.id: test.browser for test in plan.tests}
    found: dict[str, list[float]] = defaultdict(list)
    for run in earlier:
        for task, one in run.executions.items():
            if one.passing is not None and one.browser in {"", browsers.get(task.partition(":")[2])}:
                found[task].append(one.passing)
    return dict(found)


def slots_of(known: Known, workers: int | None, load: Load | None = None) -> dict[str, int]:
    """Return how many tests run at once by each method.

    Where the machine decides, it is the number that it begins with, or more if earlier runs had more in the mean; where the
    costs of tests decide, it is the most.

    Args:
        known: durations and earlier runs.
        workers: of the command line; None for those of the spec.
        load: what tasks take of the machine; None where that bounds nothing.
    """
    busy = [
        math.fsum(attempt.seconds for found in run.executions.values() for attempt in found.attempts) / run.seconds
        for run in known.earlier[-EARLIER:]
        if run.finished and run.seconds
    ]
    usual_busy = math.ceil(statistics.median(busy)) if busy else 1
    learned = load.methods if load is not None else frozenset()
    return {
        method.id: slots.count() if slots.fixed or method.id in learned else max(slots.count(), usual_busy)
        for method in known.plan.methods
        for slots in [Slots(method, workers, learned=method.id in learned)]
    }


def _samples_of(plan: Plan, samples: Samples, place: str) -> dict[str, Sequence[float]]:
    """Return the samples of each task at a place, by the browser that its test has in the plan."""
    browsers = {test.id: test.browser for test in plan.tests}
    found: dict[str, Sequence[float]] = {}
    for key, values in samples.items():
        task, browser, where = parts_of(key)
        if where == place and values and browser in {"-", browsers.get(task.partition(":")[2])}:
            found[task] = values
    return found


def forecast(known: Known, selection: Sequence[str], slots: Mapping[str, int], load: Load | None = None) -> Forecast:
    """Return what is expected of a run.

    Args:
        known: durations and earlier runs.
        selection: the tasks, what they need included, in the order of the plan.
        slots: tests that run at once, by method.
        load: what tasks take of the machine; None where that bounds nothing.
    """
    ready = Simulator(known.plan, selection, known.expected, load)
    run = ready.run(slots)
    rests = list(_rests(known, EARLIER if len(selection) <= LARGE else 1))
    rest = statistics.median(rests) if rests else 0.0
    count = sum(task in known.samples for task in selection)
    middle, low, high = run.seconds + rest, None, None
    if count:
        middle, low, high = _outcomes(known, selection, slots, rests or [0.0], ready)
    measured = sum(task in known.measured for task in selection)
    peak = run.peak({task: cost.megabytes for task, cost in known.costs.items()}) if measured else None
    return Forecast(middle, low, high, rest, count, len(selection), len(rests), run.path(), peak, measured)


def _rests(known: Known, number: int) -> Iterator[float]:
    """Yield what each of the latest runs took beyond its tests; so many of them at most."""
    order = [task_name(method.id, test.id) for method in known.plan.methods for test in known.plan.tests]
    tasks = frozenset(order)
    whole = [run for run in known.earlier if run.finished and not run.shards]  # shards are of several machines
    usable = [run for run in whole if run.executions and run.executions.keys() <= tasks]
    for run in usable[-number:]:
        took = {
            task: math.fsum(attempt.seconds for attempt in found.attempts) for task, found in run.executions.items()
        }
        selection = [task for task in order if task in took]
        load = known.load(selection, run.workers or None)
        tests = Simulator(known.plan, selection, took, load).seconds(slots_of(known, run.workers or None, load))
        yield max(0.0, run.seconds - tests)


def _outcomes(
    known: Known, selection: Sequence[str], slots: Mapping[str, int], rests: Sequence[float], ready: Simulator
) -> tuple[float, float, float]:
    """Return the median of simulated runs, and the bounds of nine of ten of them."""
    spreads = _spreads(known, selection)
    chance = random.Random(0)  # noqa: S311 - draws to repeat, no secret
    draws = max(FEWEST_DRAWS, min(DRAWS, DRAWS * SMALL**2 // max(1, len(selection)) ** 2))
    others = _others(rests, _normals(draws, chance), chance)
    varied = [
        (task, known.expected[task], spread.shift, spread.next, _normals(draws, chance))
        for task, spread in spreads.items()
    ]
    ends = sorted(
        ready.seconds(
            slots,
            {task: seconds * math.exp(shift + sigma * by[draw]) for task, seconds, shift, sigma, by in varied},
        )
        + other
        for draw, other in enumerate(others)
    )
    middle = statistics.median(ends)
    if draws < MANY_DRAWS:  # no percentiles of so few
        reach = STUDENT * statistics.stdev(ends)
        return middle, max(0.0, middle - reach), middle + reach
    return middle, ends[math.floor(0.05 * (draws - 1))], ends[math.ceil(0.95 * (draws - 1))]


def _normals(draws: int, chance: random.Random) -> Sequence[float]:
    """Return a value of the normal distribution for each draw.

    Many share its range: each is the middle of another equal part, in a random order. So their mean and their percentiles are
    those of the distribution, and a quarter of the draws shows as much.
    """
    if draws < MANY_DRAWS:
        return [chance.gauss(0.0, 1.0) for _ in range(draws)]
    return chance.sample(_middles(draws), draws)


@functools.cache
def _middles(parts: int) -> Sequence[float]:
    return [statistics.NormalDist().inv_cdf((part + 0.5) / parts) for part in range(parts)]


def _others(rests: Sequence[float], normals: Sequence[float], chance: random.Random) -> list[float]:
    """Return what further runs may take beyond their tests: Student's t around the median, as few runs show little.

    One run shows no spread at all: then a usual one counts.
    """
    middle, freedom = statistics.median(rests), len(rests) - 1
    scale = statistics.stdev(rests) * math.sqrt(1 + 1 / len(rests)) if freedom else USUAL_SIGMA * middle
    chis = (math.sqrt(chance.gammavariate(freedom / 2, 2.0) / freedom) if freedom else 1.0 for _ in range(len(normals)))
    return [max(0.0, middle + scale * normal / chi) for normal, chi in zip(normals, chis, strict=True)]


class _Spread(NamedTuple):
    """How the duration of a test varies: sigmas of its logarithm.

    Attributes:
        own: around its true median.
        next: of a next duration around the median of the samples, which is off itself.
    """

    own: float
    next: float

    @property
    def shift(self) -> float:
        """Of the logarithm: so that the mean of the draws is that of the test, not that of the wider spread."""
        return (self.own**2 - self.next**2) / 2


def _spreads(known: Known, selection: Sequence[str]) -> dict[str, _Spread]:
    """Return the spread of each task: its own with enough samples, else the median of its method, else a usual one."""
    own = {task: _sigma(values) for task in selection if len(values := known.samples.get(task, ())) >= ENOUGH}
    by_method: dict[str, list[float]] = defaultdict(list)
    for task, sigma in own.items():
        by_method[task.partition(":")[0]].append(sigma)
    pooled = {method: statistics.median(sigmas) for method, sigmas in by_method.items()}

    def spread(task: str) -> _Spread:
        sigma = own.get(task, pooled.get(task.partition(":")[0], USUAL_SIGMA))
        number = max(1, len(known.samples.get(task, ())))
        return _Spread(sigma, sigma * math.sqrt(1 + math.pi / 2 / number))

    return {task: spread(task) for task in selection}


def _sigma(samples: Sequence[float]) -> float:
    """Return the spread of the logarithm of durations, robust against single ones.

    The MAD of few samples is too small: factors of Croux and Rousseeuw 1992.
    """
    number = len(samples)
    factor = _FEW.get(number, number / (number - 0.8))
    return factor * NORMAL * usual([math.log(max(sample, 1e-6)) for sample in samples]).mad


_FEW: Final = {4: 1.363, 5: 1.206, 6: 1.2, 7: 1.14, 8: 1.129, 9: 1.107}
"""By what the MAD of so many samples is multiplied; of more it is n / (n - 0.8)."""


def by_workers(
    known: Known, selection: Sequence[str], slots: Mapping[str, int], beyond: float, load: Load | None = None
) -> dict[int, float]:
    """Return the seconds of a run with one worker to `MOST_WORKERS`, as far as another worker can matter.

    Of a large suite some of these numbers are left out. A method of one session keeps one worker. Where costs bound a method,
    they do so with each number.

    Args:
        known: durations.
        selection: the tasks, what they need included, in the order of the plan.
        slots: tests that run at once, by method.
        beyond: seconds that are added to each: those of the forecast, so that its own number of workers has its own seconds.
        load: what tasks take of the machine; None where that bounds nothing.
    """
    ready = Simulator(known.plan, selection, known.expected, load)
    single = {method.id for method in known.plan.methods if method.single_session}
    most = min(MOST_WORKERS, max(1, len(selection)))
    return {
        count: ready.seconds({name: 1 if name in single else count for name in slots}) + beyond
        for count in (range(1, most + 1) if len(selection) <= LARGE else _SOME_WORKERS)
    }


def knee(seconds: Mapping[int, float]) -> int:
    """Return the least number of workers whose run takes at most `NEAR` times the shortest."""
    least = min(seconds.values())
    return min(count for count, taken in seconds.items() if taken <= NEAR * least)
