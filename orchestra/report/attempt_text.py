"""Render the record of a test in a run, attempt by attempt, as lines of text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestra.draw import duration
from orchestra.ledger.event import AttemptFinished, Attested, HeldBack
from orchestra.ledger.life import Life
from orchestra.ledger.parts import Evidence, numbered
from orchestra.report.console.lines import detail, details, held_text, line, retry_reason
from orchestra.report.findings import finding_text, host_lines, network_text
from orchestra.report.rows import explained


def evidence_of(life: Life, kind: str = "") -> list[Evidence]:
    """Return the evidence of the latest attempt that has any, of this kind or of all."""
    for seen in reversed(life.attempts):
        if files := [file for file in seen.body.evidence if kind in {"", file.kind}]:
            return files
    return []


def lines(task: str, life: Life, folder: str, held: HeldBack | None = None) -> Iterator[str]:
    """Yield the verdict, then each attempt with its steps, its failure and its files.

    Args:
        task: `cli:B004`.
        life: the valid one.
        folder: the run's, relative to the project root.
        held: why it waited with a slot free; None if it did not.
    """
    if life.given is None:
        yield line("no verdict", task)
    else:
        given = life.given.body
        yield line(given.verdict, task, duration(given.seconds) if given.attempts else "", given.reason)
    if held is not None:
        yield detail("waited", held_text(held))
    for seen in life.attempts:
        yield from _attempt(seen.body, folder)


def attested_lines(body: Attested, folder: str) -> Iterator[str]:
    """Yield a result that was seen by hand, marked as a claim, with its files."""
    yield line(body.status, f"agent:{body.test}", "claimed", body.note)
    for one in body.evidence:
        yield line("", f"{folder}/{one.path}", f"({one.bytes} bytes)")


def _attempt(body: AttemptFinished, folder: str) -> Iterator[str]:
    on = f"on {body.node}" if body.node else ""
    yield line("attempt", str(body.attempt), body.outcome, duration(body.seconds), on)
    for step in body.steps:
        calls = f"{step.calls} calls" if step.calls else ""
        polls = f"{step.polls} polls" if step.polls else ""
        parts = [
            f"{numbered(step.section, step.index)} {step.verb}",
            step.outcome,
            duration(step.seconds),
            calls,
            polls,
        ]
        yield detail("step", ", ".join(part for part in parts if part))
    for name, text in explained(body, ("at", "message", "expected", "found", "log", "hint")):
        yield from details(name, text)
    if body.infra_suspect and body.retry:
        yield detail("repeated", f"because of {', '.join(body.incidents)}")
    elif reason := retry_reason(body):
        yield detail("retried", reason)
    for finding in body.findings:
        label = "fails" if finding.level == "fail" else "warning"
        yield detail(label, f"{finding.layer}: {finding_text(finding)}")
    if traffic := network_text(body.network):
        yield detail("requests", traffic)
        yield from (detail("", host) for host in host_lines(body.network))
    if used := _used(body.resources):
        yield detail("resources", used)
    for file in body.evidence:
        at = "" if file.offset is None else f"from byte {file.offset}, "
        yield detail(file.kind, f"{folder}/{file.path} ({at}{file.bytes} bytes)")
    for dropped in body.dropped:
        reason = dropped.reason or "over evidence_limit_megabytes"
        yield detail("dropped", f"{dropped.path} ({dropped.kind}, {dropped.bytes} bytes): {reason}")


def _used(figures: Mapping[str, float]) -> str:
    cpu, peak = figures.get("cpu_seconds"), figures.get("peak_rss_megabytes")
    parts = ("" if cpu is None else f"{cpu:.2f} s of CPU", "" if peak is None else f"{peak:.0f} MB at most")
    return ", ".join(part for part in parts if part)
