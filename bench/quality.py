"""Measure the error rates of the rules about durations and flakiness, on simulated runs; and the cost of gates.

The truth is known because it is injected: slow-downs of 1.5 x in half of the tests, flaky tests of a known rate,
log-normal noise, one outlier in a hundred. The rules are those of `orchestra.ledger.baseline` and
`orchestra.ledger.flaky`.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.measure import table
from orchestra.gates.expression import compile_expression, evaluate
from orchestra.ledger import baseline
from orchestra.ledger.event import Body, Event, RunStarted, VerdictGiven
from orchestra.ledger.flaky import flaky
from orchestra.ledger.origin import Provenance
from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.ledger.view import View, view_of
from orchestra.plan import Baseline, Gate, Method, Plan, SpeedClass, Test
from orchestra.runtime.gates.figures import figures
from orchestra.runtime.gates.gate import SAMPLE_SHARE, Gates

SLOWER = 1.5
WITHIN = 5
OUTLIERS = 0.01
RULE = Baseline(slower_seconds=0.0)
_TIME = "2026-01-01T00:00:00.000000Z"

Judge = Callable[[list[float]], Callable[[float], bool]]
"""From the samples of a baseline to what a duration looks like: whether it is too slow."""


@dataclass
class Score:
    """The result of a rule in a simulation."""

    judged: int = 0
    false: int = 0
    slowed: int = 0
    found: int = 0
    repeats: int = 0

    @property
    def alarms(self) -> float:
        """Return the false alarms in a thousand evaluated executions."""
        return 1000 * self.false / self.judged

    @property
    def detection(self) -> float:
        """Slow-downs found within five runs, in per cent."""
        return 100 * self.found / self.slowed


def limits_by(rule: Baseline) -> Judge:
    """Return the rule of orchestra: ratio, seconds and noise."""

    def judge(samples: list[float]) -> Callable[[float], bool]:
        limits = baseline.bounds(baseline.usual(samples), rule)
        return lambda seconds: limits is not None and baseline.suspect(seconds, limits) == "slower"

    return judge


def naive(ratio: float) -> Judge:
    """Ratio to the median alone, as most tools have it."""

    def judge(samples: list[float]) -> Callable[[float], bool]:
        limit = ratio * statistics.median(samples)
        return lambda seconds: seconds > limit

    return judge


def simulate(
    judge: Judge, sigma: float, *, confirm: int, moving: bool = False, tests: int = 200, runs: int = 100, seeds: int = 3
) -> Score:
    """Simulated suites of tests with base durations from 0.5 to 60 s.

    Args:
        judge: the rule.
        sigma: of the log-normal noise.
        confirm: repeats that must agree.
        moving: the window moves on with each run; else it stays once it is full.
        tests, runs, seeds: how much.
    """
    score = Score()
    for seed in range(seeds):
        noise = random.Random(f"{seed} {sigma}")
        for number in range(tests):
            base = math.exp(noise.uniform(math.log(0.5), math.log(60)))
            slow_from = noise.randrange(int(0.3 * runs), int(0.9 * runs)) if number % 2 else runs
            _one(score, judge, _Clock(noise, base, sigma, slow_from), confirm=confirm, moving=moving, runs=runs)
    return score


@dataclass(frozen=True)
class _Clock:
    """Durations of one test."""

    noise: random.Random
    base: float
    sigma: float
    slow_from: int

    def take(self, run: int) -> float:
        seconds = self.base * math.exp(self.noise.gauss(0, self.sigma)) * (SLOWER if run >= self.slow_from else 1)
        return seconds * (self.noise.uniform(2, 5) if self.noise.random() < OUTLIERS else 1)


def _one(score: Score, judge: Judge, clock: _Clock, *, confirm: int, moving: bool, runs: int) -> None:
    samples: list[float] = []
    slow: Callable[[float], bool] | None = None
    found = False
    for run in range(runs):
        seconds = clock.take(run)
        if len(samples) >= RULE.min_runs:
            slow = slow or judge(samples)
            bad = slow(seconds)
            for _ in range(confirm if bad else 0):
                score.repeats += 1
                bad = slow(clock.take(run))
                if not bad:
                    break
            if run < clock.slow_from:
                score.judged += 1
                score.false += bad
            elif run < clock.slow_from + WITHIN:
                found = found or bad
            if bad:
                continue
        if moving or len(samples) < RULE.window:
            samples, slow = [*samples, seconds][-RULE.window :], None
    if clock.slow_from < runs:
        score.slowed += 1
        score.found += found


GOALS = {0.1: (1.0, 99.0), 0.2: (1.0, 80.0), 0.4: None}
RULES = (
    ("orchestra", limits_by(RULE), RULE.confirm, False),
    ("the same, window moves on", limits_by(RULE), RULE.confirm, True),
    ("the same, slower_ratio 1.5", limits_by(Baseline(slower_ratio=1.5, slower_seconds=0.0)), RULE.confirm, False),
    ("the same, slower_seconds 0.5", limits_by(Baseline(slower_seconds=0.5)), RULE.confirm, False),
    ("the same, slower_seconds 5", limits_by(Baseline(slower_seconds=5.0)), RULE.confirm, False),
    ("naive: ratio 1.25 alone", naive(1.25), 0, True),
    ("naive: ratio 1.5 alone", naive(1.5), 0, True),
)


def durations(tests: int = 200, runs: int = 100, seeds: int = 3) -> str:
    """Return the table of rules by noise."""
    rows = []
    for name, judge, confirm, moving in RULES:
        for sigma, goal in GOALS.items():
            score = simulate(judge, sigma, confirm=confirm, moving=moving, tests=tests, runs=runs, seeds=seeds)
            said = ""
            if goal is not None and name == "orchestra":
                said = "held" if score.alarms <= goal[0] and score.detection >= goal[1] else "MISSED"
                said = f"<= {goal[0]:g}, >= {goal[1]:g}: {said}"
            more = 100 * score.repeats / (tests * runs * seeds)
            rows.append((name, f"{sigma:g}", f"{score.alarms:.2f}", f"{score.detection:.1f}", f"{more:.1f}", said))
    return table(
        f"Slow-downs of {SLOWER:g} x, {tests} tests x {runs} runs x {seeds}",
        ("rule", "sigma", "false alarms, per mille", f"found within {WITHIN} runs, %", "repeats, %", "goal"),
        rows,
    )


FLAKY_RATE = 0.05
FLAKY_RUNS = 90


def flakiness(tests: int = 1000, runs: int = FLAKY_RUNS) -> str:
    """Half of the tests fail in 5 % of their runs; the others break once, for ten runs, with a change of their inputs."""
    noise = random.Random("flaky")
    records = []
    broken = {number: noise.randrange(runs - 10) for number in range(1, tests, 2)}
    for run in range(runs):
        executions = {}
        for number in range(tests):
            since = broken.get(number)
            bad = noise.random() < FLAKY_RATE if since is None else since <= run < since + 10
            inputs = "before" if since is None or run < since else "broken" if run < since + 10 else "mended"
            word = "failed" if bad else "passed"
            executions[f"cli:T{number}"] = Execution(word, inputs=inputs, attempts=(Attempt(word, 1.0),))
        records.append(RunRecord(f"{run:04}", executions=executions))
    found = {one.task for one in flaky(records)}
    right = sum(f"cli:T{number}" in found for number in range(0, tests, 2))
    wrong = sum(f"cli:T{number}" in found for number in broken)
    first, second = 100 * right / ((tests + 1) // 2), 100 * wrong / len(broken)
    rows = [
        (f"flaky tests of rate {FLAKY_RATE:g} found, %", f"{first:.1f}", ">= 98", "held" if first >= 98 else "MISSED"),
        ("healthy tests that broke once, flagged, %", f"{second:.2f}", "< 0.1", "held" if second < 0.1 else "MISSED"),
    ]
    return table(f"Flakiness within {runs} runs, {tests} tests", ("figure", "found", "goal", ""), rows)


def _passed(selection: list[str]) -> View:
    """Return a run whose tests have all passed."""
    bodies: list[Body] = [
        RunStarted(
            run="",
            suite="s",
            plan_digest="",
            source_digest="",
            profile=None,
            selection=tuple(selection),
            methods=("cli",),
            workers=1,
            argv=(),
            provenance=Provenance(),
        )
    ]
    bodies += (
        VerdictGiven(
            task=task,
            test=task.partition(":")[2],
            method="cli",
            verdict="passed",
            reason="",
            seconds=index % 40 + 0.5,
            attempts=1,
            speed_class="good",
            degraded=(),
            inputs=None,
        )
        for index, task in enumerate(selection)
    )
    return view_of(Event(seq, _TIME, "", 1, "", "", body) for seq, body in enumerate(bodies, 1))


def gates(tests: int = 10_000, number: int = 50, test_seconds: float = 0.002) -> str:
    """Measure the cost of gates, in CPU time, against that of a run.

    Args:
        tests: of the run.
        number: of gates.
        test_seconds: CPU time of a test that does nothing (`bench runtime`): no run is shorter.
    """
    plan = Plan(
        suite="s",
        title="",
        tests=tuple(Test(f"T{one}", "", ("cli",), group=f"g{one % 20}") for one in range(tests)),
        methods=(Method("cli", "", "command"),),
        speed=(SpeedClass("good", "", 30.0), SpeedClass("slow", "")),
        gates=tuple(
            Gate("after", f"g{one}", f"failed <= {one} && pass_rate >= 0.5 || class.slow == {one}")
            for one in range(number)
        ),
    )
    selection = [f"cli:T{one}" for one in range(tests)]
    view = _passed(selection)
    evaluate("failed == 0", {"failed": 0})  # the library is loaded once a run
    begun = time.process_time()
    for gate in plan.gates:
        compile_expression(gate.require)
    prepared = time.process_time() - begun
    taken = []
    for _ in range(5):
        begun = time.process_time()
        Gates(plan.gates, lambda *_: None).after(figures(plan, view, {}))
        taken.append(time.process_time() - begun)
    once, whole = statistics.median(taken), tests * test_seconds
    share = 100 * (prepared + 2 * once) / whole + 100 / SAMPLE_SHARE
    rows = [
        (f"{number} conditions compiled, ms", f"{1000 * prepared:.1f}", "", ""),
        (f"{number} gates evaluated once over {tests:,} tests, ms", f"{1000 * once:.1f}", "", ""),
        ("samples of gates during the tests, at most, %", f"{100 / SAMPLE_SHARE:.2f}", "", ""),
        (
            f"before, during and after, of {whole:.0f} s, %",
            f"{share:.2f}",
            "<= 1",
            "held" if share <= 1 else "MISSED",
        ),
    ]
    return table("Gates", ("figure", "found", "limit", ""), rows)


def run() -> str:
    """Return all tables."""
    return f"{durations()}\n{flakiness()}\n{gates()}"
