"""Every type of event that a ledger may hold, in one catalogue. May import `ledger.canonical` and `ledger.schema`.

One event is one line of `events.jsonl`. Its envelope (`Event`) is the same for all; its `body` is one of the records
below. `CATALOGUE` says which type has which body. A reader keeps and skips a type, or a version of one, that it does
not know. `python -m orchestra.ledger.event` prints the JSON Schema.

Longer than other modules because the catalogue is one idea. No postponed annotations here: `__required_keys__` of a
TypedDict is wrong with them.
"""

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, NotRequired, TypedDict, get_args

from orchestra.ledger.schema import Schema, object_schema

Verdict = Literal["passed", "flaky", "unchanged", "failed", "timeout", "error", "blocked", "skipped", "interrupted"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)

Outcome = Literal["passed", "failed", "timeout", "error", "skipped", "interrupted"]
"""How one attempt, or one step of it, ended. A verdict is made of attempts."""

GateResult = Literal["passed", "failed", "not_applicable", "warned"]
GatePhase = Literal["before", "during", "after"]


class Ours:
    """Marks a string that this program or the spec makes: an id, a word of a fixed set, a digest, a path, an expression.

    Secrets are masked in every other string (`free_text`). One in such a string would be in the spec, too, which is in git;
    and a record whose ids and digests are changed cannot be read, audited or resumed.
    """


OURS: Final = Ours()

Id = Annotated[str, OURS]
Task = Annotated[Id, "method and test: `cli:B004`"]
Test = Annotated[Id, "the test's id: `B004`"]
Method = Annotated[Id, "the method's id: `cli`"]
Seconds = Annotated[float, "duration in seconds, by a monotonic clock"]
Sha256 = Annotated[Id, "SHA-256, 64 hexadecimal digits"]


class Git(TypedDict, total=False):
    """The work tree of a run; empty outside of one."""

    commit: Id
    branch: str
    dirty_files: Annotated[int, "changed files, all of them"]
    dirty: Annotated[dict[str, Id | None], "digests of the first 200 changed files by path; null for one that is gone"]


class Environment(TypedDict, total=False):
    """The environment of a run, redacted."""

    values: Annotated[dict[Id, str], "variables that are known to change runs and to hold no secret"]
    names: Annotated[list[Id], "of all other variables"]


class Provenance(TypedDict, total=False):
    """Origin of a run: commit, tools, machine, who started it."""

    orchestra: Annotated[Id, "version"]
    python: Annotated[Id, "version"]
    tools: Annotated[dict[Id, Id], "versions of packages"]
    browsers: Annotated[dict[Id, Id], "versions by engine"]
    system: Id
    distribution: Id
    machine: Id
    cores: int
    memory_megabytes: int
    git: Git
    environment: Environment
    started_by: Annotated[Id, "`person`, `agent` or `ci`"]
    user: str
    job: Annotated[str, "address of the job in CI"]


class RunStarted(TypedDict):
    """A run began. Always the first event of a run that was not torn."""

    run: Annotated[Id, "the run id, `20260102T030405Z-1a2b`"]
    suite: Id
    plan_digest: Annotated[Id, "digest of what the plan means; resume, baselines and history go by it"]
    source_digest: Annotated[Id, "digest of the spec files; decides whether a plan is stale"]
    profile: Id | None
    selection: Annotated[list[Id], "every task that must get a verdict, in the plan's order"]
    methods: list[Id]
    workers: int
    argv: Annotated[list[str], "the command line, secrets masked"]
    provenance: Provenance
    builds: NotRequired[
        Annotated[dict[Id, Id], "build of each service and job: digest of command, folder, env and files"]
    ]


class RunResumed(TypedDict):
    """The run goes on after an end of any kind. The tasks in `rerun` lose their verdicts and are pending again."""

    run: Id
    rerun: Annotated[list[Id], "tasks that have to run, whatever they had before"]
    plan_digest: NotRequired[Id]
    source_digest: NotRequired[Id]
    changed: NotRequired[Annotated[list[Id], "tests whose plan differs from the run's first segment"]]
    workers: NotRequired[int]
    argv: NotRequired[list[str]]
    provenance: NotRequired[Provenance]
    builds: NotRequired[dict[Id, Id]]


class AttemptStarted(TypedDict):
    """A test begins to execute."""

    task: Task
    test: Test
    method: Method
    attempt: Annotated[int, "from 1"]
    dir: Annotated[Id, "the attempt's folder, relative to the run's"]
    worker: NotRequired[int]
    browser: NotRequired[Annotated[Id, "the engine that it drives; absent for a test without a browser"]]


class Failure(TypedDict):
    """Why an attempt did not pass."""

    kind: Annotated[Id, "the kind by which retries are decided: `timeout`, `connection`, `crash`, `assertion`, …"]
    message: str
    step: NotRequired[Annotated[int | None, "index of the step, from 0; null outside of the steps"]]
    at: NotRequired[Annotated[Id | None, "place in the spec, `file:line`"]]
    expected: NotRequired[str | None]
    found: NotRequired[str | None]
    hint: NotRequired[str | None]


class StepDone(TypedDict):
    """One step of an attempt."""

    index: Annotated[int, "from 0"]
    verb: Annotated[Id, "`goto`, `click`, …"]
    seconds: Seconds
    outcome: Outcome
    at: NotRequired[Annotated[Id | None, "place in the spec, `file:line`"]]
    calls: NotRequired[Annotated[int, "tool calls that it took (method mcp)"]]
    polls: NotRequired[Annotated[int, "wait calls that it took (method mcp)"]]
    lag_seconds: NotRequired[Annotated[float | None, "from the page showing it to our knowing it"]]


class Evidence(TypedDict):
    """A file kept of an attempt, bound by its digest."""

    path: Annotated[Id, "relative to the run's folder"]
    digest: Sha256
    bytes: int
    kind: Annotated[Id, "`log`, `screenshot`, `trace`, `console`, `network`, `download`, …"]


class Dropped(TypedDict):
    """A file that was not kept."""

    path: Annotated[Id, "relative to the attempt's folder"]
    bytes: int
    kind: Id
    reason: NotRequired[Annotated[str, "absent for one over `evidence_limit_megabytes`"]]


class Finding(TypedDict):
    """An error beside the assertions."""

    layer: Annotated[
        Id, "`page_errors`, `console_errors`, `failed_requests`, `http_5xx`, `open_dialogs`, `service_logs`"
    ]
    level: Annotated[Literal["fail", "warn"], "whether it fails the attempt"]
    text: str
    where: Annotated[str, "address and line of a script, page of a request, log and line; empty when not known"]
    count: Annotated[int, "how often it was seen"]


class Host(TypedDict):
    """The requests of a page to one host."""

    requests: int
    failed: Annotated[int, "without an answer, or answered with 400 and above; given up by the page does not count"]
    bytes: NotRequired[Annotated[int, "of the answers' bodies as they were sent; absent when not known of all"]]
    slowest_ms: NotRequired[Annotated[float, "from its start to its last byte; absent when none was measured"]]
    component: NotRequired[Annotated[Id, "the row of the health matrix that the host is"]]


class Network(TypedDict):
    """The requests of the page of an attempt."""

    requests: int
    failed: int
    bytes: NotRequired[int]
    slowest_ms: NotRequired[float]
    hosts: Annotated[dict[str, Host], "by host and port"]


class AttemptFinished(TypedDict):
    """An attempt ended."""

    task: Task
    test: Test
    method: Method
    attempt: int
    outcome: Outcome
    seconds: Seconds
    error: Failure | None
    steps: list[StepDone]
    evidence: list[Evidence]
    retry: Annotated[bool, "another attempt follows"]
    dropped: NotRequired[Annotated[list[Dropped], "files that were not kept"]]
    infra_suspect: NotRequired[Annotated[bool, "an incident overlapped; the failure is held, not counted"]]
    incidents: NotRequired[Annotated[list[Id], "ids of the incidents that overlapped it"]]
    exit_code: NotRequired[Annotated[int | None, "of the command that the test runs"]]
    resources: NotRequired[
        Annotated[
            dict[Id, object],
            "of a command and all descendants that were waited for, or of the worker of a test in a browser with its browser"
            " and MCP server (Linux): `cpu_seconds`; `peak_rss_megabytes`, the most that one process had, absent where it is no"
            " more than that of orchestra",
        ]
    ]
    findings: NotRequired[Annotated[list[Finding], "errors beside the assertions, what fails first"]]
    network: NotRequired[Annotated[Network, "of the page; absent without one"]]
    facts: NotRequired[Annotated[dict[Id, object], "figures of the driver: browser, page errors, tool calls, …"]]


class VerdictGiven(TypedDict):
    """The one final word on a task. Written durably before anybody sees it."""

    task: Task
    test: Test
    method: Method
    verdict: Verdict
    reason: Annotated[str, "why, in words; empty for a plain pass"]
    seconds: Seconds
    attempts: Annotated[int, "how many ran; 0 for a test that was not executed"]
    speed_class: Annotated[Id | None, "null for a test that was not executed"]
    degraded: Annotated[list[Id], "what was not as declared: `backend on failover`"]
    inputs: Annotated[Id | None, "digest of inputs, plan entry and the builds of what it requires"]
    reads: NotRequired[Annotated[bool, "the test declares all that it reads, so that `inputs` stands for it"]]
    excused: NotRequired[Annotated[str, "why it does not fail the run, though it did not pass"]]
    unchanged_since: NotRequired[Annotated[Id | None, "the run whose pass an `unchanged` rests on"]]
    incidents: NotRequired[Annotated[list[Id], "ids of the incidents that overlapped an attempt or blocked the test"]]


class Repeated(TypedDict):
    """A test whose duration was suspicious ran again. It is neither an attempt nor a verdict."""

    task: Task
    test: Test
    method: Method
    number: Annotated[int, "from 1"]
    dir: Annotated[Id, "its folder, relative to the run's"]
    outcome: Outcome
    seconds: Seconds
    evidence: list[Evidence]
    dropped: NotRequired[Annotated[list[Dropped], "files that were not kept"]]


class Compared(TypedDict):
    """A suspicious duration was compared with the baseline, after its repeats."""

    task: Task
    test: Test
    method: Method
    result: Annotated[
        Literal["slower", "faster", "unconfirmed"], "unconfirmed: a repeat did not agree, or did not pass"
    ]
    suspected: Literal["slower", "faster"]
    baseline: Annotated[Id, "its key in baseline.json"]
    seconds: Annotated[float, "of the attempt that its verdict rests on"]
    repeats: Annotated[list[float], "seconds of the repeats, in order"]
    median_seconds: Seconds
    mad_seconds: Annotated[float, "median absolute deviation in seconds"]
    runs: Annotated[int, "samples of the baseline"]
    limit_seconds: Annotated[float, "what all of them had to pass to be confirmed"]


class ServiceChanged(TypedDict):
    """A row of the health matrix changed its state."""

    component: Id
    state: Annotated[Id, "`starting`, `healthy`, `unhealthy`, `failed`, `stopped`, …"]
    pid: int | None
    port: int | None
    attempt: Annotated[int, "from 1; which start or which rung"]
    reason: str
    seconds: Seconds
    action: NotRequired[Annotated[Id | None, "the rung of the ladder, when this belongs to a recovery"]]
    url: NotRequired[str | None]
    incident: NotRequired[Annotated[Id, "id of the incident that this belongs to"]]
    bound_seconds: NotRequired[Annotated[float, "how long this start, or this recovery, takes at most"]]


class GateJudged(TypedDict):
    """A quality gate was evaluated."""

    phase: GatePhase
    name: Id
    result: GateResult
    expression: Id
    values: Annotated[dict[Id, Annotated[object, OURS]], "the metrics that the expression read"]
    message: str


class GroupCompleted(TypedDict):
    """All selected tests of a group have verdicts by this method: a checkpoint."""

    method: Method
    group: Id


class Died(TypedDict):
    """A part of a browser session that died."""

    part: Annotated[Id, "`browser` or `server`"]
    reason: str
    rungs: Annotated[list[Id], "steps of recovery that were tried, in order"]
    before: Annotated[bool, "it was found dead before the test"]
    seconds: NotRequired[Annotated[float, "until it was back"]]


class SessionChanged(TypedDict):
    """The browser session of a method: begun, moved on, restored or lost."""

    method: Method
    session: Annotated[Id, "the session's id"]
    url: str
    title: str
    tabs: int
    continuity: Annotated[Id, "`new`, `kept`, `restored` or `lost`"]
    started: NotRequired[Id]
    browser: NotRequired[Id]
    storage: NotRequired[Annotated[Id | None, "digest of cookies and storage, by a key of the session"]]
    reason: NotRequired[str]
    mended: NotRequired[Annotated[list[Died], "parts that died"]]
    alive: NotRequired[Annotated[dict[Id, bool], "whether browser and MCP server live"]]


class ResourceSampled(TypedDict):
    """What the machine bears, and how many workers that allows."""

    cpu_percent: float
    memory_percent: float
    workers: Annotated[int, "slots in use or allowed"]
    reason: NotRequired[Annotated[str, "why the number of workers changed"]]


class Incident(TypedDict):
    """A component was out of order for a while; failures that overlap it are held."""

    component: Id
    state: Literal["opened", "closed"]
    reason: str
    id: NotRequired[Annotated[Id, "`backend-1`: the component and a number from 1"]]
    seconds: NotRequired[Annotated[float, "how long it was open, from when the component was last known to be well"]]
    tests: NotRequired[Annotated[list[Id], "tasks with an attempt that overlapped it"]]
    rungs: NotRequired[Annotated[list[Id], "rungs of the ladder that were tried, in order"]]
    outcome: NotRequired[Annotated[Id, "`recovered`, `failed`, or `unresolved` when the run ended before"]]
    bound_seconds: NotRequired[Annotated[float, "how long recovery takes at most"]]


class Note(TypedDict):
    """A remark that changes nothing. Kind `torn`: half a line was cut from the end when the ledger was opened."""

    message: str
    kind: NotRequired[Id]
    data: NotRequired[dict[Id, object]]


class Interrupted(TypedDict):
    """The run was asked to end."""

    signal: Annotated[Id, "`SIGINT`, `SIGTERM`, `SIGHUP`"]


class Done(TypedDict):
    """What the state keeps of a finished task."""

    verdict: Verdict
    speed_class: Id | None
    seconds: float
    attempts: int
    reason: NotRequired[Annotated[str, "absent for a plain pass"]]


class RolledBack(TypedDict):
    """The compensation that takes verdicts back to a checkpoint; the old events stay. See `state.rollback`."""

    to_seq: Annotated[int, "the last event that still counts"]
    reopened: Annotated[list[Id], "tasks without a verdict at that point"]
    restored: Annotated[dict[Id, Done], "tasks whose verdict at that point was another"]
    baseline: Annotated[Id | None, "digest of the baseline that the run had set by then"]
    reason: NotRequired[str]


class BaselineChanged(TypedDict):
    """The baseline that later runs are compared with was replaced."""

    digest: Annotated[Id | None, "of the new one; null when it was forgotten"]
    previous: Annotated[Id | None, "of the one before"]
    reason: str
    by_run: NotRequired[
        Annotated[
            bool, "the run did it at its end, and keeps the one before as `baseline-` and the start of its digest"
        ]
    ]


class RunFinished(TypedDict):
    """A run came to an end of its own, good or bad."""

    exit_code: int
    counts: Annotated[dict[Id, int], "tasks by verdict"]
    seconds: Seconds
    gates: Annotated[dict[Id, Id], "result by `phase:name`"]


class Segment(TypedDict):
    """The record goes on in a further file, of which this is the first line; the one before is written no more."""

    segment: Annotated[int, "number of this file, from 2"]
    file: Annotated[Id, "name of the file before"]
    events: Annotated[int, "number of events before this one"]
    head: Annotated[Id, "hash of the event before this one"]
    bytes: Annotated[int, "size of the file before"]
    digest: Annotated[Id, "SHA-256 of the file before, 64 hexadecimal digits"]


class Logs(TypedDict):
    """What services and workers wrote, as whole files, when the run ended. It takes the place of an earlier one."""

    files: Annotated[list[Evidence], "sorted by path"]
    open: Annotated[list[Id], "paths of those that were still written, and are not bound therefore"]


class Reports(TypedDict):
    """The files of the report as they were written last. It takes the place of an earlier one."""

    files: Annotated[list[Evidence], "sorted by path"]


class Seal(TypedDict):
    """Closes what was written so far. A missing tail shows by a missing seal."""

    events: Annotated[int, "number of events before this one"]
    head: Annotated[Id, "hash of the event before this one"]
    rules: NotRequired[Annotated[dict[Id, bool], "of the seal of a run: each rule of integrity by id, held or not"]]
    rules_version: NotRequired[Annotated[int, "of what these rules ask for"]]
    signed_by: NotRequired[Annotated[Id, "SHA-256 of the public key (Ed25519) by which the seal is signed"]]
    signature: NotRequired[Annotated[Id, "base64, of this body without it"]]


class Event(NamedTuple):
    """One line of the ledger; `mac` is empty where the line has none."""

    seq: int
    time: str
    type: str
    v: int
    prev: str
    hash: str
    body: Mapping[str, Any]
    mac: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return the data of the line."""
        data = self._asdict()
        if not self.mac:
            del data["mac"]
        return data


class EventType(NamedTuple):
    """The body of a type of event (a TypedDict) and the version of that body which this program writes."""

    body: Any
    version: int = 1


CATALOGUE: Final[Mapping[str, EventType]] = {
    "run_started": EventType(RunStarted),
    "run_resumed": EventType(RunResumed),
    "attempt_started": EventType(AttemptStarted),
    "attempt_finished": EventType(AttemptFinished),
    "verdict": EventType(VerdictGiven),
    "repeat": EventType(Repeated),
    "comparison": EventType(Compared),
    "service_event": EventType(ServiceChanged),
    "gate": EventType(GateJudged),
    "group_completed": EventType(GroupCompleted),
    "session": EventType(SessionChanged),
    "resource": EventType(ResourceSampled),
    "incident": EventType(Incident),
    "note": EventType(Note),
    "interrupted": EventType(Interrupted),
    "rolled_back": EventType(RolledBack),
    "baseline": EventType(BaselineChanged),
    "run_finished": EventType(RunFinished),
    "logs": EventType(Logs),
    "reports": EventType(Reports),
    "segment": EventType(Segment),
    "seal": EventType(Seal),
}

_REQUIRED: Final[Mapping[str, frozenset[str]]] = {
    name: entry.body.__required_keys__ for name, entry in CATALOGUE.items()
}
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    name: _REQUIRED[name] | entry.body.__optional_keys__ for name, entry in CATALOGUE.items()
}

_SOUND: Final[set[tuple[str, ...]]] = set()
"""Types with the keys of bodies that were found good, in their order: a program writes few of them, again and again."""

_MOST_SOUND: Final = 1000


def body_fault(kind: str, body: Mapping[str, object]) -> str | None:
    """What is wrong with the keys of a body about to be written, or None. Values are left to the type checker."""
    names = (kind, *body)
    if names in _SOUND:
        return None
    required = _REQUIRED.get(kind)
    if required is None:
        return f'no event has the type "{kind}"; there are {", ".join(CATALOGUE)}'
    keys = body.keys()
    if missing := required - keys:
        return f'event "{kind}" lacks {", ".join(sorted(missing))}'
    if unknown := keys - _ALLOWED[kind]:
        return f'event "{kind}" has no field {", ".join(sorted(unknown))}; it has {", ".join(sorted(_ALLOWED[kind]))}'
    if len(_SOUND) < _MOST_SOUND:
        _SOUND.add(names)
    return None


def event_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of one line of a ledger. Types that it does not know are allowed."""
    definitions: dict[str, Schema] = {}
    cases = []
    for name, entry in CATALOGUE.items():
        definitions[entry.body.__name__] = object_schema(entry.body, definitions)
        condition = {"properties": {"type": {"const": name}, "v": {"const": entry.version}}}
        body = {"properties": {"body": {"$ref": f"#/$defs/{entry.body.__name__}"}}}
        cases.append({"if": condition, "then": body})
    sha256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "orchestra event",
        "description": "One line of events.jsonl, in canonical JSON (RFC 8785).",
        "type": "object",
        "properties": {
            "seq": {"type": "integer", "minimum": 1, "description": "counted from 1 without gaps"},
            "time": {
                "type": "string",
                "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$",
                "description": "UTC; never before the event before",
            },
            "type": {"type": "string", "description": f"one of {', '.join(CATALOGUE)}, or one of a newer version"},
            "v": {"type": "integer", "minimum": 1, "description": "version of the body"},
            "prev": {**sha256, "description": "hash of the event before; 64 zeros for the first"},
            "hash": {**sha256, "description": "SHA-256 of the canonical JSON of this event without `hash` and `mac`"},
            "mac": {
                "type": "string",
                "pattern": "^[0-9a-f]{32}$",
                "description": "HMAC-SHA256 of `hash` by the key of the user who ran it, cut; missing where he has none",
            },
            "body": {"type": "object"},
        },
        "required": ["seq", "time", "type", "v", "prev", "hash", "body"],
        "additionalProperties": False,
        "allOf": cases,
        "$defs": dict(sorted(definitions.items())),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(event_schema(), indent=2, ensure_ascii=False) + "\n")
