"""The steps that need no page: requests of the runner, saved values, blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.steps.schemas import (
    ANY,
    HTTP_METHODS,
    MAPPING,
    NEVER,
    SECONDS,
    SIZE,
    TEXT,
    TEXT_MAPPING,
    Field,
    Schema,
    described,
    object_of,
    one_of,
)
from orchestra.steps.step import Step
from orchestra.steps.tool_call import nothing
from orchestra.steps.verb import MESSAGE, Verb

_STATUS: Schema = {"type": ["integer", "array"], "items": {"type": "integer"}, "minItems": 1}


_UNTIL: Schema = object_of(
    {
        "status": described(_STATUS, "the status to wait for, or a list of them", 200),
        "match": described({**MAPPING, "minProperties": 1}, "JSONPath to the value to wait for", {"$.status": "done"}),
        "every_seconds": described({**SECONDS, "default": 1}, "the pause between two requests", 2),
        "within_seconds": described({**SECONDS, "default": 30}, "the time to wait for the whole reply that is so", 60),
    },
    anyOf=[{"required": [key]} for key in ("status", "match")],
)


def _http_text(_step: Step, args: Mapping[str, Any]) -> str:
    body = {"json": "json", "form": "data", "body": "content"}
    given = [
        repr(args["method"]),
        repr(args["url"] if "base" not in args else f"${{{args['base']}.url}}{args['url']}"),
        *([f"headers={args['headers']!r}"] if args.get("headers") else []),
        *(f"{keyword}={args[name]!r}" for name, keyword in body.items() if name in args),
        f"timeout={args['within_seconds']:g}",
    ]
    request = f"httpx.request({', '.join(given)})"
    return f"eventually(lambda: {request}, {args['until']!r})" if "until" in args else request


def _set_text(_step: Step, args: Mapping[str, Any]) -> str:
    return f"saved.update({args['values']!r})"


VERBS: tuple[Verb, ...] = (
    Verb(
        "http",
        "Send a request from the runner and check the reply.",
        {"GET": "/health", "base": "backend", "status": 200},
        fields=(
            *(Field(method, TEXT, f"the path or URL of a {method} request", "/health") for method in HTTP_METHODS),
            Field("base", TEXT, "the component to whose URL the path is relative", "backend"),
            Field("headers", TEXT_MAPPING, "request headers", {"Accept": "application/json"}, default={}),
            Field("json", ANY, "a JSON body", {"message": "Market status"}),
            Field("form", TEXT_MAPPING, "a form body", {"message": "Market status"}),
            Field("body", TEXT, "a text body", "Market status"),
            Field("status", _STATUS, "the expected status, or a list of them", 200, default=[]),
            Field(
                "match",
                {**MAPPING, "minProperties": 1},
                "JSONPath to the expected value",
                {"$.status": "ok"},
                default={},
            ),
            Field(
                "save", TEXT_MAPPING, "values of the reply to save: name to JSONPath", {"token": "$.token"}, default={}
            ),
            MESSAGE,
            Field(
                "until",
                _UNTIL,
                "send the request again until the reply is so; then `status`, `match` and `save` are about that reply",
                {"match": {"$.state": "done"}, "within_seconds": 60},
            ),
            Field("within_seconds", SECONDS, "the limit of the whole reply", 10, default=30.0),
            Field("limit_megabytes", SIZE, "the limit of the decoded reply", 200, default=64.0),
        ),
        rules={
            **one_of(HTTP_METHODS),
            "dependentSchemas": {
                "json": {"properties": {"form": NEVER, "body": NEVER}},
                "form": {"properties": {"body": NEVER}},
            },
        },
        browser=False,
        playwright="httpx.request()",
        mcp=(),
        detail="With `until` the request is sent again, also after a failure to connect, until the reply has the status and the\n"
        "values, or its `within_seconds` are over: for jobs and mail that take a while.",
        text=_http_text,
        calls=nothing,
    ),
    Verb(
        "set",
        "Save values as `${saved.NAME}` until the end of the test.",
        {"question": "Market status"},
        browser=False,
        idempotent=True,
        playwright="",
        mcp=(),
        text=_set_text,
        calls=nothing,
    ),
    Verb(
        "use",
        "Insert the steps of a block.",
        {"ask": {"message": "Market status"}},
        short="block",
        browser=False,
        idempotent=True,
        playwright="",
        mcp=(),
    ),
)
