"""One attempt at one test: what an executor is asked and what it answers.

Both are plain data that cross a process border, so an attempt can run in the loop of the run (a command), in a warm
worker process (a browser) or in the process of an MCP session, without a difference for callers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from orchestra.engines import ENGINES
from orchestra.ledger.case import Case
from orchestra.ledger.event import Note, SessionChanged
from orchestra.ledger.parts import Box, Died, Dropped, Failure, Finding, Outcome, StepDone, Traffic
from orchestra.plan import NO_TLS, Login, Method, Test, Tls
from orchestra.runtime.browsers.finder import Browser
from orchestra.steps.vocabulary import on_page

# `assertion`: the product did not do what the spec expects; `command`: its program failed; both are the product's.
# `timeout`: the time of the test was over; `connection`: nothing answered; `crash`: browser, page or worker died.
# `setup`: the test could not be carried out as written (a name without a value, a file that is not there).
FailureKind: TypeAlias = Literal["assertion", "command", "timeout", "connection", "crash", "setup"]


FINALLY_SECONDS = 30.0
"""The limit of `finally` beyond the time of the test, unless the timeout of the test is shorter."""

BEGUN = b'"begun"'
"""The line of a worker when the time of an attempt begins; a result is a JSON object, so it is none."""

WARM = b"warm "
"""The begin of the line by which a worker opens the page of a request and closes it, before it is asked for a result."""

CHECK_SECONDS = 30.0
"""The limit of the request that shows whether a login still holds."""

PASSED_BYTES = 1 << 20
"""A longer output of a command that passed is a file of its own, which is moved and not copied."""

BEYOND_SECONDS = 10.0
"""So long after the limits of its test an attempt has ended, whatever hangs."""


def finally_seconds(test: Test) -> float:
    """Return the limit of `finally` of a test."""
    return min(FINALLY_SECONDS, test.timeout_seconds) if test.finally_ else 0.0


def most_seconds(test: Test) -> float:
    """Return how long after its begin an attempt has ended, whatever hangs."""
    return test.timeout_seconds + finally_seconds(test) + BEYOND_SECONDS


def held_seconds(request: Request) -> float:
    """Return the time for which an attempt is held between its steps, which counts against no limit."""
    test = request.test
    return request.slow_seconds * sum(on_page(step.verb) for step in (*test.before, *test.steps, *test.finally_))


def opening_seconds(login: Login | None) -> float:
    """Return how long it may take to begin with a login: a turn of another worker, its own, and two checks."""
    return 0.0 if login is None else 3 * login.timeout_seconds + 2 * CHECK_SECONDS


def has_page_steps(test: Test) -> bool:
    """Return True if any step of the test itself needs a page; a command has no steps."""
    return any(on_page(step.verb) for step in (*test.before, *test.steps, *test.finally_))


def needs_browser(test: Test) -> bool:
    """Return True if any step of the test, or its login, needs a page."""
    return test.login_page or has_page_steps(test)


def drives_browser(test: Test, method: Method) -> bool:
    """Return True if an attempt needs a browser: its steps need a page, and its driver has none of its own."""
    return needs_browser(test) and not method.own_pages


def launches_browser(test: Test, method: Method) -> bool:
    """Return True if an attempt needs a browser of this machine."""
    return drives_browser(test, method) and method.connect is None


def connects(test: Test, method: Method) -> bool:
    """Return True if an attempt needs a browser of another machine."""
    return drives_browser(test, method) and method.connect is not None


def needs_required_browser(test: Test) -> bool:
    """Return True if a test drives the browser that a machine must have; the other engines are skipped where they are
    not.
    """
    return ENGINES[test.browser].required and needs_browser(test)


def wants_film(test: Test) -> bool:
    """Return True if a video of its page is asked for."""
    return "video" in test.record and test.evidence != "off" and needs_browser(test)


def wants_trace(test: Test) -> bool:
    """Return True if Playwright's trace of its page is asked for."""
    return "trace" in test.record and test.evidence != "off" and needs_browser(test)


def writes_files(test: Test) -> bool:
    """Return True if the folder of an attempt is there from the start: for evidence of a page, or for files of a program
    that gets its path.

    The remaining tests are commands, whose logs are elsewhere while they run, and tests that send requests and save values;
    to create two folders takes longer than such a test.
    """
    return needs_browser(test) or b"${attempt.dir}" in msgspec.json.encode(test)


class Looks(msgspec.Struct, frozen=True, omit_defaults=True):
    """The expected pictures of a test: their folder, relative to the root, the browser in their names, those to write.

    `update` has names of pictures, or `*` for all.
    """

    folder: str = ""
    browser: str = ""
    update: tuple[str, ...] = ()

    def updates(self, name: str) -> bool:
        """Return True if the run writes this picture."""
        return not {"*", name}.isdisjoint(self.update)


NO_LOOKS = Looks()
"""Of an attempt without expected pictures."""


class Pausing(msgspec.Struct, frozen=True):
    """Where an attempt stops, so that a person can look at its page.

    Attributes:
        on_fail: after a step that failed, before anything else.
        step: before each step.
        until: before the step of this number in `steps`, from 1; 0 for none.
    """

    on_fail: bool = False
    step: bool = False
    until: int = 0


class Request(msgspec.Struct, frozen=True):
    """The request to execute an attempt.

    Attributes:
        task: `cli:B004`.
        test, method: from the plan, late names not yet replaced.
        attempt: from 1.
        root: absolute path of the project.
        folder: absolute path of this attempt's own fresh folder, made where `writes_files`; evidence goes there.
        log: absolute path of the log of its command while it runs; empty where it has none.
        names: every late name that has a value before the test starts (`backend.url`, `attempt.dir`, `env.HOME`, …);
            `saved.*` is the test's own.
        browser: None when the test needs none.
        headed: show the browser.
        slow_seconds: the pause before each step on a page.
        pausing: where it waits for a person; None for nowhere.
        mark: the tree mark (`orchestra.runtime.processes.process`) of everything that this attempt starts.
        secrets: names of the variables whose values are masked.
        tls: the certificates that browser and steps accept.
        login: the signed-in state that the test begins with.
        logins: absolute path of the folder of the states of the run, empty without a login.
        storage: cookies and storage that page and requests begin with, in Playwright's form; None for none. It, `saved`
            and `hidden` come from the login, and are known in the worker alone.
        saved: the values of `saved.*` at the begin.
        looks: its expected pictures.
        hidden: further secret values, by the name that hides them.
        node: the node that carries it out; empty on one machine, and where any may.
    """

    task: str
    test: Test
    method: Method
    attempt: int
    root: str
    folder: str
    names: dict[str, str]
    mark: str
    log: str = ""
    browser: Browser | None = None
    headed: bool = False
    slow_seconds: float = 0.0
    pausing: Pausing | None = None
    secrets: tuple[str, ...] = ()
    tls: Tls = NO_TLS
    login: Login | None = None
    logins: str = ""
    looks: Looks = NO_LOOKS
    storage: dict[str, Any] | None = None
    saved: dict[str, Any] = {}
    hidden: dict[str, tuple[str, ...]] = {}
    node: str = ""


class AttemptFailure(Failure, frozen=True):
    """A failure as an executor reports it. The run replaces the pointers by a place, which goes into `at`.

    Attributes:
        pointers: JSON pointers into the spec, outermost first.
    """

    kind: FailureKind
    pointers: tuple[str, ...] = ()


class EvidenceFile(msgspec.Struct, frozen=True):
    """A file that an executor made as evidence. The run binds it by its digest (`Evidence`), or drops it.

    Attributes:
        path: relative to the attempt's folder.
        kind: what it is.
        masked: this program wrote it, and took the secrets out before.
        marks: of a picture, the elements that the failed step is about.
        apart: absolute path of a log of ours that is not yet in that folder; empty for one that is.
    """

    path: str
    kind: str
    masked: bool = False
    marks: tuple[Box, ...] = ()
    apart: str = ""


class Result(msgspec.Struct, frozen=True):
    """The result of an attempt. `facts` are driver-specific figures for the report (MCP calls, page errors, …).

    `alive` and `died` are the parts of the browser session that executed it: `browser`, and `server` by the method mcp,
    whose session outlives it (`session`).
    `node` is the machine that executed it, where that is not the one of the run.
    `resources` are `cpu_seconds` and `peak_rss_megabytes`: of a command (see `usage`), or of a worker with its browser
    (see `family`). `network` is that of its page, by host; None where there was no page. `notes` are remarks for the
    record.
    """

    task: str
    attempt: int
    outcome: Outcome
    seconds: float
    failure: AttemptFailure | None = None
    steps: tuple[StepDone, ...] = ()
    evidence: tuple[EvidenceFile, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    exit_code: int | None = None
    facts: dict[str, Any] = {}
    alive: Mapping[str, bool] = {}
    died: tuple[Died, ...] = ()
    session: SessionChanged | None = None
    resources: dict[str, float] = {}
    findings: tuple[Finding, ...] = ()
    network: dict[str, Traffic] | None = None
    cases: tuple[Case, ...] = ()
    notes: tuple[Note, ...] = ()
    node: str = ""
