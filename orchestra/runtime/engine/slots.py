"""Decide the number of parallel tests: that of the spec, or the measured capacity of the machine.

`workers: auto` has all its slots at once where earlier runs have measured the tests: then `admission` decides by their cost what
runs side by side. Where none has, it begins low and adds a slot while the processors have room for one more test like those that
run. It takes slots away down to one for each processor when these have none, and further when memory is scarce. A slot in use
is never taken away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Final

import psutil

from orchestra.drivers import DRIVERS
from orchestra.plan import AUTO_SLOTS, Method
from orchestra.runtime.engine.admission import Need

SAMPLE_SECONDS = 0.5
ALONE_PERCENT = 97.0
"""A second test starts next to one that leaves so much idle: on what is left it saves more than it costs."""

FULL_PERCENT = 95.0
MEMORY_PERCENT = 85.0


class Slots:
    """The number of slots of one method.

    Args:
        method: of the plan.
        wanted: a number that outranks the spec's, from the command line; None for none.
        nodes: the slots of all nodes, which count in place of the spec's number; None of it where this machine decides.
        learned: whether the cost of each of its tests is known, so that `admission` decides.
        clock: monotonic seconds.
        load: processors and memory in use, percent.
    """

    def __init__(
        self,
        method: Method,
        wanted: int | None,
        *,
        nodes: Callable[[], int | None] = lambda: None,
        learned: bool = False,
        clock: Callable[[], float] = time.monotonic,
        load: Callable[[], tuple[float, float]] | None = None,
    ) -> None:
        self._nodes = nodes
        self._bound = 1 if method.single_session else wanted
        self._fixed = 1 if method.single_session else wanted or method.workers
        self._learned, self._cores = learned, processors()
        self._most = AUTO_SLOTS * self._cores
        pages = method.plugin or DRIVERS[method.driver].pages
        self._now = self._most if learned else 1 if pages else self._cores
        self._clock = clock
        self._load = load or machine_load
        self._next = clock() + SAMPLE_SECONDS
        self._reason = ""

    @property
    def fixed(self) -> bool:
        """Whether the spec, the command line or the session decides, and not the machine."""
        return bool(self._fixed)

    def count(self) -> int:
        """Return how many there are now."""
        nodes = self._of_nodes()
        return (self._fixed or self._now) if nodes is None else nodes

    def _of_nodes(self) -> int | None:
        """Return how many there are on nodes, at least one; None where this machine decides."""
        nodes = self._nodes()
        return None if nodes is None else max(1, nodes if self._bound is None else min(nodes, self._bound))

    def most(self) -> int:
        """Return how many there can be."""
        return self._fixed or self._most

    def allowed(self, running: int) -> int:
        """Return how many may run now.

        Args:
            running: how many do; a slot is added only while all are in use.
        """
        nodes = self._of_nodes()
        if nodes is not None:
            return nodes
        if self._fixed:
            return self._fixed
        now = self._clock()
        if now >= self._next:
            self._next = now + SAMPLE_SECONDS
            busy, memory = self._load()
            full = busy > FULL_PERCENT and not self._learned and self._now > self._cores
            if (
                memory < MEMORY_PERCENT
                and running >= self._now < self._most
                and (self._learned or busy < _room(running))
            ):
                self._now += 1
                self._reason = _reason(self._now, busy, memory)
            elif (full or memory > MEMORY_PERCENT) and self._now > 1:
                self._now -= 1
                self._reason = _reason(self._now, busy, memory)
        return self._now

    def changed(self) -> str:
        """Return why the number changed last, since the last call; empty when it has not. Any thread may ask."""
        reason, self._reason = self._reason, ""
        return reason

    def samples_in(self, running: int, waiting: int) -> float | None:
        """Seconds until a sample may add a slot; None when no sample is awaited."""
        if self._fixed or self._nodes() is not None or not waiting or running < self._now:
            return None
        return max(0.0, self._next - self._clock())


def _room(running: int) -> float:
    """Return below which percent of the processors one more test like those that run has room."""
    return ALONE_PERCENT if running <= 1 else 100.0 * running / (running + 1)


def most_at_once(methods: Iterable[Method], wanted: int | None) -> int:
    """Return how many tests of all methods can run at once: methods follow each other, but for those that run in parallel.

    Args:
        methods: of the plan.
        wanted: as `Slots` takes it.
    """
    slots = [(method.parallel, Slots(method, wanted).most()) for method in methods]
    in_parallel = sum(count for parallel, count in slots if parallel)
    return in_parallel + max((count for parallel, count in slots if not parallel), default=0)


def _reason(slots: int, busy: float, memory: float) -> str:
    return f"{slots} worker{'s' * (slots != 1)} at {busy:.0f} % of the processors and {memory:.0f} % of the memory"


def machine_load() -> tuple[float, float]:
    """Return the use of all processors since the last call, and of memory now, in percent."""
    return psutil.cpu_percent(interval=None), psutil.virtual_memory().percent


def processors() -> int:
    """Return how many processors this machine has."""
    return os.cpu_count() or 1


def available_megabytes() -> float:
    """Return how much memory programs can still get without swapping, in units of 1,000,000 bytes."""
    return psutil.virtual_memory().available / 1e6


MEMORY_SHARE: Final = 0.9
"""The part of the available memory that tests may have: what they had at their most varies from run to run."""


def room() -> Need:
    """Return the capacity of this machine for tests, by the memory that is available now."""
    return Need(1000 * processors(), int(MEMORY_SHARE * available_megabytes()))
