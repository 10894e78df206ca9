"""What earlier runs say about each test: caches of ledgers, in two files of a suite. May import the ledger's own parts.

`history.json` holds the last execution of each task: it gives the scheduler durations and `unchanged` its last pass.
`executions.jsonl` holds every passing or failing execution, one line a run, for baselines, trends and flakiness. Both can
be thrown away: `refresh` makes them again from the ledgers that are still there. Longer than other modules because both
files, and how they are made from events, are read together.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger.disk import disk_error, replace_file
from orchestra.ledger.event import Event, Outcome, Verdict
from orchestra.ledger.log import read

FORMAT: Final = 2
"""Of both files. A file of another format is made anew, from the ledgers."""

LAST = "history.json"
EXECUTIONS = "executions.jsonl"
LEDGER = "events.jsonl"

KEPT_RUNS: Final = 200
KEPT_BYTES: Final = 64 * 2**20
"""The cache keeps the latest runs, and no more than this."""

COUNTED: Final[frozenset[Outcome]] = frozenset({"passed", "failed", "timeout", "error"})
"""Outcomes of attempts that say something about a test; one that a signal ended does not."""


class Past(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last execution of a task.

    Attributes:
        seconds: how long it took.
        run: the id of the run in which it last passed, empty if it has not.
        inputs: the digest under which it passed.
    """

    seconds: float
    run: str = ""
    inputs: str = ""


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One attempt: how it ended, how many seconds it took, and the kind of its failure, empty for a pass."""

    outcome: Outcome
    seconds: float
    kind: str = ""


class Execution(msgspec.Struct, frozen=True, array_like=True):
    """What a run made of a task that it executed.

    Attributes:
        verdict: the final word.
        browser: the engine, empty for a test without one.
        inputs: the digest of what it reads, empty when the test declares no `inputs`.
        attempts: those that count, in order.
        repeats: seconds of the repeats that a suspected change of its duration caused and that passed.
        moved: `slower` or `faster` than the baseline, confirmed; else empty.
        message: why the last attempt did not pass, cut.
    """

    verdict: Verdict
    browser: str = ""
    inputs: str = ""
    attempts: tuple[Attempt, ...] = ()
    repeats: tuple[float, ...] = ()
    moved: str = ""
    message: str = ""

    @property
    def passing(self) -> float | None:
        """Seconds of the last passing attempt, None when there is none."""
        return next((one.seconds for one in reversed(self.attempts) if one.outcome == "passed"), None)


class RunRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run in the cache.

    Attributes:
        run: its id, by which runs sort in the order of time.
        machine: its shape, as baselines name it.
        plan: digest of the plan's meaning.
        commit, branch: empty outside of a git work tree.
        dirty: how many files differed from the commit.
        finished: whether it came to an end of its own.
        exit_code: None when it did not finish.
        seconds: of the whole run.
        executions: by task, sorted.
    """

    run: str
    machine: str = ""
    plan: str = ""
    commit: str = ""
    branch: str = ""
    dirty: int = 0
    finished: bool = False
    exit_code: int | None = None
    seconds: float = 0.0
    executions: dict[str, Execution] = {}


def machine_shape(provenance: Mapping[str, Any]) -> str:
    """What durations depend on, as one word: `linux-x86_64-2cpu-8gb`; memory is rounded to whole GiB."""
    system = str(provenance.get("system", "")).partition(" ")[0].lower() or "unknown"
    memory = round(provenance.get("memory_megabytes", 0) / 1024)
    return f"{system}-{provenance.get('machine', 'unknown')}-{provenance.get('cores', 0)}cpu-{memory}gb"


MESSAGE = 200
"""Letters of a message that the cache keeps."""


@dataclass(slots=True)
class Collector:
    """Takes the events of one run, cheaply, and gives its record. It is an observer of a run under way, too."""

    start: Mapping[str, Any] = field(default_factory=dict)
    finish: Mapping[str, Any] | None = None
    browsers: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    repeats: dict[str, list[float]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def see(self, event: Event) -> None:
        """Take one event in."""
        body, kind = event.body, event.type
        if kind == "attempt_finished":
            self._attempt(body)
        elif kind == "verdict":
            self.verdicts[body["task"]] = body
        elif kind == "attempt_started":
            self.browsers[body["task"]] = body.get("browser") or ""
        elif kind == "repeat":
            if body["outcome"] == "passed":
                self.repeats.setdefault(body["task"], []).append(body["seconds"])
        elif kind == "comparison":
            self.moved[body["task"]] = body["result"] if body["result"] in {"slower", "faster"} else ""
        elif kind == "run_started":
            self.start = body
        elif kind == "run_resumed":
            self._reopen(body["rerun"])
        elif kind == "rolled_back":
            self._reopen(body["reopened"])
            for task, done in body["restored"].items():
                self.verdicts[task] = {**self.verdicts.get(task, {}), **done}
        elif kind == "run_finished":
            self.finish = body

    def close(self) -> None:
        """Nothing to close: an observer must have it."""

    def _attempt(self, body: Mapping[str, Any]) -> None:
        if body["outcome"] in COUNTED and not body.get("infra_suspect"):
            error = body["error"] or {}
            taken = Attempt(body["outcome"], round(body["seconds"], 6), error.get("kind", ""))
            self.attempts.setdefault(body["task"], []).append(taken)
            if error:
                self.messages[body["task"]] = body["error"]["message"][:MESSAGE]

    def _reopen(self, tasks: Iterable[str]) -> None:
        """What these tasks passed is taken back, and is counted when it has come again; failures have happened."""
        self.finish = None
        for task in tasks:
            self.verdicts.pop(task, None)
            self.repeats.pop(task, None)
            self.moved.pop(task, None)
            if task in self.attempts:
                self.attempts[task] = [one for one in self.attempts[task] if one.outcome != "passed"]

    def record(self) -> RunRecord | None:
        """The record of what was seen; None when the first event of the run was not."""
        if not self.start:
            return None
        facts = self.start["provenance"]
        git = facts.get("git") or {}
        finish = self.finish or {}
        return RunRecord(
            run=self.start["run"],
            machine=machine_shape(facts),
            plan=self.start["plan_digest"],
            commit=git.get("commit", ""),
            branch=git.get("branch", ""),
            dirty=git.get("dirty_files", 0),
            finished=self.finish is not None,
            exit_code=finish.get("exit_code"),
            seconds=round(finish.get("seconds", 0.0), 6),
            executions={task: self._execution(task) for task in sorted(self.attempts) if task in self.verdicts},
        )

    def _execution(self, task: str) -> Execution:
        given = self.verdicts[task]
        return Execution(
            verdict=given["verdict"],
            browser=self.browsers.get(task, ""),
            inputs=(given["inputs"] or "") if given.get("reads") else "",
            attempts=tuple(self.attempts[task]),
            repeats=tuple(round(one, 6) for one in self.repeats.get(task, ())),
            moved=self.moved.get(task, ""),
            message=self.messages.get(task, ""),
        )


class _Last(msgspec.Struct, frozen=True):
    format: int
    tasks: dict[str, Past]


class _Header(msgspec.Struct, frozen=True):
    orchestra: str
    format: int


_HEADER = _Header("executions", FORMAT)


def load(path: Path) -> dict[str, Past]:
    """The last execution by task; from the other cache when the file is gone or of another form, else empty."""
    try:
        last = msgspec.json.decode(nofollow.read(path), type=_Last)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        last = None
    if last is not None and last.format == FORMAT:
        return last.tasks
    return past_of(executions(path.parent))


def save(path: Path, past: Mapping[str, Past]) -> None:
    """Write the last executions, sorted, in one step.

    Raises:
        MachineError: the disk refuses; the old file stays.
    """
    replace_file(path, encoded(past))


def encoded(past: Mapping[str, Past]) -> bytes:
    """The last executions as they stand in their file, sorted."""
    content = msgspec.json.encode(_Last(FORMAT, dict(past)), order="sorted")
    return msgspec.json.format(content, indent=1) + b"\n"


def past_of(records: Iterable[RunRecord]) -> dict[str, Past]:
    """The last execution of each task, from records in the order of time."""
    found: dict[str, Past] = {}
    for record in records:
        for task, one in record.executions.items():
            passed = one.verdict in {"passed", "flaky"}
            seconds = one.attempts[-1].seconds if one.attempts else 0.0
            found[task] = Past(seconds, record.run if passed else "", one.inputs if passed else "")
    return found


def plain(record: RunRecord, tasks: Container[str]) -> dict[str, Any]:
    """A record as JSON data with names for everything, of these tasks only."""
    shown = {
        task: {
            **{name: getattr(one, name) for name in ("verdict", "browser", "inputs", "repeats", "moved", "message")},
            "attempts": [
                {"outcome": taken.outcome, "seconds": taken.seconds, "kind": taken.kind} for taken in one.attempts
            ],
        }
        for task, one in record.executions.items()
        if task in tasks
    }
    rest = {name: getattr(record, name) for name in record.__struct_fields__ if name != "executions"}
    return {**rest, "executions": shown}


def executions(home: Path) -> list[RunRecord]:
    """The cached runs of a suite in the order of time; none when there is no cache or it is of another format.

    Args:
        home: the folder of the suite, `.orchestra/<suite>`.
    """
    return [_record(line) for line in _lines(home)]


def before(home: Path, run: str, latest: int) -> list[RunRecord]:
    """The latest cached runs before one, in the order of time; others than these are not read whole."""
    return [_record(line) for line in [line for line in _lines(home) if _run_of(line) < run][-latest:]]


def _record(line: bytes) -> RunRecord:
    return msgspec.json.decode(line, type=RunRecord)


def _lines(home: Path) -> list[bytes]:
    try:
        head, *lines = nofollow.read(home / EXECUTIONS).splitlines()
        if msgspec.json.decode(head, type=_Header) != _HEADER:
            return []
        for line in lines[-1:]:
            _record(line)
    except (OSError, ValueError):
        return []
    return lines


def with_record(home: Path, record: RunRecord) -> bytes:
    """The cache with one run in it, in the place of an earlier record of the same run, as it stands in its file."""
    return _encoded([*_lines(home), msgspec.json.encode(record, order="sorted")])


def _encoded(lines: Iterable[bytes]) -> bytes:
    by_run = {_run_of(line): line for line in lines}
    kept: list[bytes] = []
    size = 0
    for run in sorted(by_run, reverse=True)[:KEPT_RUNS]:
        size += len(by_run[run]) + 1
        if size > KEPT_BYTES and kept:
            break
        kept.append(by_run[run])
    head = msgspec.json.encode(_HEADER)
    return b"\n".join([head, *reversed(kept)]) + b"\n"


class _RunOnly(msgspec.Struct, frozen=True):
    run: str
    finished: bool = False


def _run_of(line: bytes) -> str:
    return msgspec.json.decode(line, type=_RunOnly).run


def record_of(ledger: Path) -> RunRecord | None:
    """The record of the run whose ledger this is; None when it has no first event.

    Raises:
        LedgerError: the ledger is damaged.
        MachineError: it cannot be read.
    """
    collector = Collector()
    for event in read(ledger):
        collector.see(event)
    return collector.record()


def refresh(home: Path, *, rebuild: bool = False) -> tuple[list[RunRecord], list[str]]:
    """Bring the cache up to date with the ledgers: runs that it lacks, or that had not finished, are read again.

    Args:
        home: the folder of the suite, `.orchestra/<suite>`.
        rebuild: forget the cache first, also what it says of runs whose ledgers are gone.

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
        if line is not None and msgspec.json.decode(line, type=_RunOnly).finished:
            continue
        try:
            record = record_of(ledger)
        except (MachineError, ValueError, KeyError) as error:
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
