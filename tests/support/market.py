"""The sample application in the process of the tests, broken as asked, and the tests of its suite by both drivers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import msgspec
import uvicorn
from starlette.types import ASGIApp

from orchestra.compiler.build import build
from orchestra.demo import backend, faults, frontend, market
from orchestra.plan import Plan, Test
from orchestra.runtime.attempt import Request, Result
from orchestra.runtime.browsers.finder import Browser, Missing, find
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.mcp.driver import McpDriver
from orchestra.runtime.driver.playwright.driver import PlaywrightDriver
from orchestra.runtime.driver.sections import carry_out
from orchestra.steps.step import Step
from tests.support.paths import ROOT


def plan() -> Plan:
    """Return the plan of specs/market.yaml."""
    return next(made for made in build(ROOT, ["specs/market.yaml"]).plans if made.suite == "market")


@contextmanager
def served(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Serve an application in a thread. What connects before it runs waits in the queue of the socket."""
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


class Market:
    """The application with any of its mutations, each served from the first question for it, and two warm drivers.

    The mutations share one session of each driver: a test begins with a clean page there, as in a run.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._names: dict[str, dict[str, str]] = {}
        self._browsers: dict[str, Browser | Missing] = {}
        self.http = Http()
        self.drivers = {"playwright": PlaywrightDriver(os.environ), "mcp": McpDriver(os.environ)}
        self._data = market.embedded()
        self.plan = plan()

    def close(self) -> None:
        for driver in self.drivers.values():
            driver.close()
        self.http.close()
        self._stack.close()

    def names(self, mutation: str) -> dict[str, str]:
        """Return the addresses of the application with a mutation."""
        if mutation not in self._names:
            listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
            api, page = (f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners)
            behind = backend.application(
                self._data, cached=False, model="stub", broken=mutation, failing=faults.Faults()
            )
            self._stack.enter_context(served(behind, listeners[0]))
            self._stack.enter_context(served(frontend.application(api, mutation), listeners[1]))
            self._names[mutation] = {"backend.url": api, "frontend.url": page}
        return self._names[mutation]

    def test(self, test_id: str) -> Test:
        return next(test for test in self.plan.tests if test.id == test_id)

    def browser(self, name: str) -> Browser | Missing:
        if name not in self._browsers:
            self._browsers[name] = find(name, os.environ, ROOT)
        return self._browsers[name]

    def run(self, test: Test, method_id: str, mutation: str, folder: Path) -> Result:
        """Carry out a test of the suite against the application with a mutation; what it keeps of the page is no matter here."""
        method = next(method for method in self.plan.methods if method.id == method_id)
        folder.mkdir()
        request = Request(
            task=f"{method.id}:{test.id}",
            test=msgspec.structs.replace(test, evidence="off"),
            method=method,
            attempt=1,
            root=str(ROOT),
            folder=str(folder),
            names={
                **self.names(mutation),
                "attempt.dir": str(folder),
                "test.id": test.id,
                "method.id": method.id,
            },
            mark=f"market/{method.id}/{test.id}",
            browser=self.browser(test.browser),
        )
        return carry_out(request, self.drivers[method.driver], self.http)


def impatient(test: Test, seconds: float) -> Test:
    """Return the test with no wait longer than that: what is broken on purpose never comes."""

    def shorter(step: Step) -> Step:
        if step.args.get("within_seconds", 0) <= seconds:
            return step
        return msgspec.structs.replace(step, args={**step.args, "within_seconds": seconds})

    return msgspec.structs.replace(test, steps=tuple(map(shorter, test.steps)))
