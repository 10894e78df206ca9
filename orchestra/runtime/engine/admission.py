"""Decide by cost which tasks may run side by side: processors and memory as counts. Pure.

With `workers: auto` a task starts if its cost fits next to those that run, or if nothing runs. Costs are learned from earlier
runs (`runtime.costs`); a task without one takes a slot and nothing else. Memory is a firm bound. Processors are not: tests that
want more than there are take longer, and still no longer than one after the other, as long as the first leaves something idle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

SLACK_PERCENT: Final = 110
"""So many percent of the processors tests may ask for together: measured costs vary by about the tenth above them."""

PAIR_PERCENT: Final = 194
"""The same of two tests, which are the least to compare with one after the other: these use half of what both ask for, so two
that ask for more than 2 / 1.03 of all processors save less than 3 % side by side, and only disturb each other."""

PASSES: Final = 8
"""So many tasks may start before one that waits for its turn; then none does until it fits."""

LOOKED: Final = 16
"""So many tasks that do not fit are looked at to find a lighter one behind them."""

Lack = Literal["processors", "memory"]


class Need(NamedTuple):
    """The part of a machine that a task takes while it runs: thousandths of a processor, memory in units of 1,000,000 bytes."""

    millicores: int
    megabytes: int


class Load(NamedTuple):
    """The capacity of a machine, and what tasks take of it.

    Attributes:
        room: all processors, and the memory that tests may have.
        needs: by task; one that is missing takes a slot only.
        methods: whose tasks wait until they fit; those of others start whenever they have a slot, and count.
    """

    room: Need
    needs: Mapping[str, Need]
    methods: frozenset[str]


class Held(NamedTuple):
    """A task that was held back, with the figures by which it was.

    Attributes:
        task: its name.
        lack: of what too little was free.
        need: of the task.
        used: by the tasks that ran.
        room: of the machine.
        running: how many ran.
    """

    task: str
    lack: Lack
    need: Need
    used: Need
    room: Need
    running: int


class Admission:
    """The tasks that run and what they take.

    Args:
        load: of the machine; None where nothing is known, and each task fits.
        selection: the tasks of the run.
    """

    def __init__(self, load: Load | None, selection: Sequence[str] = ()) -> None:
        self._load = load or Load(_NONE, {}, frozenset())
        needs = [self.need(task) for task in selection] if load is not None else []
        self._least = Need(
            min((need.millicores for need in needs), default=0), min((need.megabytes for need in needs), default=0)
        )
        self._running: dict[str, Need] = {}
        self._used = _NONE
        self._first = ""
        self._passed = 0
        self._told: dict[str, Lack] = {}
        self._new: list[Held] = []

    def detach(self) -> None:
        """Take over what changes in a run, as a copy of one that was never used."""
        self._running, self._told, self._new = {}, {}, []

    @property
    def first(self) -> str:
        """The task that was held back and is next; empty for none."""
        return self._first

    @property
    def closed(self) -> bool:
        """Whether no other task may start before the one that was held back."""
        return bool(self._first) and self._passed >= PASSES

    def lacks(self, task: str, ahead: Mapping[str, Need] | None = None) -> Lack | None:
        """Return of what too little is free for a task; None if it fits.

        Args:
            task: its name.
            ahead: tasks that are about to start before it, as if they ran.
        """
        need = self._load.needs.get(task)
        if need is None or task.partition(":")[0] not in self._load.methods:
            return None
        running, cores, memory = len(self._running), self._used.millicores, self._used.megabytes
        for one in (ahead or {}).values():
            running, cores, memory = running + 1, cores + one.millicores, memory + one.megabytes
        return self._short(running, Need(cores + need.millicores, memory + need.megabytes))

    def _short(self, running: int, wanted: Need) -> Lack | None:
        """Return of what there is too little for one more task next to so many, by the sum of what all want."""
        if not running:
            return None
        if wanted.megabytes > self._load.room.megabytes:
            return "memory"
        percent = PAIR_PERCENT if running == 1 else SLACK_PERCENT
        return "processors" if 100 * wanted.millicores > percent * self._load.room.millicores else None

    def full(self) -> bool:
        """Return whether not even the least of all tasks would fit."""
        used, least = self._used, self._least
        wanted = Need(used.millicores + least.millicores, used.megabytes + least.megabytes)
        return self._short(len(self._running), wanted) is not None

    def need(self, task: str) -> Need:
        """Return what a task takes."""
        return self._load.needs.get(task, _NONE)

    def hold(self, task: str, lack: Lack) -> None:
        """Note that a task is next and does not fit: `PASSES` others may start before it."""
        if self._first == task:
            return
        self._first, self._passed = task, 0
        if task not in self._told:
            self._told[task] = lack
            self._new.append(Held(task, lack, self.need(task), self._used, self._load.room, len(self._running)))

    def start(self, task: str) -> None:
        """Count a task that starts."""
        need = self._running[task] = self.need(task)
        self._used = Need(self._used.millicores + need.millicores, self._used.megabytes + need.megabytes)
        self._passed += 1
        self.forget(task)

    def end(self, task: str) -> None:
        """Take back what a task took; one that did not run changes nothing."""
        need = self._running.pop(task, _NONE)
        self._used = Need(self._used.millicores - need.millicores, self._used.megabytes - need.megabytes)

    def forget(self, task: str) -> None:
        """Hold a task back no more: it has started, or will not start now."""
        if self._first == task:
            self._first = ""

    def why(self, task: str) -> Lack | None:
        """Return for what a task was held back at some time; None if it never was."""
        return self._told.get(task)

    def new(self) -> list[Held]:
        """Return the tasks that were held back since the last call; each comes once."""
        new, self._new = self._new, []
        return new


_NONE: Final = Need(0, 0)
