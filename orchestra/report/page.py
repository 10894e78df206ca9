"""The data of report.html: a report as plain structs, which the script of the page draws. Pure.

May import `ledger`, the report's rows and tables, `draw`. Every text is made visible here, once: what would change the order
of the letters around it, or does not show, is replaced by a sign, in the page as on the terminal.
"""

from __future__ import annotations

import base64
import shlex
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote

import msgspec

from orchestra import draw
from orchestra.ledger.event import VERDICTS
from orchestra.ledger.history import RunRecord
from orchestra.ledger.outcome import FINE, GOOD
from orchestra.ledger.parts import Dropped, Evidence, Finding, StepDone
from orchestra.report.compare import counted as number_of
from orchestra.report.evidence_text import line_of
from orchestra.report.rows import GateRow, Report, Row, Try
from orchestra.report.table import agreement, counted, exit_meaning, gate_remark, incident_parts, overhead
from orchestra.report.table import values_text as gate_values

FORMAT: Final = 1
"""Of the data. The script that draws it lies in the same file, so this is for other readers."""

POINTS: Final = 30
"""Earlier runs that the history of a test shows."""

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


class Part(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The base of the page's data."""


class File(Part, frozen=True):
    """A file of evidence: its kind, its name, its address relative to the page, its size; its path where that is another."""

    kind: str
    name: str
    href: str
    bytes: int
    text: str = ""
    picture: str = ""
    path: str = ""


class Error(Part, frozen=True):
    """Why an attempt did not pass."""

    kind: str
    message: str
    step: int | None = None
    at: str = ""
    spec: str = ""
    expected: str = ""
    found: str = ""
    hint: str = ""


class Attempt(Part, frozen=True):
    """One attempt. `start` is in seconds since the first event of the run; a step is verb, seconds, outcome, tool calls."""

    number: int
    outcome: str
    start: float
    seconds: float
    error: Error | None = None
    steps: tuple[tuple[str, float, str, int], ...] = ()
    files: tuple[File, ...] = ()
    findings: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()
    held: bool = False


class Point(Part, frozen=True, array_like=True):
    """What an earlier run made of a test."""

    run: str
    verdict: str
    seconds: float | None


class Task(Part, frozen=True):
    """A test by a method. `change` is what is new against the run before: `new failure`, `fixed`, `new`, `slower`, `faster`."""

    task: str
    test: str
    method: str
    verdict: str
    reason: str = ""
    seconds: float = 0.0
    attempts: int = 0
    speed: str = ""
    mark: str = ""
    place: str = ""
    spec: str = ""
    degraded: tuple[str, ...] = ()
    excused: str = ""
    unchanged_since: str = ""
    incidents: tuple[str, ...] = ()
    change: str = ""
    tries: tuple[Attempt, ...] = ()
    past: tuple[Point, ...] = ()


class TestRow(Part, frozen=True):
    """A test of the selection."""

    id: str
    title: str
    group: str = ""
    tags: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class Gate(Part, frozen=True):
    """A gate, its condition, and the values that decided it."""

    name: str
    result: str
    condition: str
    values: str
    remark: str
    standard: bool = False


class Change(Part, frozen=True, array_like=True):
    """A change of a row of the health matrix, in seconds since the first event."""

    at: float
    component: str
    state: str
    reason: str


class Table(Part, frozen=True):
    """Further rows of text under a heading."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Progress(NamedTuple):
    """The tasks of a run under way that are executed now, and those that wait."""

    running: Container[str]
    waiting: Container[str]

    def of(self, task: str) -> str:
        """Return the word for a task without a verdict; empty for one that has ended."""
        return "running" if task in self.running else "waiting" if task in self.waiting else ""


class Page(Part, frozen=True, kw_only=True):
    """All that the page shows."""

    format: int
    suite: str
    title: str
    run: str
    folder: str
    headline: str
    state: str
    exit: str
    counted: str
    counts: dict[str, int]
    started: str
    seconds: float | None
    span: float
    methods: tuple[tuple[str, str], ...]
    groups: dict[str, str]
    tests: tuple[TestRow, ...]
    tasks: tuple[Task, ...]
    gates: tuple[Gate, ...]
    changes: tuple[Change, ...]
    incidents: tuple[tuple[str, ...], ...]
    news: dict[str, tuple[str, ...]]
    previous: str = ""
    commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


def page(report: Report, folder: str, *, progress: Progress | None = None, served: bool = False) -> Page:
    """Return the data of the page of a run.

    Args:
        report: of the run.
        folder: the run's, relative to the project root.
        progress: of a run under way.
        served: files are asked for by digest, from the server of the page.
    """
    task_rows = tuple(_tasks(report, progress, served=served))
    found = Counter(one.verdict for one in task_rows)
    words = {word: found[word] for word in (*VERDICTS, "running", "waiting") if found[word]}
    tests: dict[str, TestRow] = {}
    for row in report.rows:
        tests.setdefault(row.test, TestRow(row.test, row.title, row.group, row.tags, row.needs, row.after))
    headline, state = verdict(report) if progress is None else _progress(words, len(task_rows))
    return Page(
        format=FORMAT,
        suite=report.suite,
        title=report.title,
        run=report.run,
        folder=folder,
        headline=headline,
        state=state,
        exit=exit_meaning(report) if progress is None else "",
        counted=", ".join(f"{number} {word}" for word, number in words.items()) if progress else counted(report.rows),
        counts=words,
        started=report.started,
        seconds=report.seconds,
        span=_since(report.started, report.ended),
        methods=tuple((name, report.titles.get(name, name)) for name in report.methods),
        groups={row.group: report.titles.get(row.group, row.group) for row in report.rows if row.group},
        tests=tuple(tests.values()),
        tasks=task_rows,
        gates=tuple(map(_gate, report.gates)),
        changes=tuple(
            Change(_since(report.started, one.time), one.body.component, one.body.state, one.body.reason)
            for one in report.changes
        ),
        incidents=tuple(map(incident_parts, report.incidents)),
        news=_news(task_rows),
        previous=report.earlier[-1].run if report.earlier else "",
        commands=tuple(commands(report)) if progress is None else (),
        notes=tuple(_notes(report)),
        tables=tuple(_tables(report)),
    )


def encoded(data: Page) -> bytes:
    """Return the page's data as JSON, each text visible."""
    plain: Json = msgspec.to_builtins(data)
    return msgspec.json.encode(_visible(plain))


def _visible(value: Json) -> Json:
    if isinstance(value, str):
        return draw.visible(value)
    if isinstance(value, (list, tuple)):
        return [_visible(one) for one in value]
    if isinstance(value, dict):
        return {draw.visible(name): _visible(one) for name, one in value.items()}
    return value


# ------------------------------------------------------------------------------------------------------------- headline
def verdict(report: Report) -> tuple[str, str]:
    """Return the verdict of a run in words, and its state: `passed`, `failed`, `interrupted` or `unfinished`."""
    bad = [row for row in report.rows if row.verdict not in FINE and not row.excused]
    gates = [gate for gate in report.gates if gate.result == "failed"]
    if report.interrupted:
        return f"Interrupted by {report.interrupted}", "interrupted"
    if report.exit_code is None:
        return "Not finished", "unfinished"
    if not bad and not gates and report.exit_code == 0:
        return (
            f"Passed: {number_of(len(report.rows), 'test')}, none failed" if report.rows else "No test selected",
            "passed",
        )
    parts = [f"{len(bad)} of {number_of(len(report.rows), 'test')}"] if bad else []
    parts += [number_of(len(gates), "gate")] if gates else []
    return f"Failed: {' and '.join(parts)}" if parts else f"Failed: exit {exit_meaning(report)}", "failed"


def _progress(words: Mapping[str, int], number: int) -> tuple[str, str]:
    done = number - words.get("running", 0) - words.get("waiting", 0)
    bad = sum(words.get(word, 0) for word in VERDICTS if word not in FINE)
    return f"Running: {done} of {number_of(number, 'test')} done{f', {bad} did not pass' if bad else ''}", "running"


def commands(report: Report) -> Iterator[str]:
    """Yield the commands that take one further: what failed again, by each method where methods differ."""
    bad: dict[str, list[str]] = {}
    for row in report.rows:
        if row.verdict not in FINE and row.verdict != "blocked" and not row.excused:
            bad.setdefault(row.method, []).append(row.test)
    if report.exit_code is None or report.interrupted:
        yield f"orchestra run --suite {report.suite} --resume {report.run}"
    for method, tests in bad.items():
        yield f"orchestra run --suite {report.suite} {' '.join(map(shlex.quote, tests[:POINTS]))} --method {method}"


def _notes(report: Report) -> Iterator[str]:
    if report.plan_changed:
        yield "The plan was compiled again since this run: titles here may be of the later one."
    if report.resumes:
        yield f"Resumed {number_of(report.resumes, 'time')}."
    if report.profile:
        yield f"Profile {report.profile}."


def _news(tasks: Sequence[Task]) -> dict[str, tuple[str, ...]]:
    """Return the tasks that changed since the run before, by the kind of change."""
    kinds = ("new failure", "fixed", "slower", "faster", "new")
    listed = {kind: tuple(one.task for one in tasks if one.change == kind) for kind in kinds}
    return {kind: names for kind, names in listed.items() if names}


# ---------------------------------------------------------------------------------------------------------------- tests
def _tasks(report: Report, progress: Progress | None, *, served: bool) -> Iterator[Task]:
    paces = {one.task: one.result for one in report.paces if one.result != "unconfirmed"}
    for row in report.rows:
        now = progress.of(row.task) if progress is not None else ""
        yield Task(
            task=row.task,
            test=row.test,
            method=row.method,
            verdict=now or row.verdict,
            reason="" if now else row.message,
            seconds=round(row.seconds, 3),
            attempts=row.attempts,
            speed=row.speed_class,
            mark="" if row.verdict == "failed" else row.mark,
            place="" if now else row.place,
            spec=report.shown.spec.get(line_of(row.place), ""),
            degraded=row.degraded,
            excused=row.excused,
            unchanged_since=row.unchanged_since,
            incidents=row.incidents,
            change=_change(row, report.earlier) or paces.get(row.task, ""),
            tries=tuple(_attempt(one, row, report, served=served) for one in row.tries),
            past=tuple(_past(row.task, report.earlier)),
        )


def _change(row: Row, earlier: Sequence[RunRecord]) -> str:
    """Return how an executed test differs from the latest run that executed it; it is `new` where no earlier run did."""
    if not row.attempts or not earlier:
        return ""
    before = next((one.executions[row.task] for one in reversed(earlier) if row.task in one.executions), None)
    if before is None:
        return "new"
    good, was_good = row.verdict in GOOD, before.verdict in GOOD
    return "" if good == was_good else "fixed" if good else "new failure"


def _past(task: str, earlier: Sequence[RunRecord]) -> Iterator[Point]:
    for record in earlier[-POINTS:]:
        one = record.executions.get(task)
        if one is not None:
            yield Point(record.run, one.verdict, None if one.passing is None else round(one.passing, 3))


def _attempt(one: Try, row: Row, report: Report, *, served: bool) -> Attempt:
    body = one.body
    end = _since(report.started, one.ended)
    return Attempt(
        number=body.attempt,
        outcome=body.outcome,
        start=round(max(0.0, end - body.seconds), 3),
        seconds=round(body.seconds, 3),
        error=_error(one, report),
        steps=tuple(map(_step, body.steps)),
        files=tuple(_file(file, report, served=served) for file in body.evidence),
        findings=tuple(map(_finding, body.findings)),
        dropped=tuple(map(_dropped, body.dropped)),
        incidents=body.incidents,
        held=body.infra_suspect and one is not row.tries[-1],
    )


def _error(one: Try, report: Report) -> Error | None:
    error = one.body.error
    if error is None:
        return None
    return Error(
        error.kind,
        error.message,
        error.step,
        error.at or "",
        report.shown.spec.get(line_of(error.at or ""), ""),
        error.expected or "",
        error.found or "",
        error.hint or "",
    )


def _step(one: StepDone) -> tuple[str, float, str, int]:
    return one.verb, round(one.seconds, 3), one.outcome, one.calls


def _file(one: Evidence, report: Report, *, served: bool) -> File:
    content = report.shown.pictures.get(one.path)
    name = one.path.rpartition("/")[2]
    return File(
        one.kind,
        name,
        address(f"f/{one.digest}/{name}" if served else one.path),
        one.bytes,
        report.shown.texts.get(one.path, ""),
        picture_address(content) if content else "",
        one.path if served else "",
    )


def _finding(one: Finding) -> str:
    where = f" ({one.where})" if one.where else ""
    return f"{one.level} {one.layer}: {one.text}{where}{f', {one.count} times' if one.count > 1 else ''}"


def _dropped(one: Dropped) -> str:
    return f"{one.path} ({one.kind}, {one.bytes} bytes): {one.reason or 'over evidence_limit_megabytes'}"


def address(path: str) -> str:
    """Return a path as a relative address, whatever is in it: no scheme, no host, no query."""
    return "./" + quote(path, errors="replace")


def picture_address(content: bytes) -> str:
    """Return the content of a picture as an address that needs no file."""
    kind = "jpeg" if content.startswith(b"\xff\xd8") else "webp" if content[8:12] == b"WEBP" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _since(start: str, moment: str) -> float:
    if not start or not moment:
        return 0.0
    return round((datetime.fromisoformat(moment) - datetime.fromisoformat(start)).total_seconds(), 3)


# ------------------------------------------------------------------------------------------------------ everything else
def _gate(gate: GateRow) -> Gate:
    return Gate(
        f"{gate.phase}:{gate.name}",
        gate.result,
        gate.expression,
        gate_values(gate.values),
        gate_remark(gate.result, gate.expression, gate.message),
        gate.quiet,
    )


def _tables(report: Report) -> Iterator[Table]:
    yield from _method_tables(report)
    if report.services:
        rows = tuple(
            (one.component, one.state, one.url, ", then ".join(one.rungs), one.reason) for one in report.services
        )
        yield Table("Servers and tools", ("component", "last state", "address", "recovery", "reason"), rows)
    if report.network:
        from_host = tuple(row.cells() for row in report.network)
        yield Table("Network", ("method", "host", "component", "requests", "failed", "bytes", "slowest"), from_host)
    if report.advice:
        advice = tuple((one.rule, one.about, f"{one.saved:.1f} s", one.evidence) for one in report.advice)
        yield Table("Advice", ("rule", "of", "saves a run", "because"), advice)
    yield Table("Provenance", ("what", "value"), tuple(_provenance(report)))


def _method_tables(report: Report) -> Iterator[Table]:
    texts = [*agreement(report).lines(), *(one.text() for one in overhead(report))]
    if texts:
        yield Table("Methods", ("agreement and cost",), tuple((text,) for text in texts))
    for one in report.comparisons:
        costs = tuple(
            (cost.verb, f"{cost.more.median:+.3f} s", _interval(cost.more.low, cost.more.high), str(cost.more.pairs))
            for cost in one.steps
        )
        if costs:
            yield Table(f"{one.second} against {one.first}, by step", ("step", "median", "95 %", "pairs"), costs)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:+.3f} to {high:+.3f} s"


def _provenance(report: Report) -> Iterator[tuple[str, str]]:
    facts: Mapping[str, str] = {
        "started": report.started,
        "ended": report.ended,
        "plan": report.plan_digest,
        "spec": report.source_digest,
        **dict(report.provenance),
    }
    yield from ((name, value) for name, value in facts.items() if value)
