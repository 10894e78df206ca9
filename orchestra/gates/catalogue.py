"""Define the metrics of gates: the one table. To add a metric, write its row here, and its value in `runtime.gates.figures`.

Counts are whole numbers and ratios, percentages and seconds are doubles, because CEL compares only like with like:
`failed <= 5`, `cpu_percent < 90.0`. `make generate` writes docs/metrics.md. Longer than other modules because it is one
table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

from orchestra.layers import LAYERS

Phase: TypeAlias = Literal["before", "during", "after"]
Type: TypeAlias = Literal["int", "double", "string", "bool"]

ALWAYS: tuple[Phase, ...] = ("before", "during", "after")
RUNNING: tuple[Phase, ...] = ("during", "after")
CLOSED: tuple[Phase, ...] = ("after",)


class Metric(NamedTuple):
    """One metric, or with `<…>` in its name a family of them.

    Attributes:
        name: as an expression writes it.
        type: of its value in CEL.
        unit: of its value, empty for a plain number or text.
        doc: its meaning, in one sentence.
        phases: the gates that may read it.
        example: a gate's condition.
        measured: whether only the run could observe it (the load, the clock, the state of files): no record gives it
            again, so that an audit takes it from the event of the gate.
        over_shards: the value of a merged run from those of its shards; of measured metrics.
    """

    name: str
    type: Type
    unit: str
    doc: str
    phases: tuple[Phase, ...]
    example: str
    measured: bool = False
    over_shards: Callable[[Iterable[Any]], Any] | None = None


_PASSES = (
    "`passed`, `flaky`, `unchanged` over all tests with a verdict except skipped and excused ones; no value without any"
)

_ALL: tuple[Metric, ...] = (
    Metric(
        "health.<component>",
        "string",
        "",
        "the state of a row of the health matrix: `idle`, `starting`, `healthy`, `unhealthy`, `failed` or `stopped`; "
        "of instances (`per: worker`) the worst",
        ALWAYS,
        'health.backend == "healthy"',
    ),
    Metric("total", "int", "tests", "tests selected for this run, each counted once per method", ALWAYS, "total >= 16"),
    Metric("executed", "int", "tests", "tests that ran, with any verdict", RUNNING, "executed > 0"),
    Metric("passed", "int", "tests", "passed on the first attempt", RUNNING, "passed >= 10"),
    Metric("flaky", "int", "tests", "passed on a later attempt", RUNNING, "flaky <= 2"),
    Metric(
        "unchanged", "int", "tests", "not run, because no input has changed since they passed", CLOSED, "unchanged == 0"
    ),
    Metric("failed", "int", "tests", "product failures", RUNNING, "failed <= 5"),
    Metric("timeout", "int", "tests", "exceeded their time", RUNNING, "timeout == 0"),
    Metric(
        "error", "int", "tests", "failures of the machine, of orchestra or of the test itself", RUNNING, "error == 0"
    ),
    Metric("blocked", "int", "tests", "not run, because a need did not pass", RUNNING, "blocked == 0"),
    Metric("skipped", "int", "tests", "not run, with a stated reason", RUNNING, "skipped <= 1"),
    Metric(
        "excused",
        "int",
        "tests",
        "did not pass, excused by `quarantine` or `known_failures`; not counted in their verdict",
        RUNNING,
        "excused <= 2",
    ),
    Metric(
        "cases",
        "int",
        "cases",
        "cases of wrapped runners in the last attempts of tests with a verdict, with any verdict of their own",
        RUNNING,
        "cases >= 100",
    ),
    Metric(
        "cases_failed",
        "int",
        "cases",
        "of these, the ones that did not pass and are not excused",
        RUNNING,
        "cases_failed == 0",
    ),
    Metric(
        "cases_skipped", "int", "cases", "of these, the ones that their runner skipped", RUNNING, "cases_skipped <= 5"
    ),
    Metric("interrupted", "int", "tests", "ended by a signal", CLOSED, "interrupted == 0"),
    Metric(
        "skipped_silently",
        "int",
        "tests",
        "without a verdict of their own, or skipped without a reason",
        CLOSED,
        "skipped_silently == 0",
    ),
    Metric(
        "servers_down",
        "int",
        "components",
        "required components of the health matrix that failed for good, each instance (`per: worker`) counted",
        RUNNING,
        "servers_down == 0",
    ),
    Metric(
        "plan_fresh",
        "bool",
        "",
        "the plan still belongs to the current spec files",
        CLOSED,
        "plan_fresh == true",
        measured=True,
        over_shards=all,
    ),
    Metric(
        "evidence_missing",
        "int",
        "files",
        "unreadable or missing files of attempts, and failed browser attempts without any file",
        RUNNING,
        "evidence_missing == 0",
        measured=True,
        over_shards=sum,
    ),
    Metric("pass_rate", "double", "0 to 1", _PASSES, RUNNING, "pass_rate >= 1.0"),
    Metric(
        "burned_in",
        "double",
        "0 to 1",
        "tests of `run --burn-in` that passed all their executions up to this run, over all of them; no value without it",
        CLOSED,
        "burned_in >= 1.0",
    ),
    Metric("flaky_rate", "double", "0 to 1", "`flaky` over all passed tests", RUNNING, "flaky_rate <= 0.05"),
    Metric(
        "agreement",
        "double",
        "0 to 1",
        "tests with the same outcome by all methods, over those that ran by more than one",
        CLOSED,
        "agreement >= 0.95",
    ),
    Metric("method.<method>.failed", "int", "tests", "failed by this method", RUNNING, "method.mcp.failed == 0"),
    Metric(
        "method.<method>.pass_rate",
        "double",
        "0 to 1",
        "the pass rate of this method",
        RUNNING,
        "method.cli.pass_rate >= 1.0",
    ),
    Metric(
        "coverage",
        "double",
        "0 to 1",
        "tests that ran or are `unchanged`, over all tests of the plan, each counted once per method",
        RUNNING,
        "coverage >= 0.9",
    ),
    Metric("class.<speed>", "int", "tests", "executed tests in a class of `speed:`", RUNNING, "class.slow == 0"),
    Metric(
        "seconds_p50", "double", "seconds", "the median duration of the executed tests", RUNNING, "seconds_p50 < 10.0"
    ),
    Metric(
        "seconds_p95",
        "double",
        "seconds",
        "the 95th percentile of the durations of the executed tests",
        RUNNING,
        "seconds_p95 < 60.0",
    ),
    Metric(
        "seconds_max", "double", "seconds", "the duration of the slowest executed test", RUNNING, "seconds_max < 120.0"
    ),
    Metric(
        "method.<method>.seconds_p50",
        "double",
        "seconds",
        "the median duration of the tests executed by this method",
        RUNNING,
        "method.cli.seconds_p50 < 10.0",
    ),
    Metric(
        "method.<method>.seconds_p95",
        "double",
        "seconds",
        "the 95th percentile of the durations of the tests executed by this method",
        RUNNING,
        "method.cli.seconds_p95 < 60.0",
    ),
    Metric(
        "group.<group>.seconds_p50",
        "double",
        "seconds",
        "the median duration of the executed tests of this group, by any method",
        RUNNING,
        "group.basics.seconds_p50 < 10.0",
    ),
    Metric(
        "group.<group>.seconds_p95",
        "double",
        "seconds",
        "the 95th percentile of the durations of the executed tests of this group, by any method",
        RUNNING,
        "group.basics.seconds_p95 < 60.0",
    ),
    Metric(
        "test.<test>.seconds_max",
        "double",
        "seconds",
        "the longest duration of one test over all methods; an id with characters other than ASCII letters, digits and"
        " `_` has no such metric",
        RUNNING,
        "test.B016.seconds_max < 2.0",
    ),
    Metric(
        "seconds_total",
        "double",
        "seconds",
        "from the start of the run until now",
        RUNNING,
        "seconds_total < 1800.0",
        measured=True,
        over_shards=max,
    ),
    Metric(
        "method.<method>.calls",
        "int",
        "calls",
        "tool calls of the steps of this method; no value for a method without tool calls",
        RUNNING,
        "method.mcp.calls < 2000",
    ),
    Metric(
        "method.<method>.polls",
        "int",
        "calls",
        "wait calls and repeated queries of this method",
        RUNNING,
        "method.mcp.polls < 500",
    ),
    Metric(
        "method.<method>.call_ms_p50",
        "double",
        "milliseconds",
        "the duration of a tool call: the median over tests of the median of each, without the calls of `wait` and `download`",
        RUNNING,
        "method.mcp.call_ms_p50 < 50.0",
    ),
    Metric(
        "method.<method>.lag_seconds_max",
        "double",
        "seconds",
        "the longest time from a change in the page to the return of the wait",
        RUNNING,
        "method.mcp.lag_seconds_max < 1.0",
    ),
    Metric("regressions", "int", "tests", "slower than their baseline, confirmed", CLOSED, "regressions == 0"),
    Metric(
        "retries",
        "int",
        "attempts",
        "attempts after the first, of all tests, except those repeated because of an incident",
        RUNNING,
        "retries <= 3",
    ),
    Metric("incidents", "int", "incidents", "outages of components during the tests", RUNNING, "incidents == 0"),
    Metric(
        "infra_suspect",
        "int",
        "attempts",
        "failed attempts that an incident overlapped: they are repeated, not counted",
        RUNNING,
        "infra_suspect == 0",
    ),
    Metric("recoveries", "int", "steps", "recovery steps taken", RUNNING, "recoveries <= 2"),
    Metric(
        "degraded",
        "int",
        "components",
        "components that run on their failover, or did in this run",
        ALWAYS,
        "degraded == 0",
    ),
    Metric(
        "mocked",
        "int",
        "tests",
        "that passed while a `mock` answered requests of their page",
        RUNNING,
        "mocked == 0",
    ),
    Metric(
        "warned",
        "int",
        "tests",
        "with an error outside assertions that only warns (docs/errors.md); no value if no test has a page or a log",
        RUNNING,
        "warned == 0",
    ),
    Metric(
        "findings.<layer>",
        "int",
        "errors",
        "errors of a layer of `errors:`, failing and warning ones, in the attempts that decide verdicts",
        RUNNING,
        "findings.page_errors == 0",
    ),
    Metric(
        "network.requests", "int", "requests", "of the pages of all executed tests", RUNNING, "network.requests < 5000"
    ),
    Metric(
        "network.failed",
        "int",
        "requests",
        "without a response, or with a status of 400 or above, except those that the page cancelled",
        RUNNING,
        "network.failed == 0",
    ),
    Metric(
        "network.bytes",
        "int",
        "bytes",
        "of response bodies as they were sent, cached ones included; no value if the size of one is unknown",
        RUNNING,
        "network.bytes < 50000000",
    ),
    Metric(
        "network.slowest_ms",
        "double",
        "milliseconds",
        "the slowest request, from its start to its last byte",
        RUNNING,
        "network.slowest_ms < 2000.0",
    ),
    Metric(
        "network.elsewhere",
        "int",
        "requests",
        "to hosts without a row in the health matrix",
        RUNNING,
        "network.elsewhere == 0",
    ),
    Metric(
        "network.requests_max", "int", "requests", "the maximum of one test", RUNNING, "network.requests_max <= 100"
    ),
    Metric(
        "network.bytes_max",
        "int",
        "bytes",
        "the maximum of one test; no value without `network.bytes`",
        RUNNING,
        "network.bytes_max < 5000000",
    ),
    Metric(
        "network.<component>.requests",
        "int",
        "requests",
        "to a row of the health matrix; no value without a request",
        RUNNING,
        "network.backend.requests > 0",
    ),
    Metric("network.<component>.failed", "int", "requests", "to it, as above", RUNNING, "network.backend.failed == 0"),
    Metric(
        "network.<component>.bytes", "int", "bytes", "from it, as above", RUNNING, "network.backend.bytes < 1000000"
    ),
    Metric(
        "network.<component>.slowest_ms",
        "double",
        "milliseconds",
        "the slowest request to it",
        RUNNING,
        "network.backend.slowest_ms < 500.0",
    ),
    Metric(
        "workers",
        "int",
        "workers",
        "the number of parallel tests",
        ALWAYS,
        "workers >= 1",
        measured=True,
        over_shards=sum,
    ),
    Metric(
        "cpu_percent",
        "double",
        "percent",
        "use of all processors",
        ALWAYS,
        "cpu_percent < 90.0",
        measured=True,
        over_shards=max,
    ),
    Metric(
        "memory_percent",
        "double",
        "percent",
        "memory in use",
        ALWAYS,
        "memory_percent < 85.0",
        measured=True,
        over_shards=max,
    ),
    Metric(
        "disk_free_megabytes",
        "int",
        "megabytes",
        "free space on the disk of the project",
        ALWAYS,
        "disk_free_megabytes > 500",
        measured=True,
        over_shards=min,
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}

_FAMILY = re.compile(r"<(\w+)>")
WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_PATTERNS: tuple[tuple[re.Pattern[str], Metric], ...] = tuple(
    (
        re.compile(_FAMILY.sub(lambda one: WORD if one[1] == "test" else "[a-z][a-z0-9_]*", re.escape(metric.name))),
        metric,
    )
    for metric in _ALL
)


def nameable(test: str) -> bool:
    """Return True if the id of a test can be a part of the name of a metric."""
    return re.fullmatch(WORD, test, re.ASCII) is not None


def metric_of(name: str) -> Metric | None:
    """Return the metric or family that a name belongs to, or None: `health.backend` is one of `health.<component>`."""
    return next((metric for pattern, metric in _PATTERNS if pattern.fullmatch(name)), None)


class Members(NamedTuple):
    """The ids for which the metric families of a suite are written out, in their order.

    Attributes:
        component: the rows of the health matrix.
        method: the methods.
        speed: the classes of duration.
        group: the groups.
        test: those of whose ids a name can be made; more than a few only where a gate speaks of a test.
        layer: those in which errors are found; of every suite.
    """

    component: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    speed: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    layer: tuple[str, ...] = LAYERS


def declare(members: Members) -> dict[str, Metric]:
    """Return the metrics of one suite by name, families written out."""
    return {name: metric for metric in _ALL for name in _written_out(metric.name, members)}


def _written_out(name: str, members: Members) -> Iterator[str]:
    family = _FAMILY.search(name)
    if family is None:
        yield name
        return
    for member in getattr(members, family[1]):
        yield name.replace(family[0], member)


def page() -> str:
    """Return the text of docs/metrics.md."""
    cells = (
        (f"`{metric.name}`", metric.type, metric.unit, metric.doc, ", ".join(metric.phases), f"`{metric.example}`")
        for metric in _ALL
    )
    rows = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join(
        [_HEAD, "| metric | type | unit | meaning | gates | example |", "|---|---|---|---|---|---|", *rows, ""]
    )


_HEAD = """\
# Metrics

A gate's `require` is a condition in CEL (Common Expression Language) over these metrics. It is checked when the spec is
compiled: an unknown name, a wrong type or a metric without a value in that phase is an error at its column.

`&&`, `||`, `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `+ - * / %`, `a ? b : c` and parentheses have the meaning of C.
Both sides of a comparison need the same type: an `int` and a whole number (`failed <= 5`), a `double` and a number with
a point (`cpu_percent < 90.0`), a `string` and a text (`health.backend == "healthy"`); `double(failed) / double(total)`
converts.

A metric can be without a value: `pass_rate` if nothing ran, `agreement` if one method was selected. A gate that cannot
be evaluated without it is *not applicable*, shown as such, neither passed nor failed.
"""
