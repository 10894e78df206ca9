"""The mappings of methods, key by key."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Required, TypedDict

from orchestra.compiler.schema.key import COMMAND_NAME, ID, PLAN, Key
from orchestra.compiler.schema.pages import EMULATE_KEY, ERRORS_KEY, EmulateSpec, ErrorsSpec
from orchestra.drivers import DRIVERS


class SessionSpec(TypedDict, total=False):
    """The browser session of a method."""

    single: Annotated[bool, Key("one page for all tests of the method, in order", True, default=PLAN)]
    reset: Annotated[Literal["storage", "page", "none"], Key("the clean-up between tests", "storage", default=PLAN)]


class SpeedSpec(TypedDict, total=False):
    """A class of duration, from the upper bound of the class before."""

    below_seconds: Annotated[float, Key("its upper bound, exclusive; the last class has none", 30, above=0)]
    mark: Annotated[Literal["😊", "😐", "😴"], Key("its mark in tables", "😊")]


class ConnectSpec(TypedDict, total=False):
    """Where the browsers of a method run, in place of this machine."""

    url: Required[
        Annotated[
            str,
            Key(
                "the address of a Playwright server of the same version: `ws:`, `wss:`, or `http:` as a component has it."
                " A token belongs into a variable: `${env.NAME}`",
                "${env.PW_WS}",
            ),
        ]
    ]
    sessions: Annotated[
        int,
        Key(
            "the number of browsers that the server gives at once; a test holds one (default: no limit)", 20, minimum=1
        ),
    ]


class MethodSpec(TypedDict, total=False):
    """A way to run the tests."""

    title: Annotated[str, Key("the title for people", "Playwright over MCP")]
    driver: Required[Annotated[str, Key("the driver that executes the steps", "playwright", choices=tuple(DRIVERS))]]
    workers: Annotated[
        Literal["auto"] | int,
        Key(
            "parallel tests; `auto` decides by their cost (docs/run.md#workers-by-cost)",
            "auto",
            minimum=1,
            default="auto",
        ),
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
    connect: Annotated[
        ConnectSpec,
        Key(
            "the server on which its browsers run (docs/scale.md#remote-browsers; default: this machine)",
            {"url": "${env.PW_WS}", "sessions": 20},
        ),
    ]
    errors: Annotated[ErrorsSpec, ERRORS_KEY]
    emulate: Annotated[EmulateSpec, EMULATE_KEY]
    har: Annotated[
        str | dict[str, Any],
        Key(
            "a HAR file that answers the requests of its tests with pages from their first step, or records them",
            {"file": "data/api.har", "url": "**/api/**"},
            ref="Har",
        ),
    ]
    mock: Annotated[
        list[dict[str, Any]],
        Key(
            "mocks that answer requests of its tests with pages from their first step",
            [{"url": "**/api/quote*", "json": {"price": 171.5}}],
            ref="Mocks",
        ),
    ]
    speed: Annotated[
        dict[str, SpeedSpec],
        Key(
            "its own classes of duration, in place of those of the suite, in order from 0 without an upper end",
            {"good": {"below_seconds": 45, "mark": "😊"}, "slow": {"mark": "😴"}},
            names=ID,
        ),
    ]
