"""Every event of a ledger as a line of text, for `orchestra events`. Pure. May import `ledger`, `lines`, `table`.

`lines` tells people what they need to see while a run goes on; here each event has a line, and a newer one its type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestra.draw import duration
from orchestra.ledger.canonical import canonical
from orchestra.ledger.event import CATALOGUE, Event
from orchestra.report.lines import event_line, gate_line, line

Body = Mapping[str, Any]


def timeline(event: Event) -> str:
    """Number, time of day (UTC) and what happened."""
    return f"{event.seq:>6}  {event.time[11:23]}  {_said(event)}"


def json_line(event: Event) -> bytes:
    """The line of the ledger, as it was written."""
    return canonical(event.as_data())


def _said(event: Event) -> str:
    known = CATALOGUE.get(event.type)
    if known is None or event.v > known.version:
        return line(event.type, f"of a newer version ({event.v}): kept, and skipped here")
    return event_line(event) or _TELL.get(event.type, _plain)(event.body, event.type)


def _plain(body: Body, kind: str) -> str:
    return line(kind, *(f"{name}={value}" for name, value in sorted(body.items()) if isinstance(value, (str, int))))


def _started(body: Body, _kind: str) -> str:
    return line("start", body["task"], f"attempt {body['attempt']}", body["dir"])


def _finished(body: Body, _kind: str) -> str:
    kept = len(body["evidence"])
    files = f"{kept} file{'s' * (kept != 1)} kept"
    return line("end", body["task"], f"attempt {body['attempt']} {body['outcome']}", duration(body["seconds"]), files)


def _verdict(body: Body, _kind: str) -> str:
    time = duration(body["seconds"]) if body["attempts"] else ""
    return line(body["verdict"], body["task"], time, body["reason"])


def _gate(body: Body, _kind: str) -> str:
    return gate_line(body)


def _group(body: Body, _kind: str) -> str:
    return line("checkpoint", f"{body['method']}:{body['group']}")


def _session(body: Body, _kind: str) -> str:
    return line("session", body["method"], body["continuity"], body["url"], body["title"])


def _resource(body: Body, _kind: str) -> str:
    use = f"cpu {body['cpu_percent']:.0f} %, memory {body['memory_percent']:.0f} %"
    return line("machine", use, f"{body['workers']} workers", body.get("reason", ""))


def _run_finished(body: Body, _kind: str) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in body["counts"].items())
    return line("finished", f"exit code {body['exit_code']}", counts, duration(body["seconds"]))


def _seal(body: Body, _kind: str) -> str:
    rules = body.get("rules", {})
    held = f"{sum(rules.values())} of {len(rules)} rules held" if rules else ""
    return line("seal", f"{body['events']} events", body["head"], held)


def _reports(body: Body, _kind: str) -> str:
    return line("reports", f"{len(body['files'])} files of the report bound")


def _logs(body: Body, _kind: str) -> str:
    still = f"{len(body['open'])} still written" if body["open"] else ""
    return line("logs", f"{len(body['files'])} whole logs bound", still)


def _segment(body: Body, _kind: str) -> str:
    return line("file", f"number {body['segment']}, after {body['file']}", f"{body['bytes']} bytes", body["digest"])


_TELL: Mapping[str, Callable[[Body, str], str]] = {
    "attempt_started": _started,
    "attempt_finished": _finished,
    "verdict": _verdict,
    "gate": _gate,  # a standard one that passed: nothing to tell while a run goes on, but an event
    "group_completed": _group,
    "session": _session,
    "resource": _resource,
    "run_finished": _run_finished,
    "logs": _logs,
    "reports": _reports,
    "segment": _segment,
    "seal": _seal,
}
