"""The cost of a cluster: against the workers of one machine, and the CPU time of its parts.

Tests that sleep run by two workers and on two nodes of one slot, by turns; the difference is the time that a node adds to a test.
Tests that run `true` have nothing else, so that their CPU time is that of the parts: the slope between a few and many of them
leaves out starts and ends. The processes of nodes and the scheduler go on from run to run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from bench.cluster_ground import Ground
from bench.measure import ORCHESTRA, BenchmarkError, Figure, figures, table

SLOTS = 2
"""Tests at once, by workers or nodes."""


def _spec(command: Sequence[str], count: int) -> str:
    rows = "".join(f"  t{number}: {{command: {{argv: [{', '.join(command)}]}}}}\n" for number in range(count))
    # A duration by chance, of a loaded machine, would cost repeats.
    head = "orchestra: 1\nsuite: c\nbaseline: {slower_seconds: 3600}\n"
    return f"{head}methods: {{cli: {{driver: command, workers: {SLOTS}}}}}\ntests:\n{rows}"


def _timed(ground: Ground, words: Sequence[str]) -> tuple[float, float]:
    """Return wall and CPU seconds of a run, the latter of its process and of those that it waited for."""
    argv = [*ORCHESTRA, "run", *words]
    begun = time.perf_counter()
    process = ground.start(argv, ground.root, ground.outputs / "run.log")
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError((ground.outputs / "run.log").read_text()[-2000:])
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime


def _used(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """Return the CPU seconds of processes, and of those that they waited for."""
    return sum(sum(psutil.Process(process.pid).cpu_times()[:4]) for process in processes)


def against_workers(tests: int, seconds: float, rounds: int) -> list[Figure]:
    """Return how much longer a run takes on nodes than by workers, and the milliseconds that this is for a test."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as scratch:
        ground = Ground(Path(scratch), _spec(["sleep", f'"{seconds:g}"'], tests))
        try:
            for _ in range(SLOTS):
                ground.node(ground.root, slots=1)
            words = ["--engine", "dask", "--scheduler", ground.address]
            turns = [(_timed(ground, []), _timed(ground, words)) for _ in range(rounds + 1)][rounds > 0 :]
        finally:
            ground.kill()
    wall, cpu = (statistics.median(nodes[part] / here[part] for here, nodes in turns) for part in (0, 1))
    each = [
        statistics.median((nodes[part] - here[part]) * 1000 * SLOTS / tests for here, nodes in turns) for part in (0, 1)
    ]
    return [
        Figure(f"{tests} tests of {seconds:g} s on {SLOTS} nodes of one slot, x {SLOTS} workers", wall, cpu, 1.05),
        Figure("the same, ms a test and slot more", each[0], each[1], 25),
    ]


def parts(few: int, many: int) -> list[tuple[str, str]]:
    """Return the CPU milliseconds of a test that runs `true`, by part of a cluster."""
    taken = []
    for count in (few, many):
        with tempfile.TemporaryDirectory(prefix="cluster-") as scratch:
            ground = Ground(Path(scratch), _spec(["'true'"], count))
            try:
                for _ in range(SLOTS):
                    ground.node(ground.root, slots=1)
                words = ["--engine", "dask", "--scheduler", ground.address]
                _timed(ground, words)
                nodes = [node.process for node in ground.nodes]
                before = _used([ground.scheduler]), _used(nodes)
                _, run = _timed(ground, words)
                after = _used([ground.scheduler]), _used(nodes)
                _, here = _timed(ground, ["--workers", str(SLOTS)])
            finally:
                ground.kill()
        taken.append((run, after[0] - before[0], after[1] - before[1], here))
    names = ("the run", "the scheduler", "the nodes, with the processes of the tests", "a run without a cluster")
    slopes = ((most - least) * 1000 / (many - few) for least, most in zip(*taken, strict=True))
    return [(name, f"{slope:.1f}") for name, slope in zip(names, slopes, strict=True)]


def cost(tests: int = 64, seconds: float = 0.5, rounds: int = 3, few: int = 100, many: int = 500) -> str:
    """Measure both and return their tables."""
    text = figures("Cost of a cluster", against_workers(tests, seconds, rounds))
    return f"{text}\n{table('CPU ms of a test that runs `true`', ('part', 'ms'), parts(few, many))}"
