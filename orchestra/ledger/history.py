"""Provide the results of earlier runs by test: caches of ledgers, in two files of a suite.

`history.json` holds the last execution of each task: it gives the scheduler durations and `unchanged` its last pass.
`executions.jsonl` holds every passing or failing execution, one line a run, for baselines, trends and flakiness. Both
can be thrown away: `refresh` makes them again from the ledgers that are still there. `run_record` makes
the record of a run.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from orchestra import nofollow, stored
from orchestra.errors import MachineError
from orchestra.ledger.disk import disk_error, replace_file
from orchestra.ledger.run_record import LastExecution, RunRecord, record_of
from orchestra.ledger.view import View, look

FORMAT: Final = 3
"""Of both files. A file of another format is rebuilt from the ledgers."""

LAST = "history.json"
EXECUTIONS = "executions.jsonl"
LEDGER = "events.jsonl"

KEPT_RUNS: Final = 200
KEPT_BYTES: Final = 64 * 2**20
"""The cache keeps the latest runs, and no more than this."""


class _Last(msgspec.Struct, frozen=True):
    format: int
    tasks: dict[str, LastExecution]


class _Header(msgspec.Struct, frozen=True):
    orchestra: str
    format: int


_HEADER = _Header("executions", FORMAT)
_Kind = TypeVar("_Kind")


def load(path: Path) -> dict[str, LastExecution]:
    """Return the last execution by task; from the other cache when the file is gone or of another form, else empty."""
    try:
        last = stored.decode(nofollow.read(path), _Last)
    except (OSError, ValueError):
        last = None
    if last is not None and last.format == FORMAT:
        return last.tasks
    return last_executions(executions(path.parent))


def encoded(last: Mapping[str, LastExecution]) -> bytes:
    """Return the last executions as they stand in their file, sorted."""
    content = msgspec.json.encode(_Last(FORMAT, dict(last)), order="sorted")
    return msgspec.json.format(content, indent=1) + b"\n"


def last_executions(records: Iterable[RunRecord]) -> dict[str, LastExecution]:
    """Return the last execution of each task, from records in the order of time."""
    last: dict[str, LastExecution] = {}
    for record in records:
        for task, one in record.executions.items():
            passed = one.verdict in {"passed", "flaky"}
            seconds = one.attempts[-1].seconds if one.attempts else 0.0
            last[task] = LastExecution(seconds, record.run if passed else "", one.inputs if passed else "")
    return last


def with_run(last: Mapping[str, LastExecution], view: View) -> dict[str, LastExecution]:
    """Return the last executions after a run, which takes the place of earlier ones for the tests that it executed."""
    executions = dict(last)
    for task, given in view.verdicts.items():
        if given.attempts and view.start is not None:
            passed = given.verdict in {"passed", "flaky"}
            inputs = (given.inputs or "") if passed and given.reads else ""
            executions[task] = LastExecution(given.seconds, view.start.run if passed else "", inputs)
    return executions


def plain(record: RunRecord, tasks: Container[str]) -> dict[str, Any]:
    """Return a record as JSON data with names for everything, of these tasks only."""
    shown = {
        task: {
            **{
                name: getattr(one, name)
                for name in ("verdict", "browser", "inputs", "repeats", "moved", "message", "disturbed")
            },
            "attempts": [
                {
                    name: value
                    for name in taken.__struct_fields__
                    if (value := getattr(taken, name)) or name not in _OFTEN_NONE
                }
                for taken in one.attempts
            ],
            **(
                {"cases": {name: [msgspec.structs.asdict(run) for run in runs] for name, runs in one.cases.items()}}
                if one.cases
                else {}
            ),
        }
        for task, one in record.executions.items()
        if task in tasks
    }
    rest = {name: getattr(record, name) for name in record.__struct_fields__ if name not in {"shards", "executions"}}
    return {**rest, **({"shards": record.shards} if record.shards else {}), "executions": shown}


_OFTEN_NONE: Final = frozenset({"under", "held_seconds", "cpu_seconds", "megabytes"})
"""Names of values that most attempts lack: left out of JSON data where they are empty."""


def executions(home: Path) -> list[RunRecord]:
    """Return the cached runs of a suite in the order of time; none when there is no cache or it is of another format.

    Args:
        home: the folder of the suite, `.orchestra/<suite>`.
    """
    return _records(_lines(home))


def before(home: Path, run: str, latest: int) -> list[RunRecord]:
    """Return the latest cached runs before one, in the order of time; others than these are not read whole."""
    return _records([line for line in _lines(home) if _run_of(line) < run][-latest:])


LATEST_BYTES: Final = 4 * 2**20
"""So much of the end of the cache `latest` reads at most."""


def latest(home: Path, number: int) -> list[RunRecord]:
    """Return the latest cached runs in the order of time: at most `number`, fewer where their records are large."""
    try:
        with nofollow.open_read(home / EXECUTIONS) as file:
            first = max(0, file.seek(0, 2) - LATEST_BYTES)
            file.seek(first)
            lines = file.read().splitlines()[1:]
    except (OSError, ValueError):
        return []
    return _records(lines[-number:])


def _records(lines: Iterable[bytes]) -> list[RunRecord]:
    """Return the records in the lines of the cache; one that is damaged is left out."""
    return [record for line in lines if (record := _decoded(line, RunRecord)) is not None]


def _decoded(line: bytes, kind: type[_Kind]) -> _Kind | None:
    try:
        return stored.decode(line, kind)
    except ValueError:
        return None


def _lines(home: Path) -> list[bytes]:
    try:
        head, *lines = nofollow.read(home / EXECUTIONS).splitlines()
        if stored.decode(head, _Header) != _HEADER:
            return []
    except (OSError, ValueError):
        return []
    return [line for line in lines if _decoded(line, _RunOnly) is not None]


def with_record(home: Path, record: RunRecord) -> bytes:
    """Return the cache with one run in it, replacing an earlier record of the same run, in the form of its file."""
    return _encoded([*_lines(home), msgspec.json.encode(record, order="sorted")])


def _encoded(lines: Iterable[bytes]) -> bytes:
    by_run = {_run_of(line): line for line in lines}
    kept: list[bytes] = []
    merged: set[str] = set()
    size = 0
    for run in sorted(by_run, reverse=True)[:KEPT_RUNS]:
        shards = stored.decode(by_run[run], _RunOnly).shards
        if not merged.isdisjoint(shards):
            continue  # they were merged again, and each execution counts once
        merged.update(shards)
        size += len(by_run[run]) + 1
        if size > KEPT_BYTES and kept:
            break
        kept.append(by_run[run])
    head = msgspec.json.encode(_HEADER)
    return b"\n".join([head, *reversed(kept)]) + b"\n"


class _RunOnly(msgspec.Struct, frozen=True):
    run: str
    finished: bool = False
    shards: tuple[str, ...] = ()


def _run_of(line: bytes) -> str:
    return stored.decode(line, _RunOnly).run


def refresh(home: Path, *, rebuild: bool = False) -> tuple[list[RunRecord], list[str]]:
    """Bring the cache up to date with the ledgers: runs that it lacks, or that had not finished, are read again.

    Args:
        home: the folder of the suite, `.orchestra/<suite>`.
        rebuild: delete the cache first, with the runs whose ledgers are gone.

    Returns:
        The runs in the order of time, and a sentence for each ledger that cannot be read.

    Raises:
        MachineError: the cache cannot be written.
    """
    known = {} if rebuild else {_run_of(line): line for line in _lines(home)}
    before = dict(known)
    refused: list[str] = []
    for ledger in _ledgers(home):
        line = known.get(ledger.parent.name)
        if line is not None and (cached := _decoded(line, RunRecord)) is not None and cached.finished:
            continue
        try:
            record = record_of(look(ledger.parent, steps=False))
        except (MachineError, ValueError) as error:
            refused.append(f"{ledger.relative_to(home.parent.parent)} is left out: {error}")
            continue
        if record is not None:
            known[record.run] = msgspec.json.encode(record, order="sorted")
    if known != before or rebuild:
        replace_file(home / EXECUTIONS, _encoded(known.values()))
    return executions(home), refused


def _ledgers(home: Path) -> Sequence[Path]:
    try:
        names = nofollow.names(home / "runs")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise disk_error(error, home / "runs", "read") from error
    ledgers = (home / "runs" / name / LEDGER for name in names)
    return [ledger for ledger in ledgers if nofollow.is_file(ledger)]
