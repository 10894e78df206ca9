"""Time whole processes side by side: the commands take turns, so that a busy machine is busy for all of them.

Wall time is what people wait for; CPU time (user and system, children included) is what other programs on the machine
disturb least. On Linux it includes orphans, such as a browser that ends after the tool that started it. Both are medians.
A ratio holds within one run of the benchmark only.
"""

from __future__ import annotations

import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from orchestra.runtime.processes.orphan import become_subreaper

ROOT = Path(__file__).resolve().parent.parent
ORCHESTRA = (sys.executable, "-c", "from orchestra.start import main; main()")
SCRIPTS = Path(sys.executable).parent
PASS = (sys.executable, "-c", "pass")


@dataclass(frozen=True)
class Case:
    """A command to time, where it runs, what is made ready before each time, the exit code that it must have, and its input."""

    argv: Sequence[str]
    cwd: Path = ROOT
    prepare: Callable[[], None] = lambda: None
    env: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0
    stdin: str = ""


@dataclass(frozen=True)
class Timing:
    """Medians over the rounds: seconds of wall and CPU time, and the greatest resident memory in MiB.

    The system counts that of the benchmark itself for a process that it starts, so a smaller one is not known: not a number.
    """

    wall: float
    cpu: float
    memory: float


class BenchmarkError(Exception):
    """A command did not do what was to be timed."""


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what changes how Python starts: compiled modules are cached as for every user."""
    return {
        **{name: text for name, text in os.environ.items() if not name.startswith("PYTHON") and name != "CI"},
        **extra,
    }


def once(case: Case) -> Timing:
    """Time a run once; its output is kept only to explain a failure, and orphans that it leaves count for their CPU time."""
    case.prepare()
    become_subreaper()
    before = {process.pid for process in psutil.Process().children()}
    with tempfile.TemporaryFile() as given:
        given.write(case.stdin.encode())
        given.seek(0)
        start = time.perf_counter()
        process = subprocess.Popen(
            case.argv,
            cwd=case.cwd,
            env=environment(case.env),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    output = process.stdout.read() if process.stdout else b""
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stdout:
        process.stdout.close()
    if process.returncode != case.exit_code:
        tail = output[-6000:].decode(errors="replace")
        raise BenchmarkError(f"exit {process.returncode} of {' '.join(case.argv)}:\n{tail}")
    unit = 1 if sys.platform == "darwin" else 1024
    cpu = used.ru_utime + used.ru_stime + _orphans(before)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Timing(wall, cpu, used.ru_maxrss * unit / 2**20 if used.ru_maxrss > own else math.nan)


def _orphans(before: set[int]) -> float:
    """Wait for the children that are new: the orphans of a run, such as browsers that end after it. Return their CPU seconds."""
    seconds = 0.0
    while left := [process.pid for process in psutil.Process().children() if process.pid not in before]:
        for pid in left:
            used = os.wait4(pid, 0)[2]
            seconds += used.ru_utime + used.ru_stime
    return seconds


def alternate(cases: Mapping[str, Case], rounds: int) -> dict[str, Timing]:
    """Return each case in turn, `rounds` times, after one round that fills every cache and counts only if there is no other."""
    taken: dict[str, list[Timing]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            timing = once(case)
            if number or not rounds:
                taken[name].append(timing)
    return {
        name: Timing(*(statistics.median(getattr(one, part) for one in timings) for part in ("wall", "cpu", "memory")))
        for name, timings in taken.items()
    }


@dataclass(frozen=True)
class Figure:
    """A ratio against its limit, if it has one. `at_least` turns the limit round; `by_cpu` holds CPU time to it."""

    name: str
    wall: float
    cpu: float
    limit: float | None
    at_least: bool = False
    by_cpu: bool = False

    def row(self) -> tuple[str, ...]:
        """Return a row of a table; the limit applies to wall time, or else to CPU time."""
        if self.limit is None:
            return self.name, f"{self.wall:.2f}", f"{self.cpu:.2f}", "", ""
        value = self.cpu if self.by_cpu else self.wall
        held = value >= self.limit if self.at_least else value <= self.limit
        sign = ">=" if self.at_least else "<="
        return self.name, f"{self.wall:.2f}", f"{self.cpu:.2f}", f"{sign} {self.limit:g}", "held" if held else "MISSED"


def ratio(name: str, timing: Timing, base: Timing, limit: float, *, at_least: bool = False) -> Figure:
    """Return how many times the base."""
    return Figure(name, timing.wall / base.wall, timing.cpu / base.cpu, limit, at_least)


def against(
    name: str, value: float, limit: float | None, *, digits: int = 2, at_least: bool = False
) -> tuple[str, ...]:
    """Return a row of `goals`: a value, and whether its limit holds, if it has one. `at_least` turns the limit round."""
    if limit is None:
        return name, f"{value:.{digits}f}", "", ""
    held = value >= limit if at_least else value <= limit
    return name, f"{value:.{digits}f}", f"{'>=' if at_least else '<='} {limit:g}", "held" if held else "MISSED"


def goals(title: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a table of single figures next to their limits."""
    return table(title, ("figure", "found", "limit", ""), rows)


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table that reads well on a terminal too."""
    widths = [max(len(row[index]) for row in (heads, *rows)) for index in range(len(heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        "| "
        + " | ".join(
            f"{cell:{'<' if not index else '>'}{width}}"
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in (heads, rule, *rows)
    ]
    return f"{title}\n\n" + "\n".join(lines) + "\n"


def timings(title: str, taken: Mapping[str, Timing]) -> str:
    """Return a table of milliseconds and memory."""
    rows = [
        (name, f"{one.wall * 1e3:.0f}", f"{one.cpu * 1e3:.0f}", "" if math.isnan(one.memory) else f"{one.memory:.0f}")
        for name, one in taken.items()
    ]
    return table(title, ("process", "wall ms", "CPU ms", "peak MiB"), rows)


def figures(title: str, found: Sequence[Figure]) -> str:
    """Return a table of ratios and limits."""
    return table(title, ("figure", "wall", "CPU", "limit", ""), [one.row() for one in found])
