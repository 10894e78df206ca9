"""Lines of text for people: one an event, and the end of a run. Pure.

All text of a spec, a page or a program goes through `draw`, so that none of it is a sequence that a terminal obeys.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from orchestra import draw
from orchestra.draw import duration, megabytes
from orchestra.gates.standard import is_standard
from orchestra.ledger.event import (
    AttemptFinished,
    Body,
    Compared,
    Expected,
    GateJudged,
    HeldBack,
    Incident,
    Interrupted,
    NodeChanged,
    Note,
    Repeated,
    RolledBack,
    RunResumed,
    RunStarted,
    ServiceChanged,
)
from orchestra.ledger.outcome import FINE
from orchestra.ledger.parts import Evidence, Finding
from orchestra.ledger.running_step import RunningStep
from orchestra.plan import Test
from orchestra.report.console.table import (
    agreement,
    commands,
    counted,
    exit_meaning,
    gate_remark,
    incident_parts,
    overhead,
    pace_text,
    render_table,
    values_text,
)
from orchestra.report.findings import SHOWN, finding_text, heading, summed
from orchestra.report.rows import Report, Row, explained
from orchestra.steps.target import in_words

CASES = 10
"""So many cases that did not simply pass are listed below a verdict."""

WORD = 12
"""Columns of the first word of a line: the longest verdict and a space."""


def line(word: str, *parts: str) -> str:
    """Return a line: a word in a column of its own, then parts two spaces apart, all visible and on one line."""
    rest = "  ".join(draw.one_line(part) for part in parts if part)
    return f"{draw.one_line(word):<{WORD}}{rest}".rstrip()


def step_words(step: RunningStep, test: Test | None) -> str:
    """Return a running step in words, with its target where the plan has the same step."""
    planned = {"before": test.before, "steps": test.steps, "finally": test.finally_} if test is not None else {}
    one = next(iter(planned.get(step.section, ())[step.position : step.position + 1]), None)
    target = one.target if one is not None and one.verb == step.verb else None
    return step.words(draw.one_line(in_words(target)) if target is not None else "")


def event_line(body: Body) -> str:
    """Return the line of an event that is no verdict; empty for one that people need not see."""
    tell = _TELL.get(type(body))
    return tell(body) if tell is not None else ""


def verdict_lines(row: Row, folder: str) -> Iterator[str]:
    """Return the lines of a verdict: one, and its explanation if it is not a plain pass.

    Args:
        row: of the task.
        folder: the run's, relative to the project root, for the paths of evidence.
    """
    time = duration(row.seconds) if row.attempts else ""
    reason = "" if row.failure is not None else row.reason
    yield line(row.verdict, row.task, row.title, time, reason)
    for item in row.degraded:
        yield detail("degraded", item)
    if row.excused:
        yield detail("excused", row.excused)
    for item in row.incidents:
        yield detail("incident", item)
    yield from failure_lines(row, folder)
    yield from case_lines(row)
    reported = row.failure is not None and bool(row.findings) and row.message.startswith(heading(row.findings[0]))
    yield from finding_lines(row.findings[reported:])


def case_lines(row: Row, most: int = CASES) -> Iterator[str]:
    """Yield the cases of a wrapped runner: how many, and those that did not simply pass; of many the first ones."""
    if row.cases:
        yield detail("cases", row.cases_text)
    odd = row.odd_cases
    for case in odd[:most]:
        yield detail(case.verdict, f"{case.line} ({case.excused})" if case.excused else case.line)
    if odd[most:]:
        yield detail("", f"and {len(odd) - most} more, in summary.md")


def finding_lines(findings: Sequence[Finding], most: int = SHOWN) -> Iterator[str]:
    """Return errors outside assertions, each with its layer; of many the first ones and the number of the others."""
    for finding in findings[:most]:
        yield detail("fails" if finding.level == "fail" else "warning", f"{finding.layer}: {finding_text(finding)}")
    if findings[most:]:
        yield detail("", f"and {summed(findings[most:])}")


def failure_lines(row: Row, folder: str) -> Iterator[str]:
    """Step, place, message, expected, found, hint and evidence of a verdict that is not fine."""
    if row.verdict in FINE:
        return
    failure = row.failure
    if row.place:
        yield detail("at", row.place)
    if failure is None:
        return
    for name, text in explained(failure, ("step", "message", "expected", "found", "hint")):
        yield from details(name, text)
    pictures = [one for one in failure.evidence if one.kind == "picture"]
    if pictures:
        yield detail("pictures", f"{len(pictures)} after steps, the last is {place_of_evidence(pictures[-1], folder)}")
    for one in failure.evidence:
        if one.kind != "picture":
            yield detail(one.kind, place_of_evidence(one, folder))


def place_of_evidence(one: Evidence, folder: str) -> str:
    """Return the path of a file of evidence relative to the project root; `folder` is that of the run."""
    return posixpath.normpath(f"{folder}/{one.place}")


def detail(name: str, text: str) -> str:
    """One indented line below a verdict."""
    return f"    {draw.one_line(name):<11} {draw.one_line(text)}".rstrip()


def details(name: str, text: str) -> Iterator[str]:
    """Indented lines below a verdict, as many as the text has; none for an empty one."""
    for number, part in enumerate(draw.visible(text).splitlines()):
        yield f"    {'' if number else name:<11} {part}".rstrip()


def closing(report: Report, paths: Sequence[str], width: int | None = None) -> Iterator[str]:
    """Yield the end of a run: table, counts, gates, agreement, what the exit code means, and where to read more.

    Args:
        report: of the run.
        paths: files to read on, relative to the project root.
        width: columns of the terminal; None for as many as it takes.
    """
    yield ""
    yield from render_table(report, "terminal", width).split("\n")
    yield ""
    yield line("tests", counted(report.rows))
    for gate in report.gates:
        if gate.quiet:
            continue
        values = values_text(gate.values)
        remark = gate_remark(gate.result, gate.expression, gate.message)
        yield line("gate", f"{gate.phase}:{gate.name}", gate.result, gate.expression, values and f"({values})", remark)
    for text in (*agreement(report).lines(), *(one.text() for one in overhead(report))):
        yield line("methods", text)
    warned = [row for row in report.rows if any(finding.level == "warn" for finding in row.findings)]
    if warned:
        number = f"{len(warned)} test{'s' * (len(warned) != 1)}"
        yield line(
            "warnings", number, summed(finding for row in warned for finding in row.findings if finding.level == "warn")
        )
    for pace in report.paces:
        yield line("pace", pace.task, pace_text(pace))
    for one in report.incidents:
        yield line("incident", *incident_parts(one))
    for row in report.services:
        if row.recovery_steps:
            yield line("recovery", row.component, ", then ".join(row.recovery_steps), f"now {row.state}")
    if report.seconds is not None:
        yield line("time", duration(report.seconds), expected_text(report.expected))
    yield line("exit", exit_meaning(report))
    for path in paths:
        yield line("see", path)
    for command in commands(report):
        yield line("repeat", command)
    yield line("open", f"{report.tool} open {report.run} --suite {report.suite}")


def _started(body: RunStarted) -> str:
    number = len(body.selection)
    profile = f"profile {body.profile}" if body.profile else ""
    shard = f"shard {body.shard.name}" if body.shard is not None else ""
    order = "" if body.seed is None else f"in random order (--shuffle {body.seed})"
    number_text = f"{number} test{'s' * (number != 1)} to run"
    return line(
        "run",
        body.run,
        body.suite,
        profile,
        shard,
        number_text,
        selection_text(body),
        order,
        expected_text(body.expected),
        memory_text(body.expected),
    )


def expected_text(expected: Expected | None) -> str:
    """Return how long a run was expected to take; empty where no duration was known."""
    if expected is None:
        return ""
    return f"expected {duration(expected.seconds)} ({duration(expected.low)} to {duration(expected.high)})"


def memory_text(expected: Expected | None) -> str:
    """Return the memory that tests were expected to have at the peak; empty where no run has measured any."""
    if expected is None or not expected.memory_megabytes or expected.available_megabytes is None:
        return ""
    return f"{megabytes(expected.memory_megabytes)} of memory at the peak, {megabytes(expected.available_megabytes)} available"


def held_text(body: HeldBack) -> str:
    """Return for what a test waited with a slot free, with the numbers of this decision."""
    return (
        f"for {body.lack}: it wants {body.processors:.1f} processors and {megabytes(body.memory_megabytes)}, {body.running}"
        f" running {'test has' if body.running == 1 else 'tests have'} {body.processors_used:.1f} of {body.processors_all:g} and"
        f" {megabytes(body.memory_megabytes_used)} of {megabytes(body.memory_megabytes_all)}"
    )


def selection_text(body: RunStarted) -> str:
    """Return the words and options by which tests are not in a run; empty where none took any.

    A method is not among them: each line of a verdict names it.
    """
    taking = (one.by for one in body.selected_by if one.effect != "adds")
    return ", ".join(by for by in taking if not by.startswith("--method "))


def _resumed(body: RunResumed) -> str:
    return line("resumed", body.run, f"{len(body.rerun)} to run again" if body.rerun else "")


def _retry(body: AttemptFinished) -> str:
    if not body.retry:
        return ""
    message = body.error.message if body.error is not None else ""
    if body.infra_suspect:
        during = f"attempt {body.attempt} {body.outcome} during {', '.join(body.incidents)}, to be repeated"
        return line("held", body.task, during, message)
    return line("retry", body.task, f"attempt {body.attempt} {body.outcome}", retry_reason(body), message)


def retry_reason(body: AttemptFinished) -> str:
    """Return by which entry of `retries.on` a retry follows and how many are left; empty for a record without it."""
    left = f", {body.retries_left} left" if body.retries_left is not None else ""
    return f"because of {body.retry_cause}{left}" if body.retry_cause else ""  # earlier versions recorded none


def _service(body: ServiceChanged) -> str:
    action = f"({body.action})" if body.action else ""
    bound = body.bound_seconds if body.state == "starting" else None
    within = f"within {duration(bound)}" if bound else ""
    return line("service", body.component, body.state, action, body.url or "", body.reason, within)


def _gate(body: GateJudged) -> str:
    if body.result in {"passed", "pending"} and is_standard(body.phase, body.name, body.expression):
        return ""
    return gate_line(body)


def gate_line(body: GateJudged) -> str:
    """Return the line of an evaluated gate: result, condition, values, message."""
    values = values_text(tuple(sorted(body.values.items())))
    remark = gate_remark(body.result, body.expression, body.message)
    return line("gate", f"{body.phase}:{body.name}", body.result, body.expression, values and f"({values})", remark)


def _repeat(body: Repeated) -> str:
    return line("repeat", body.task, f"{body.number}: {body.outcome}", duration(body.seconds))


def _comparison(body: Compared) -> str:
    return line(body.result, body.task, pace_text(body))


def _incident(body: Incident) -> str:
    name = body.id or body.component
    if body.state == "opened":
        bound = body.bound_seconds
        return line("incident", name, "opened", body.reason, f"recovery within {duration(bound)}" if bound else "")
    by = f" by {', then '.join(body.recovery_steps)}" if body.recovery_steps else ""
    how = f"{body.outcome}{by}" if body.outcome else ""
    after = f"after {duration(body.seconds)}" if body.seconds is not None else ""
    return line("incident", name, "closed", how, after, ", ".join(body.tests))


def _note(body: Note) -> str:
    return line("note", body.message)


def _node(body: NodeChanged) -> str:
    return line("node", body.message)


def _interrupted(body: Interrupted) -> str:
    return line("interrupted", f"by {body.signal}; running tests are ended")


def _rollback(body: RolledBack) -> str:
    return line("rollback", f"to event {body.to_seq}", f"{len(body.reopened)} to run again")


_TELL: Mapping[type[Body], Callable[[Any], str]] = {
    RunStarted: _started,
    RunResumed: _resumed,
    AttemptFinished: _retry,
    Repeated: _repeat,
    Compared: _comparison,
    ServiceChanged: _service,
    GateJudged: _gate,
    Incident: _incident,
    NodeChanged: _node,
    Note: _note,
    Interrupted: _interrupted,
    RolledBack: _rollback,
}
