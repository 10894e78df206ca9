"""Every type of event that a ledger may hold, in one catalogue.

One event is one line of `events.jsonl`. Its envelope (`Event`) is the same for all; its `body` is one of the structs
below, which writers construct and readers receive. `CATALOGUE` maps types to bodies, `versions` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from orchestra.ledger.case import Case
from orchestra.ledger.origin import Provenance
from orchestra.ledger.parts import (
    OURS,
    Died,
    Dropped,
    Evidence,
    Failure,
    Finding,
    Id,
    Network,
    Outcome,
    Part,
    Seconds,
    StepDone,
    means,
)

Verdict: TypeAlias = Literal[
    "passed", "flaky", "unchanged", "failed", "timeout", "error", "blocked", "skipped", "interrupted"
]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)

GateResult: TypeAlias = Literal["passed", "failed", "not_applicable", "warned", "pending"]
GatePhase: TypeAlias = Literal["before", "during", "after"]
Moved: TypeAlias = Literal["slower", "faster"]
NodeState: TypeAlias = Literal["used", "refused", "lost"]

Task: TypeAlias = Annotated[Id, means("method and test: `cli:B004`")]
Test: TypeAlias = Annotated[Id, means("the test's id: `B004`")]
Method: TypeAlias = Annotated[Id, means("the method's id: `cli`")]


class Body(Part, frozen=True):
    """The base of the bodies of events."""


class Unknown(Body, frozen=True):
    """The body of an event of a newer type or version: preserved and skipped."""

    fields: Mapping[str, Any]


class Selector(Part, frozen=True):
    """A word or an option of the command line by which tests were selected."""

    by: Annotated[str, means("the word or the option: `tag:smoke`, `!B003`, `-k basket`")]
    effect: Annotated[
        Literal["adds", "removes", "leaves"],
        means("it adds its tests, removes them, or leaves only them of those before"),
    ]
    tasks: Annotated[int, means("so many tasks are meant by it; with `leaves`, so many are left")]
    why: Annotated[Mapping[Id, str], means("with `--since`, why each task may have another result, by task")] = {}


class Sharding(Part, frozen=True, kw_only=True):
    """The place of a run among the shards of a selection."""

    index: Annotated[int, means("number of this shard, from 1")]
    of: Annotated[int, means("number of shards")]
    durations: Annotated[Id, means("digest of the durations by which the selection was split")]
    selection: Annotated[tuple[Id, ...], means("every task of all shards, in the plan's order")]

    @property
    def name(self) -> str:
        """As the command line has it: `2/4`."""
        return f"{self.index}/{self.of}"


class Expected(Part, frozen=True, kw_only=True):
    """How long a run was expected to take when it began."""

    seconds: Annotated[float, means("of the whole run")]
    low: Annotated[float, means("nine of ten runs take longer than this, but less than `high`")]
    high: float
    rest: Annotated[float, means("the part of `seconds` beyond the tests, as in earlier runs")]
    known: Annotated[int, means("number of its tests whose duration was known; others were estimated")]
    memory_megabytes: Annotated[
        float | None,
        means("of tests that run at once, at the peak, as earlier runs measured them; absent where none did"),
    ] = None
    available_megabytes: Annotated[float | None, means("memory that was available then")] = None


class MergedShard(Part, frozen=True, kw_only=True):
    """A shard that is a part of a merged run, and the end of its chain."""

    index: Annotated[int, means("number of the shard, from 1; its record is in `shards/NUMBER`")]
    run: Annotated[Id, means("its run id")]
    events: Annotated[int, means("number of its events")]
    head: Annotated[Id, means("hash of the last of them, which binds all")]
    ended: Annotated[bool, means("its chain is sealed over a finished run")]


class Merged(Part, frozen=True, kw_only=True):
    """The shards that a run was merged from."""

    of: Annotated[int, means("number of shards of the selection, missing ones included")]
    shards: Annotated[tuple[MergedShard, ...], means("those that were there, in order")]


class BurnIn(Part, frozen=True, kw_only=True):
    """The executions of a task that is burned in, over several runs."""

    wanted: Annotated[int, means("executions in all")]
    executed: Annotated[int, means("before this run")] = 0
    good: Annotated[int, means("of these, the ones that it passed")] = 0


class RunStarted(Body, frozen=True, kw_only=True):
    """A run began. Always the first event of a run that was not torn."""

    run: Annotated[Id, means("the run id, `20260102T030405Z-1a2b`")]
    suite: Id
    plan_digest: Annotated[Id, means("digest of what the plan means; resume, baselines and history go by it")]
    source_digest: Annotated[Id, means("digest of the spec files; decides whether a plan is stale")]
    profile: Id | None
    selection: Annotated[tuple[Id, ...], means("every task that must get a verdict, in the plan's order")]
    methods: tuple[Id, ...]
    workers: int
    argv: Annotated[tuple[str, ...], means("the command line, secrets masked")]
    provenance: Provenance
    builds: Annotated[
        Mapping[Id, Id], means("build of each service and job: digest of command, folder, env and files")
    ] = {}
    opening_seconds: Annotated[float, means("what the run took before this event, by a monotonic clock")] = 0.0
    selected_by: Annotated[
        tuple[Selector, ...],
        means("why these tests were selected; absent where all are. Their needs are added to them"),
    ] = ()
    seed: Annotated[int | None, means("of a random order, absent without one")] = None
    max_failures: Annotated[int, means("so many failures end the run; absent without a limit")] = 0
    retries: Annotated[int | None, means("retries of each test by the command line; absent where the spec decides")] = (
        None
    )
    burn_in: Annotated[
        Mapping[Id, BurnIn], means("by task, the burn-in of which the run is a part; absent for others")
    ] = {}
    shard: Annotated[Sharding | None, means("of a run that is one shard of a selection; absent for others")] = None
    merged: Annotated[Merged | None, means("of a run that was merged from shards; absent for others")] = None
    expected: Annotated[Expected | None, means("how long it will take; absent where no duration is known")] = None


class RunResumed(Body, frozen=True, kw_only=True):
    """The run goes on after an end of any kind. The tasks in `rerun` lose their verdicts and are pending again."""

    run: Id
    rerun: Annotated[tuple[Id, ...], means("tasks that have to run, whatever they had before")]
    plan_digest: Id | None = None
    source_digest: Id | None = None
    changed: Annotated[tuple[Id, ...], means("tests whose plan differs from the run's first segment")] = ()
    workers: int | None = None
    argv: tuple[str, ...] = ()
    provenance: Provenance | None = None
    builds: Mapping[Id, Id] | None = None
    opening_seconds: Annotated[float, means("what this segment took before this event")] = 0.0


def folder_of_attempt(method: str, test: str, attempt: int) -> str:
    """Return the usual folder of an attempt, relative to the run's; an event with another one has it in `dir`."""
    return f"attempts/{method}/{test}/{attempt}"


class AttemptStarted(Body, frozen=True, kw_only=True):
    """A test begins to execute."""

    task: Task
    test: Test
    method: Method
    attempt: Annotated[int, means("from 1; absent for the first")] = 1
    dir: Annotated[
        Id, means("the attempt's folder, relative to the run's; absent where it is `attempts/METHOD/TEST/ATTEMPT`")
    ] = ""
    browser: Annotated[Id, means("the engine that it drives; absent for a test without a browser")] = ""
    holds: Annotated[
        Mapping[Id, str],
        means("entries of pools that it leases, by the name in its texts, and instances by their component"),
    ] = {}
    node: Annotated[
        Id,
        means(
            "the node that carries it out, of a run on several machines; absent on one, and while it waits for a node"
        ),
    ] = ""

    @property
    def folder(self) -> str:
        """The attempt's folder, relative to the run's."""
        return self.dir or folder_of_attempt(self.method, self.test, self.attempt)


class AttemptFinished(Body, frozen=True, kw_only=True):
    """An attempt ended."""

    task: Task
    test: Test
    method: Method
    attempt: Annotated[int, means("from 1; absent for the first")] = 1
    outcome: Outcome
    seconds: Seconds
    error: Annotated[Failure | None, means("why it did not pass; absent for a pass")] = None
    steps: tuple[StepDone, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    retry: Annotated[bool, means("another attempt follows")] = False
    retry_cause: Annotated[
        Id, means("the entry of `retries.on` by which it follows; absent when it follows because of an incident")
    ] = ""
    retries_left: Annotated[int | None, means("retries that remain after it; absent as `retry_cause`")] = None
    dropped: Annotated[tuple[Dropped, ...], means("files that were not kept")] = ()
    infra_suspect: Annotated[bool, means("an incident overlapped; the failure is held, not counted")] = False
    incidents: Annotated[tuple[Id, ...], means("ids of the incidents that overlapped it")] = ()
    exit_code: Annotated[int | None, means("of the command that the test runs")] = None
    resources: Annotated[
        Mapping[Id, float],
        means(
            "of a command and all descendants that were waited for, or of the worker of a test in a browser with its browser"
            " and MCP server (Linux): `cpu_seconds`; `peak_rss_megabytes`, the most that one process had, absent where it is no"
            " more than that of orchestra; of a worker also `tree_megabytes`, the most of all its processes together, shared"
            " pages once"
        ),
    ] = {}
    cases: Annotated[tuple[Case, ...], means("of the runner that the test wraps, in the order of its report")] = ()
    findings: Annotated[tuple[Finding, ...], means("errors outside assertions, failing ones first")] = ()
    inputs: Annotated[
        Id, means("digest of what the test reads, as in its verdict; absent where it does not declare that")
    ] = ""
    network: Annotated[Network | None, means("of the page; absent without one")] = None
    died: Annotated[tuple[Died, ...], means("parts of its browser session that died")] = ()
    disturbed: Annotated[
        str, means("why its duration is compared with no baseline and becomes a part of none: an incident, load, …")
    ] = ""
    facts: Annotated[Mapping[Id, Any], means("figures of the driver: browser, page errors, tool calls, …")] = {}
    node: Annotated[Id, means("the node that executed it, of a run on several machines; absent on one machine")] = ""


class VerdictGiven(Body, frozen=True, kw_only=True):
    """The final verdict of a task. Written durably before it is shown."""

    task: Task
    test: Test
    method: Method
    verdict: Verdict
    reason: Annotated[str, means("the reason, in words; absent for a plain pass")] = ""
    seconds: Seconds
    attempts: Annotated[int, means("number of executions; absent for one, 0 for a test that was not executed")] = 1
    speed_class: Annotated[Id | None, means("null for a test that was not executed")]
    degraded: Annotated[tuple[Id, ...], means("deviations from the declaration: `backend on failover`")] = ()
    inputs: Annotated[Id | None, means("digest of inputs, plan entry and the builds of required components")]
    reads: Annotated[bool, means("the test declares all files that it reads, so `inputs` covers them")] = False
    excused: Annotated[str, means("the excuse, if it did not pass and does not fail the run")] = ""
    unchanged_since: Annotated[Id | None, means("the run whose pass an `unchanged` refers to")] = None
    incidents: Annotated[
        tuple[Id, ...], means("ids of the incidents that overlapped an attempt or blocked the test")
    ] = ()
    cases: Annotated[Mapping[Id, int], means("cases of a wrapped runner by verdict, excused ones as `excused`")] = {}


class Repeated(Body, frozen=True, kw_only=True):
    """A test whose duration was suspicious ran again. It is neither an attempt nor a verdict."""

    task: Task
    test: Test
    method: Method
    number: Annotated[int, means("from 1")]
    dir: Annotated[Id, means("its folder, relative to the run's")]
    outcome: Outcome
    seconds: Seconds
    evidence: tuple[Evidence, ...]
    dropped: Annotated[tuple[Dropped, ...], means("files that were not kept")] = ()
    disturbed: Annotated[str, means("why its duration confirms nothing: an incident, load, …")] = ""


class Compared(Body, frozen=True, kw_only=True):
    """A suspicious duration was compared with the baseline, after its repeats."""

    task: Task
    test: Test
    method: Method
    result: Annotated[
        Literal["slower", "faster", "unconfirmed"], means("unconfirmed: a repeat did not agree, or did not pass")
    ]
    suspected: Moved
    baseline: Annotated[Id, means("its key in `baseline.json` and `durations.json`")]
    seconds: Annotated[float, means("of the attempt that decides its verdict")]
    repeats: Annotated[tuple[float, ...], means("seconds of the repeats, in order")]
    median_seconds: Seconds
    mad_seconds: Annotated[float, means("median absolute deviation in seconds")]
    runs: Annotated[int, means("samples of the baseline")]
    limit_seconds: Annotated[float, means("the limit that all of them had to exceed")]
    reason: Annotated[str, means("why it could not be found out; empty where the repeats decided")] = ""


class ServiceChanged(Body, frozen=True, kw_only=True):
    """A row of the health matrix changed its state."""

    component: Id
    state: Annotated[Id, means("`starting`, `healthy`, `unhealthy`, `failed`, `stopped`, …")]
    pid: int | None
    port: int | None
    attempt: Annotated[int, means("from 1; of the start or the recovery step")]
    reason: str
    seconds: Seconds
    url: str | None = None
    bound_seconds: Annotated[float | None, means("the bound of this start or recovery")] = None
    action: Annotated[Id | None, means("the recovery step, if this belongs to a recovery")] = None
    incident: Annotated[Id, means("id of the incident that this belongs to")] = ""


class GateJudged(Body, frozen=True, kw_only=True):
    """A quality gate was evaluated."""

    phase: GatePhase
    name: Id
    result: Annotated[
        GateResult, means("`pending`: a gate `after` of a shard, which is evaluated when the shards are merged")
    ]
    expression: Id
    values: Annotated[Mapping[Id, Annotated[Any, OURS]], means("the metrics that the expression read")]
    message: str


class GroupCompleted(Body, frozen=True, kw_only=True):
    """All selected tests of a group have verdicts by this method: a checkpoint."""

    method: Method
    group: Id


class NodeChanged(Body, frozen=True, kw_only=True):
    """A node of a run on several machines has come, was refused, or is gone."""

    node: Annotated[Id, means("its name")]
    state: NodeState
    message: Annotated[str, means("a sentence: its slots, or why it is not used any more")]
    slots: Annotated[int, means("attempts that it carries out at once; absent for one that is not used")] = 0


class SessionChanged(Body, frozen=True, kw_only=True):
    """The browser session of a method: begun, moved on, restored or lost."""

    method: Method
    session: Annotated[Id, means("the session's id")]
    started: Id = ""
    browser: Id = ""
    continuity: Annotated[Id, means("`new`, `kept`, `restored` or `lost`")]
    url: str
    title: str
    tabs: int
    storage: Annotated[Id | None, means("digest of cookies and storage, by a key of the session")] = None
    reason: str = ""
    alive: Annotated[Mapping[Id, bool], means("whether browser and MCP server are alive")] = {}
    died: Annotated[tuple[Died, ...], means("parts that died")] = ()


class WorkerUse(Part, frozen=True, kw_only=True):
    """The resource use of a worker and all of its descendants in the time of a sample, browser and MCP server included."""

    worker: Annotated[Id, means("`worker-1`, as its log is named; `cli commands` for the programs of a method")]
    cpu_seconds: Annotated[float, means("of all of its sampled processes")]
    memory_megabytes: Annotated[float, means("resident, the sampled peak")]
    read_megabytes: Annotated[float, means("from disks")] = 0.0
    written_megabytes: Annotated[float, means("to disks")] = 0.0


class HeldBack(Body, frozen=True, kw_only=True):
    """A task that was next had to wait with a slot free: its cost did not fit next to the tests that ran. Once for each task."""

    task: Task
    test: Test
    method: Method
    lack: Annotated[Literal["processors", "memory"], means("of these too little was free")]
    processors: Annotated[float, means("that the test keeps busy in the mean, as earlier runs measured it")]
    processors_used: Annotated[float, means("by the tests that ran")]
    processors_all: Annotated[float, means("of the machine")]
    memory_megabytes: Annotated[float, means("that the test has at its most, as earlier runs measured it")]
    memory_megabytes_used: Annotated[float, means("by the tests that ran")]
    memory_megabytes_all: Annotated[float, means("for all tests: nine tenths of what was available when the run began")]
    running: Annotated[int, means("number of tests that ran")]


class ResourceSampled(Body, frozen=True, kw_only=True):
    """The load of the machine, and the number of workers that it allows."""

    cpu_percent: Annotated[float, means("of all processors, by all programs, in the mean")]
    memory_percent: Annotated[float, means("in use at the end")]
    workers: Annotated[int, means("slots in use or allowed")]
    reason: Annotated[str, means("the reason for a change of the number of workers")] = ""
    seconds: Annotated[float, means("how long this sample is, by a monotonic clock")] = 0.0
    cpu_percent_peak: Annotated[float, means("the most in about a second")] = 0.0
    memory_percent_peak: float = 0.0
    other_cpu_percent: Annotated[float, means("of all processors, by programs that are no part of the run")] = 0.0
    read_megabytes: Annotated[float, means("from disks, by all programs")] = 0.0
    written_megabytes: Annotated[float, means("to disks")] = 0.0
    received_megabytes: Annotated[float, means("by networks, without the loopback device")] = 0.0
    sent_megabytes: float = 0.0
    by_worker: Annotated[tuple[WorkerUse, ...], means("those that were at work, sorted by name")] = ()


class Incident(Body, frozen=True, kw_only=True):
    """A component was out of order for a while; failures that overlap it are held."""

    component: Id
    state: Literal["opened", "closed"]
    reason: str
    id: Annotated[Id, means("`backend-1`: the component and a number from 1")] = ""
    tests: Annotated[tuple[Id, ...], means("tasks with an attempt that overlapped it")] = ()
    recovery_steps: Annotated[tuple[Id, ...], means("recovery steps that were tried, in order")] = ()
    bound_seconds: Annotated[float | None, means("the bound of the recovery")] = None
    seconds: Annotated[
        float | None, means("its duration, from the last time the component was known to be healthy")
    ] = None
    outcome: Annotated[Id, means("`recovered`, `failed`, or `unresolved` when the run ended before")] = ""


class Note(Body, frozen=True, kw_only=True):
    """A remark that changes nothing. Kind `torn`: half a line was cut from the end when the ledger was opened."""

    message: str
    kind: Id = ""
    data: Mapping[Id, Any] = {}


class Interrupted(Body, frozen=True, kw_only=True):
    """The run was asked to end."""

    signal: Annotated[Id, means("`SIGINT`, `SIGTERM`, `SIGHUP`")]


class Done(Part, frozen=True, kw_only=True):
    """The state of a finished task."""

    verdict: Verdict
    speed_class: Id | None
    seconds: float
    attempts: int
    reason: Annotated[str, means("absent for a plain pass")] = ""
    cases: Annotated[Mapping[Id, int], means("cases of a wrapped runner by verdict, excused ones as `excused`")] = {}


class RolledBack(Body, frozen=True, kw_only=True):
    """The compensation that takes verdicts back to a checkpoint; the old events stay. See `state.rollback`."""

    to_seq: Annotated[int, means("the last event that still counts")]
    reopened: Annotated[tuple[Id, ...], means("tasks without a verdict at that point")]
    restored: Annotated[Mapping[Id, Done], means("tasks whose verdict at that point was another")]
    baseline: Annotated[Id | None, means("digest of the durations that the run had left by then")]
    reason: str = ""


class BaselineChanged(Body, frozen=True, kw_only=True):
    """The durations that later runs are compared with were replaced: those measured here, or the baseline in git."""

    digest: Annotated[Id | None, means("of the new content of the file; null when it is empty")]
    previous: Annotated[Id | None, means("of the one before")]
    reason: str
    by_run: Annotated[
        bool, means("the run did it at its end, in `durations.json`, and keeps those before as `durations-DIGEST.json`")
    ] = False


class Attested(Body, frozen=True, kw_only=True):
    """The result of a test as an agent or a person saw it, by hand, after the run: a claim with evidence, and no verdict."""

    test: Test
    status: Literal["passed", "failed"]
    note: str
    evidence: Annotated[tuple[Evidence, ...], means("at least one file")]


class RunFinished(Body, frozen=True, kw_only=True):
    """A run came to an end of its own, good or bad."""

    exit_code: int
    counts: Annotated[Mapping[Id, int], means("tasks by verdict")]
    seconds: Seconds
    gates: Annotated[Mapping[Id, Id], means("result by `phase:name`")]


class Segment(Body, frozen=True, kw_only=True):
    """The record goes on in a further file, of which this is the first line; the one before is written no more."""

    segment: Annotated[int, means("number of this file, from 2")]
    file: Annotated[Id, means("name of the file before")]
    events: Annotated[int, means("number of events before this one")]
    head: Annotated[Id, means("hash of the event before this one")]
    bytes: Annotated[int, means("size of the file before")]
    digest: Annotated[Id, means("SHA-256 of the file before, 64 hexadecimal digits")]


class Logs(Body, frozen=True, kw_only=True):
    """The whole logs of services and workers at the end of the run. It replaces an earlier one."""

    files: Annotated[tuple[Evidence, ...], means("sorted by path")]
    open: Annotated[tuple[Id, ...], means("paths of logs that were still being written, and are not bound")]


class Reports(Body, frozen=True, kw_only=True):
    """The files of the report as they were written last. It takes the place of an earlier one."""

    files: Annotated[tuple[Evidence, ...], means("sorted by path")]


class Seal(Body, frozen=True, kw_only=True):
    """Closes what was written so far. A missing tail shows by a missing seal."""

    events: Annotated[int, means("number of events before this one")]
    head: Annotated[Id, means("hash of the event before this one")]
    rules: Annotated[Mapping[Id, bool], means("of the seal of a run: each rule of integrity by id, held or not")] = {}
    rules_version: Annotated[int | None, means("of the requirements of these rules")] = None
    signed_by: Annotated[Id, means("SHA-256 of the public key (Ed25519) by which the seal is signed")] = ""
    signature: Annotated[Id, means("base64, of this body without it")] = ""


class EventType(NamedTuple):
    """The body of a type of event, and the version of that body which this program writes.

    A version only adds fields that may be absent, so that a body of an earlier one is read as the same struct.
    """

    body: type[Body]
    version: int = 1


CATALOGUE: Final[Mapping[str, EventType]] = {
    "run_started": EventType(RunStarted),
    "run_resumed": EventType(RunResumed),
    "attempt_started": EventType(AttemptStarted, 3),
    "attempt_finished": EventType(AttemptFinished, 3),
    "verdict": EventType(VerdictGiven, 2),
    "repeat": EventType(Repeated, 2),
    "comparison": EventType(Compared),
    "service_event": EventType(ServiceChanged),
    "gate": EventType(GateJudged),
    "group_completed": EventType(GroupCompleted),
    "session": EventType(SessionChanged),
    "node": EventType(NodeChanged),
    "held_back": EventType(HeldBack),
    "resource": EventType(ResourceSampled),
    "incident": EventType(Incident),
    "note": EventType(Note),
    "interrupted": EventType(Interrupted),
    "rolled_back": EventType(RolledBack),
    "baseline": EventType(BaselineChanged),
    "attested": EventType(Attested),
    "run_finished": EventType(RunFinished),
    "logs": EventType(Logs),
    "reports": EventType(Reports),
    "segment": EventType(Segment),
    "seal": EventType(Seal),
}


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line of the ledger; `mac` is empty where the line has none."""

    seq: int
    time: str
    type: str
    v: int
    prev: str
    hash: str
    body: Body
    mac: str = ""
