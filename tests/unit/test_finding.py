"""What is judged of a page and of a log, without either: layers, hosts, limits, sums."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra import plan
from orchestra.layers import LAYERS
from orchestra.ledger.parts import Finding, Traffic
from orchestra.ledger.view import view_of
from orchestra.plan import Errors
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.finding import KEPT_FINDINGS, app_hosts, errors_of, failed_by, failure, findings_of
from orchestra.runtime.attempts.observed import (
    KEPT_HOSTS,
    KEPT_SIGNS,
    OTHER_HOSTS,
    Observed,
    Reply,
    Sign,
    declared_size,
    host_of,
)
from orchestra.runtime.attempts.page_figures import network_of, page_figures
from tests.support import runs as samples

APP = "http://127.0.0.1:8000"


def result(**more):
    return Result("cli:B1", 1, "passed", 1.0, **more)


def of_host(requests, failed, size=0, slowest_ms=None):
    return Traffic(requests=requests, failed=failed, bytes=size, slowest_ms=slowest_ms)


def told(findings):
    return [(finding.layer, finding.level, finding.text) for finding in findings]


# ------------------------------------------------------------------------------------------------------------ what is seen


def test_a_request_is_counted_once_and_an_error_has_one_layer():
    seen = Observed()
    seen.answered(Reply("GET", f"{APP}/a", 200, ""))
    seen.answered(Reply("GET", f"{APP}/b", 404, f"{APP}/"))
    seen.console_error("Failed to load resource: the server responded with a status of 404", f"{APP}/b")
    seen.failed("GET", f"{APP}/a", "net::ERR_CONTENT_LENGTH_MISMATCH", f"{APP}/", answered=True)
    seen.failed("GET", "http://gone.example/", "net::ERR_NAME_NOT_RESOLVED", f"{APP}/", answered=False)
    assert [sign.text for sign in seen.signs] == [
        f"GET {APP}/b: 404",
        f"GET {APP}/a: net::ERR_CONTENT_LENGTH_MISMATCH",
        "GET http://gone.example/: net::ERR_NAME_NOT_RESOLVED",
    ]
    assert {sign.layer for sign in seen.signs} == {"failed_requests"}
    assert seen.network() == {"127.0.0.1:8000": of_host(2, 2), "gone.example": of_host(1, 1)}


@pytest.mark.parametrize("why", ["net::ERR_ABORTED", "NS_BINDING_ABORTED"])
def test_what_a_page_gives_up_itself_is_no_failure(why):
    seen = Observed()
    seen.failed("GET", f"{APP}/slow", why, "", answered=False)
    assert seen.signs == {}
    assert seen.network() == {"127.0.0.1:8000": of_host(1, 0)}


def test_only_the_web_is_the_network():
    seen = Observed()
    seen.answered(Reply("GET", "data:text/html,x", 500, ""))
    seen.failed("GET", "blob:null/1", "gone", "", answered=False)
    seen.measured("about:blank", 3.0)
    seen.sized("file:///a", 5)
    assert (seen.signs, seen.network()) == ({}, {})


def test_times_and_sizes_are_those_that_the_browser_tells():
    seen = Observed()
    for milliseconds in (3.0, 12.5, -1.0):
        seen.measured(f"{APP}/a", milliseconds)
    seen.answered(Reply("GET", f"{APP}/a", 200, "", 10))
    seen.answered(Reply("GET", f"{APP}/b", 200, "", None))
    assert seen.waiting()
    assert seen.network()["127.0.0.1:8000"].bytes is None, "a sum without one of its parts is none"
    seen.sized(f"{APP}/b", 5)
    assert not seen.waiting()
    assert seen.network() == {"127.0.0.1:8000": of_host(2, 0, 15, 12.5)}
    seen.answered(Reply("GET", f"{APP}/c", 200, "", None))
    seen.sized(f"{APP}/c", None)
    assert seen.network()["127.0.0.1:8000"].bytes is None


@pytest.mark.parametrize(
    "method, status, headers, size",
    [
        ("GET", 200, {"content-length": "12"}, 12),
        ("GET", 200, {}, None),
        ("GET", 200, {"content-length": "12, 12"}, None),
        ("HEAD", 200, {"content-length": "12"}, 0),
        ("GET", 304, {}, 0),
    ],
)
def test_the_size_that_an_answer_declares(method, status, headers, size):
    assert declared_size(method, status, headers) == size


@pytest.mark.parametrize(
    "url, host",
    [
        ("http://LOCALHOST:8000/a", "127.0.0.1:8000"),
        ("https://ana:word@shop.example/a", "shop.example"),
        ("http://localhost/", "127.0.0.1"),
        ("http://[::1", ""),
        ("ws://shop.example/", ""),
    ],
)
def test_a_host_has_one_name(url, host):
    assert host_of(url) == host


def test_memory_is_bounded_and_the_counts_stay_right():
    seen = Observed()
    for number in range(2 * KEPT_SIGNS):
        seen.page_error(f"Error {number}", "")
        seen.page_error("Error 0", "")
        seen.answered(Reply("GET", f"http://h{number}.example/", 200, ""))
    seen.console_error("after all that", "")
    assert len(seen.signs) == KEPT_SIGNS + 1, "a noisy layer hides no other"
    assert seen.signs[Sign("page_errors", "Error 0")] == 2 * KEPT_SIGNS + 1
    network = seen.network()
    assert len(network) == KEPT_HOSTS + 1
    assert sum(one.requests for one in network.values()) == 2 * KEPT_SIGNS
    assert network[OTHER_HOSTS].requests == 2 * KEPT_SIGNS - KEPT_HOSTS


def test_a_secret_is_out_before_anything_is_cut():
    seen = Observed(lambda text: text.replace("geheim", "***"))
    seen.page_error("x" * 497 + "geheim", "http://a/?key=geheim:1:2")
    (sign,) = seen.signs
    assert "geh" not in sign.text + sign.where


# ---------------------------------------------------------------------------------------------------------------- judgement


def test_a_server_error_of_somebody_else_is_a_failed_request():
    signs = {Sign("http_5xx", "GET a: 503", "", host): 1 for host in ("127.0.0.1:8000", "cdn.example")}
    found = findings_of(signs.items(), (), Errors(http_5xx="fail"), app_hosts({"backend.url": APP}, ()))
    assert told(found) == [("http_5xx", "fail", "GET a: 503"), ("failed_requests", "warn", "GET a: 503")]


def test_the_app_is_the_matrix_and_where_the_test_goes():
    names = {"backend.url": "http://localhost:8000", "backend.port": "8000", "env.HOME": "/root"}
    assert app_hosts(names, ["https://shop.example/cart", "about:blank"]) == {"127.0.0.1:8000", "shop.example"}


def test_what_fails_comes_first_and_the_message_says_how_many_more():
    signs = [
        (Sign("page_errors", "Error: a"), 2),
        (Sign("console_errors", "b", "u:3"), 1),
        (Sign("console_errors", "c"), 1),
    ]
    found = findings_of(signs, ["alert: d"], Errors(console_errors="fail", open_dialogs="ignore"), ())
    assert told(found) == [
        ("console_errors", "fail", "b"),
        ("console_errors", "fail", "c"),
        ("page_errors", "warn", "Error: a"),
    ]
    assert failure(found, "/tests/B1").message == "console_errors: b (u:3), and 1 more"
    assert failure(found[2:], "/tests/B1") is None


@given(st.lists(st.tuples(st.sampled_from(LAYERS), st.text(max_size=5)), max_size=80), st.sampled_from(LAYERS))
def test_findings_are_bounded_and_one_that_fails_is_never_lost(seen, layer):
    signs = [(Sign(kind, text, "", "a"), 1) for kind, text in dict.fromkeys(seen)]
    found = findings_of(signs, (), Errors(**{"a11y": "warn", layer: "fail"}), {"a"})
    assert len(found) == min(len(signs), KEPT_FINDINGS)
    assert (failure(found, "/tests/B1") is not None) == any(sign.layer == layer for sign, _ in signs)


def test_a_method_has_its_own_word_and_a_failure_is_not_replaced():
    test = plan.Test("B1", "", ("cli",), errors_by={"mcp": Errors(page_errors="fail")})
    assert (errors_of(test, "cli").page_errors, errors_of(test, "mcp").page_errors) == ("warn", "fail")
    bad = Finding(layer="page_errors", level="fail", text="Error: a", where="", count=1)
    assert failed_by(result(), [bad], "/tests/B1").outcome == "failed"
    timed_out = msgspec.structs.replace(result(), outcome="timeout")
    assert (failed_by(timed_out, [bad], "/tests/B1").outcome, timed_out.failure) == ("timeout", None)


# ------------------------------------------------------------------------------------------------------------------ metrics


PLAN = plan.Plan(
    "market",
    "",
    tuple(plan.Test(f"B00{number}", "", ("cli", "mcp")) for number in range(1, 5)),
    (plan.Method("cli", "", "playwright"), plan.Method("mcp", "", "mcp")),
)
LOOKS = msgspec.structs.replace(
    PLAN, tests=(plan.Test("B001", "", ("cli",), errors=Errors(log_patterns={"shop": ("E",)})),)
)


def figures_of(*made: samples.Made, of: plan.Plan = PLAN, steps: bool = False) -> dict[str, Any]:
    started = samples.run_started(PLAN, ["cli:B001", "mcp:B001", "mcp:B002"])
    return page_figures(of, view_of(samples.events([started, *made]), steps=steps))


def traffic(names: dict[str, str] = MappingProxyType({}), **hosts: Traffic) -> dict[str, Any]:
    found = network_of(result(network={name.replace("_", "."): one for name, one in hosts.items()}), names)
    return msgspec.to_builtins(found)


def test_metrics_are_sums_by_component_and_have_no_value_where_nothing_was():
    assert figures_of(*samples.attempt("cli:B001")) == {}
    names = {"shop.url": "http://shop.example"}
    first = traffic(names, shop_example=of_host(3, 1, 40, 12.25), cdn_example=of_host(2, 0, 10, 80.0))
    second = traffic(names, shop_example=of_host(4, 0, 5))
    finding = {"layer": "http_5xx", "level": "warn", "text": "GET a: 503", "where": "", "count": 2}
    found = figures_of(
        *samples.attempt("cli:B001", network=first, findings=[finding]), *samples.attempt("mcp:B001", network=second)
    )
    assert found["warned"] == 1
    assert (found["findings.http_5xx"], found["findings.page_errors"]) == (2, 0)
    assert "findings.service_logs" not in found, "no log was looked into"
    assert {name: value for name, value in found.items() if name.startswith("network.")} == {
        "network.requests": 9,
        "network.failed": 1,
        "network.bytes": 55,
        "network.slowest_ms": 80.0,
        "network.elsewhere": 2,
        "network.requests_max": 5,
        "network.bytes_max": 50,
        "network.shop.requests": 7,
        "network.shop.failed": 1,
        "network.shop.bytes": 45,
        "network.shop.slowest_ms": 12.2,
    }


@pytest.mark.parametrize("steps", [True, False], ids=["with steps", "without steps"])
def test_a_run_that_goes_on_has_the_sums_of_what_it_keeps(steps):
    found, network = samples.beside(), samples.network()
    calls = [
        {"index": 0, "verb": "goto", "seconds": 0.1, "outcome": "passed", "calls": 2, "polls": 1, "lag_seconds": 0.5}
    ]
    facts = {"mcp_calls": 2, "mcp_call_ms": 7.5}
    values = figures_of(
        *samples.attempt("mcp:B001", findings=found, network=network, retry=True),
        *samples.attempt("mcp:B001", 2, findings=found[:1], network=network, steps=calls, facts=facts),
        *samples.attempt("cli:B001"),
        *samples.attempt("mcp:B002", network=network),
        ("run_resumed", {"run": "r", "rerun": ["mcp:B002"]}),
        steps=steps,
    )
    assert (values["warned"], values["findings.page_errors"], values["findings.open_dialogs"]) == (1, 1, 0)
    assert (values["network.requests"], values["network.elsewhere"], values["network.backend.bytes"]) == (12, 1, 12345)
    assert {name: value for name, value in values.items() if name.startswith("method.")} == {
        "method.mcp.calls": 2,
        "method.mcp.polls": 1,
        "method.mcp.call_ms_p50": 7.5,
        "method.mcp.lag_seconds_max": 0.5,
    }


def test_bytes_that_one_test_does_not_tell_are_no_metric():
    unsized = traffic(a_example=of_host(1, 0, None))
    values = figures_of(*samples.attempt("cli:B001", network=unsized), of=LOOKS)
    assert not {"network.bytes", "network.bytes_max", "network.slowest_ms"} & values.keys()
    assert values["findings.service_logs"] == 0
