"""Which hosts are asked without a proxy, and what children inherit of the proxies of the environment."""

from __future__ import annotations

import httpx
import pytest

from orchestra.plan import Component, Service
from orchestra.runtime import inherited
from orchestra.runtime.proxies import is_direct, is_loopback, without


@pytest.mark.parametrize(
    "host, here",
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("sandbox.example", False),
        ("", False),
    ],
)
def test_this_machine_is_known_by_its_names_and_numbers(host, here):
    assert is_loopback(host) is here
    assert is_direct(host, {}) is here


def test_no_proxy_names_more_hosts():
    env = {"NO_PROXY": "other.example", "no_proxy": "sandbox.example, .corp"}
    assert is_direct("sandbox.example", env)
    assert is_direct("a.corp", env)
    assert not is_direct("other.example", env), "the lower-case one counts, as everywhere"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_what_is_on_this_machine_and_what_is_declared_is_named_where_a_proxy_is_set(name):
    env = {name: "http://proxy:3128", "NO_PROXY": "corp.example"}
    given = without(env, ["10.1.2.3", "127.0.0.1"])
    assert given["NO_PROXY"] == given["no_proxy"] == "corp.example,localhost,127.0.0.1,::1,10.1.2.3"
    assert without(given, ["10.1.2.3"]) == given, "a second time changes nothing"


@pytest.mark.parametrize("env", [{}, {"HTTP_PROXY": ""}, {"ALL_PROXY": "socks5://p", "NO_PROXY": "*"}])
def test_an_environment_without_a_proxy_stays_as_it_is(env):
    assert without(env, ["10.1.2.3"]) == env


def test_services_and_backups_are_declared_and_addresses_elsewhere_are_not():
    rows = [
        Component("a", "a", service=Service(("x",), host="10.0.0.5"), failover=Service(("x",), host="10.0.0.6")),
        Component("b", "b", url="http://far.example"),
    ]
    never = inherited.environment({"ALL_PROXY": "socks5://p:1", "PATH": "/bin"}, rows)["NO_PROXY"]
    assert never == "localhost,127.0.0.1,::1,10.0.0.5,10.0.0.6"


def test_what_is_inherited_can_be_read_by_the_http_client(monkeypatch):
    for name, value in without({"ALL_PROXY": "socks5://127.0.0.1:9"}, ["10.0.0.5"]).items():
        monkeypatch.setenv(name, value)
    with httpx.Client() as client:
        assert client is not None
