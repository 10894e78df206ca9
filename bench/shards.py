"""Shards: how even a split is, and what a merge costs.

    python -m bench shards

A split is compared with the least that the slowest shard of any split of the same units can have; by durations with an error,
also with what any split can expect that does not know the errors. A merge is compared with
reading the ledgers of its shards, every line verified against its chain, and with their audit; they take turns.
"""

from __future__ import annotations

import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from bench.ledger import plan_of, verdict
from bench.measure import table
from orchestra.ledger import plan_store
from orchestra.ledger.audit import audit
from orchestra.ledger.author import UNKNOWN
from orchestra.ledger.event import (
    AttemptFinished,
    AttemptStarted,
    Body,
    RunFinished,
    RunStarted,
    Sharding,
)
from orchestra.ledger.log import Writer
from orchestra.ledger.origin import Provenance
from orchestra.ledger.reading import read
from orchestra.ledger.runs import LEDGER
from orchestra.plan import Plan
from orchestra.runtime.shards.merge import merge, sources_of
from orchestra.runtime.shards.partition import split
from orchestra.steps.step import Step

SIGMA: Final = 1.0
"""Of the logarithms of the durations: the longest of a thousand tests takes some twenty times as long as the median."""

KNOWN_SIGMA: Final = 0.3
"""Of the logarithms of the ratio of a known duration to the true one."""

LIMIT: Final = 1.15
"""The goal for the slowest shard over the least possible, by durations with an error."""

SEEDS: Final = 5
ERRORS: Final = 10
"""Samples of the errors for each sample of the durations."""

STEPS: Final = 10
"""Steps of a test, where tests have some."""

NOW: Final = datetime(2026, 1, 2, tzinfo=UTC)


def _balance(tests: int, numbers: tuple[int, ...]) -> Iterator[list[str]]:
    """Yield a row a number of shards: the worst of some samples, and the mean of more errors on each."""
    plan = plan_of(tests)
    tasks = [f"cli:{test.id}" for test in plan.tests]
    for number in numbers:
        mean, known, guessed, expected = 0.0, 0.0, [], []
        for seed in range(SEEDS):
            chance = random.Random(seed)
            true = {task: chance.lognormvariate(0.0, SIGMA) for task in tasks}
            exact = split(plan, tasks, number, true)
            mean, known = max(mean, exact.slowest / exact.share), max(known, exact.slowest / exact.least)
            guessed.append([_guessed(plan, number, true, exact.least, chance) for _ in range(ERRORS)])
            expected.append(_at_best(number, true))
        every = [one for some in guessed for one in some]
        worst, above = max(some[0] for some in guessed), statistics.mean(one > LIMIT for one in every)
        best, above_at_best = (statistics.mean(figures) for figures in zip(*expected, strict=True))
        yield [
            str(number),
            *(f"{figure:.4f}" for figure in (mean, known, worst, statistics.mean(every), best)),
            f"{above:.0%}",
            f"{above_at_best:.0%}",
        ]


def _guessed(plan: Plan, number: int, true: Mapping[str, float], least: float, chance: random.Random) -> float:
    """Return the slowest shard over the least possible, where each duration is known with an error."""
    near = {task: seconds * chance.lognormvariate(0.0, KNOWN_SIGMA) for task, seconds in true.items()}
    shards = split(plan, list(true), number, near).shards
    return max(math.fsum(true[task] for task in shard.tasks) for shard in shards) / least


def _at_best(number: int, true: Mapping[str, float]) -> tuple[float, float]:
    """Return the slowest shard over the mean that a split can be expected to have at best, and how often it is above the limit.

    Such a split knows the errors only by their size: each shard has the same part of their variance, and the slowest is the
    greatest of so many normal values.
    """
    variance = math.expm1(KNOWN_SIGMA**2) * math.fsum(seconds**2 for seconds in true.values()) / number
    spread = math.sqrt(variance) * number / math.fsum(true.values())
    normal = statistics.NormalDist()
    greatest = normal.inv_cdf((number - 0.375) / (number + 0.25))  # Blom 1958
    return 1 + greatest * spread, 1 - normal.cdf((LIMIT - 1) / spread) ** number


def _events(plan: Plan, run: str, place: Sharding, tasks: tuple[str, ...]) -> Iterator[Body]:
    yield RunStarted(
        run=run,
        suite=plan.suite,
        plan_digest=plan.digest(),
        source_digest=plan.source_digest,
        profile=None,
        selection=tasks,
        methods=("cli",),
        workers=1,
        argv=(),
        provenance=Provenance(),
        shard=place,
    )
    for task in tasks:
        test = task.partition(":")[2]
        yield AttemptStarted(task=task, test=test, method="cli", attempt=1, dir=f"attempts/{task}/1")
        yield AttemptFinished(
            task=task,
            test=test,
            method="cli",
            attempt=1,
            outcome="passed",
            seconds=0.25,
            error=None,
            steps=(),
            evidence=(),
            retry=False,
        )
        yield verdict(int(test[1:]))
    yield RunFinished(exit_code=0, counts={"passed": len(tasks)}, seconds=1.0, gates={})


def written(home: Path, number: int, each: int, steps: int = 0) -> list[Path]:
    """Write the records of shards by a plan whose tests have so many steps, and return their folders."""
    plan, folders = plan_of(number * each), []
    if steps:
        clicks = tuple(
            Step(verb="click", args={"role": "button", "name": f"Add {index}"}) for index in range(steps - 1)
        )
        done = (*clicks, Step(verb="expect", args={"text": "Thank you"}))
        plan = msgspec.structs.replace(
            plan, tests=tuple(msgspec.structs.replace(test, steps=done) for test in plan.tests)
        )
    tasks = tuple(f"cli:{test.id}" for test in plan.tests)
    for index in range(1, number + 1):
        run = f"20260102T03040{index}Z-1a2b"
        folder = home / "shards" / run
        folder.mkdir(parents=True)
        plan_store.store(folder, plan)
        place = Sharding(index=index, of=number, durations="none", selection=tasks)
        with Writer(folder / LEDGER, now=lambda: NOW) as writer:
            for body in _events(plan, run, place, tasks[index - 1 :: number]):
                writer.append(body)
            writer.seal()
        folders.append(folder)
    return folders


def _merge_once(home: Path, folders: list[Path]) -> float:
    home.mkdir()
    begun = time.process_time()
    merge(home, sources_of(folders, incomplete=False), author=UNKNOWN, observers=lambda _plan, _folder: ())
    return time.process_time() - begun


def _audit_once(folders: list[Path]) -> float:
    begun = time.process_time()
    for folder in folders:
        audit(folder)
    return time.process_time() - begun


def _read_once(folders: list[Path]) -> float:
    begun = time.process_time()
    for folder in folders:
        for _ in read(folder / LEDGER):
            pass
    return time.process_time() - begun


def _merge_rows(each: int, rounds: int, steps: int) -> list[list[str]]:
    """Return the rows of reading, auditing and merging four shards, by turns."""
    with tempfile.TemporaryDirectory() as folder:
        folders = written(Path(folder), 4, each, steps)
        turns = [
            (_read_once(folders), _audit_once(folders), _merge_once(Path(folder) / f"home-{turn}", folders))
            for turn in range(rounds)
        ]
    return [
        [
            f"{name}, {steps} steps a test" if steps else name,
            f"{statistics.median(seconds):.2f} s",
            f"{statistics.median(seconds) / (4 * each) * 1e6:.0f} µs",
            f"{statistics.median(taken / turn[0] for taken, turn in zip(seconds, turns, strict=True)):.1f}",
        ]
        for name, seconds in zip(("read", "audit", "merge"), zip(*turns, strict=True), strict=True)
    ]


def run(
    tests: int = 1000, numbers: tuple[int, ...] = (2, 3, 4, 6, 8, 12, 16), each: int = 2500, rounds: int = 5
) -> str:
    """Measure both and return their tables in Markdown."""
    heads = [
        "shards",
        "slowest over mean",
        "over the least possible",
        f"durations known to {KNOWN_SIGMA}: worst",
        "mean",
    ]
    heads += ["expected at best", f"above {LIMIT:g}", "at best"]
    balance = table(f"Balance: {tests:,} tests, log-normal", heads, list(_balance(tests, numbers)))
    rows = [*_merge_rows(each, rounds, 0), *_merge_rows(each, rounds, STEPS)[1:]]
    return f"{balance}\n\n{table('Merge', [f'4 shards of {each:,} tests', 'CPU time', 'for a test', 'ratio'], rows)}"
