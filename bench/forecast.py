"""The forecast of a run against what it then takes.

    python -m bench forecast

Simulated suites: sixty tests with needs among them on two to six workers, log-normal durations; a run takes some seconds
beyond its tests. Eight runs are on record, whose durations vary by a log-normal factor; the next run is predicted and then
simulated with durations of its own. The error is that of the whole run. An interval is to hold nine of ten runs. Then the change
that would shorten the run most is made, and what it saves in that next run is set over what it promised.
"""

from __future__ import annotations

import random
import statistics
from typing import Final, NamedTuple

from bench.makespan import sample
from bench.measure import against, goals, table
from orchestra.ledger.baseline import key_of
from orchestra.ledger.run_record import Attempt, Execution, RunRecord
from orchestra.plan import Method, Plan, Test
from orchestra.runtime.forecast import forecast, known_of
from orchestra.runtime.shorten import applied, shortest
from orchestra.runtime.simulation import simulate

PLACE: Final = "linux-x86_64-2cpu-8gb"
RECORDED: Final = 8
ENOUGH: Final = 0.8
"""The part of its promised seconds that a change is to save."""

SIGMAS: Final = (0.05, 0.1, 0.2, 0.3)
GOAL_SIGMA: Final = 0.1
"""Of the spread at which a forecast is to be within 10 %."""


class _Guess(NamedTuple):
    """The error of one forecast, as a part of the truth, and whether its interval held the truth.

    `kept` is what the first change took from the next run, over the seconds that it promised; None without a change.
    """

    error: float
    held: bool
    kept: float | None


def _guess(seed: int, sigma: float) -> _Guess:
    chance = random.Random(seed)
    drawn = sample(seed, chance.choice(("sparse", "deep")))
    tests = tuple(
        Test(f"t{index}", "", ("m",), needs=tuple(f"t{need}" for need in needs))
        for index, needs in enumerate(drawn.needs)
    )
    plan = Plan("s", "", tests, (Method("m", "", "command", workers=chance.randint(2, 6)),))
    slots = {"m": plan.methods[0].workers}
    usual = {f"m:t{index}": seconds for index, seconds in enumerate(drawn.seconds)}
    beyond = chance.uniform(0.5, 3.0)

    def run() -> tuple[dict[str, float], float]:
        took = {task: seconds * chance.lognormvariate(0.0, sigma) for task, seconds in usual.items()}
        return took, simulate(plan, list(took), slots, usual, took).seconds + beyond * chance.lognormvariate(0.0, sigma)

    runs = [run() for _ in range(RECORDED)]
    samples = {key_of(task, "", PLACE): tuple(took[task] for took, _ in runs) for task in usual}
    earlier = [
        RunRecord(
            f"20260102T03040{index}Z-1a2b",
            machine=PLACE,
            finished=True,
            seconds=whole,
            executions={task: Execution("passed", attempts=(Attempt("passed", one),)) for task, one in took.items()},
        )
        for index, (took, whole) in enumerate(runs)
    ]
    known = known_of(plan, samples, earlier, PLACE)
    found = forecast(known, list(usual), slots)
    took, truth = run()
    changes = shortest(known, list(usual), slots, found)
    kept = None
    if changes:
        saved = simulate(plan, list(usual), slots, took).seconds - applied(changes[0].change, list(usual), took)
        kept = saved / changes[0].seconds
    held = found.low is not None and found.high is not None and found.low <= truth <= found.high
    return _Guess(abs(found.seconds - truth) / truth, held, kept)


def run(suites: int = 100) -> str:
    """Return the table: for each spread of durations the errors, and how many intervals held."""
    rows, found = [], []
    all_kept = list[float]()
    for sigma in SIGMAS:
        guesses = [_guess(seed, sigma) for seed in range(suites)]
        errors = sorted(guess.error for guess in guesses)
        held = 100 * sum(guess.held for guess in guesses) / suites
        within = 100 * sum(error <= 0.1 for error in errors) / suites
        worst = errors[-1]
        kept = [guess.kept for guess in guesses if guess.kept is not None]
        enough = sum(one >= ENOUGH for one in kept)
        all_kept += kept
        if sigma == GOAL_SIGMA:
            found.append(
                against(f"within 10 % at sigma {sigma:g}, % of the runs", within, 100, digits=0, at_least=True)
            )
        found.append(against(f"in the interval at sigma {sigma:g}, %", held, 90, digits=0, at_least=True))
        rows.append(
            [
                f"{sigma:g}",
                f"{100 * statistics.median(errors):.1f} %",
                f"{100 * worst:.1f} %",
                f"{within:.0f} %",
                f"{held:.0f} %",
                f"{enough} of {len(kept)}",
            ]
        )
    heads = ("sigma", "median error", "worst error", "within 10 %", "in the interval", "first change kept 80 %")
    if all_kept:
        name = "saved by first changes, x the promise, median"
        found.append(against(name, statistics.median(all_kept), ENOUGH, at_least=True))
    title = f"Forecast: {suites} simulated suites for each sigma"
    return "\n".join([table(title, heads, rows), goals("Forecast: goals", found)])
