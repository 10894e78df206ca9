"""A proxy in the environment: nothing of this machine goes through it, by probes, requests, programs and both browsers."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from tests.support.nights import at_night
from tests.support.project import SuiteProject
from tests.support.servers import free_range

pytestmark = pytest.mark.browser

FETCH = "import sys, urllib.request; assert urllib.request.urlopen(sys.argv[1], timeout=20).status == 200"
SPEC = """orchestra: 1
suite: s
health:
  web: {{service: {{run: [python, -m, http.server, "${{port}}", --bind, 127.0.0.1], port_range: {low}-{high}}}, ready: {{http: {{path: /}}}}}}
  name: {{url: "http://localhost:${{web.port}}", needs: [web], ready: {{http: {{path: /}}}}, live: {{http: {{path: /, timeout_seconds: 1}}, every_seconds: 1}}}}
defaults: {{requires: [web, name], retries: {{max: 0}}}}
methods: {{cli: {{driver: playwright}}, mcp: {{driver: mcp}}}}
tests:
  http: {{steps: [{{http: {{GET: /, base: web, status: 200}}}}, {{http: {{GET: /, base: name, status: 200}}}}]}}
  page: {{steps: [{{goto: "${{name.url}}/"}}, {{expect: {{page: {{title: {{contain: listing}}}}}}}}]}}
  program: {{methods: [cli], command: {{argv: [python, -c, {fetch}, "${{web.url}}"]}}}}
"""


@pytest.fixture
def proxy():
    """Something that listens where the environment says that a proxy is, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    caller.settimeout(5)
                    asked.append(caller.recv(4096))

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], asked


def environment(url: str) -> dict[str, str]:
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    return {**dict.fromkeys(names, url), "NO_PROXY": "", "no_proxy": ""}


# By day one for which a client that looks at it needs a library of its own, and fails without; at night all that there are.
@pytest.mark.parametrize("scheme", ["socks5", at_night("http"), at_night("socks5h")])
def test_nothing_of_this_machine_goes_through_a_proxy(project: SuiteProject, chromium, proxy, scheme):
    port, asked = proxy
    low, high = free_range(2)
    project.write(SPEC.format(low=low, high=high, fetch=json.dumps(FETCH))).compile()
    env = environment(f"{scheme}://127.0.0.1:{port}")
    done = project.run("run", **env)
    assert done.code == 0, (done.out, done.err)
    assert project.run("up", **env).code == 0
    assert project.run("health", **env).code == 0
    assert project.run("down", **env).code == 0
    assert asked == []


FAR = """orchestra: 1
suite: s
health:
  far: {url: "http://far.invalid", ready: {http: {path: /}, within_seconds: 2}, retries: {max: 0}, required: false}
methods: {cli: {driver: http}}
tests:
  request: {steps: [{http: {GET: "http://far.invalid/x", within_seconds: 5}}], retries: {max: 0}}
  probe: {requires: [far], steps: [{set: {x: one}}]}
"""


def test_what_is_elsewhere_goes_through_the_proxy(project: SuiteProject, proxy):
    port, asked = proxy
    project.write(FAR).compile()
    project.run("run", **environment(f"http://127.0.0.1:{port}"))
    requests = {line.split(b" HTTP", 1)[0] for line in asked if line}  # without one: a probe whose time was over first
    assert requests == {b"GET http://far.invalid/x", b"GET http://far.invalid/"}


def test_a_proxy_that_is_none_is_told_with_its_mend(project: SuiteProject):
    project.write(FAR).compile()
    assert project.run("run", **environment("socks9://127.0.0.1:9")).code == 1
    reasons = project.reasons()
    assert "a proxy of the environment cannot be used: " in reasons["cli:request"]
    assert "a proxy of the environment cannot be used: " in reasons["cli:probe"]
