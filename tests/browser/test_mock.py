"""`mock` and `expect: {request: …}`: the same replies, counts and records by both browser methods."""

from __future__ import annotations

import pytest

from tests.support.both import failed, passed
from tests.support.site import page

pytestmark = pytest.mark.browser

ASK = """async ([method, path, body]) => {
  const begun = performance.now();
  try {
    const reply = await fetch(path, { method, body: body ? JSON.stringify(body) : undefined });
    const text = await reply.text();
    const late = performance.now() - begun >= 300 && text === 'late';
    return [reply.status, text.slice(0, 18), reply.headers.get('x-by') ?? '', late];
  } catch (error) {
    return error.name;
  }
}"""
PLAIN = page("<p>plain</p>")


def asked(wanted, path, method="GET", body=None):
    return {"evaluate": {"script": f"async () => ({ASK})({[method, path, body or 0]!r})", "equals": wanted}}


def test_requests_get_the_replies_of_mocks_until_the_test_ends(both):
    (cli, mcp) = passed(
        both(
            PLAIN,
            {
                "mock": {
                    "url": "**/cookie",
                    "json": {"a": "${test.id}"},
                    "status": 500,
                    "headers": {"x-by": "mock"},
                    "method": "GET",
                }
            },
            asked([500, '{"a": "T1"}', "mock", False], "/cookie"),
            asked([200, '{"method": "POST",', "", False], "/cookie", "POST"),
            {"mock": {"url": "**/cookie", "body": "late", "times": 1, "delay_ms": 300}},
            asked([200, "late", "", True], "/cookie"),
            asked([500, '{"a": "T1"}', "mock", False], "/cookie"),
            {"mock": {"url": "**/gone*", "abort": "timedout"}},
            asked("TypeError", "/gone?x"),
            {"mock": {"url": "**/file", "file": "a.txt"}},
            asked([200, "first", "", False], "/file"),
            {
                "mock": {
                    "url": "**/html?new",
                    "delay_ms": 20,
                    "body": "<title>Mocked</title>",
                    "headers": {"content-type": "text/html"},
                }
            },
            {"goto": "${s.url}/html?new"},
            {"expect": {"page": {"title": {"have_text": "Mocked"}}}},
            asked([200, '{"method": "POST",', "", False], "/echo", "POST", {"ticker": "NVDA"}),
            {"expect": {"request": {"url": "**/cookie", "method": "GET", "count": 3}}},
            {"expect": {"request": {"url": "**/{echo,x}", "json": {"ticker": "NVDA"}}}},
            {"expect": {"request": {"url": "**/never", "count": 0}}},
            {"evaluate": {"script": "() => { setTimeout(() => fetch('/echo?later'), 300) }"}},
            {"expect": {"request": {"url": "**/echo?later"}, "within_seconds": 20}},
            opened=False,
        )
    )
    wanted = {"GET **/cookie": 2, "**/cookie": 1, "**/gone*": 1, "**/file": 1, "**/html?new": 1}
    assert cli.facts["mocks"] == mcp.facts["mocks"] == wanted
    assert both.tools.get("mock") is None
    assert {finding.layer for result in (cli, mcp) for finding in result.findings} == set()
    again = both.again()
    (result, other) = passed(again(PLAIN, asked([404, "<!DOCTYPE HTML>\n<h", "", False], "/file"), opened=False))
    assert "mocks" not in {**result.facts, **other.facts}


def test_a_request_that_was_not_sent_is_named(both):
    steps = (asked([200, '{"method": "POST",', "", False], "/echo", "POST", {"a": 1}),)
    wanted = {"request": {"url": "**/echo", "method": "POST", "json": {"a": 2}}, "within_seconds": 0.2}
    for result in failed(both(*steps, {"expect": wanted}, opened=True)):
        assert (
            'has not sent a request POST "**/echo" with this JSON body, but no such request' in result.failure.message
        )
        assert '/echo {"a":1}' in result.failure.found
