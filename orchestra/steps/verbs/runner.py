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


_PARTS: Schema = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": ["string", "object"],
        "additionalProperties": False,
        "required": ["file"],
        "properties": {
            "file": described(TEXT, "its path, relative to the project root", "data/photo.png"),
            "type": described(TEXT, "its media type (default: by its name)", "image/png"),
        },
    },
}


_GRAPHQL: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["query"],
    "properties": {
        "query": described(
            TEXT,
            "the document: a query or a mutation",
            "query Quote($ticker: String!) { quote(ticker: $ticker) { price } }",
        ),
        "variables": described(MAPPING, "the values of its variables", {"ticker": "NVDA"}),
        "operation": described(TEXT, "the operation to carry out, of a document with several", "Quote"),
        "errors": described(
            {"enum": ["none", "allowed"], "default": "none"},
            "`allowed`: `errors` of the reply are no failure; check them with `match`",
            "allowed",
        ),
    },
}
_GRAPHQL_KEYS = {"query": "query", "variables": "variables", "operation": "operationName"}


def graphql_body(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body of a request of GraphQL."""
    return {sent: asked[key] for key, sent in _GRAPHQL_KEYS.items() if key in asked}


def _http_text(_step: Step, args: Mapping[str, Any]) -> str:
    body = {"json": "json", "form": "data", "body": "content"}
    given = [
        repr(args["method"]),
        repr(args["url"] if "base" not in args else f"${{{args['base']}.url}}{args['url']}"),
        *([f"headers={args['headers']!r}"] if args.get("headers") else []),
        *(f"{keyword}={args[name]!r}" for name, keyword in body.items() if name in args),
        *([f"json={graphql_body(args['graphql'])!r}"] if "graphql" in args else []),
        *([f"files=parts({args['multipart']!r})"] if "multipart" in args else []),
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
            Field(
                "multipart",
                _PARTS,
                "a form body with files: the name of each part to its text or file",
                {"title": "A photo", "photo": {"file": "data/photo.png"}},
            ),
            Field(
                "graphql",
                _GRAPHQL,
                "a GraphQL request as the JSON body of a POST; `errors` in the reply are a failure",
                {"query": '{ quote(ticker: "NVDA") { price } }'},
            ),
            Field(
                "cookies",
                {"enum": ["none", "from_page"]},
                "`from_page`: with the cookies of the page, in place of those so far; `none`: with no cookie (default: those of"
                " the login and of earlier replies)",
                "from_page",
            ),
            Field("status", _STATUS, "the expected status, or a list of them", 200, default=[]),
            Field(
                "match",
                {**MAPPING, "minProperties": 1},
                "JSONPath to the expected value",
                {"$.status": "ok"},
                default={},
            ),
            Field(
                "schema",
                {"type": ["string", "object"], "minProperties": 1, "additionalProperties": {}},
                "the JSON Schema of the reply: a file, relative to the project root, or the schema itself",
                "schemas/order.json",
            ),
            Field(
                "save", TEXT_MAPPING, "values of the reply to save: name to JSONPath", {"token": "$.token"}, default={}
            ),
            *(
                Field(
                    name, {**TEXT_MAPPING, "minProperties": 1}, f"{what} of the reply to save: name to {key}", example
                )
                for name, what, key, example in (
                    ("save_headers", "headers", "header", {"next": "Location"}),
                    ("save_cookies", "cookies", "cookie", {"session": "sid"}),
                )
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
                "graphql": {
                    "required": ["POST"],
                    "properties": {"json": NEVER, "form": NEVER, "body": NEVER, "multipart": NEVER},
                },
                "json": {"properties": {"form": NEVER, "body": NEVER, "multipart": NEVER}},
                "form": {"properties": {"body": NEVER, "multipart": NEVER}},
                "body": {"properties": {"multipart": NEVER}},
            },
        },
        browser=False,
        playwright="httpx.request()",
        mcp=(),
        detail="With `until` the request is sent again, also after a failure to connect, until the reply has the status and the\n"
        "values, or its `within_seconds` are over: for jobs and mail that take a while.\n"
        "\n"
        "`schema` is a JSON Schema of the drafts 4 to 2020-12, without `$schema` the last. A failure names the JSON pointer of\n"
        "each part that is not so, with its value and the allowed one. `format` is checked, too. A `$ref` leads to a part of\n"
        "the same schema. The plan has the schema, so a change of its file is a change of the spec.\n"
        "\n"
        "`graphql` sends `query`, `variables` and `operationName`. A reply with `errors` fails, unless `errors: allowed`.",
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
