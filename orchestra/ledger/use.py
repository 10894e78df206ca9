"""Sum up the resource use of a run over all of its samples."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orchestra.ledger.event import ResourceSampled, WorkerUse


@dataclass(slots=True)
class Use:
    """The sum of samples. Empty before the first.

    Attributes:
        seconds: how long the samples are together.
        cpu_seconds_percent: the sum of percent times seconds, for the mean.
        other_seconds_percent: the same of programs that are no part of the run.
        cpu_percent_peak: the most, in about a second.
        memory_percent_peak: the most that a look met.
        read_megabytes: from disks.
        written_megabytes: to disks.
        received_megabytes: by networks.
        sent_megabytes: by networks.
        by_worker: what each worker used, by name: sums, and the most memory.
    """

    seconds: float = 0.0
    cpu_seconds_percent: float = 0.0
    other_seconds_percent: float = 0.0
    cpu_percent_peak: float = 0.0
    memory_percent_peak: float = 0.0
    read_megabytes: float = 0.0
    written_megabytes: float = 0.0
    received_megabytes: float = 0.0
    sent_megabytes: float = 0.0
    by_worker: dict[str, WorkerUse] = field(default_factory=dict)

    def add(self, body: ResourceSampled) -> None:
        """Take a sample in."""
        self.seconds += body.seconds
        self.cpu_seconds_percent += body.seconds * body.cpu_percent
        self.other_seconds_percent += body.seconds * body.other_cpu_percent
        self.cpu_percent_peak = max(self.cpu_percent_peak, body.cpu_percent, body.cpu_percent_peak)
        self.memory_percent_peak = max(self.memory_percent_peak, body.memory_percent, body.memory_percent_peak)
        self.read_megabytes += body.read_megabytes
        self.written_megabytes += body.written_megabytes
        self.received_megabytes += body.received_megabytes
        self.sent_megabytes += body.sent_megabytes
        for one in body.by_worker:
            known = self.by_worker.get(one.worker)
            self.by_worker[one.worker] = one if known is None else added(known, one)

    @property
    def cpu_percent(self) -> float:
        """Of all processors, by all programs, in the mean."""
        return self.cpu_seconds_percent / self.seconds if self.seconds else 0.0

    @property
    def other_cpu_percent(self) -> float:
        """Of all processors, by programs that are no part of the run, in the mean."""
        return self.other_seconds_percent / self.seconds if self.seconds else 0.0

    def copy(self) -> Use:
        """Return what later samples do not change."""
        return replace(self, by_worker=dict(self.by_worker))


def added(one: WorkerUse, more: WorkerUse) -> WorkerUse:
    """Return what a worker used in two times together."""
    return WorkerUse(
        worker=one.worker,
        cpu_seconds=round(one.cpu_seconds + more.cpu_seconds, 3),
        memory_megabytes=max(one.memory_megabytes, more.memory_megabytes),
        read_megabytes=round(one.read_megabytes + more.read_megabytes, 3),
        written_megabytes=round(one.written_megabytes + more.written_megabytes, 3),
    )
