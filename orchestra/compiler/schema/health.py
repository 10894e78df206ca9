"""The mappings of a row of the health matrix, key by key."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Required, TypeAlias, TypedDict

from orchestra.compiler.schema.key import BUILD, CWD, ENV, PLAN, PORT_RANGE, RUN_DOC, SHELL, Argv, Key
from orchestra.recovery import RECOVERY_WORDS, RENEWAL_WORDS


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


class ResetHttpSpec(TypedDict, total=False):
    """A request that resets an instance."""

    path: Annotated[str, Key("the path, relative to the instance's URL", "/testing/reset", default="/")]
    method: Annotated[Literal["POST", "PUT", "DELETE", "GET"], Key("the method", "POST", default="POST")]
    headers: Annotated[dict[str, str], Key("request headers", {"X-Testing": "1"})]
    status: Annotated[int, Key("the status of success (default: 200, 201, 202, 204)", 204, minimum=100)]


class ResetStepSpec(TypedDict, total=False):
    """A step of a reset: a command or a request."""

    run: Annotated[Argv, Key(RUN_DOC, ["python", "-m", "app.reset", "${worker.dir}"], min_items=1)]
    http: Annotated[ResetHttpSpec, Key("a request and its status of success", {"path": "/testing/reset"})]
    timeout_seconds: Annotated[float, Key("its time limit", 10, above=0, default=PLAN)]


class IdentitySpec(TypedDict, total=False):
    """The expected identity in the replies of a component."""

    header: Annotated[dict[str, str], Key("reply headers and their values", {"Server": "market"}, min_items=1)]
    json: Annotated[dict[str, Any], Key("keys of the JSON reply and their values", {"service": "market"}, min_items=1)]


RecoverySpec: TypeAlias = Annotated[str, Key("a recovery step", "restart", choices=RECOVERY_WORDS)] | RepairSpec
ResetSpec: TypeAlias = Annotated[str, Key("a step of a reset", "restart", choices=RENEWAL_WORDS)] | ResetStepSpec
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
    per: Annotated[
        Literal["run", "worker"],
        Key(
            "`worker`: as many instances as tests run at once, so that no two of these use the same one",
            "worker",
            default=PLAN,
        ),
    ]
    where: Annotated[
        Literal["shared", "worker"],
        Key(
            "on a cluster: `shared` is one, on the machine of the run; `worker` is one on each node, for its tests alone"
            " (docs/scale.md)",
            "worker",
            default=PLAN,
        ),
    ]
    reset: Annotated[
        list[ResetSpec],
        Key(
            "with `per: worker`: the steps that restore the initial state of an instance before its next test, in order",
            [{"run": ["python", "-m", "app.reset", "${worker.dir}"], "timeout_seconds": 10}],
            min_items=1,
        ),
    ]
    identity: Annotated[
        Literal["none"] | IdentitySpec,
        Key(
            "the check that its replies are its own (default: the process that sends them, and none for a `url`)",
            {"header": {"Server": "market"}},
        ),
    ]
