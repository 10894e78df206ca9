"""Every event of a ledger as a line of text, for `orchestra events`. Pure.

`lines` shows people the essential events of a run in progress; here each event has a line, and a newer one its type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from orchestra.draw import duration
from orchestra.ledger.event import (
    AttemptFinished,
    AttemptStarted,
    Body,
    Event,
    GateJudged,
    GroupCompleted,
    HeldBack,
    Logs,
    Reports,
    ResourceSampled,
    RunFinished,
    Seal,
    Segment,
    SessionChanged,
    Unknown,
    VerdictGiven,
)
from orchestra.report.console.lines import event_line, gate_line, held_text, line


def timeline(event: Event) -> str:
    """Yield number, time of day (UTC) and description of each event."""
    return f"{event.seq:>6}  {event.time[11:23]}  {_said(event)}"


def _said(event: Event) -> str:
    if isinstance(event.body, Unknown):
        return line(event.type, f"of a newer version ({event.v}): kept, and skipped here")
    tell = _TELL.get(type(event.body))
    return event_line(event.body) or (tell(event.body) if tell is not None else _plain(event))


def _plain(event: Event) -> str:
    fields = msgspec.to_builtins(event.body).items()
    return line(event.type, *(f"{name}={value}" for name, value in sorted(fields) if isinstance(value, (str, int))))


def _started(body: AttemptStarted) -> str:
    return line(
        "start",
        body.task,
        f"attempt {body.attempt}",
        body.folder,
        *(f"{name}={label}" for name, label in body.holds.items()),
        f"on {body.node}" if body.node else "",
    )


def _finished(body: AttemptFinished) -> str:
    kept = len(body.evidence)
    files = f"{kept} file{'s' * (kept != 1)} kept"
    on = f"on {body.node}" if body.node else ""
    return line("end", body.task, f"attempt {body.attempt} {body.outcome}", duration(body.seconds), files, on)


def _verdict(body: VerdictGiven) -> str:
    return line(body.verdict, body.task, duration(body.seconds) if body.attempts else "", body.reason)


def _group(body: GroupCompleted) -> str:
    return line("checkpoint", f"{body.method}:{body.group}")


def _session(body: SessionChanged) -> str:
    return line("session", body.method, body.continuity, body.url, body.title)


def _resource(body: ResourceSampled) -> str:
    use = f"cpu {body.cpu_percent:.0f} % ({body.other_cpu_percent:.0f} % by others), memory {body.memory_percent:.0f} %"
    disk = f"disk {body.read_megabytes:.1f} MB read, {body.written_megabytes:.1f} MB written"
    network = f"network {body.received_megabytes:.1f} MB in, {body.sent_megabytes:.1f} MB out"
    workers = (f"{one.worker} {one.cpu_seconds:.1f} s, {one.memory_megabytes:.0f} MB" for one in body.by_worker)
    return line("machine", use, disk, network, f"{body.workers} workers", *workers, body.reason)


def _held(body: HeldBack) -> str:
    return line("waits", body.task, held_text(body))


def _run_finished(body: RunFinished) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in body.counts.items())
    return line("finished", f"exit code {body.exit_code}", counts, duration(body.seconds))


def _seal(body: Seal) -> str:
    held = f"{sum(body.rules.values())} of {len(body.rules)} rules held" if body.rules else ""
    return line("seal", f"{body.events} events", body.head, held)


def _reports(body: Reports) -> str:
    return line("reports", f"{len(body.files)} files of the report bound")


def _logs(body: Logs) -> str:
    still = f"{len(body.open)} still written" if body.open else ""
    return line("logs", f"{len(body.files)} whole logs bound", still)


def _segment(body: Segment) -> str:
    return line("file", f"number {body.segment}, after {body.file}", f"{body.bytes} bytes", body.digest)


_TELL: Mapping[type[Body], Callable[[Any], str]] = {
    AttemptStarted: _started,
    AttemptFinished: _finished,
    VerdictGiven: _verdict,
    GateJudged: gate_line,  # a standard one that passed: not shown during a run, but an event
    GroupCompleted: _group,
    SessionChanged: _session,
    HeldBack: _held,
    ResourceSampled: _resource,
    RunFinished: _run_finished,
    Logs: _logs,
    Reports: _reports,
    Segment: _segment,
    Seal: _seal,
}
