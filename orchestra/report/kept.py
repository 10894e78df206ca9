"""What a run kept of a test, attempt by attempt, as lines of text. Pure. May import `ledger`, `beside`, `lines`, `table`.

`Kept` collects the events of one task; an attempt of an earlier segment that was taken back is shown no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestra.draw import duration
from orchestra.ledger.event import CATALOGUE, Event
from orchestra.report.beside import findings_of, hosts_of, network_of
from orchestra.report.lines import detail, details, line

Body = Mapping[str, Any]


@dataclass(slots=True)
class Kept:
    """The attempts of a task and its verdict."""

    attempts: list[Body] = field(default_factory=list)
    verdict: Body | None = None

    def files(self, kind: str = "") -> list[str]:
        """Paths below the run's folder of what the latest attempt with any kept, of this kind or of any."""
        for body in reversed(self.attempts):
            if found := [one["path"] for one in body["evidence"] if kind in {"", one["kind"]}]:
                return found
        return []


def kept_of(events: Iterable[Event], tasks: Iterable[str]) -> dict[str, Kept]:
    """What was kept of each of the tasks."""
    found = {task: Kept() for task in tasks}
    for event in events:
        known = CATALOGUE.get(event.type)
        if known is None or event.v > known.version:
            continue
        if event.type in {"run_resumed", "rolled_back"}:
            for task in event.body["rerun" if event.type == "run_resumed" else "reopened"]:
                if task in found:
                    found[task] = Kept()
        elif event.body.get("task") in found:
            one = found[event.body["task"]]
            if event.type == "attempt_finished":
                one.attempts.append(event.body)
            elif event.type == "verdict":
                one.verdict = event.body
    return found


def lines(task: str, kept: Kept, folder: str) -> Iterator[str]:
    """The verdict, then each attempt with its steps, its failure and its files.

    Args:
        task: `cli:B004`.
        kept: of it.
        folder: the run's, relative to the project root.
    """
    given = kept.verdict
    if given is None:
        yield line("no verdict", task)
    else:
        yield line(given["verdict"], task, duration(given["seconds"]) if given["attempts"] else "", given["reason"])
    for body in kept.attempts:
        yield line("attempt", str(body["attempt"]), body["outcome"], duration(body["seconds"]))
        for step in body["steps"]:
            calls = f"{step['calls']} calls" if step.get("calls") else ""
            polls = f"{step['polls']} polls" if step.get("polls") else ""
            parts = [f"{step['index'] + 1} {step['verb']}", step["outcome"], duration(step["seconds"]), calls, polls]
            yield detail("step", ", ".join(part for part in parts if part))
        error = body["error"] or {}
        for name in ("at", "message", "expected", "found", "hint"):
            if error.get(name):
                yield from details(name, error[name])
        for one in findings_of(body):
            yield detail("fails" if one.level == "fail" else "warning", f"{one.layer}: {one.said()}")
        if said := network_of(body):
            yield detail("requests", said)
            yield from (detail("", host) for host in hosts_of(body))
        if used := body.get("resources"):
            yield detail("resources", _used(used))
        for one in body["evidence"]:
            yield detail(one["kind"], f"{folder}/{one['path']} ({one['bytes']} bytes)")
        for one in body.get("dropped", ()):
            why = one.get("reason") or "over evidence_limit_megabytes"
            yield detail("dropped", f"{one['path']} ({one['kind']}, {one['bytes']} bytes): {why}")


def _used(figures: Body) -> str:
    cpu, peak = figures.get("cpu_seconds"), figures.get("peak_rss_megabytes")
    parts = ("" if cpu is None else f"{cpu:.2f} s of CPU", "" if peak is None else f"{peak:.0f} MB at most")
    return ", ".join(part for part in parts if part)
