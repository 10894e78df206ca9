"""The schedule: how near a run comes to the least time that its slots and its longest chain allow.

    python -m bench makespan

A sample is 64 tests that only sleep, 20 seconds in all, log-normal, with needs among them, on four workers: `sparse` graphs
are wide, `deep` ones have long chains. The bound is the greater of the longest chain and the sum over the workers; no
schedule is shorter. Each sample runs twice: the second run knows the durations of the first. Two times of a run are set over
the bound: by the ledger, from the start of its first attempt to its last verdict, and by wall, from the start of the process
to its end. Ninja runs the same graph in between. `simulated` is a list schedule by longest remaining path without overhead.
"""

from __future__ import annotations

import heapq
import json
import random
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import truediv
from pathlib import Path
from typing import Final

from bench.measure import ORCHESTRA, SCRIPTS, Case, against, environment, goals, once, table

TESTS: Final = 64
WORKERS: Final = 4
SECONDS: Final = 20.0
SHORTEST: Final = 0.02


@dataclass(frozen=True)
class Sample:
    """Durations in seconds, and the needs of each test, by index."""

    seconds: Sequence[float]
    needs: Sequence[Sequence[int]]

    def paths(self) -> list[float]:
        """Return the longest path that starts with each test."""
        paths = [0.0] * len(self.seconds)
        below = [0.0] * len(self.seconds)
        for index in reversed(range(len(self.seconds))):
            paths[index] = self.seconds[index] + below[index]
            for need in self.needs[index]:
                below[need] = max(below[need], paths[index])
        return paths

    def bound(self) -> float:
        """Return the least seconds that any schedule takes."""
        return max(*self.paths(), sum(self.seconds) / WORKERS)

    def simulated(self) -> float:
        """Return the seconds of a list schedule by longest remaining path."""
        paths, left = self.paths(), [len(needs) for needs in self.needs]
        ready = [(-paths[index], index) for index, count in enumerate(left) if not count]
        heapq.heapify(ready)
        running: list[tuple[float, int]] = []
        now = 0.0
        while ready or running:
            while ready and len(running) < WORKERS:
                _, index = heapq.heappop(ready)
                heapq.heappush(running, (now + self.seconds[index], index))
            now, ended = heapq.heappop(running)
            for index, needs in enumerate(self.needs):
                if ended in needs:
                    left[index] -= 1
                    if not left[index]:
                        heapq.heappush(ready, (-paths[index], index))
        return now


def sample(seed: int, shape: str) -> Sample:
    """Return a sample: the same for a seed and a shape."""
    chance = random.Random(seed)
    drawn = [chance.lognormvariate(0, 0.9) for _ in range(TESTS)]
    seconds = [max(SHORTEST, one * SECONDS / sum(drawn)) for one in drawn]
    free, back, counts = (12, 24, (0, 0, 1, 1)) if shape == "sparse" else (6, 10, (0, 1, 1, 2))
    needs = []
    for index in range(TESTS):
        wanted = 0 if index < free else chance.choice(counts)
        needs.append(sorted(chance.sample(range(max(0, index - back), index), min(index, wanted))))
    return Sample(seconds, needs)


def _project(folder: Path, drawn: Sample) -> None:
    """Write a project of orchestra and the same graph for ninja."""
    rows = []
    for index, (seconds, needs) in enumerate(zip(drawn.seconds, drawn.needs, strict=True)):
        listed = f"needs: [{', '.join(f't{need}' for need in needs)}], " if needs else ""
        rows.append(f"  t{index}: {{{listed}command: {{argv: [sleep, '{seconds:.4f}']}}}}\n")
    head = f"orchestra: 1\nsuite: work\nmethods: {{sh: {{driver: command, workers: {WORKERS}}}}}\ntests:\n"
    (folder / "specs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n")
    (folder / "specs" / "work.yaml").write_text(head + "".join(rows))
    subprocess.run([*ORCHESTRA, "compile"], cwd=folder, env=environment({}), capture_output=True, check=True)
    edges = "".join(
        f"build t{index}: run {' '.join(f't{need}' for need in needs)}\n  seconds = {seconds:.4f}\n"
        for index, (seconds, needs) in enumerate(zip(drawn.seconds, drawn.needs, strict=True))
    )
    (folder / "build.ninja").write_text(f"rule run\n  command = sleep $seconds\n{edges}")


def _by_ledger(folder: Path) -> float:
    """Return the seconds from the first start to the last verdict of the last run."""
    starts, ends = [], []
    with (folder / ".orchestra" / "work" / "runs" / "last" / "events.jsonl").open() as lines:
        for line in lines:
            event = json.loads(line)
            times = {"attempt_started": starts, "verdict": ends}.get(event["type"])
            if times is not None:
                times.append(datetime.fromisoformat(event["time"]).timestamp())
    return max(ends) - min(starts)


def _rows(seeds: int) -> Iterator[tuple[str, list[float]]]:
    for shape in ("sparse", "deep"):
        for seed in range(1, seeds + 1):
            drawn = sample(seed, shape)
            bound = drawn.bound()
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch) / "work"
                _project(folder, drawn)
                blind = once(Case([*ORCHESTRA, "run"], folder)).wall, _by_ledger(folder)
                ninja = once(Case([str(SCRIPTS / "ninja"), f"-j{WORKERS}", "--quiet"], folder)).wall
                known = once(Case([*ORCHESTRA, "run"], folder)).wall, _by_ledger(folder)
            times = (known[1], blind[1], known[0], blind[0], ninja, drawn.simulated())
            yield f"{shape}, seed {seed}", [seconds / bound for seconds in times]


def run(seeds: int = 5) -> str:
    """Measure each sample and return the tables: a row a sample, then medians and worst values, then the goals."""
    rows = list(_rows(seeds))
    columns = list(zip(*(values for _, values in rows), strict=True))
    for name, of in (("median", statistics.median), ("worst", max)):
        rows.append((name, [of(column) for column in columns]))
    heads = ("over the bound", "known", "blind", "known, by wall", "blind, by wall", "ninja, by wall", "simulated")
    cells = [[name, *(f"{value:.3f}" for value in values)] for name, values in rows]
    known, blind, by_wall, _, ninja, _ = columns
    found = [
        against("known, median, x the bound", statistics.median(known), 1.015, digits=3),
        against("known, worst, x the bound", max(known), 1.03, digits=3),
        against("blind, median, x the bound", statistics.median(blind), 1.05, digits=3),
        against("known, by wall, x ninja, worst", max(map(truediv, by_wall, ninja)), 1, digits=3),
    ]
    title = f"Schedule: {TESTS} sleeping tests, {WORKERS} workers"
    return "\n".join([table(title, heads, cells), goals("Schedule: goals", found)])
