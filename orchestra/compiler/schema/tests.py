"""The mappings of groups, logins, blocks and tests, key by key."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Required, TypeAlias, TypedDict

from orchestra.compiler.schema.key import CWD, DATE, ENV, ID, PLAN, RUN_DOC, SHELL, Argv, Key, StepSpec
from orchestra.compiler.schema.pages import EMULATE_KEY, ERRORS_KEY, EmulateSpec, ErrorsSpec
from orchestra.engines import DEFAULT_ENGINE, ENGINES


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
    isolated: Annotated[
        bool, Key("a retry waits for the end, when no other test can run, and runs alone", True, default=PLAN)
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


_LOGIN = Key(
    "the login that each page and the `http` steps begin with (docs/logins.md); `none` for none, where an outer place names one;"
    " of a test, a matrix value or a value of its row can choose it: `${matrix.role}`",
    "admin",
)


_TAKES = Key(
    "pools of which it leases an entry while it runs, by the name for it: `${user.name}` (docs/data.md); `none` for none, where"
    " an outer place names one",
    {"user": "users"},
    names=ID,
)


class LoginSpec(TypedDict, total=False):
    """A signed-in state: cookies and storage of a browser, made by steps when a test first needs it."""

    steps: Required[
        Annotated[
            list[StepSpec],
            Key(
                "the steps that sign in",
                [{"goto": "${frontend.url}/login"}, {"click": {"text": "Sign in"}}],
                ref="Steps",
            ),
        ]
    ]
    check: Annotated[
        dict[str, Any],
        Key(
            "a request with the cookies of the login, before each test that uses it; if it fails, the login is made again",
            {"http": {"GET": "/api/me", "base": "backend", "status": 200}},
            ref="LoginCheck",
        ),
    ]
    valid_seconds: Annotated[
        float, Key("the age at which it is made again (default: it lasts for the run)", 3600, above=0)
    ]
    timeout_seconds: Annotated[float, Key("the limit of its steps", 60, above=0, default=PLAN)]


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


class DefaultsSpec(_Finally, total=False):
    """The defaults of every test."""

    timeout_seconds: Annotated[float, Key("the limit of an attempt", 120, above=0, default=PLAN)]
    action_timeout_seconds: Annotated[float, _ACTION_TIMEOUT]
    retries: Annotated[RetrySpec, Key("the number of retries, and the causes to retry", {"max": 1})]
    browser: Annotated[str, Key("the browser", "chromium", default=PLAN, choices=tuple(ENGINES))]
    requires: Annotated[list[str], Key("components that every test requires", ["frontend"])]
    evidence: Annotated[
        Evidence,
        Key("when screenshot, text, console and network of the page are saved", "on_failure", default=PLAN),
    ]
    record: Annotated[list[Recording], _RECORD]
    evidence_limit_megabytes: Annotated[float, _LIMIT]
    tags: Annotated[list[str], Key("tags of every test", ["nightly"])]
    emulate: Annotated[EmulateSpec, EMULATE_KEY]
    login: Annotated[str, _LOGIN]
    takes: Annotated[dict[str, str], _TAKES]
    before: Annotated[
        list[StepSpec],
        Key(
            "steps before each test that is no command, before those of its group",
            [{"goto": "${frontend.url}/"}],
            ref="Steps",
        ),
    ]


# `else` is a keyword of Python, too.
NeedSpec = TypedDict(
    "NeedSpec",
    {
        "test": Required[Annotated[str, Key("the needed test", "B001")]],
        "else": Annotated[
            Literal["block", "run", "skip"],
            Key(
                "the effect if it did not pass: `block` gives this test the verdict `blocked`, `skip` the verdict `skipped`,"
                " and `run` runs it all the same",
                "run",
                default="block",
            ),
        ],
    },
    total=False,
)
NeedSpec.__doc__ = "A needed test, and the effect if it did not pass."


class GroupSpec(_Finally, total=False):
    """A named set of tests."""

    title: Annotated[str, Key("the title for people", "Basic functions")]
    group: Annotated[
        str,
        Key(
            "the group that it is in: its tests are tests of that group, too, and have what that gives its tests",
            "orders",
        ),
    ]
    after: Annotated[list[str], Key("groups whose tests end before these start", ["compatibility"])]
    needs: Annotated[list[str | NeedSpec], Key("tests that every test of the group needs", ["B001"])]
    before_all: Annotated[
        list[str],
        Key(
            "tests of the group that run once, by each method, before its others, which are blocked if one of them does not"
            " pass (docs/run.md)",
            ["B000"],
        ),
    ]
    after_all: Annotated[
        list[str],
        Key("tests of the group that run once, by each method, after its others, whatever these ended with", ["B099"]),
    ]
    errors: Annotated[ErrorsSpec, ERRORS_KEY]
    emulate: Annotated[EmulateSpec, EMULATE_KEY]
    login: Annotated[str, _LOGIN]
    takes: Annotated[dict[str, str], _TAKES]
    before: Annotated[
        list[StepSpec],
        Key("steps before each test, after those of the group around it", [{"goto": "${frontend.url}/"}], ref="Steps"),
    ]


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


class RowFileSpec(TypedDict):
    """A file with the rows of a test, which several tests may use."""

    file: Annotated[
        str,
        Key(
            "its path, relative to the project root: a list of mappings in `.json` or `.yaml`, or a `.csv` with the names"
            " of its columns in the first line, whose values are texts",
            "data/cases.csv",
        ),
    ]


class TestSpec(_Finally, total=False):
    """One test: `steps`, a `command`, or `use` of a block that holds a command."""

    title: Annotated[str, Key("the title for people", "The page renders in Chromium")]
    group: Annotated[str, Key("its group", "compatibility")]
    needs: Annotated[
        list[str | NeedSpec],
        Key("tests that must pass, or it is blocked", ["B001", {"test": "B002", "else": "run"}]),
    ]
    after: Annotated[list[str], Key("tests that end before it starts; order only", ["B003"])]
    requires: Annotated[list[str], Key("components that must be healthy", ["frontend"])]
    resources: Annotated[
        dict[str, int], Key("counted resources that it holds while it runs", {"backend_writes": 1}, minimum=1, names=ID)
    ]
    exclusive: Annotated[
        bool, Key("run it while no other test of the run is running: its time is its own", True, default=False)
    ]
    tags: Annotated[list[str], Key("tags to select by", ["smoke"])]
    methods: Annotated[list[str], Key("the methods that run it (default: all that can)", ["cli"], min_items=1)]
    browser: Annotated[str, Key("the browser", "firefox", default=DEFAULT_ENGINE, choices=tuple(ENGINES))]
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
    errors: Annotated[ErrorsSpec, ERRORS_KEY]
    emulate: Annotated[EmulateSpec, EMULATE_KEY]
    login: Annotated[str, _LOGIN]
    takes: Annotated[dict[str, str], _TAKES]
    skip: Annotated[str, Key("the reason not to run it, shown in every report", "the sandbox is down until May")]
    matrix: Annotated[
        dict[str, list[Any]],
        Key(
            "one test for each combination: `B001[chromium]`; `browser` sets the browser, others are `${matrix.NAME}`;"
            " `exclude` lists combinations, whole or in part, that are not tests, `include` further ones",
            {"browser": ["chromium", "firefox"], "size": ["s", "l"], "exclude": [{"browser": "firefox", "size": "s"}]},
            names=ID,
        ),
    ]
    rows: Annotated[
        list[dict[str, Any]] | RowFileSpec,
        Key(
            "one test for each row: `B001[empty]`; a row has an `id` and any further keys, which are `${row.NAME}`",
            [{"id": "empty", "input": "", "error": "enter a name"}],
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
