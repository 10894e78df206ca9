"""Measure a login that tests share, and a mocked request: `python -m bench language`.

Logins: tests that begin signed in, against the same tests without a login, by the warm drivers of both methods, in turns.
The first test makes the login and is not counted. Mocks: a page sends requests one after the other, which the network, a
`mock` or a handler of plain Playwright answers, in turns.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from playwright.sync_api import sync_playwright

from bench.measure import BenchmarkError, against, goals
from orchestra.plan import Login, Method
from orchestra.runtime.attempt import Request, Result
from orchestra.runtime.browsers.finder import Browser, find, launch_options
from orchestra.runtime.driver.contract import Driver, Session
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.mcp.driver import McpDriver
from orchestra.runtime.driver.playwright.driver import PlaywrightDriver
from orchestra.runtime.driver.sections import carry_out
from orchestra.runtime.driver.signing_in import signed_in
from orchestra.runtime.early_end import EarlyEnd
from orchestra.runtime.scope import Scope
from tests.support.requests import request, steps

LOGIN_RATIO = 1.05
MOCK_MS = 5.0
WARM = 3
THREE = [
    {"goto": "${s.url}/login"},
    {"fill": {"label": "User", "value": "ana"}},
    {"expect": {"label": "User", "to": {"have_value": "ana"}}},
]
SIGN_IN = [
    *THREE[:2],
    {"fill": {"label": "Password", "value": "lemon tree"}},
    {"click": {"role": "button", "name": "Sign in"}},
    {"expect": {"testid": "who", "to": {"have_text": "Signed in as ana, admin"}}},
]
CHECK = [{"http": {"GET": "${s.url}/api/me", "match": {"$.role": "admin"}}}]
FETCH = """async () => {
  const begun = performance.now();
  for (let number = 0; number < COUNT; number++) await (await fetch('/api/rate')).json();
  return (performance.now() - begun) / COUNT;
}"""
MOCK = {"mock": {"url": "**/api/rate", "json": {"rate": 0.5}}}


class Side(NamedTuple):
    """A method with its warm driver."""

    name: str
    driver: Driver
    browser: Browser
    http: Http
    folder: Path
    url: str

    def request(self, asked: list[dict[str, Any]], login: Login | None = None) -> Request:
        """Return a request for a test with these steps."""
        made = request(self.folder, asked, browser=self.browser, names={"s.url": self.url}, evidence="off")
        method = Method(self.name, self.name, self.name, single_session=True)
        return msgspec.structs.replace(made, method=method, login=login, logins=str(self.folder))


@contextmanager
def server() -> Iterator[str]:
    """Serve the order desk of the sample application from a process of its own, and yield its address."""
    argv = [sys.executable, "-m", "orchestra.demo.desk", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield line.split()[-1]
        finally:
            process.terminate()


def _passed(result: Result) -> Result:
    if result.outcome != "passed":
        raise BenchmarkError(f"a test did not pass: {result.failure}")
    return result


def logins(side: Side, tests: int) -> list[tuple[float, float, float]]:
    """Return the seconds of each test without a login, with one, and with one that has a check."""
    kinds = (
        None,
        Login("plain", steps=steps(SIGN_IN), page=True),
        Login("checked", steps=steps(SIGN_IN), page=True, check=steps(CHECK)[0]),
    )
    made = 0

    def once(login: Login | None) -> float:
        nonlocal made
        begun = time.perf_counter()
        result = signed_in(side.request(THREE, login), side.driver, side.http, {}, early=EarlyEnd(), begun=lambda: None)
        seconds = time.perf_counter() - begun
        made += len(_passed(result).notes)
        return seconds

    taken = []
    for turn in range(WARM + tests):  # none of the three is always the first
        order = [(turn + place) % 3 for place in range(3)]
        seconds = {kind: once(kinds[kind]) for kind in order}
        taken.append((seconds[0], seconds[1], seconds[2]))
    if made != len(kinds) - 1:
        raise BenchmarkError(f"{len(kinds) - 1} logins were made {made} times")
    return taken[WARM:]


@contextmanager
def plain(browser: Browser, url: str, count: int) -> Iterator[Callable[[], float]]:
    """Yield a function for the milliseconds of a request that a handler of plain Playwright answers, in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        playwright = thread.submit(lambda: sync_playwright().start()).result()
        chromium = thread.submit(lambda: playwright.chromium.launch(**launch_options(browser, os.environ))).result()

        def once() -> float:
            with chromium.new_context() as context:
                context.route("**/api/rate", lambda route: route.fulfill(status=200, json={"rate": 0.5}))
                page = context.new_page()
                page.goto(f"{url}/login")
                return float(page.evaluate(FETCH.replace("COUNT", str(count))))

        try:
            yield lambda: thread.submit(once).result()
        finally:
            thread.submit(chromium.close).result()
            thread.submit(playwright.stop).result()


def mocks(side: Side, count: int, rounds: int) -> list[tuple[float, float, float]]:
    """Return the milliseconds of a request that the network, a mock, and a handler of plain Playwright answers."""

    def once(*mock: dict[str, Any]) -> float:
        values: list[float] = []
        script = {"evaluate": {"script": FETCH.replace("COUNT", str(count)), "save": "ms"}}

        def take(_: Session | None, scope: Scope) -> None:
            values.append(float(scope.saved["ms"]))

        asked = side.request([*mock, {"goto": "${s.url}/login"}, script])
        _passed(carry_out(asked, side.driver, side.http, at_end=take))
        return values[0]

    with plain(side.browser, side.url, count) as handler:
        return [(once(), once(MOCK), handler()) for _ in range(1 + rounds)][1:]


@contextmanager
def side(name: str, browser: Browser, url: str) -> Iterator[Side]:
    """Yield a method with its driver, which has started nothing yet."""
    driver = PlaywrightDriver(os.environ) if name == "playwright" else McpDriver(os.environ)
    http = Http()
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield Side(name, driver, browser, http, Path(folder), url)
        finally:
            driver.close()
            http.close()


def medians(turns: list[tuple[float, ...]]) -> list[float]:
    """Return the median of each column."""
    return [statistics.median(column) for column in zip(*turns, strict=True)]


def run(tests: int = 30, requests: int = 50, rounds: int = 10) -> str:
    """Return the tables."""
    browser = find("chromium", os.environ)
    if not isinstance(browser, Browser):
        raise BenchmarkError(browser.text())
    rows: list[tuple[str, ...]] = []
    with server() as url:
        for method, name in (("cli", "playwright"), ("mcp", "mcp")):
            with side(name, browser, url) as of:
                without, signed, checked = map(sum, zip(*logins(of, tests), strict=True))
                network, mock, handler = medians(mocks(of, requests, rounds))
            rows += [
                against(f"{method}: {tests} tests with a login, x the same without", signed / without, LOGIN_RATIO),
                against(f"{method}: with a login and its check, x the same without", checked / without, None),
                against(f"{method}: a mocked request, ms more than one of the network", mock - network, MOCK_MS),
                against(f"{method}: a mocked request, x plain Playwright", mock / handler, None),
                (f"{method}: ms of a test without a login", f"{without / tests * 1e3:.1f}", "", ""),
                (f"{method}: ms of a mocked request", f"{mock:.2f}", "", ""),
            ]
    return goals(f"{tests} tests with a login, {requests} mocked requests", rows)
