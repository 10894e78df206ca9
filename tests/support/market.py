"""The sample application in the process of the tests, broken as asked, and the tests of its two suites by both drivers."""

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
from orchestra.demo.desk import Desk
from orchestra.demo.desk import application as desk
from orchestra.plan import Plan, Test
from orchestra.runtime.attempt import Request, Result
from orchestra.runtime.browsers.finder import Browser, Missing, find
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.mcp.driver import McpDriver
from orchestra.runtime.driver.playwright.driver import PlaywrightDriver
from orchestra.runtime.driver.signing_in import signed_in
from orchestra.runtime.early_end import EarlyEnd
from orchestra.steps.step import Step
from tests.support.paths import ROOT


def plans() -> dict[str, Plan]:
    """Return the plans of the suites of the application by the first letter of their tests."""
    made = {plan.suite: plan for plan in build(ROOT, ["specs/market.yaml", "specs/desk.yaml"]).plans}
    return {"B": made["market"], "C": made["desk"]}


def listening() -> socket.socket:
    """Return a socket that listens; asyncio sends at once on one that names its protocol."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


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
    """The market and the desk with any of their mutations, each served when first asked for, and two warm drivers.

    The mutations share one session of each driver: a test begins with a clean page there, as in a run.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._names: dict[str, dict[str, str]] = {}
        self._desks: dict[str, dict[str, str]] = {}
        self._browsers: dict[str, Browser | Missing] = {}
        self.http = Http()
        self.drivers = {"playwright": PlaywrightDriver(os.environ), "mcp": McpDriver(os.environ)}
        self._data = market.embedded()
        self.plans = plans()

    def close(self) -> None:
        for driver in self.drivers.values():
            driver.close()
        self.http.close()
        self._stack.close()

    def names(self, mutation: str) -> dict[str, str]:
        """Return the addresses of the market with a mutation."""
        if mutation not in self._names:
            listeners = [listening() for _ in range(2)]
            api, page = (f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in listeners)
            behind = backend.application(
                self._data, cached=False, model="stub", broken=mutation, failing=faults.Faults()
            )
            self._stack.enter_context(served(behind, listeners[0]))
            self._stack.enter_context(served(frontend.application(api, mutation), listeners[1]))
            self._names[mutation] = {"backend.url": api, "frontend.url": page}
        return self._names[mutation]

    def desk(self, mutation: str) -> dict[str, str]:
        """Return the address of the desk with a mutation."""
        if mutation not in self._desks:
            listener = listening()
            self._stack.enter_context(served(desk(Desk(self._data, mutation)), listener))
            self._desks[mutation] = {"desk.url": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        return self._desks[mutation]

    def test(self, test_id: str) -> Test:
        """Return the test of an id; the first one of a matrix or of rows."""
        return next(test for test in self.plans[test_id[0]].tests if test_id in (test.id, test.of))

    def browser(self, name: str) -> Browser | Missing:
        if name not in self._browsers:
            self._browsers[name] = find(name, os.environ, ROOT)
        return self._browsers[name]

    def run(self, test: Test, method_id: str, mutation: str, folder: Path) -> Result:
        """Carry out a test against its application with a mutation; what it keeps of the page is no matter here.

        Runs in folders of one parent share their logins.
        """
        plan = self.plans[test.id[0]]
        method = next(method for method in plan.methods if method.id == method_id)
        folder.mkdir()
        logins = folder.parent / "logins"
        logins.mkdir(exist_ok=True)
        request = Request(
            task=f"{method.id}:{test.id}",
            test=msgspec.structs.replace(test, evidence="off"),
            method=method,
            attempt=1,
            root=str(ROOT),
            folder=str(folder),
            names={
                **(self.names(mutation) if plan.suite == "market" else self.desk(mutation)),
                "attempt.dir": str(folder),
                "test.id": test.id,
                "method.id": method.id,
            },
            mark=f"{plan.suite}/{method.id}/{test.id}",
            browser=self.browser(test.browser),
            login=next((login for login in plan.logins if login.id == test.login), None),
            logins=str(logins),
        )
        driver = self.drivers[method.driver]
        return signed_in(request, driver, self.http, {}, early=EarlyEnd(), begun=lambda: None)


def impatient(test: Test, seconds: float, at: str = "") -> Test:
    """Return the test with no wait longer than that: what is broken on purpose never comes.

    With `at`, a place in the spec, other steps have their time.
    """

    def shorter(step: Step) -> Step:
        if at not in ("", *step.at):
            return step
        args = step.args
        if step.verb == "http" and "until" in args:
            return msgspec.structs.replace(step, args={**args, "until": {**args["until"], "within_seconds": seconds}})
        if args.get("within_seconds", 0) <= seconds:
            return step
        return msgspec.structs.replace(step, args={**args, "within_seconds": seconds})

    return msgspec.structs.replace(test, steps=tuple(map(shorter, test.steps)))
