"""Remote browsers: what is secret in an address, and what a refusal of their server means."""

from __future__ import annotations

import pytest

from orchestra.errors import UsageError
from orchestra.plan import Connect, Method, Plan
from orchestra.remote_address import fault, literal_secret, secret_names, shown
from orchestra.runtime import inherited
from orchestra.runtime.browsers.remote import address, options, refusal

URL = "wss://ana:pw@browsers.example:3000/pw?token=tkn-58Qz"
SHOWN = "wss://browsers.example:3000"


@pytest.mark.parametrize(
    "url, value, secret",
    [
        ("${env.A}", "ws://127.0.0.1:3000/", False),
        ("${env.A}", "https://browsers.example", False),
        ("${env.A}", "", False),
        ("${env.A}", "wss://browsers.example/?token=x", True),
        ("${env.A}", "wss://ana:pw@browsers.example/", True),
        ("${env.A}", "wss://browsers.example/0f1e2d", True),
        ("ws://${env.A}:3000/", "browsers.example", False),
        ("ws://${env.A}:3000/", "ana:pw@browsers.example", True),
        ("ws://ana:${env.A}@browsers.example/", "pw", True),
        ("ws://browsers.example/${env.A}", "pw", True),
        ("ws://browsers.example?token=${env.A}", "x", True),
        ("ws://${pw.host}:${pw.port}/", "3000", False),
    ],
)
def test_a_variable_is_secret_by_its_place_and_its_value(url, value, secret):
    assert list(secret_names(url, {"A": value})) == ["A"] * secret


def test_the_variables_of_an_address_are_masked(tmp_path):
    method = Method("far", "", "playwright", connect=Connect("wss://browsers.example/?token=${env.PW}"))
    plan = Plan("s", "", (), (method, Method("cli", "", "playwright")), secrets=("OTHER",))
    assert inherited.of_plan(tmp_path, plan, {"PW": "tkn", "PATH": ""}).secrets == ("OTHER", "PW")


@pytest.mark.parametrize(
    "url, found",
    [
        ("ws://browsers.example/pw?browser=firefox", ""),
        ("ws://browsers.example/pw?token=${env.A}", ""),
        ("ws://browsers.example/test_a_server_in_the_health_0", ""),
        ("ws://ana@browsers.example/", "user info"),
        ("ws://browsers.example/?apiKey=1", 'the value of "apiKey" in its query'),
        ("ws://browsers.example/?id=0f1e2d3c4b5a69788796", 'the value of "id" in its query'),
        ("ws://browsers.example/0f1e2d3c4b5a69788796/", "a path like a token"),
        ("ws://[browsers", ""),
    ],
)
def test_a_secret_in_the_text_of_an_address_is_found(url, found):
    assert literal_secret(url) == found


def test_an_address_has_a_scheme_and_a_host():
    assert [fault(url) for url in ("ws://a", "wss://a/", "http://a:1", "${env.A}")] == [""] * 4
    assert fault("a:3000").startswith("it begins with none of")
    assert fault("") == "it is empty"
    assert [fault(url) for url in ("ws:///pw", "ws://:1/")] == ["it has no host"] * 2
    assert fault("ws://host:0/pw") == "no server has the port 0"
    assert [fault(url) for url in ("ws://host:1/ pw", "ws://a host/pw", "ws://host/${env.A} b")] == [
        "it holds a blank"
    ] * 3
    assert fault("ws://host:${env.PORT}/pw") == ""
    assert [fault(url) for url in ("ws://[a", "ws://a:b")] == ["its host or port cannot be read"] * 2
    assert fault("ws://${pw.host}:${pw.port}/") == ""


def test_an_address_is_shown_without_what_may_be_secret():
    assert [shown(url) for url in (URL, "ws://[::1]:9/x", "ws://a")] == [SHOWN, "ws://[::1]:9", "ws://a"]
    assert shown("ws://[::1") == shown("ws://a:b") == "an address that cannot be read"


def test_an_address_gets_the_values_of_its_names():
    known = {"env.A": "ws://a:1/", "pw.host": "b", "env.B": "nonsense"}
    assert address("${env.A}x", known) == "ws://a:1/x"
    assert address("ws://${pw.host}/", known) == "ws://b/"
    for url, message in (
        ("${env.C}", "the environment variable C is not set"),
        ("ws://${pw.port}", "${pw.port} has no value"),
        ("${env.B}", "${env.B} is no address of a server of browsers"),
    ):
        with pytest.raises(UsageError) as refused:
            address(url, known)
        assert refused.value.message.startswith(message)
        assert "nonsense" not in refused.value.message


@pytest.mark.parametrize(
    "url, hint",
    [
        ("${env.C}", "set it to the address of a Playwright server: ws://HOST:PORT/PATH"),
        ("ws://host:1/${env.C}", "set it to that part of the address"),
    ],
)
def test_the_hint_for_a_variable_without_a_value_names_what_it_holds(url, hint):
    with pytest.raises(UsageError) as refused:
        address(url, {})
    assert (refused.value.message, refused.value.hint) == (
        f"the environment variable C is not set, and the browsers are at {url}",
        hint,
    )


def log(text):
    return f"BrowserType.connect: WebSocket error: {text}\nCall log:\n  - <ws connecting> {URL}\n"


@pytest.mark.parametrize(
    "error, message, passing",
    [
        (
            log(f"{URL} 428 Precondition Required\n║ - server version: v1.65  ║\n║ - client version: v1.64  ║"),
            f"the server of browsers at {SHOWN} has Playwright 1.65, and this machine has 1.64: they must be equal",
            False,
        ),
        (
            log("connect ECONNREFUSED 127.0.0.1:1"),
            f"no server of browsers answers at {SHOWN}: ECONNREFUSED",
            True,
        ),
        (
            log(f"{URL} 401 Unauthorized\ntoken tkn-58Qz"),
            f"the server at {SHOWN} refuses to give a browser: 401 Unauthorized",
            False,
        ),
        (
            log(f"{URL} 503 Service Unavailable"),
            f"the server at {SHOWN} refuses to give a browser: 503 Service Unavailable",
            True,
        ),
        (log(f"{URL} 429"), f"the server at {SHOWN} refuses to give a browser: 429", True),
        (log(f"{URL} 302 Found"), f"the server at {SHOWN} refuses to give a browser: 302 Found", False),
        (
            "BrowserType.connect: Timeout 3000ms exceeded.\nCall log:\n",
            f"the server of browsers at {SHOWN} does not answer in time",
            True,
        ),
        ("timed out", f"the server of browsers at {SHOWN} does not answer in time", True),
        (
            "Connection.init: Executable doesn't exist at /x/firefox\n╔══╗",
            f"the server of browsers at {SHOWN} has no firefox",
            False,
        ),
        (
            "BrowserType.connect: Unexpected token 'R', \"Running\" is not valid JSON",
            f"the server at {SHOWN} is no server of browsers: its reply names no path",
            False,
        ),
        (f"odd {URL} answer\nmore", f"the server at {SHOWN} gives no browser: odd  answer", True),
        ("", f"the server at {SHOWN} gives no browser: no reason was given", True),
    ],
)
def test_a_refusal_says_what_to_do_and_quotes_no_secret(error, message, passing):
    found = refusal(error, URL, "firefox")
    assert (found.message, found.passing) == (message, passing)
    assert found.hint
    assert "tkn-58Qz" not in found.message + found.hint


def test_only_the_ports_of_the_suite_are_open_to_the_server():
    known = {
        "web.url": "http://127.0.0.1:8000",
        "web.port": "8000",
        "tls.url": "https://localhost",
        "far.url": "http://a.example",
    }
    ports = ("localhost:8000,127.0.0.1:8000,[::1]:8000", "localhost:443,127.0.0.1:443,[::1]:443")
    assert options("ws://a", 2.0, known) == {"endpoint": "ws://a", "timeout": 2000.0, "expose_network": ",".join(ports)}
    assert options("ws://a", 2.0) == {"endpoint": "ws://a", "timeout": 2000.0}
