"""The plan: what will happen, total and resolved. The compiler writes it, the runtime executes it.

Every value is frozen data. A field that is absent in plan.json has the default written here, so a reviewer's diff shows
only the values of the spec. Durations are seconds. Text can still hold runtime variables (`${backend.url}`, see
`orchestra.names`). There are no line numbers: `at` is a path in the spec (`tests/B004/steps/1`), looked up in the file
on demand.

Longer than other modules because it is one record. `orchestra.plan_file` writes and reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from orchestra.engines import DEFAULT_ENGINE, ENGINES
from orchestra.layers import Level
from orchestra.recovery import RECOVERY
from orchestra.steps.step import Step

NESTED: Final = " \u203a "
"""Between a group and one inside it, in texts."""


ReportKind: TypeAlias = Literal["junit", "playwright_json", "pytest_reportlog"]
REPORT_KINDS: Final[tuple[ReportKind, ...]] = get_args(ReportKind)
Cause: TypeAlias = Literal["failed", "timeout", "connection", "crash"]


class Part(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The base of every part of the plan."""


class Probe(Part, frozen=True):
    """One check of a component. `kind` is one of `orchestra.probes`, or of the package `plugin`; `args` are its keys."""

    kind: str
    args: dict[str, Any]
    timeout_seconds: float = 5.0
    plugin: str = ""


class Ready(Part, frozen=True):
    """The readiness of a component: `successes` passes of the probe in a row, `within_seconds` after its start."""

    probe: Probe
    within_seconds: float = 60.0
    successes: int = 1


class Live(Part, frozen=True):
    """The watch of a component during the tests: `failures` misses in a row open an incident."""

    probe: Probe
    every_seconds: float = 5.0
    failures: int = 3


class Backoff(Part, frozen=True):
    """Waits between tries: `initial_seconds` * `factor`ⁿ, at most `max_seconds`, spread by ± `jitter` (a fraction)."""

    max: int = 5
    initial_seconds: float = 0.2
    factor: float = 2.0
    max_seconds: float = 5.0
    jitter: float = 0.1


class Service(Part, frozen=True):
    """A process that orchestra starts, watches and ends. `ports` is the inclusive range to take the first free one from."""

    run: tuple[str, ...]
    shell: bool = False
    cwd: str = "."
    env: dict[str, str] = {}
    host: str = "127.0.0.1"
    ports: tuple[int, int] | None = None
    port_wait_seconds: float = 0.0
    stop_signal: Literal["TERM", "INT", "QUIT", "HUP", "KILL"] = "TERM"
    grace_seconds: float = 5.0
    inputs: tuple[str, ...] = ()


class Job(Part, frozen=True):
    """A command that runs to its end, once, before its dependents."""

    run: tuple[str, ...]
    shell: bool = False
    cwd: str = "."
    env: dict[str, str] = {}
    timeout_seconds: float = 300.0
    inputs: tuple[str, ...] = ()


class RecoveryStep(Part, frozen=True):
    """One step of the recovery policy, a row of `orchestra.recovery`; `run` is the command of one that has a command, and
    `timeout_seconds` its limit.
    """

    kind: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(RECOVERY)})]
    run: tuple[str, ...] = ()
    timeout_seconds: float = 300.0


class ResetStep(Part, frozen=True):
    """One step of the reset of an instance: the command `run` or the `request`, within `timeout_seconds`, or a restart."""

    run: tuple[str, ...] = ()
    request: Probe | None = None
    timeout_seconds: float = 60.0


class Component(Part, frozen=True):
    """One row of the health matrix. At most one of `job`, `service` and `url` is set; with none it is a check.

    `between` is done before a test of another method uses it. With `where` `worker` a cluster has one on each node. With
    `per` `worker` there are as many instances as tests run at once, and `reset` is done before an instance is used by its
    next test.
    """

    id: str
    title: str
    needs: tuple[str, ...] = ()
    required: bool = True
    job: Job | None = None
    service: Service | None = None
    url: str = ""
    ready: Ready | None = None
    live: Live | None = None
    retries: Backoff = Backoff()
    recover: tuple[RecoveryStep, ...] = ()
    failover: Service | None = None
    fail_back: bool = False
    cool_down_seconds: float = 60.0
    between: tuple[RecoveryStep, ...] = ()
    shared: bool = False
    per: Literal["run", "worker"] = "run"
    where: Literal["shared", "worker"] = "shared"
    reset: tuple[ResetStep, ...] = ()
    identity: dict[str, Any] | Literal["own", "none"] = "own"


class SpeedClass(Part, frozen=True):
    """A class of duration: from the bound of the class before (inclusive) to `below_seconds` (exclusive, None: no end)."""

    name: str
    mark: str
    below_seconds: float | None = None


class Connect(Part, frozen=True):
    """Where the browsers of a method run: the address of a server that speaks Playwright's protocol. `sessions` is how many
    there can be at once, 0 for no limit.
    """

    url: str
    sessions: int = 0


AUTO_SLOTS: Final = 2
"""The most tests that run at once for each processor with `workers: auto`."""


class Method(Part, frozen=True):
    """A way to run the tests. `workers` 0 means as many as the machine bears, measured. `command` names the slash command.

    `driver` is one of `orchestra.drivers`, or of the package `plugin`. `speed` is empty for a method whose classes of
    duration are those of the suite. With `own_pages` the driver has pages of its own, and no browser is looked for. With
    `tool_calls` its steps are calls of MCP tools. With `connect` its browsers are not those of the machine.
    """

    id: str
    title: str
    driver: str
    workers: int = 0
    parallel: bool = False
    single_session: bool = False
    reset: Literal["storage", "page", "none"] = "storage"
    poll_seconds: float = 10.0
    command: str = ""
    speed: tuple[SpeedClass, ...] = ()
    plugin: str = ""
    own_pages: bool = False
    tool_calls: bool = False
    connect: Connect | None = None


class Group(Part, frozen=True):
    """A named set of tests; `after` names groups whose tests all end before one of these starts.

    `outer` has the groups around it, the innermost first. Its `after` has theirs, too. `before_all` and `after_all` are
    tests of it that run once for the others.
    """

    id: str
    title: str
    after: tuple[str, ...] = ()
    outer: tuple[str, ...] = ()
    before_all: tuple[str, ...] = ()
    after_all: tuple[str, ...] = ()


class Retry(Part, frozen=True):
    """The number of retries of a test, and the causes to retry. One that is `isolated` waits until no other test can run."""

    max: int = 0
    on: tuple[Cause, ...] = ("timeout", "connection", "crash")
    isolated: bool = False


class Quarantine(Part, frozen=True):
    """A test whose failures are excused up to a day, `YYYY-MM-DD` in UTC, that day included.

    With `cases`, globs of names, only failures of these cases are.
    """

    owner: str
    until: str
    reason: str = ""
    cases: tuple[str, ...] = ()


class KnownFailure(Part, frozen=True):
    """A failure that is excused where its message holds `match`; `strict`: a pass is a failure."""

    match: str
    reason: str = ""
    strict: bool = False


class Errors(Part, frozen=True):
    """The effect of errors outside assertions, by layer. `allow` and `log_patterns` are regular expressions.

    An error that matches a pattern of `allow` is not a finding. `log_patterns` has, by component, the patterns for its
    log.
    """

    page_errors: Level = "warn"
    console_errors: Level = "warn"
    failed_requests: Level = "warn"
    http_5xx: Level = "warn"
    open_dialogs: Level = "warn"
    service_logs: Level = "warn"
    a11y: Level = "ignore"
    allow: tuple[str, ...] = ()
    log_patterns: dict[str, tuple[str, ...]] = {}


class Geolocation(Part, frozen=True):
    """A place on the earth in degrees, and its accuracy in metres."""

    latitude: float
    longitude: float
    accuracy: float = 0.0


class Emulation(Part, frozen=True):
    """The environment that a page of a test sees. An empty text means the browser's own value.

    `device` is the name of a device whose descriptor was copied into the other fields.
    """

    device: str = ""
    viewport: tuple[int, int] = (1280, 800)
    device_scale_factor: float = 1.0
    is_mobile: bool = False
    has_touch: bool = False
    user_agent: str = ""
    locale: str = "en-US"
    timezone: str = ""
    geolocation: Geolocation | None = None
    permissions: tuple[str, ...] = ()
    color_scheme: Literal["", "light", "dark", "no-preference"] = ""
    reduced_motion: Literal["", "reduce", "no-preference"] = ""
    offline: bool = False
    extra_headers: dict[str, str] = {}


PLAIN_PAGE = Emulation()
"""The default, which the plan omits."""


class Login(Part, frozen=True):
    """A signed-in state that tests begin with: its steps, and the request that shows whether it still holds.

    It is made again after `valid_seconds`, with 0 never. `page`: its steps need one. `emulation` and `emulation_by` are
    those of the page in which it is made.
    """

    id: str
    steps: tuple[Step, ...] = ()
    check: Step | None = None
    valid_seconds: float = 0.0
    timeout_seconds: float = 60.0
    page: bool = False
    emulation: Emulation = PLAIN_PAGE
    emulation_by: dict[str, Emulation] = {}


class Pool(Part, frozen=True):
    """Values that tests lease: an entry belongs to one test at a time. Texts may hold variables of the environment."""

    id: str
    entries: tuple[dict[str, str], ...]


class Command(Part, frozen=True):
    """A program as a test: it passes when its exit code is in `exit_codes` and its report of cases, if any, has no failure."""

    argv: tuple[str, ...]
    shell: bool = False
    cwd: str = "."
    env: dict[str, str] = {}
    exit_codes: tuple[int, ...] = (0,)
    junit: str = ""
    playwright_json: str = ""
    pytest_reportlog: str = ""
    cases: dict[str, str] = {}
    attach: tuple[str, ...] = ()

    @property
    def reports(self) -> tuple[str, ...]:
        """Path by path, the report of each kind, in the order of `REPORT_KINDS`; at most one is not empty."""
        return self.junit, self.playwright_json, self.pytest_reportlog

    @property
    def report(self) -> tuple[ReportKind, str] | None:
        """The report of cases that it writes: which, and its path. None without one."""
        return next(((kind, path) for kind, path in zip(REPORT_KINDS, self.reports, strict=True) if path), None)


class Test(Part, frozen=True):
    """One test. It has `steps` or a `command`, never both. `of` is the id in the spec where a matrix made this one.

    `evidence_limit_megabytes` (of 1,000,000 bytes) is 0 for no limit. `errors_by` has the errors of the methods for
    which they are not `errors`, and `emulation_by` likewise. `substitutes_by` has the steps `mock` and `har` of the methods
    that have some.
    `login` is the id of the state that it begins with; with `login_page` that is made in a page.

    An action waits `action_timeout_seconds` at most, and `action_idle_seconds` while no request of the page is under
    way.

    `outer` has the groups around its `group`, the innermost first.

    `takes` has, by the name that the texts of the test use, the pool of which it leases an entry.

    `needs` and `after` hold ids of tests of this plan (group needs and matrix ids resolved). `unmet` has the needs whose
    failure does not block the test: it runs all the same, or is skipped. `at` is its path in the spec.
    """

    id: str
    title: str
    methods: tuple[str, ...]
    of: str = ""
    group: str = ""
    outer: tuple[str, ...] = ()
    browser: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(ENGINES)})] = DEFAULT_ENGINE
    needs: tuple[str, ...] = ()
    unmet: dict[str, Literal["run", "skip"]] = {}
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    resources: dict[str, int] = {}
    takes: dict[str, str] = {}
    exclusive: bool = False
    tags: tuple[str, ...] = ()
    timeout_seconds: float = 120.0
    action_timeout_seconds: float = 30.0
    action_idle_seconds: float = 10.0
    retries: Retry = Retry()
    evidence: Literal["on_failure", "always", "off"] = "on_failure"
    record: tuple[Literal["trace", "steps", "pictures", "video"], ...] = ()
    evidence_limit_megabytes: float = 0.0
    inputs: tuple[str, ...] = ()
    skip: str = ""
    quarantine: Quarantine | None = None
    known_failures: tuple[KnownFailure, ...] = ()
    errors: Errors = Errors()
    errors_by: dict[str, Errors] = {}
    emulation: Emulation = PLAIN_PAGE
    emulation_by: dict[str, Emulation] = {}
    substitutes_by: dict[str, tuple[Step, ...]] = {}
    login: str = ""
    login_page: bool = False
    matrix: dict[str, Any] = {}
    before: tuple[Step, ...] = ()
    steps: tuple[Step, ...] = ()
    finally_: tuple[Step, ...] = msgspec.field(default=(), name="finally")
    command: Command | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that it is in, the innermost first; none without a group."""
        return (self.group, *self.outer) if self.group else ()


class Baseline(Part, frozen=True):
    """The conditions of a regression: ratio, seconds and noise together, confirmed in `confirm` repeats."""

    window: int = 20
    min_runs: int = 5
    slower_ratio: float = 1.25
    slower_seconds: float = 0.5
    confirm: int = 3
    max_load_percent: float = 25.0


class Gate(Part, frozen=True):
    """A condition over metrics, evaluated before, during or after the tests."""

    phase: Literal["before", "during", "after"]
    name: str
    require: str
    for_seconds: float = 0.0
    on_fail: Literal["stop", "throttle", "warn", "block"] = "block"
    severity: Literal["error", "warn"] = "error"
    message: str = ""


class EnvFile(Part, frozen=True):
    """A file with variables, relative to the project root; all are secrets but those in `public`."""

    path: str
    required: bool = True
    public: tuple[str, ...] = ()


class Tls(Part, frozen=True):
    """The certificates of servers: all are accepted, or those of the authorities in `ca_file` are, too."""

    ignore_https_errors: bool = False
    ca_file: str = ""


NO_TLS = Tls()
"""The default, which the plan omits."""


class KeepRuns(Part, frozen=True):
    """The runs that stay on the disk: so many at most, none older than so many days. 0 is no limit."""

    count: int = 0
    days: float = 0.0


EVERY_RUN = KeepRuns()
"""The default, which the plan omits."""


class Collect(Part, frozen=True):
    """A command that lists what a wrapped runner collects; `of` is `block.parameter`, whose values must occur in it."""

    name: str
    run: tuple[str, ...]
    of: str


class Outputs(Part, frozen=True):
    """The paths of the compiled files, relative to the project root, and the program and the clients of slash commands."""

    doit: str = "dodo.py"
    commands: str = ".claude/commands"
    docs: str = ""
    launcher: str = "orchestra"
    hosts: tuple[str, ...] = ("claude-code",)


class Plugin(Part, frozen=True):
    """An installed package that the suite uses, in the version that it was compiled with, and the names that it brings."""

    name: str
    version: str
    probes: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()


class Engine(Part, frozen=True):
    """The machines that carry out the tests, where that is not this one: an engine, and the address of its cluster.

    Without an address the cluster is one of this machine, for a try. `slots` is the most tests at once on each node, 0 for as
    many as it has.
    """

    name: str
    scheduler: str = ""
    slots: int = 0


class Plan(Part, frozen=True):
    """A compiled suite. `sources` are its spec files; `source_digest` is theirs; both are left out of `digest()`."""

    suite: str
    title: str
    tests: tuple[Test, ...]
    methods: tuple[Method, ...]
    groups: tuple[Group, ...] = ()
    logins: tuple[Login, ...] = ()
    pools: tuple[Pool, ...] = ()
    components: tuple[Component, ...] = ()
    resources: dict[str, int] = {}
    secrets: tuple[str, ...] = ()
    env_files: tuple[EnvFile, ...] = ()
    tls: Tls = NO_TLS
    keep_runs: KeepRuns = EVERY_RUN
    speed: tuple[SpeedClass, ...] = ()
    baseline: Baseline = Baseline()
    gates: tuple[Gate, ...] = ()
    collect: tuple[Collect, ...] = ()
    outputs: Outputs = Outputs()
    plugins: tuple[Plugin, ...] = ()
    engine: Engine | None = None
    profile: str = ""
    sources: tuple[str, ...] = ()
    source_digest: str = ""

    def digest(self) -> str:
        """`sha256:` and the digest of the meaning: all but the sources, their digest and the output paths."""
        return _meaning(encoded(self))

    def login_of(self, test: Test) -> Login | None:
        """Return the login that a test begins with; None without one."""
        return next((login for login in self.logins if login.id == test.login), None)

    def group_titles(self) -> dict[str, str]:
        """Return the title of each group by its id, after those of the groups around it."""
        own = {group.id: group.title for group in self.groups}
        return {
            group.id: NESTED.join([*(own[outer] for outer in reversed(group.outer)), group.title])
            for group in self.groups
        }

    def closers(self) -> dict[str, tuple[str, ...]]:
        """Return, by the id of a test, the tests of `after_all` of its groups: they run whenever it does."""
        last = {group.id: group.after_all for group in self.groups if group.after_all}
        if not last:
            return {}
        named = {test.id: [last.get(group, ()) for group in test.groups] for test in self.tests}
        return {
            name: tuple(closer for ids in lists if name not in ids for closer in ids) for name, lists in named.items()
        }

    def closed_with(self) -> dict[str, tuple[str, ...]]:
        """Return, by the id of a test, all tests of `after_all` that a run of it leads to, by way of its needs, too."""
        closers, needs = self.closers(), {test.id: test.needs for test in self.tests}
        ends_of: dict[str, tuple[str, ...]] = {}
        for name in closers:
            reached, ahead = dict.fromkeys([name]), [name]
            while ahead:
                test_id = ahead.pop()
                more = [other for other in (*needs.get(test_id, ()), *closers.get(test_id, ())) if other not in reached]
                reached.update(dict.fromkeys(more))
                ahead += more
            if ends := tuple(dict.fromkeys(end for test_id in reached for end in closers.get(test_id, ()))):
                ends_of[name] = ends
        return ends_of

    def pools_of(self, test: Test) -> tuple[Pool, ...]:
        """Return the pools of which a test leases entries, in the order of the plan."""
        return tuple(pool for pool in self.pools if pool.id in test.takes.values())

    def narrowed(self, tests: Container[str]) -> Plan:
        """Return the plan with these tests only."""
        return msgspec.structs.replace(self, tests=tuple(test for test in self.tests if test.id in tests))


def closure(components: Sequence[Component], names: Iterable[str]) -> list[Component]:
    """Return the components of these names and all that they need, in the order of the plan."""
    rows = {row.id: row for row in components}
    reached, ahead = set[str](), list(names)
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += rows[name].needs
    return [row for row in components if row.id in reached]


def digest(data: bytes) -> str:
    """`sha256:` and the hexadecimal SHA-256 of the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def encode(value: object) -> bytes:
    """Canonical JSON of a part: keys sorted, defaults left out, UTF-8."""
    return msgspec.json.encode(value, order="sorted")


class Encoded(NamedTuple):
    """The canonical JSON of a plan in parts: of each test, and of every other key. Tests are encoded once: they are long."""

    tests: list[bytes]
    rest: dict[str, bytes]


def encoded(plan: Plan) -> Encoded:
    """Return the canonical JSON of a plan in parts."""
    rest = msgspec.to_builtins(msgspec.structs.replace(plan, tests=()))
    return Encoded([encode(test) for test in plan.tests], {key: encode(rest[key]) for key in rest if key != "tests"})


def _meaning(plan: Encoded) -> str:
    """Return the digest of `Plan.digest`: over the canonical JSON of the plan with its output paths as by default."""
    parts = {**plan.rest, "outputs": b"{}", "tests": b"[" + b",".join(plan.tests) + b"]"}
    keys = sorted(parts.keys() - {"sources", "source_digest"})
    return digest(b"{" + b",".join(b'"%s":%s' % (key.encode(), parts[key]) for key in keys) + b"}")
