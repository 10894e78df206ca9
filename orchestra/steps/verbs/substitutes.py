"""The steps that put something in place of the network and of the time of pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.steps.moment import milliseconds
from orchestra.steps.schemas import (
    ANY,
    BOOLEAN,
    COUNT,
    HTTP_METHODS,
    NATURAL,
    NEVER,
    SECONDS,
    TEXT,
    TEXT_MAPPING,
    Field,
    one_of,
)
from orchestra.steps.step import Step
from orchestra.steps.tool_call import nothing
from orchestra.steps.verb import URL_GLOB, Verb

ABORTS = (
    "failed",
    "aborted",
    "accessdenied",
    "addressunreachable",
    "blockedbyclient",
    "connectionaborted",
    "connectionclosed",
    "connectionfailed",
    "connectionrefused",
    "connectionreset",
    "internetdisconnected",
    "namenotresolved",
    "timedout",
)
"""The reasons for which a request can fail, as Playwright names them."""


def _mock_text(_step: Step, args: Mapping[str, Any]) -> str:
    if "abort" in args:
        act = f"route.abort({args['abort']!r})"
    else:
        kinds = {"json": "json", "body": "body", "file": "path"}
        given = [f"status={args['status']!r}", *(f"{kinds[key]}={args[key]!r}" for key in kinds if key in args)]
        act = f"route.fulfill({', '.join(given)})"
    return f"context.route({args['url']!r}, lambda route: {act})"


def _har_text(_step: Step, args: Mapping[str, Any]) -> str:
    found = {"abort": "abort", "network": "fallback"}[args["not_found"]]
    update = ", update=True" if args["update"] else ""
    return f"context.route_from_har({args['file']!r}, url={args['url']!r}, not_found={found!r}{update})"


def _clock_text(_step: Step, args: Mapping[str, Any]) -> str:
    if "advance_seconds" in args:
        return f"context.clock.fast_forward({milliseconds(args['advance_seconds'])})"
    if "resume" in args:
        return "context.clock.resume()"
    call, time = ("install", args["set"]) if "set" in args else ("set_fixed_time", args["fix"])
    return f"context.clock.{call}({time!r})"


VERBS: tuple[Verb, ...] = (
    Verb(
        "mock",
        "Answer requests of the pages in place of the network, until the end of the test.",
        {"url": "**/api/quote*", "json": {"price": 171.5}},
        fields=(
            Field("url", TEXT, URL_GLOB, "**/api/quote*", required=True),
            Field("method", {"enum": list(HTTP_METHODS)}, "the method of the requests (default: any)", "GET"),
            Field("status", {"type": "integer", "minimum": 200}, "the status of the reply", 503, default=200),
            Field("json", ANY, "the reply as JSON", {"price": 171.5}),
            Field("body", TEXT, "the reply as text", "busy"),
            Field(
                "file",
                TEXT,
                "the file that is the reply, relative to the project root",
                "data/quote.json",
                holds="path",
            ),
            Field("headers", TEXT_MAPPING, "headers of the reply", {"Retry-After": "5"}, default={}),
            Field("delay_ms", NATURAL, "the milliseconds before the reply", 300, default=0),
            Field("times", COUNT, "the number of requests to answer (default: all); later ones are not mocked", 1),
            Field(
                "abort",
                {"enum": list(ABORTS)},
                "the reason for which the request fails, in place of a reply",
                "timedout",
            ),
        ),
        rules={
            "dependentSchemas": {
                "json": {"properties": {"body": NEVER, "file": NEVER, "abort": NEVER}},
                "body": {"properties": {"file": NEVER, "abort": NEVER}},
                "file": {"properties": {"abort": NEVER}},
                "abort": {"properties": {"status": NEVER, "headers": NEVER}},
            }
        },
        playwright="context.route()",
        detail="Write it before the step that makes the page send the request. Of several mocks for one request the latest\n"
        "answers; a request that none answers goes to the network. At most one of `json`, `body`, `file` and `abort` is\n"
        "allowed. `http` steps and service workers are not mocked. A mocked reply is no error outside assertions, and\n"
        "[reports](report.md) mark a test with mocks: `mocked GET **/api/quote* (1 request)`.\n"
        "Gates read `mocked`, the number of tests that passed with one.\n"
        "\n"
        "`mock` of a method is a list of such mocks, for each of its tests with a page, from the first step on:\n"
        '`methods: {stub: {driver: playwright, mock: [{url: "**/api/quote*", json: {price: 171.5}}]}}`. They come after its\n'
        "`har`. Steps of a [login](logins.md) ask the network. Their texts can use variables, addresses and `${test.id}`.",
        text=_mock_text,
        calls=nothing,
    ),
    Verb(
        "har",
        "Answer requests of the pages from a HAR file, until the end of the test, or record them into it.",
        {"file": "data/api.har", "url": "**/api/**"},
        fields=(
            Field("file", TEXT, "the file, relative to the project root", "data/api.har", required=True, holds="path"),
            Field("url", TEXT, f"{URL_GLOB}; other requests go to the network", "**/api/**", default="**"),
            Field(
                "not_found",
                {"enum": ["abort", "network"]},
                "the effect of a request that the file lacks: it fails, or it goes on to other mocks and the network",
                "network",
                default="abort",
            ),
            Field("update", BOOLEAN, "ask the network, and write its replies into the file", True, default=False),
        ),
        short="file",
        playwright="context.route_from_har()",
        detail="Of several mocks and HAR files for one request the latest answers. Method and whole URL must be the same, of a\n"
        "POST the body, too; of several entries the first answers, as often as it is asked for. A redirect is followed\n"
        "within the file. Files of browsers and of Playwright are read; zip files are not.\n"
        "\n"
        "`har` of a method has the same keys, and is for each of its tests with a page, from the first step on:\n"
        "`methods: {replay: {driver: playwright, har: data/api.har}}`. The steps of a [login](logins.md) ask the network.\n"
        "Its texts can use variables, addresses and `${test.id}`.\n"
        "\n"
        "With `update: true` the file is written at the end of the test, each request with its last reply, in the order of\n"
        "its URL. It has no header of requests and no cookie, and secrets are masked in it. Reports mark both: `mocked har\n"
        "data/api.har (3 requests)`, `recorded har data/api.har (3 requests)`.",
        text=_har_text,
        calls=nothing,
    ),
    Verb(
        "clock",
        "Set, stop or advance the time that scripts of the pages read, until the end of the test.",
        {"set": "2026-12-31T23:59:00Z"},
        fields=(
            Field("set", TEXT, "the time from which the clock runs on, with its offset", "2026-12-31T23:59:00Z"),
            Field(
                "fix", TEXT, "the time at which `Date` stops, with its offset; timers run on", "2026-12-31T23:59:00Z"
            ),
            Field("advance_seconds", SECONDS, "the seconds to skip; a timer that is due in them fires once", 3600),
            Field("resume", {"const": True}, "let the clock run on after `fix`", True),
        ),
        rules=one_of(("set", "fix", "advance_seconds", "resume")),
        playwright="context.clock",
        detail="Write `set` or `fix` before the page is opened, so that its scripts begin at that time. It is the clock of all\n"
        "pages of the test: `Date`, timers, `requestAnimationFrame` and `performance`. Limits of steps are of real time.\n"
        "Exactly one of the keys is allowed. By the method `mcp` the next test begins with a new browser.",
        text=_clock_text,
        calls=nothing,
    ),
)
