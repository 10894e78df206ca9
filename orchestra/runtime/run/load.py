"""Measure the resource use of the machine and the processes of a run: processors, memory, disk, network.

A thread takes a sample at most once a second, and so seldom that sampling takes at most a hundredth of one processor.
The interval between two samples is a `Use`: the processors that the run did not use itself are those of other programs,
which affect durations. Networks are counted without the loopback device. A system has no network counters for a
process.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

import psutil

from orchestra.errors import MachineError
from orchestra.ledger.event import ResourceSampled, WorkerUse
from orchestra.ledger.use import added

LOOK_SECONDS: Final = 1.0
LOOK_SHARE: Final = 100
"""Looks are so seldom that they take one part in so many of the time of one processor."""

_KEPT: Final = 7200
"""The number of latest uses in memory: for durations of two hours."""

_SHORT_SECONDS: Final = 0.2
"""The minimum interval between two samples: the counters of the system have a resolution of hundredths of a second."""

RECORD_SECONDS: Final = 60.0
RECORD_SHARE: Final = 20
"""A sample is recorded after a second, then so seldom that it is as long as one part in so many of the time, and no longer
than `RECORD_SECONDS`: a run of an hour has about a hundred."""

Roots: TypeAlias = Callable[[], Mapping[str, Sequence[int]]]
"""The ids of the processes at the top of the workers, by name."""

Record: TypeAlias = Callable[[Sequence["Use"]], None]


class Counts(NamedTuple):
    """The resource use of processes since they began, as far as the system counts it.

    Attributes:
        cpu_seconds: of the processes that live, and of those that they waited for.
        alive_cpu_seconds: of each process that lives, by id and the time at which it was created.
        memory_bytes: resident.
        read_bytes: from disks.
        written_bytes: to disks.
    """

    cpu_seconds: float = 0.0
    alive_cpu_seconds: Mapping[tuple[int, float], float] = {}
    memory_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


class Look(NamedTuple):
    """The counters of the machine, of the run, and of each worker, at a time of the monotonic clock."""

    at: float
    busy_seconds: float
    idle_seconds: float
    memory_percent: float
    read_bytes: int
    written_bytes: int
    received_bytes: int
    sent_bytes: int
    run: Counts
    workers: Mapping[str, Counts]


class Use(NamedTuple):
    """The resource use of the machine and the run between two samples.

    Attributes:
        begin: when, by the monotonic clock.
        end: until when.
        cpu_percent: of all processors, by all programs.
        other_percent: of all processors, by programs that are no part of the run.
        memory_percent: in use at the end.
        read_bytes: from disks, by all programs.
        written_bytes: to disks.
        received_bytes: by networks.
        sent_bytes: by networks.
        workers: those that were there at the end.
    """

    begin: float
    end: float
    cpu_percent: float
    other_percent: float
    memory_percent: float
    read_bytes: int
    written_bytes: int
    received_bytes: int
    sent_bytes: int
    workers: tuple[WorkerUse, ...]


def between(first: Look, second: Look) -> Use:
    """Return what was used between two looks. Pure."""
    busy = max(0.0, second.busy_seconds - first.busy_seconds)
    all_seconds = (busy + max(0.0, second.idle_seconds - first.idle_seconds)) or 1.0
    own = min(busy, _cpu_seconds(first.run, second.run))
    return Use(
        begin=first.at,
        end=second.at,
        cpu_percent=100 * busy / all_seconds,
        other_percent=100 * (busy - own) / all_seconds,
        memory_percent=second.memory_percent,
        read_bytes=max(0, second.read_bytes - first.read_bytes),
        written_bytes=max(0, second.written_bytes - first.written_bytes),
        received_bytes=max(0, second.received_bytes - first.received_bytes),
        sent_bytes=max(0, second.sent_bytes - first.sent_bytes),
        workers=tuple(_worker(name, first.workers.get(name, Counts()), now) for name, now in second.workers.items()),
    )


def _worker(name: str, before: Counts, now: Counts) -> WorkerUse:
    return WorkerUse(
        worker=name,
        cpu_seconds=round(_cpu_seconds(before, now), 3),
        memory_megabytes=_megabytes(now.memory_bytes),
        read_megabytes=_megabytes(max(0, now.read_bytes - before.read_bytes)),
        written_megabytes=_megabytes(max(0, now.written_bytes - before.written_bytes)),
    )


def _cpu_seconds(before: Counts, now: Counts) -> float:
    """Return the greater of two lower bounds.

    The sum of living processes and of those that they waited for loses what ended unseen by its parent; the sum of what each
    living process took loses what ended.
    """
    alive = sum(taken - before.alive_cpu_seconds.get(key, 0.0) for key, taken in now.alive_cpu_seconds.items())
    return max(now.cpu_seconds - before.cpu_seconds, alive, 0.0)


def share_of_others(uses: Iterable[Use], begin: float, end: float) -> float | None:
    """Return the percentage of all processors that other programs used in a time, None where no use overlaps it. Pure."""
    parts = [(min(use.end, end) - max(use.begin, begin), use.other_percent) for use in uses]
    parts = [(seconds, percent) for seconds, percent in parts if seconds > 0]
    if not parts:
        return None
    return sum(seconds * percent for seconds, percent in parts) / sum(seconds for seconds, _ in parts)


def disturbance(
    *, incidents: Sequence[str], degraded: Sequence[str], throttled: bool, others_percent: float, most_percent: float
) -> str:
    """Return the reason why a duration is not representative; empty if nothing disturbed it. Pure.

    Args:
        incidents: ids of those that overlapped it.
        degraded: what was not as declared of the components that the test requires.
        throttled: a gate let only one test run at a time.
        others_percent: of all processors, used by other programs meanwhile.
        most_percent: what they may use.
    """
    if incidents:
        return f"incident{'s' * (len(incidents) > 1)} {', '.join(incidents)} overlapped"
    if degraded:
        return f"degraded: {', '.join(degraded)}"
    if throttled:
        return "a gate let only one test run at a time"
    if others_percent > most_percent:
        return f"other programs used {others_percent:.0f} % of the processors, more than {most_percent:g} %"
    return ""


def look(roots: Mapping[str, Sequence[int]], others: Iterable[int] = ()) -> Look:
    """Look at the machine, at this process with all of its descendants, and at the workers among them.

    Args:
        roots: the ids of the processes at the top of the workers, by name.
        others: processes that belong to the run and descend from another one, with all of theirs.
    """
    processors, disk = psutil.cpu_times(), psutil.disk_io_counters()
    idle = processors.idle + getattr(processors, "iowait", 0.0)
    # Time of guests is counted twice on Linux.
    twice = getattr(processors, "guest", 0.0) + getattr(processors, "guest_nice", 0.0)
    networks = [one for name, one in psutil.net_io_counters(pernic=True).items() if not name.startswith("lo")]
    tree = dict(_tree((os.getpid(), *others)))
    return Look(
        at=time.monotonic(),
        busy_seconds=sum(processors) - idle - twice,
        idle_seconds=idle,
        memory_percent=psutil.virtual_memory().percent,
        read_bytes=disk.read_bytes if disk is not None else 0,
        written_bytes=disk.write_bytes if disk is not None else 0,
        received_bytes=sum(network.bytes_recv for network in networks),
        sent_bytes=sum(network.bytes_sent for network in networks),
        run=_summed(counts for _, counts in tree.values()),
        workers={name: _summed(_below(tops, tree)) for name, pids in roots.items() if (tops := tree.keys() & pids)},
    )


_Tree: TypeAlias = Mapping[int, tuple[int, Counts]]
"""By id of a process: that of its parent, and its own counts."""


def _tree(tops: Iterable[int]) -> Iterator[tuple[int, tuple[int, Counts]]]:
    """Yield each process of some trees with its parent. One that ends meanwhile is left out."""
    for top in tops:
        with suppress(psutil.Error):
            process = psutil.Process(top)
            for one in (process, *process.children(recursive=True)):
                with suppress(psutil.Error), one.oneshot():
                    yield one.pid, (one.ppid(), _counts(one))


def _counts(process: psutil.Process) -> Counts:
    taken = process.cpu_times()
    own = taken.user + taken.system
    waited = getattr(taken, "children_user", 0.0) + getattr(taken, "children_system", 0.0)
    read = written = 0
    with suppress(psutil.Error, AttributeError):  # macOS has none, and Linux none of a process of another user
        disk = process.io_counters()
        read, written = disk.read_bytes, disk.write_bytes
    memory = process.memory_info().rss
    return Counts(own + waited, {(process.pid, process.create_time()): own}, memory, read, written)


def _below(tops: AbstractSet[int], tree: _Tree) -> Iterator[Counts]:
    """Yield the counts of some processes and of all that descend from them."""
    for pid, (_, counts) in tree.items():
        above, seen = pid, set[int]()
        while above not in tops and above in tree and above not in seen:
            seen.add(above)
            above = tree[above][0]
        if above in tops:
            yield counts


def _summed(parts: Iterable[Counts]) -> Counts:
    some = list(parts)
    alive = {key: taken for one in some for key, taken in one.alive_cpu_seconds.items()}
    seconds, memory = sum(one.cpu_seconds for one in some), sum(one.memory_bytes for one in some)
    return Counts(seconds, alive, memory, sum(one.read_bytes for one in some), sum(one.written_bytes for one in some))


def sampled(uses: Sequence[Use], *, workers: int, reason: str = "") -> ResourceSampled:
    """Return the event of the uses since the one before, at least one. Pure.

    Args:
        uses: in the order of time.
        workers: slots in use or allowed.
        reason: why their number changed.
    """
    seconds = sum(one.end - one.begin for one in uses) or 1.0
    by_worker: dict[str, WorkerUse] = {}
    for use in uses:
        for one in use.workers:
            known = by_worker.get(one.worker)
            by_worker[one.worker] = one if known is None else added(known, one)
    return ResourceSampled(
        cpu_percent=_percent(sum((one.end - one.begin) * one.cpu_percent for one in uses) / seconds),
        memory_percent=uses[-1].memory_percent,
        workers=workers,
        reason=reason,
        seconds=round(seconds, 3),
        cpu_percent_peak=_percent(max(one.cpu_percent for one in uses)),
        memory_percent_peak=max(one.memory_percent for one in uses),
        other_cpu_percent=_percent(sum((one.end - one.begin) * one.other_percent for one in uses) / seconds),
        read_megabytes=_megabytes(sum(one.read_bytes for one in uses)),
        written_megabytes=_megabytes(sum(one.written_bytes for one in uses)),
        received_megabytes=_megabytes(sum(one.received_bytes for one in uses)),
        sent_megabytes=_megabytes(sum(one.sent_bytes for one in uses)),
        by_worker=tuple(by_worker[name] for name in sorted(by_worker)),
    )


def _percent(value: float) -> float:
    return round(value, 1)


def _megabytes(count: int) -> float:
    return round(count / 1e6, 3)


class Sampler:
    """Looks at the machine in a thread of its own while a run goes on. Any thread may ask.

    Args:
        record: is given the uses that one event is made of, in the thread.
        roots: gives the processes at the top of the workers now.
        others: processes that belong to the run, though they descend from another one.
    """

    def __init__(self, record: Record, roots: Roots = dict, others: Sequence[int] = ()) -> None:
        self._record = record
        self._roots = roots
        self._others = others
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._uses: deque[Use] = deque(maxlen=_KEPT)
        self._unrecorded: list[Use] = []
        self._latest = self._first = look({})
        self._due = self._first.at + LOOK_SECONDS
        self._thread = threading.Thread(target=self._work, name="load", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look once more, record what was not yet, and look no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._look()
        self._tell()

    def others_percent(self, seconds: float) -> float:
        """Return the percentage of all processors that other programs used in the last seconds.

        Without a sample in that time the latest samples count; 0 if there are none.
        """
        now = time.monotonic()
        with self._lock:
            # The newest come first: a short test overlaps one or two of hundreds.
            recent = itertools.takewhile(lambda use: use.end > now - seconds, reversed(self._uses))
            share = share_of_others(recent, now - seconds, now)
            if not self._uses and now - self._latest.at >= _SHORT_SECONDS:
                self._look()
            latest = self._uses[-1].other_percent if self._uses else 0.0
        return latest if share is None else share

    def _work(self) -> None:
        pause = LOOK_SECONDS
        while not self._ended.wait(pause):
            begun = time.thread_time()
            with self._lock:
                self._look()
            if self._latest.at >= self._due:
                self._tell()
            pause = max(LOOK_SECONDS, LOOK_SHARE * (time.thread_time() - begun))

    def _look(self) -> None:
        now = look(self._roots(), self._others)
        use = between(self._latest, now)
        self._uses.append(use)
        self._unrecorded.append(use)
        self._latest = now

    def _tell(self) -> None:
        with self._lock:
            uses, self._unrecorded = self._unrecorded, []
            now = self._latest.at
            self._due = now + min(RECORD_SECONDS, max(LOOK_SECONDS, (now - self._first.at) / RECORD_SHARE))
        if uses:
            with suppress(MachineError):  # the next event of the run, or its end, has the same trouble and is heard
                self._record(uses)
