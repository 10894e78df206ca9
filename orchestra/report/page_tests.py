"""The tests of report.html: each task with its attempts, its files, its history and what is new about it. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote

from orchestra.draw import duration
from orchestra.ledger import baseline, trend
from orchestra.ledger.case import Case
from orchestra.ledger.outcome import GOOD
from orchestra.ledger.parts import Dropped, Evidence, Finding, StepDone, numbered
from orchestra.ledger.run_record import RunRecord
from orchestra.plan import Baseline
from orchestra.report.evidence_text import line_of
from orchestra.report.page_data import Attempt, CaseRow, Error, File, Point, Progress, Task
from orchestra.report.rows import QUIET, Report, Row, Try, odd_of, step_of

CASES: Final = 300
"""Cases of an attempt that the page has besides those that did not pass."""

POINTS: Final = 30
"""Earlier runs that the history of a test shows."""


def tasks(report: Report, progress: Progress | None = None, *, served: bool = False) -> Iterator[Task]:
    """Yield each task of a run. Arguments as of `page`."""
    paces = {pace.task: pace.result for pace in report.paces if pace.result != "unconfirmed"}
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
            spec=report.contents.spec.get(line_of(row.place), ""),
            degraded=row.degraded,
            excused=row.excused,
            unchanged_since=row.unchanged_since,
            incidents=row.incidents,
            change=_change(row, report.earlier) or paces.get(row.task, ""),
            tries=tuple(_attempt(one, row, report, served=served) for one in row.tries),
            past=tuple(_past(row.task, report.earlier)),
            trend=_trend(row, report.earlier),
            usual=_usual(row.task, report.earlier, report.rule),
            node=progress.nodes.get(row.task, "") if progress is not None else "",
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


def _trend(row: Row, earlier: Sequence[RunRecord]) -> str:
    """Return the slope of the durations of passes, this one included, and where their level changed; empty for few."""
    runs = [record.run for record in earlier if _passing(record, row.task) is not None]
    seconds = [found for record in earlier if (found := _passing(record, row.task)) is not None]
    if row.attempts and row.verdict in GOOD:
        runs, seconds = [*runs, "this run"], [*seconds, row.seconds]
    if len(seconds) <= trend.LEAST:
        return ""
    levels = (
        f"changed at {runs[change.at]}: {duration(change.before)} to {duration(change.after)}"
        for change in trend.changes(seconds)
    )
    return "; ".join((_slope(trend.slope(seconds)), *levels))


def _slope(seconds: float) -> str:
    size = duration(abs(seconds))
    sign = "" if size == duration(0.0) else "+" if seconds > 0 else "-"
    return f"{sign}{size} a run"


def _usual(task: str, earlier: Sequence[RunRecord], rule: Baseline) -> tuple[float, float] | None:
    """Return the bounds of a usual duration by earlier passes, as the baseline has them; None for too few."""
    seconds = [found for record in earlier if (found := _passing(record, task)) is not None][-rule.window :]
    limits = baseline.bounds(baseline.usual(seconds), rule) if seconds else None
    return None if limits is None else (round(limits.fast, 3), round(limits.slow, 3))


def _passing(record: RunRecord, task: str) -> float | None:
    found = record.executions.get(task)
    return found.passing if found is not None else None


def _attempt(one: Try, row: Row, report: Report, *, served: bool) -> Attempt:
    body = one.body
    end, cases = since(report.started, one.ended), tuple(_cases(body.cases))
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
        cases=cases,
        cases_left_out=len(body.cases) - len(cases),
        incidents=body.incidents,
        held=body.infra_suspect and one is not row.tries[-1],
        node=body.node,
    )


def _error(one: Try, report: Report) -> Error | None:
    error = one.body.error
    if error is None:
        return None
    return Error(
        error.kind,
        error.message,
        step_of(one.body),
        error.at or "",
        report.contents.spec.get(line_of(error.at or ""), ""),
        error.expected or "",
        error.found or "",
        error.hint or "",
        error.log or "",
    )


def _step(one: StepDone) -> tuple[str, float, str, int, str]:
    return one.verb, round(one.seconds, 3), one.outcome, one.calls, numbered(one.section, one.index)


def _file(evidence: Evidence, report: Report, *, served: bool) -> File:
    content = report.contents.pictures.get(evidence.place)
    name = evidence.place.rpartition("/")[2]
    return File(
        evidence.kind,
        name,
        address(f"f/{evidence.digest}/{name}" if served else evidence.path),
        evidence.bytes,
        report.contents.texts.get(evidence.place, ""),
        picture_address(content) if content else "",
        evidence.place if served or evidence.offset is not None else "",
        tuple((mark.left, mark.top, mark.width, mark.height) for mark in evidence.marks),
    )


def _finding(one: Finding) -> str:
    where = f" ({one.where})" if one.where else ""
    return f"{one.level} {one.layer}: {one.text}{where}{f', {one.count} times' if one.count > 1 else ''}"


def _cases(cases: Sequence[Case]) -> Iterator[CaseRow]:
    """Yield all cases that did not pass at once, and so many of the others, in the order of the runner."""
    others = [case for case in cases if case.verdict in QUIET]
    for case in (*odd_of(cases), *others[:CASES]):
        texts = tuple(text for text in (case.message, *case.more) if text)
        yield CaseRow(
            case.name, case.verdict, round(case.seconds, 3), texts, case.retries, case.excused, case.attachments
        )


def _dropped(one: Dropped) -> str:
    return f"{one.path} ({one.kind}, {one.bytes} bytes): {one.reason or 'over evidence_limit_megabytes'}"


def address(path: str) -> str:
    """Return a path as a relative address, whatever is in it: no scheme, no host, no query."""
    return "./" + quote(path, errors="replace")


def picture_address(content: bytes) -> str:
    """Return the content of a picture as an address that needs no file."""
    kind = "jpeg" if content.startswith(b"\xff\xd8") else "webp" if content[8:12] == b"WEBP" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def since(start: str, moment: str) -> float:
    """Return the seconds between two stamps of a record; 0.0 where one is not known."""
    if not start or not moment:
        return 0.0
    return round((datetime.fromisoformat(moment) - datetime.fromisoformat(start)).total_seconds(), 3)
