"""Steps through both browser drivers: what must be the same, and the tools that the method `mcp` used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

import msgspec

from orchestra.runtime.attempt import NO_LOOKS, Result
from orchestra.runtime.driver.contract import Driver
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.mcp.driver import McpAttempt
from orchestra.runtime.driver.signing_in import signed_in
from orchestra.runtime.early_end import EarlyEnd
from orchestra.steps.vocabulary import VERBS as VOCABULARY
from tests.support.requests import request
from tests.support.site import unused_address

OPEN = {"goto": "${s.url}/steps.html"}
EVALUATE, CODE = "browser_evaluate", "browser_run_code_unsafe"
ASIDE = {verb: {EVALUATE} for verb in ("click", "download")}  # its answer names the next dialog in the way
ANYWHERE = {"browser_handle_dialog", "browser_tabs"}  # a dialog in the way, a page that closed itself
EVIDENCE = {"browser_take_screenshot", "browser_console_messages", "browser_network_requests"}


class Warm(NamedTuple):
    """A driver with its client of `http` steps, and the thread that owns both."""

    driver: Driver
    http: Http
    thread: ThreadPoolExecutor


Drivers = dict[str, Warm]


@contextmanager
def noted() -> Iterator[list[tuple[str, str]]]:
    """Collect verb and tool of each call of the driver `mcp`, kept as evidence or not."""
    calls: list[tuple[str, str]] = []
    note = McpAttempt._note

    def also(self, tool, *rest):
        calls.append((self._verb, tool))
        note(self, tool, *rest)

    with mock.patch.object(McpAttempt, "_note", also):
        yield calls


class Both:
    """Runs steps through both drivers at once; `tools` are those that the MCP driver used, by verb.

    Evidence is kept where a test asks for it: pictures and texts of a page are a third of the cost of an attempt.
    """

    def __init__(self, folder, url, warm, chromium):
        self._folder, self._url, self._warm, self._chromium = folder, url, warm, chromium
        self._down = unused_address()
        self.tools = {}
        self.logins = folder / "logins"  # of both, as in a run
        self.logins.mkdir(exist_ok=True)

    @property
    def folder(self):
        """The folder of both."""
        return self._folder

    def _carry_out(self, name: str, said: list, options: dict) -> Result:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)  # of a run before, for its pictures
        for file, text in (("a.txt", "first"), ("b.txt", "second")):
            (folder / file).write_text(text)
        names = {"s.url": self._url, "down.url": self._down}
        options = {"evidence": "off", **options}
        looks = options.pop("looks", NO_LOOKS)
        login, logins = options.pop("login", None), options.pop("logins", self.logins)
        asked = request(folder, said, browser=self._chromium, driver=name, names=names, **options)
        asked = msgspec.structs.replace(asked, login=login, logins=str(logins), looks=looks)
        warm = self._warm[name]
        result = signed_in(asked, warm.driver, warm.http, {}, early=EarlyEnd(), begun=lambda: None)
        assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result  # a worker sends it
        return result

    def _begin(self, name: str, said: list, options: dict) -> Future[Result]:
        return self._warm[name].thread.submit(self._carry_out, name, said, options)

    def run(self, name: str, said: list, **options) -> Result:
        """Run steps through one driver."""
        return self._begin(name, said, options).result()

    def __call__(self, *said, opened=True, **options):
        told = [OPEN, *said] if opened else list(said)
        with noted() as calls:
            begun = [self._begin(name, told, options) for name in ("playwright", "mcp")]
            cli, mcp = (one.result() for one in begun)
        assert verdict(mcp) == verdict(cli), (mcp.failure, cli.failure, calls)
        self.tools = {}
        for verb, tool in calls:
            self.tools.setdefault(verb, set()).add(tool)
        assert self.tools.pop("", set()) <= EVIDENCE
        for verb, used in self.tools.items():
            assert used <= {*VOCABULARY[verb].mcp, *ASIDE.get(verb, ()), *ANYWHERE}, (verb, used)
        return cli, mcp

    def again(self):
        """The same, in fresh folders."""
        folder = self._folder / "again"
        folder.mkdir()
        return Both(folder, self._url, self._warm, self._chromium)


def verdict(result):
    """What must be the same: the outcome, the kind of fault and its step, what each step came to, and the files kept."""
    failure = result.failure and (
        result.failure.kind,
        result.failure.section,
        result.failure.step,
        result.failure.pointers,
    )
    kept = sorted(one.path for one in result.evidence if one.kind == "download")
    return result.outcome, failure, [(step.verb, step.outcome) for step in result.steps], kept


def passed(results):
    for result in results:
        assert result.outcome == "passed", result.failure
    return results


def failed(results, outcome="failed", fault="assertion"):
    for result in results:
        assert (result.outcome, result.failure and result.failure.kind) == (outcome, fault), result.failure
    return results
