"""The data of report.html: a report as plain structs, which the script of the page draws. Pure.

Every text is made visible here, once: what would change the order
of the letters around it, or does not show, is replaced by a sign, in the page as on the terminal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from orchestra import draw
from orchestra.ledger.event import VERDICTS
from orchestra.ledger.outcome import FINE, GOOD
from orchestra.report.compare.comparison import counted as number_of
from orchestra.report.console.table import commands, counted, exit_meaning, gate_remark, incident_parts, values_text
from orchestra.report.page_data import FORMAT, Change, Gate, Page, Progress, Sample, Task, TestRow
from orchestra.report.page_tables import tables
from orchestra.report.page_tests import since, tasks
from orchestra.report.rows import GateRow, Report

_ESCAPES: Final = ("\\u", "\\b", "\\f")
"""In JSON, of the control characters that are replaced; tabs and line ends are not."""

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


def page(report: Report, folder: str, *, progress: Progress | None = None, served: bool = False) -> Page:
    """Return the data of the page of a run.

    Args:
        report: of the run.
        folder: the run's, relative to the project root.
        progress: of a run under way.
        served: files are asked for by digest, from the server of the page.
    """
    task_rows = tuple(tasks(report, progress, served=served))
    found = Counter(task_row.verdict for task_row in task_rows)
    words = {word: found[word] for word in (*VERDICTS, "running", "waiting") if found[word]}
    tests: dict[str, TestRow] = {}
    for row in report.rows:
        tests.setdefault(row.test, TestRow(row.test, row.title, row.group, row.tags, row.needs, row.unmet, row.after))
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
        span=since(report.started, report.ended),
        methods=tuple((name, report.titles.get(name, name)) for name in report.methods),
        groups={row.group: report.titles.get(row.group, row.group) for row in report.rows if row.group},
        tests=tuple(tests.values()),
        tasks=task_rows,
        gates=tuple(_gate(gate, report.started) for gate in report.gates),
        changes=tuple(
            Change(since(report.started, change.time), change.body.component, change.body.state, change.body.reason)
            for change in report.changes
        ),
        incidents=tuple(map(incident_parts, report.incidents)),
        outages=tuple(_outages(report)),
        news=_news(task_rows),
        previous=report.earlier[-1].run if report.earlier else "",
        commands=tuple(commands(report)) if progress is None else (),
        machine=tuple(_samples(report)),
        tool=report.tool,
        profile=report.profile,
        notes=tuple(_notes(report)),
        tables=tuple(tables(report)),
    )


def _samples(report: Report) -> Iterator[Sample]:
    for sample in report.samples:
        body = sample.body
        cpu, other = round(body.cpu_percent, 1), round(body.other_cpu_percent, 1)
        at, memory = since(report.started, sample.time), round(body.memory_percent, 1)
        yield Sample(at, round(body.seconds, 3), cpu, other, memory, body.workers)


def _outages(report: Report) -> Iterator[Change]:
    """Yield when each incident began and ended, as changes of one row."""
    for incident in report.incidents:
        yield Change(since(report.started, incident.opened), incident.id, "open", incident.reason)
        if incident.closed:
            yield Change(since(report.started, incident.closed), incident.id, "closed", incident.outcome)


def encoded(data: Page) -> bytes:
    """Return the page's data as JSON, each text visible."""
    try:
        text = msgspec.json.encode(data).decode()
    except UnicodeEncodeError:  # half a surrogate pair
        text = _ESCAPES[0]
    if not any(escape in text for escape in _ESCAPES):
        return draw.visible(text).encode()  # what remains to be replaced is in the JSON as it is
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


def verdict(report: Report) -> tuple[str, str]:
    """Return the verdict of a run in words, and its state: `passed`, `failed`, `interrupted` or `unfinished`."""
    bad = [row for row in report.rows if row.verdict not in FINE and not row.excused]
    gates = [gate for gate in report.gates if gate.result == "failed"]
    if report.interrupted:
        return f"Interrupted by {report.interrupted}", "interrupted"
    if report.exit_code is None:
        return "Not finished", "unfinished"
    if not bad and not gates and report.exit_code == 0:
        return _passed(report), "passed"
    parts = [f"{len(bad)} of {number_of(len(report.rows), 'test')}"] if bad else []
    parts += [number_of(len(gates), "gate")] if gates else []
    return f"Failed: {' and '.join(parts)}" if parts else f"Failed: exit {exit_meaning(report)}", "failed"


def _passed(report: Report) -> str:
    """Return the headline of a run in which nothing failed: a skipped or excused test has not passed."""
    if not report.rows:
        return "No test selected"
    good = sum(row.verdict in GOOD for row in report.rows)
    skipped = sum(row.verdict == "skipped" for row in report.rows)
    excused = len(report.rows) - good - skipped
    rest = ((skipped, "skipped"), (excused, "excused"))
    more = "".join(f", {number} {word}" for number, word in rest if number)
    return f"Passed: {good} of {number_of(len(report.rows), 'test')}{more}"


def _progress(words: Mapping[str, int], number: int) -> tuple[str, str]:
    done = number - words.get("running", 0) - words.get("waiting", 0)
    bad = sum(words.get(word, 0) for word in VERDICTS if word not in FINE)
    return f"Running: {done} of {number_of(number, 'test')} done{f', {bad} did not pass' if bad else ''}", "running"


def _notes(report: Report) -> Iterator[str]:
    if report.plan_changed:
        yield "The plan was compiled again since this run: titles here may be of the later one."
    if report.unchecked:
        yield "No certificate of a server was checked: ignore_https_errors."
    if report.resumes:
        yield f"Resumed {number_of(report.resumes, 'time')}."
    if report.shard:
        yield f"Shard {report.shard}: its gates of the end are evaluated when all shards are merged."
    if report.profile:
        yield f"Profile {report.profile}."


def _news(tasks: Sequence[Task]) -> dict[str, tuple[str, ...]]:
    """Return the tasks that changed since the run before, by the kind of change."""
    kinds = ("new failure", "fixed", "slower", "faster", "new")
    listed = {kind: tuple(task.task for task in tasks if task.change == kind) for kind in kinds}
    return {kind: names for kind, names in listed.items() if names}


def _gate(gate: GateRow, started: str) -> Gate:
    return Gate(
        f"{gate.phase}:{gate.name}",
        gate.result,
        gate.expression,
        values_text(gate.values),
        gate_remark(gate.result, gate.expression, gate.message),
        gate.quiet,
        since(started, gate.at) if gate.at else None,
    )
