"""Render the tables of report.html as text: methods, servers, network, advice, provenance. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestra.draw import duration
from orchestra.report import by_hand, machine
from orchestra.report.console.lines import expected_text, memory_text
from orchestra.report.console.table import agreement, overhead
from orchestra.report.page_data import Table
from orchestra.report.rows import Report


def tables(report: Report) -> Iterator[Table]:
    """Yield the tables of a run that have rows."""
    yield from _method_tables(report)
    if report.by_hand:
        claims = tuple(one.cells(one.paths) for one in report.by_hand)
        yield Table(f"{by_hand.TITLE}: claims, no verdicts", by_hand.HEADS, claims)
    if report.services:
        rows = tuple(
            (service.component, service.state, service.url, ", then ".join(service.recovery_steps), service.reason)
            for service in report.services
        )
        yield Table("Servers and tools", ("component", "last state", "address", "recovery", "reason"), rows)
    if report.network:
        from_host = tuple(row.cells() for row in report.network)
        yield Table("Network", ("method", "host", "component", "requests", "failed", "bytes", "slowest"), from_host)
    if report.advice:
        advice = tuple((one.rule, one.about, f"{one.saved:.1f} s", one.evidence) for one in report.advice)
        yield Table("Advice", ("rule", "of", "saves a run", "because"), advice)
    yield from _machine_tables(report)
    yield Table("Provenance", ("what", "value"), tuple(_provenance(report)))


def _method_tables(report: Report) -> Iterator[Table]:
    texts = [*agreement(report).lines(), *(one.text() for one in overhead(report))]
    if texts:
        yield Table("Methods", ("agreement and cost",), tuple((text,) for text in texts))
    for one in report.comparisons:
        apart = tuple(
            (test, f"{first.verdict} {first.message}".rstrip(), f"{second.verdict} {second.message}".rstrip())
            for test, (first, second) in one.disagreeing.items()
        )
        if apart:
            yield Table("Methods disagree", ("test", one.first, one.second), apart)
        costs = tuple(
            (cost.verb, f"{cost.more.median:+.3f} s", _interval(cost.more.low, cost.more.high), str(cost.more.pairs))
            for cost in one.steps
        )
        if costs:
            yield Table(f"{one.second} against {one.first}, by step", ("step", "median", "95 %", "pairs"), costs)


def _machine_tables(report: Report) -> Iterator[Table]:
    """Yield what was expected, where the time went, and what was used of the machine: the run, then each worker."""
    if foreseen := tuple(_forecast(report)):
        yield Table("Forecast", ("what", "value"), foreseen)
    if rows := machine.spent(report):
        yield Table("Time", machine.SPENT_HEADS, tuple(rows))
    if report.use is None:
        return
    yield Table("Machine", ("use",), tuple((line,) for line in machine.used(report.use)))
    if each := machine.workers(report.use):
        yield Table("Workers", machine.WORKER_HEADS, tuple(each))


def _forecast(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield what was expected of the run, and the time that it took once it has ended."""
    if report.expected is not None:
        took = "" if report.seconds is None else f", took {duration(report.seconds)}"
        yield "time", f"{expected_text(report.expected)}{took}"
        if memory := memory_text(report.expected):
            yield "memory", memory


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:+.3f} to {high:+.3f} s"


def _provenance(report: Report) -> Iterator[tuple[str, str]]:
    facts: Mapping[str, str] = {
        "started": report.started,
        "ended": report.ended,
        "plan": report.plan_digest,
        "spec": report.source_digest,
        "seal": f"{report.seal}, verified by {report.tool} audit {report.run} --suite {report.suite}"
        if report.seal
        else "",
        **dict(report.provenance),
    }
    yield from ((name, value) for name, value in facts.items() if value)
