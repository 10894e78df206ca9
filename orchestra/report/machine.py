"""Where the time of a run went, and its use of the machine, as rows of text. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from orchestra.ledger.use import Use
from orchestra.report.rows import Report

SPENT_HEADS: Final = ("row", "seconds", "of all", "activity")
WORKER_HEADS: Final = ("worker", "processor", "memory at most", "read", "written")

_SHORTEST: Final = 0.005
"""Seconds; a shorter row would show as none."""

_SPENT: Final = {
    "opening": "before the record began: plan, history, what earlier runs left",
    "starting": "until the first test",
    "tests": "tests, as they report their own time",
    "around": "around tests under way: start of workers and browsers, clean-up, evidence",
    "between": "between tests: nothing was under way",
    "servers": "servers that started or recovered, while no test was under way",
    "closing": "after the last verdict",
}


def spent(report: Report) -> list[tuple[str, ...]]:
    """Return where the time of the run went, as rows that add up to the last one; none where no time was counted."""
    total = sum(report.spent.values())
    if total <= 0:
        return []
    rows = [
        (name, f"{seconds:.2f} s", f"{100 * seconds / total:.0f} %", _SPENT[name])
        for name, seconds in report.spent.items()
        if seconds >= _SHORTEST
    ]
    return [*rows, ("all", f"{total:.2f} s", "", "")]


def used(use: Use) -> Iterator[str]:
    """Yield what the run used of its machine."""
    yield (
        f"processors: {use.cpu_percent:.0f} % in the mean, {use.cpu_percent_peak:.0f} % at most;"
        f" {use.other_cpu_percent:.0f} % by programs outside of the run"
    )
    yield f"memory: {use.memory_percent_peak:.0f} % at most"
    yield f"disk: {use.read_megabytes:.1f} MB read, {use.written_megabytes:.1f} MB written"
    yield f"network: {use.received_megabytes:.1f} MB received, {use.sent_megabytes:.1f} MB sent, without the loopback device"


def workers(use: Use) -> list[tuple[str, ...]]:
    """Return what each worker used."""
    return [
        (
            one.worker,
            f"{one.cpu_seconds:.1f} s",
            f"{one.memory_megabytes:.0f} MB",
            f"{one.read_megabytes:.1f} MB",
            f"{one.written_megabytes:.1f} MB",
        )
        for _, one in sorted(use.by_worker.items())
    ]
