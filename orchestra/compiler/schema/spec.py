"""Define the spec language as typed mappings: the whole spec, whose parts are in `health` and `tests`.

These types are the one model of the spec. `orchestra.compiler.schema.models` makes pydantic models of them, and those make
`schemas/orchestra.schema.json`, which validates every spec. A valid document *is* a `Spec`, so binding is a cast and
costs nothing (docs/decisions/001-typed-mappings.md). `key.Key` holds the meaning of each key, an example, and its bounds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Required, TypedDict

from orchestra.compiler.schema.health import (
    BackoffSpec,
    ComponentSpec,
    FailoverSpec,
    JobSpec,
    LiveSpec,
    ReadySpec,
    RepairSpec,
    ResetStepSpec,
    ServiceSpec,
    StopSpec,
)
from orchestra.compiler.schema.key import ID, LAUNCHER, PACKAGE, PARAMETER, PLAN, RUN_DOC, TEST_ID, Argv, Key
from orchestra.compiler.schema.methods import ConnectSpec, MethodSpec, SessionSpec, SpeedSpec
from orchestra.compiler.schema.pages import ERRORS_KEY, EmulateSpec, ErrorsSpec, GeolocationSpec
from orchestra.compiler.schema.tests import (
    BlockSpec,
    CommandSpec,
    DefaultsSpec,
    GroupSpec,
    KnownFailureSpec,
    LoginSpec,
    RetrySpec,
    TestSpec,
)
from orchestra.names import ENV_NAME
from orchestra.plan import (
    Backoff,
    Baseline,
    Command,
    Component,
    Connect,
    Emulation,
    Engine,
    EnvFile,
    Errors,
    Gate,
    Geolocation,
    Job,
    KnownFailure,
    Live,
    Login,
    Method,
    Outputs,
    Part,
    Probe,
    Ready,
    RecoveryStep,
    ResetStep,
    Retry,
    Service,
    Test,
)
from orchestra.recovery import REPAIR


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


class EnvFileSpec(TypedDict, total=False):
    """A file with variables of the environment."""

    path: Required[Annotated[str, Key("its path, relative to the project root", ".env.local")]]
    required: Annotated[bool, Key("refuse to run without it", False, default=PLAN)]
    public: Annotated[
        list[Annotated[str, Key("a variable's name", "BASE_URL", pattern=ENV_NAME)]],
        Key("its variables whose values are no secrets, and are not masked", ["BASE_URL"]),
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


class DaskSpec(TypedDict, total=False):
    """A cluster of Dask, whose nodes carry out the tests."""

    scheduler: Annotated[
        str,
        Key(
            "the address of its scheduler, `tcp://HOST:PORT` or `tls://HOST:PORT` (default: one of this machine, for a try)",
            "${env.DASK}",
        ),
    ]
    slots: Annotated[
        int, Key("the most tests at once on each node, 0 for as many as it has", 2, minimum=0, default=PLAN)
    ]


class EngineSpec(TypedDict, total=False):
    """The machines that carry out the tests, in place of this one."""

    dask: Required[
        Annotated[DaskSpec, Key("the nodes of a Dask cluster, one slot for each test", {"scheduler": "${env.DASK}"})]
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
    env_files: Annotated[
        list[str | EnvFileSpec],
        Key(
            "files with variables, as `.env`, a later one over an earlier one; the environment wins over them, and their values"
            " are masked (docs/data.md)",
            [".env"],
        ),
    ]
    tls: Annotated[TlsSpec, Key("how certificates of servers are checked", {"ca_file": "certs/ca.pem"})]
    plugins: Annotated[
        list[Annotated[str, Key("the name of an installed package", "orchestra-redis", pattern=PACKAGE)]],
        Key(
            "installed packages whose probes, drivers, report formats and engines the suite uses (docs/plug-ins.md)",
            ["orchestra-redis"],
            min_items=1,
        ),
    ]
    engine: Annotated[
        EngineSpec,
        Key(
            "the machines that carry out the tests (docs/scale.md#a-dask-cluster; default: this machine)",
            {"dask": {"scheduler": "${env.DASK}", "slots": 2}},
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
    errors: Annotated[ErrorsSpec, ERRORS_KEY]
    groups: Annotated[
        dict[str, GroupSpec], Key("sets of tests, in order", {"basics": {"title": "Basic functions"}}, names=ID)
    ]
    logins: Annotated[
        dict[str, LoginSpec],
        Key(
            "signed-in states that tests begin with, each made once (docs/logins.md)",
            {"admin": {"steps": [{"use": "sign_in"}], "check": {"http": {"GET": "/api/me", "base": "backend"}}}},
            names=ID,
        ),
    ]
    pools: Annotated[
        dict[str, list[dict[str, str | int | float | bool]]],
        Key(
            "values of which each test that `takes` one has an entry to itself (docs/data.md)",
            {
                "users": [
                    {"name": "ana", "password": "${env.ANA_PASSWORD}"},
                    {"name": "ben", "password": "${env.BEN_PASSWORD}"},
                ]
            },
            names=ID,
        ),
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
    ResetStepSpec: _of(ResetStep()),
    ComponentSpec: _of(Component("", "")),
    ErrorsSpec: _of(Errors()),
    SessionSpec: _of(_METHOD, single="single_session"),
    MethodSpec: _of(_METHOD),
    ConnectSpec: _of(Connect("")),
    RetrySpec: _of(Retry()),
    KnownFailureSpec: _of(KnownFailure("")),
    DefaultsSpec: _of(_TEST),
    CommandSpec: _of(Command(())),
    EmulateSpec: _of(Emulation()),
    LoginSpec: _of(Login("")),
    GeolocationSpec: _of(Geolocation(0, 0)),
    BaselineSpec: _of(Baseline()),
    GateSpec: _of(Gate("after", "", "")),
    CompileSpec: _of(Outputs()),
    EnvFileSpec: _of(EnvFile("")),
    DaskSpec: _of(Engine("")),
}

# The mappings that hold one probe (`orchestra.probes.table`) in addition to their own keys.
PROBED: tuple[type, ...] = (ReadySpec, LiveSpec)

# Keys of which a mapping holds exactly one, or at most one.
EXACTLY_ONE: dict[type, tuple[str, ...]] = {
    ResetStepSpec: ("run", "http"),
    BlockSpec: ("steps", "command"),
    TestSpec: ("steps", "command", "use"),
}
AT_MOST_ONE: dict[type, tuple[str, ...]] = {
    CommandSpec: ("junit", "playwright_json", "pytest_reportlog"),
    ServiceSpec: ("port", "port_range"),
    FailoverSpec: ("port", "port_range"),
    ComponentSpec: ("job", "service", "url"),
}
