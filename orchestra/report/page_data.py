"""The data of report.html as structs, which the script of the page draws."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final, NamedTuple

import msgspec

FORMAT: Final = 1
"""Of the data. The script that draws it lies in the same file, so this is for other readers."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The base of the page's data."""


class File(Part, frozen=True):
    """A file of evidence: its kind, its name, its address relative to the page, its size; its path where that is another.

    `marks` are left, top, width and height of elements in a picture, in its pixels.
    """

    kind: str
    name: str
    href: str
    bytes: int
    text: str = ""
    picture: str = ""
    path: str = ""
    marks: tuple[tuple[int, int, int, int], ...] = ()


class Error(Part, frozen=True):
    """The reason why an attempt did not pass; `where` is its step, `step 3 expect`."""

    kind: str
    message: str
    where: str = ""
    at: str = ""
    spec: str = ""
    expected: str = ""
    found: str = ""
    hint: str = ""
    log: str = ""


class CaseRow(Part, frozen=True, array_like=True):
    """A case of a wrapped runner: each of its failures, why it is excused, and the paths of its files in the attempt."""

    name: str
    verdict: str
    seconds: float
    texts: tuple[str, ...] = ()
    retries: int = 0
    excused: str = ""
    files: tuple[str, ...] = ()


class Attempt(Part, frozen=True):
    """One attempt. `start` is in seconds since the first event of the run; a step is verb, seconds, outcome, tool calls,
    and its number, `1 of before`.

    Of its cases the first are those that did not pass; `cases_left_out` is the number of the others beyond a limit.
    `node` executed it, of a run on several machines.
    """

    number: int
    outcome: str
    start: float
    seconds: float
    error: Error | None = None
    steps: tuple[tuple[str, float, str, int, str], ...] = ()
    files: tuple[File, ...] = ()
    findings: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    cases: tuple[CaseRow, ...] = ()
    cases_left_out: int = 0
    incidents: tuple[str, ...] = ()
    held: bool = False
    node: str = ""


class Point(Part, frozen=True, array_like=True):
    """The result of an earlier run for a test."""

    run: str
    verdict: str
    seconds: float | None


class Task(Part, frozen=True):
    """A test by a method. `change` is what is new against the run before: `new failure`, `fixed`, `new`, `slower`, `faster`.

    `usual` are the seconds between which no duration is unusual, by the passes of `past`. `node` executes it now.
    """

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
    trend: str = ""
    usual: tuple[float, float] | None = None
    node: str = ""


class TestRow(Part, frozen=True):
    """A test of the selection."""

    id: str
    title: str
    group: str = ""
    tags: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    unmet: Mapping[str, str] = {}
    after: tuple[str, ...] = ()


class Gate(Part, frozen=True):
    """A gate, its condition, and the values that decided it."""

    name: str
    result: str
    condition: str
    values: str
    remark: str
    standard: bool = False
    at: float | None = None


class Change(Part, frozen=True, array_like=True):
    """A change of a row of the health matrix, in seconds since the first event."""

    at: float
    component: str
    state: str
    reason: str


class Sample(Part, frozen=True, array_like=True):
    """The load of the machine in the seconds up to a time, in percent; `other` is the part by programs outside of the run."""

    at: float
    seconds: float
    cpu: float
    other: float
    memory: float
    workers: int


class Table(Part, frozen=True):
    """Further rows of text under a heading."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Progress(NamedTuple):
    """The tasks of a run under way that are executed now, those that wait, and the node of each that is executed on one."""

    running: Container[str]
    waiting: Container[str]
    nodes: Mapping[str, str] = {}

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
    outages: tuple[Change, ...]
    news: dict[str, tuple[str, ...]]
    previous: str = ""
    commands: tuple[str, ...] = ()
    machine: tuple[Sample, ...] = ()
    tool: str = "orchestra"
    profile: str = ""
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
