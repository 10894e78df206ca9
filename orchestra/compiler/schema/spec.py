"""Define the spec language as typed mappings.

These types are the one model of the spec. `orchestra.compiler.schema.models` makes pydantic models of them, and those make
`schemas/orchestra.schema.json`, which validates every spec. A valid document *is* a `Spec`, so binding is a cast and
costs nothing (docs/decisions/001-typed-mappings.md). `Key` holds the meaning of each key, an example, and its bounds.

Longer than other modules because it is one table without logic.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple, Required, TypeAlias, TypedDict

from orchestra.drivers import DRIVERS
from orchestra.layers import Level
from orchestra.names import ENV_NAME
from orchestra.plan import (
    ENGINES,
    Backoff,
    Baseline,
    Command,
    Component,
    Engine,
    Errors,
    Gate,
    Job,
    KnownFailure,
    Live,
    Method,
    Outputs,
    Part,
    Probe,
    Ready,
    RecoveryStep,
    Retry,
    Service,
    Test,
)
from orchestra.recovery import RECOVERY_WORDS, RENEWAL_WORDS, REPAIR

PLAN: Final = object()
"""In place of a default: that of the plan, for the key of the same mapping and name in `DEFAULTS`."""


class Key(NamedTuple):
    """The description of a key for the schema and docs/spec.md.

    Attributes:
        doc: one sentence for editors' hover and for the docs.
        example: a value that is valid there.
        pattern, minimum, above, min_items: bounds, as in JSON Schema (`above` is exclusiveMinimum).
        names: the pattern of the keys where the value is a mapping with free keys.
        ref: the definition that replaces the schema of the type (the step language).
        default: the value if the key is absent, for the docs; `PLAN` where the plan has it.
        single: the value is a mapping with exactly one key.
        choices: the allowed texts, where a table has them.
    """

    doc: str
    example: Any
    pattern: str = ""
    minimum: float | None = None
    above: float | None = None
    min_items: int | None = None
    names: str = ""
    ref: str = ""
    default: Any = None
    single: bool = False
    choices: tuple[str, ...] = ()


ID = r"^[a-z][a-z0-9_]*$"
TEST_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
PORT_RANGE = r"^[0-9]{1,5}(-[0-9]{1,5})?$"
COMMAND_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
PACKAGE = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
LAUNCHER = r"^\.?[A-Za-z0-9_]([A-Za-z0-9._/-]*[A-Za-z0-9])?$"
PARAMETER = r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"

# The meaning of the patterns, for messages.
PATTERNS = {
    ID: 'a lower-case letter, then lower-case letters, digits and "_"',
    TEST_ID: 'a letter or digit, then letters, digits, "_", "." and "-"',
    ENV_NAME: 'a letter or "_", then letters, digits and "_"',
    PORT_RANGE: 'a port, or two with "-" between them, such as "8000-8003"',
    COMMAND_NAME: 'a letter or digit, then letters, digits, "_" and "-"',
    DATE: 'a day, such as "2026-12-31"',
    PACKAGE: 'a letter or digit, then letters, digits, "_", "." and "-"; a letter or digit at the end',
    LAUNCHER: 'a letter, digit or "_", a "." before it or not, then letters, digits, ".", "_", "-" and "/"',
    PARAMETER: 'a block and one of its parameters, such as "pw.file"',
}

Argv: TypeAlias = list[str]
StepSpec: TypeAlias = dict[str, Any] | str

RUN_DOC = "the program and its arguments, one item each; no shell splits or expands them"
CWD = Key("the working folder, relative to the project root", "web", default=PLAN)
ENV = Key("environment variables, added to the inherited ones", {"MODEL": "stub"}, names=ENV_NAME)
BUILD = Key(
    "globs of the files of its build (default: the files that `run` names, and the modules that Python files among them import)",
    ["app/**"],
)
SHELL = Key("pass the only item of the list to `sh -c`; shown in the plan", True, default=PLAN)


class ReadySpec(TypedDict, total=False):
    """The condition under which a component is ready."""

    within_seconds: Annotated[float, Key("the limit for becoming ready after the start", 60, above=0, default=PLAN)]
    successes: Annotated[int, Key("consecutive passes that count as ready", 1, minimum=1, default=PLAN)]


class LiveSpec(TypedDict, total=False):
    """The probe that watches a component during the tests."""

    every_seconds: Annotated[float, Key("the period of the probe", 5, above=0, default=PLAN)]
    failures: Annotated[int, Key("consecutive misses that open an incident", 3, minimum=1, default=PLAN)]


class StopSpec(TypedDict, total=False):
    """The end of a service."""

    signal: Annotated[Literal["TERM", "INT", "QUIT", "HUP", "KILL"], Key("the first signal", "TERM", default=PLAN)]
    grace_seconds: Annotated[float, Key("the time before KILL", 5, minimum=0, default=PLAN)]


class ServiceSpec(TypedDict, total=False):
    """A process that orchestra starts, watches and ends."""

    run: Required[Annotated[Argv, Key(RUN_DOC, ["python", "-m", "app", "--port", "${port}"], min_items=1)]]
    shell: Annotated[bool, SHELL]
    cwd: Annotated[str, CWD]
    env: Annotated[dict[str, str], ENV]
    host: Annotated[str, Key("the address that it listens on", "127.0.0.1", default=PLAN)]
    port: Annotated[int, Key("its only port", 8000, minimum=1)]
    port_range: Annotated[
        str, Key("ports to choose from; the first free one becomes `${port}`", "8000-8003", pattern=PORT_RANGE)
    ]
    port_wait_seconds: Annotated[
        float, Key("how long to wait for a port that another run of this user holds", 300, minimum=0, default=PLAN)
    ]
    stop: Annotated[StopSpec, Key("the signal and the grace time that end it", {"signal": "TERM", "grace_seconds": 5})]
    inputs: Annotated[list[str], BUILD]


class FailoverSpec(TypedDict, total=False):
    """A failover of a service: the same keys, absent ones inherited from the service."""

    run: Annotated[Argv, Key(RUN_DOC, ["python", "-m", "app", "--cached"], min_items=1)]
    shell: Annotated[bool, SHELL]
    cwd: Annotated[str, CWD]
    env: Annotated[dict[str, str], ENV]
    host: Annotated[str, Key("the address that it listens on", "127.0.0.1")]
    port: Annotated[int, Key("its only port", 8010, minimum=1)]
    port_range: Annotated[str, Key("ports to choose from", "8010-8013", pattern=PORT_RANGE)]
    port_wait_seconds: Annotated[
        float, Key("how long to wait for a port that another run of this user holds", 300, minimum=0)
    ]
    stop: Annotated[StopSpec, Key("the signal and the grace time that end it", {"signal": "TERM"})]
    inputs: Annotated[list[str], BUILD]


class JobSpec(TypedDict, total=False):
    """A command that runs to its end, once, before its dependents."""

    run: Required[Annotated[Argv, Key(RUN_DOC, ["python", "-m", "app.seed"], min_items=1)]]
    shell: Annotated[bool, SHELL]
    cwd: Annotated[str, CWD]
    env: Annotated[dict[str, str], ENV]
    timeout_seconds: Annotated[float, Key("its time limit", 300, above=0, default=PLAN)]
    inputs: Annotated[list[str], BUILD]


class BackoffSpec(TypedDict, total=False):
    """Retries and the waits between them."""

    max: Annotated[int, Key("retries after the first try", 5, minimum=0, default=PLAN)]
    initial_seconds: Annotated[float, Key("the first wait", 0.2, above=0, default=PLAN)]
    factor: Annotated[float, Key("the factor from each wait to the next", 2, minimum=1, default=PLAN)]
    max_seconds: Annotated[float, Key("the longest wait", 5, above=0, default=PLAN)]
    jitter: Annotated[float, Key("spread of each wait, as a fraction of it", 0.1, minimum=0, default=PLAN)]


class RepairSpec(TypedDict, total=False):
    """A repair: a command as a recovery step."""

    run: Required[Annotated[Argv, Key(RUN_DOC, ["npm", "install"], min_items=1)]]
    timeout_seconds: Annotated[float, Key("its time limit", 120, above=0, default=PLAN)]


class IdentitySpec(TypedDict, total=False):
    """The expected identity in the replies of a component."""

    header: Annotated[dict[str, str], Key("reply headers and their values", {"Server": "market"}, min_items=1)]
    json: Annotated[dict[str, Any], Key("keys of the JSON reply and their values", {"service": "market"}, min_items=1)]


RecoverySpec: TypeAlias = Annotated[str, Key("a recovery step", "restart", choices=RECOVERY_WORDS)] | RepairSpec
RenewalSpec: TypeAlias = Annotated[str, Key("a renewal", "restart", choices=RENEWAL_WORDS)] | RepairSpec


class ComponentSpec(TypedDict, total=False):
    """One row of the health matrix: a `service`, a `job`, a remote `url`, or only a check (`ready`)."""

    title: Annotated[str, Key("the title for people", "API server")]
    needs: Annotated[list[str], Key("components that are ready before it starts", ["seed_data"])]
    required: Annotated[
        bool,
        Key(
            "if it fails, end the run with exit code 3; with `false` skip the tests that require it, with a reason",
            False,
            default=PLAN,
        ),
    ]
    job: Annotated[
        JobSpec,
        Key("a command that runs to its end, once, before its dependents", {"run": ["python", "-m", "app.seed"]}),
    ]
    service: Annotated[
        ServiceSpec | None,
        Key(
            "a process that orchestra starts, watches and ends; null in a profile removes it",
            {"run": ["python", "-m", "app"]},
        ),
    ]
    url: Annotated[str, Key("the address of a component that orchestra does not start", "https://sandbox.example")]
    ready: Annotated[
        ReadySpec, Key("the probe that makes it ready", {"http": {"path": "/health"}, "within_seconds": 60})
    ]
    live: Annotated[
        LiveSpec, Key("the probe that watches it during the tests", {"http": {"path": "/health"}, "every_seconds": 5})
    ]
    retries: Annotated[
        BackoffSpec, Key("retries of a start, or of the check of a component that is not started", {"max": 5})
    ]
    between_methods: Annotated[
        list[RenewalSpec],
        Key(
            "actions before the tests of another method use it, so that no method meets the data of another",
            ["restart"],
            min_items=1,
        ),
    ]
    recover: Annotated[
        list[RecoverySpec],
        Key("the recovery policy: its steps, in order", ["restart", {"run": ["npm", "install"]}, "failover"]),
    ]
    failover: Annotated[
        FailoverSpec,
        Key(
            "the declared stand-in: the keys of `service`, absent ones inherited",
            {"run": ["python", "-m", "app", "--cached"]},
        ),
    ]
    fail_back: Annotated[
        bool,
        Key("try the primary again after the cool-down, once no test uses the failover", True, default=PLAN),
    ]
    cool_down_seconds: Annotated[
        float, Key("the time on the failover before the primary is tried again", 60, above=0, default=PLAN)
    ]
    shared: Annotated[
        bool,
        Key(
            "let the runs of other suites that are in progress use its process; the first of them starts it",
            True,
            default=PLAN,
        ),
    ]
    identity: Annotated[
        Literal["none"] | IdentitySpec,
        Key(
            "the check that its replies are its own (default: the process that sends them, and none for a `url`)",
            {"header": {"Server": "market"}},
        ),
    ]


class ErrorsSpec(TypedDict, total=False):
    """The effect of errors outside assertions: `fail`, `warn` or `ignore` (docs/errors.md)."""

    page_errors: Annotated[Level, Key("exceptions in a page that no script caught", "fail", default=PLAN)]
    console_errors: Annotated[Level, Key("messages of `console.error`", "fail", default=PLAN)]
    failed_requests: Annotated[
        Level,
        Key("requests of a page without a response, or with a status of 400 or above", "ignore", default=PLAN),
    ]
    http_5xx: Annotated[
        Level, Key("responses of the tested app to a page with a status of 500 or above", "fail", default=PLAN)
    ]
    open_dialogs: Annotated[Level, Key("dialogs of a page without a `dialog` step", "fail", default=PLAN)]
    service_logs: Annotated[
        Level, Key("log lines that match `log_patterns`, written during the test", "fail", default=PLAN)
    ]
    allow: Annotated[
        list[str],
        Key(
            "regular expressions: an error whose text matches one is ignored; added to those of the outer levels",
            ["ResizeObserver loop"],
        ),
    ]
    log_patterns: Annotated[
        dict[str, list[str]],
        Key(
            "for each component, the regular expressions of the error lines in its log",
            {"backend": ["\\bERROR\\b"]},
            names=ID,
        ),
    ]


_ERRORS = Key("the effect of errors outside assertions (docs/errors.md)", {"page_errors": "fail"})


class SessionSpec(TypedDict, total=False):
    """The browser session of a method."""

    single: Annotated[bool, Key("one page for all tests of the method, in order", True, default=PLAN)]
    reset: Annotated[Literal["storage", "page", "none"], Key("the clean-up between tests", "storage", default=PLAN)]


class SpeedSpec(TypedDict, total=False):
    """A class of duration, from the upper bound of the class before."""

    below_seconds: Annotated[float, Key("its upper bound, exclusive; the last class has none", 30, above=0)]
    mark: Annotated[Literal["😊", "😐", "😴"], Key("its mark in tables", "😊")]


class MethodSpec(TypedDict, total=False):
    """A way to run the tests."""

    title: Annotated[str, Key("the title for people", "Playwright over MCP")]
    driver: Required[Annotated[str, Key("the driver that executes the steps", "playwright", choices=tuple(DRIVERS))]]
    workers: Annotated[
        Literal["auto"] | int,
        Key("parallel tests; `auto` measures the capacity of the machine", "auto", minimum=1, default="auto"),
    ]
    parallel: Annotated[bool, Key("run in parallel with the other methods, not after them", True, default=PLAN)]
    session: Annotated[SessionSpec, Key("its browser session", {"single": True, "reset": "storage"})]
    poll_seconds: Annotated[
        float,
        Key(
            "the longest single wait call; it returns as soon as the awaited change is visible",
            10,
            above=0,
            default=PLAN,
        ),
    ]
    command: Annotated[
        str,
        Key("the name of its slash command", "test_cli_full", pattern=COMMAND_NAME),
    ]
    errors: Annotated[ErrorsSpec, _ERRORS]
    speed: Annotated[
        dict[str, SpeedSpec],
        Key(
            "its own classes of duration, in place of those of the suite, in order from 0 without an upper end",
            {"good": {"below_seconds": 45, "mark": "😊"}, "slow": {"mark": "😴"}},
            names=ID,
        ),
    ]


class RetrySpec(TypedDict, total=False):
    """The retries of a test."""

    max: Annotated[int, Key("further attempts", 1, minimum=0, default=PLAN)]
    on: Annotated[
        list[Literal["failed", "timeout", "connection", "crash"]],
        Key(
            "the causes to retry",
            ["timeout", "connection"],
            min_items=1,
            default=PLAN,
        ),
    ]


Evidence: TypeAlias = Literal["on_failure", "always", "off"]
Recording: TypeAlias = Literal["trace", "steps", "pictures", "video"]
_RECORD = Key(
    "further recordings of the page, saved as `evidence` defines: a `trace` for Playwright's trace viewer,"
    " `steps` for a small picture after each step, `pictures` for a whole one, a `video` (with Playwright's own ffmpeg:"
    " `playwright install ffmpeg`)",
    ["trace"],
)


_ACTION_TIMEOUT = Key(
    "the time that an action (`click`, `fill`, `goto`, …) waits for its element or page (default: 30 seconds, and 10 for an"
    " element while no request of the page is pending). `within_seconds` of a step applies to that step alone",
    10,
    above=0,
)

_LIMIT = Key(
    "the limit of the evidence of one attempt, in megabytes of 1,000,000 bytes: beyond it the largest files of its folder"
    " are removed, and the record lists them (default: no limit)",
    50,
    above=0,
)


class QuarantineSpec(TypedDict, total=False):
    """A test whose failures do not fail the run until a date."""

    owner: Required[Annotated[str, Key("the person in charge", "ana")]]
    until: Required[
        Annotated[str, Key("the last day (UTC) on which its failures are excused", "2026-12-31", pattern=DATE)]
    ]
    reason: Annotated[str, Key("the reason", "the sandbox loses orders; ticket 4711")]
    cases: Annotated[
        list[str],
        Key("globs of case names: only their failures are excused", ["login.spec.ts \u203a *"], min_items=1),
    ]


class KnownFailureSpec(TypedDict, total=False):
    """A known failure: it is shown and does not fail the run."""

    match: Required[
        Annotated[
            str, Key("a regular expression to find in the message of the failure or of a case", "502 from .*/quote")
        ]
    ]
    reason: Annotated[str, Key("the reason", "ticket 4711")]
    strict: Annotated[bool, Key("fail the test if it passes, so that an outdated entry is removed", True, default=PLAN)]


class DefaultsSpec(TypedDict, total=False):
    """The defaults of every test."""

    timeout_seconds: Annotated[float, Key("the limit of an attempt", 120, above=0, default=PLAN)]
    action_timeout_seconds: Annotated[float, _ACTION_TIMEOUT]
    retries: Annotated[RetrySpec, Key("the number of retries, and the causes to retry", {"max": 1})]
    browser: Annotated[Engine, Key("the browser", "chromium", default=PLAN)]
    requires: Annotated[list[str], Key("components that every test requires", ["frontend"])]
    evidence: Annotated[
        Evidence,
        Key("when screenshot, text, console and network of the page are saved", "on_failure", default=PLAN),
    ]
    record: Annotated[list[Recording], _RECORD]
    evidence_limit_megabytes: Annotated[float, _LIMIT]
    tags: Annotated[list[str], Key("tags of every test", ["nightly"])]


# `finally` is a keyword of Python, so a class cannot have it as an attribute.
_Finally = TypedDict(
    "_Finally",
    {
        "finally": Annotated[
            list[StepSpec], Key("steps after the others, also after a failure or a timeout", ["reload"], ref="Steps")
        ]
    },
    total=False,
)


class GroupSpec(_Finally, total=False):
    """A named set of tests."""

    title: Annotated[str, Key("the title for people", "Basic functions")]
    after: Annotated[list[str], Key("groups whose tests end before these start", ["compatibility"])]
    needs: Annotated[list[str], Key("tests that every test of the group needs", ["B001"])]
    errors: Annotated[ErrorsSpec, _ERRORS]
    before: Annotated[list[StepSpec], Key("steps before each test", [{"goto": "${frontend.url}/"}], ref="Steps")]


class CaseSpec(TypedDict):
    """Cases of a wrapped runner."""

    of: Annotated[str, Key("the test that they are compared with", "B004")]


class CommandSpec(TypedDict, total=False):
    """A program as a test."""

    argv: Required[Annotated[Argv, Key(RUN_DOC, ["npx", "playwright", "test"], min_items=1)]]
    shell: Annotated[bool, SHELL]
    cwd: Annotated[str, CWD]
    env: Annotated[dict[str, str], ENV]
    exit_codes: Annotated[list[int], Key("the exit codes that pass", [0], min_items=1, default=PLAN)]
    junit: Annotated[str, Key("the JUnit file that it writes: its cases are recorded", "${attempt.dir}/junit.xml")]
    playwright_json: Annotated[
        str,
        Key("the file of Playwright Test's reporter `json`: cases with their retries", "${attempt.dir}/report.json"),
    ]
    pytest_reportlog: Annotated[
        str, Key("the file of `pytest --report-log`: cases with their reruns", "${attempt.dir}/report.jsonl")
    ]
    cases: Annotated[
        dict[str, CaseSpec],
        Key(
            "cases by globs of their names, in which only `*` is special",
            {"login.spec.ts \u203a signs in": {"of": "B004"}},
        ),
    ]
    attach: Annotated[list[str], Key("globs of files to save as evidence", ["test-results/**"])]


class BlockSpec(TypedDict, total=False):
    """A named block with parameters: steps, or a command."""

    params: Annotated[list[str], Key("its parameters, used as `${name}` inside", ["message"])]
    steps: Annotated[
        list[StepSpec], Key("its steps", [{"fill": {"label": "Message", "value": "${message}"}}], ref="Steps")
    ]
    command: Annotated[CommandSpec, Key("its command", {"argv": ["npx", "playwright", "test", "${file}"]})]


class TestSpec(_Finally, total=False):
    """One test: `steps`, a `command`, or `use` of a block that holds a command."""

    title: Annotated[str, Key("the title for people", "The page renders in Chromium")]
    group: Annotated[str, Key("its group", "compatibility")]
    needs: Annotated[list[str], Key("tests that must pass, or it is blocked", ["B001"])]
    after: Annotated[list[str], Key("tests that end before it starts; order only", ["B003"])]
    requires: Annotated[list[str], Key("components that must be healthy", ["frontend"])]
    resources: Annotated[
        dict[str, int], Key("counted resources that it holds while it runs", {"backend_writes": 1}, minimum=1, names=ID)
    ]
    tags: Annotated[list[str], Key("tags to select by", ["smoke"])]
    methods: Annotated[list[str], Key("the methods that run it (default: all that can)", ["cli"], min_items=1)]
    browser: Annotated[Engine, Key("the browser", "firefox", default=ENGINES[0])]
    timeout_seconds: Annotated[float, Key("the limit of an attempt", 120, above=0)]
    action_timeout_seconds: Annotated[float, _ACTION_TIMEOUT]
    retries: Annotated[RetrySpec, Key("the number of retries, and the causes to retry", {"max": 1})]
    evidence: Annotated[Evidence, Key("when screenshot, text, console and network of the page are saved", "always")]
    record: Annotated[list[Recording], _RECORD]
    evidence_limit_megabytes: Annotated[float, _LIMIT]
    inputs: Annotated[
        list[str],
        Key(
            "globs of the files that it reads; if none has changed since it last passed, it is `unchanged` and not run",
            ["src/**"],
        ),
    ]
    quarantine: Annotated[
        QuarantineSpec, Key("an excuse for its failures until a date", {"owner": "ana", "until": "2026-12-31"})
    ]
    known_failures: Annotated[
        list[KnownFailureSpec],
        Key("known failures, which do not fail the run", [{"match": "502 from .*/quote"}], min_items=1),
    ]
    errors: Annotated[ErrorsSpec, _ERRORS]
    skip: Annotated[str, Key("the reason not to run it, shown in every report", "the sandbox is down until May")]
    matrix: Annotated[
        dict[str, list[Any]],
        Key(
            "one test for each combination: `B001[chromium]`; `browser` sets the browser, others are `${matrix.NAME}`",
            {"browser": ["chromium", "firefox"]},
            names=ID,
        ),
    ]
    rows: Annotated[
        list[dict[str, Any]],
        Key(
            "one test for each row: `B001[empty]`; a row has an `id` and any further keys, which are `${row.NAME}`",
            [{"id": "empty", "input": "", "error": "enter a name"}],
            names=ID,
            min_items=1,
        ),
    ]
    before: Annotated[list[StepSpec], Key("steps before the others", [{"goto": "${frontend.url}/"}], ref="Steps")]
    steps: Annotated[
        list[StepSpec], Key("its actions and expectations, in order", [{"goto": "${frontend.url}/"}], ref="Steps")
    ]
    command: Annotated[CommandSpec, Key("the program that is the test", {"argv": ["npx", "playwright", "test"]})]
    use: Annotated[
        dict[str, dict[str, Any]],
        Key(
            "the block whose command is the test, and its parameters",
            {"pw": {"file": "e2e/b020.spec.ts"}},
            names=ID,
            single=True,
        ),
    ]


class CollectSpec(TypedDict):
    """The command by which a wrapped runner lists its tests."""

    run: Annotated[Argv, Key(RUN_DOC, ["npx", "playwright", "test", "--list"], min_items=1)]
    of: Annotated[
        str,
        Key(
            "`block.parameter`: each value that tests pass to it must occur in the list",
            "pw.file",
            pattern=PARAMETER,
        ),
    ]


class BaselineSpec(TypedDict, total=False):
    """The conditions of a regression."""

    window: Annotated[int, Key("passes in a full baseline", 20, minimum=1, default=PLAN)]
    min_runs: Annotated[int, Key("the minimum of passes for a comparison", 5, minimum=2, default=PLAN)]
    slower_ratio: Annotated[
        float, Key("the factor of the median above which a duration is slower", 1.25, above=1, default=PLAN)
    ]
    slower_seconds: Annotated[
        float, Key("the seconds above the median above which a duration is slower", 0.5, minimum=0, default=PLAN)
    ]
    confirm: Annotated[int, Key("immediate repeats that must all be slower", 3, minimum=0, default=PLAN)]
    max_load_percent: Annotated[
        float,
        Key(
            "share of all processors that programs outside of the run may use while a test runs; beyond it its duration is "
            "compared with no baseline and becomes a part of none; 100 or more for no limit",
            25,
            minimum=0,
            default=PLAN,
        ),
    ]


class GateSpec(TypedDict, total=False):
    """A condition over metrics."""

    require: Required[
        Annotated[
            str, Key("a CEL expression over the metrics of docs/metrics.md that must be true", "pass_rate >= 1.0")
        ]
    ]
    for_seconds: Annotated[
        float, Key("the time that it must be false before the gate fails (during)", 10, minimum=0, default=PLAN)
    ]
    on_fail: Annotated[
        Literal["stop", "throttle", "warn", "block"], Key("the effect of a failure", "stop", default=PLAN)
    ]
    severity: Annotated[Literal["error", "warn"], Key("whether a failure fails the run", "warn", default=PLAN)]
    message: Annotated[str, Key("the text of a failure; a metric in braces becomes its value", "{failed} tests failed")]


class GatesSpec(TypedDict, total=False):
    """The quality gates, by the phase in which they are evaluated."""

    before: Annotated[
        dict[str, GateSpec],
        Key("evaluated before the first test", {"servers_up": {"require": 'health.backend == "healthy"'}}, names=ID),
    ]
    during: Annotated[
        dict[str, GateSpec],
        Key(
            "evaluated on samples during the tests",
            {"error_budget": {"require": "failed <= 5", "on_fail": "stop"}},
            names=ID,
        ),
    ]
    after: Annotated[
        dict[str, GateSpec],
        Key("evaluated when the run closes", {"pass_rate": {"require": "pass_rate >= 1.0"}}, names=ID),
    ]


class TlsSpec(TypedDict, total=False):
    """How certificates of servers are checked, by browsers, `http` probes and `http` steps."""

    ignore_https_errors: Annotated[
        bool, Key("accept every certificate; the head of a run and its report show that", True, default=False)
    ]
    ca_file: Annotated[
        str,
        Key(
            "a file of certificates (PEM) of authorities to trust as well, relative to the project root", "certs/ca.pem"
        ),
    ]


class KeepRunsSpec(TypedDict, total=False):
    """The runs that stay on the disk; older ones are removed at the end of each run."""

    count: Annotated[int, Key("the number of latest runs that stay", 50, minimum=1)]
    days: Annotated[float, Key("the age in days beyond which a run is removed", 30, above=0)]


class CompileSpec(TypedDict, total=False):
    """The paths of the compiled files, relative to the project root, and the program that slash commands name."""

    doit: Annotated[str, Key("the doit task file; suites may share one", "dodo.py", default=PLAN)]
    commands: Annotated[str, Key("the folder of the slash commands", ".claude/commands", default=PLAN)]
    docs: Annotated[str, Key("the page about the suite", "docs/market.md", default="docs/<suite>.md")]
    launcher: Annotated[
        str,
        Key(
            "the program that slash commands name, for a project whose environment is not on PATH",
            ".venv/bin/orchestra",
            default=PLAN,
            pattern=LAUNCHER,
        ),
    ]
    hosts: Annotated[
        list[Literal["claude-code", "agent-skills"]],
        Key(
            "the clients that get commands: slash commands for Claude Code, skills in `.agents/skills` for others",
            ["claude-code", "agent-skills"],
            min_items=1,
            default=PLAN,
        ),
    ]


class Spec(TypedDict, total=False):
    """One suite: its tests, health matrix, methods and gates."""

    orchestra: Required[Annotated[Literal[1], Key("the version of the spec language", 1)]]
    suite: Required[Annotated[str, Key("the id of the suite", "market", pattern=ID)]]
    title: Annotated[str, Key("the title for people", "Market Parser, browser suite")]
    include: Annotated[
        list[str], Key("spec files merged into this one, relative to the project root", ["specs/parts/export.yaml"])
    ]
    override: Annotated[list[str], Key("dotted keys of included files that this file redefines", ["tests.B004"])]
    vars: Annotated[dict[str, str | int | float | bool], Key("values for `${vars.NAME}`", {"ticker": "NVDA"}, names=ID)]
    secrets: Annotated[
        list[Annotated[str, Key("a variable's name", "OPENAI_API_KEY", pattern=ENV_NAME)]],
        Key("environment variables whose values are masked everywhere", ["OPENAI_API_KEY"]),
    ]
    tls: Annotated[TlsSpec, Key("how certificates of servers are checked", {"ca_file": "certs/ca.pem"})]
    plugins: Annotated[
        list[Annotated[str, Key("the name of an installed package", "orchestra-redis", pattern=PACKAGE)]],
        Key(
            "installed packages whose probes, drivers and report formats the suite uses (docs/plug-ins.md)",
            ["orchestra-redis"],
            min_items=1,
        ),
    ]
    profiles: Annotated[
        dict[str, dict[str, Any]],
        Key(
            "named changes to this spec, for `--profile`; null removes a key",
            {"staging": {"health": {"frontend": {"url": "https://staging.example", "service": None}}}},
            names=ID,
        ),
    ]
    health: Annotated[
        dict[str, ComponentSpec],
        Key("the health matrix, one row per component", {"backend": {"url": "http://127.0.0.1:8000"}}, names=ID),
    ]
    methods: Annotated[
        dict[str, MethodSpec], Key("the ways to run the tests", {"cli": {"driver": "playwright"}}, names=ID)
    ]
    defaults: Annotated[DefaultsSpec, Key("the defaults of every test", {"timeout_seconds": 120})]
    errors: Annotated[ErrorsSpec, _ERRORS]
    groups: Annotated[
        dict[str, GroupSpec], Key("sets of tests, in order", {"basics": {"title": "Basic functions"}}, names=ID)
    ]
    blocks: Annotated[
        dict[str, BlockSpec],
        Key(
            "named blocks with parameters",
            {"ask": {"params": ["message"], "steps": [{"fill": {"label": "Message", "value": "${message}"}}]}},
            names=ID,
        ),
    ]
    tests: Required[
        Annotated[
            dict[str, TestSpec],
            Key(
                "the tests by id",
                {"B001": {"title": "The page renders", "steps": [{"goto": "${frontend.url}/"}]}},
                names=TEST_ID,
            ),
        ]
    ]
    collect: Annotated[
        dict[str, CollectSpec],
        Key(
            "commands that list the tests of wrapped runners, for `validate --collect`",
            {"e2e": {"run": ["npx", "playwright", "test", "--list"], "of": "pw.file"}},
            names=ID,
        ),
    ]
    resources: Annotated[
        dict[str, int], Key("counted resources that tests share", {"backend_writes": 1}, minimum=1, names=ID)
    ]
    speed: Annotated[
        dict[str, SpeedSpec],
        Key(
            "classes of duration, in order from 0 without an upper end",
            {"good": {"below_seconds": 30, "mark": "😊"}, "slow": {"mark": "😴"}},
            names=ID,
        ),
    ]
    baseline: Annotated[BaselineSpec, Key("the conditions of a regression (docs/quality.md)", {"window": 20})]
    gates: Annotated[GatesSpec, Key("the quality gates", {"after": {"pass_rate": {"require": "pass_rate >= 1.0"}}})]
    keep_runs: Annotated[
        KeepRunsSpec,
        Key("the runs that stay on the disk (default: all)", {"count": 50, "days": 30}, min_items=1),
    ]
    compile: Annotated[CompileSpec, Key("the paths of the compiled files", {"doit": "dodo.py"})]


def _of(part: Part, **other: str) -> dict[str, Any]:
    """Return the defaults of a part of the plan by name; `other` has the names of keys that are called otherwise there."""
    return {
        **{name: getattr(part, name) for name in part.__struct_fields__},
        **{key: getattr(part, name) for key, name in other.items()},
    }


_SERVICE = Service(())
_METHOD = Method("", "", "")
_TEST = Test("", "", ())

# The defaults of keys, from the plan: it alone has them.
DEFAULTS: dict[type, dict[str, Any]] = {
    ReadySpec: _of(Ready(Probe("", {}))),
    LiveSpec: _of(Live(Probe("", {}))),
    StopSpec: _of(_SERVICE, signal="stop_signal"),
    ServiceSpec: _of(_SERVICE),
    JobSpec: _of(Job(())),
    BackoffSpec: _of(Backoff()),
    RepairSpec: _of(RecoveryStep(REPAIR.name)),
    ComponentSpec: _of(Component("", "")),
    ErrorsSpec: _of(Errors()),
    SessionSpec: _of(_METHOD, single="single_session"),
    MethodSpec: _of(_METHOD),
    RetrySpec: _of(Retry()),
    KnownFailureSpec: _of(KnownFailure("")),
    DefaultsSpec: _of(_TEST),
    CommandSpec: _of(Command(())),
    BaselineSpec: _of(Baseline()),
    GateSpec: _of(Gate("after", "", "")),
    CompileSpec: _of(Outputs()),
}

# The mappings that hold one probe (`orchestra.probes.table`) in addition to their own keys.
PROBED: tuple[type, ...] = (ReadySpec, LiveSpec)

# Keys of which a mapping holds exactly one, or at most one.
EXACTLY_ONE: dict[type, tuple[str, ...]] = {
    BlockSpec: ("steps", "command"),
    TestSpec: ("steps", "command", "use"),
}
AT_MOST_ONE: dict[type, tuple[str, ...]] = {
    CommandSpec: ("junit", "playwright_json", "pytest_reportlog"),
    ServiceSpec: ("port", "port_range"),
    FailoverSpec: ("port", "port_range"),
    ComponentSpec: ("job", "service", "url"),
}
