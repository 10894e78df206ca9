"""Steps through both browser drivers: what must be the same, and the tools that the method `mcp` used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

import msgspec

from orchestra.runtime.attempt import NO_LOOKS, Result
from orchestra.runtime.driver import sections
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


Case = tuple[tuple[Result, Result], dict[str, set[str]]]
"""The results of a case by both drivers, and the tools that the MCP driver used for it, by verb."""


@contextmanager
def going_on(lengths: Sequence[int], calls: Sequence[object]) -> Iterator[dict[str, list[tuple[Result, int]]]]:
    """Let the steps of an attempt be cases of so many steps each: after one that fails the next one begins.

    A page of its own for each case costs less than an attempt of its own. Collects, by driver, the result of each case,
    whose steps are counted from its first one, and the number of calls by then.
    """
    found: dict[str, list[tuple[Result, int]]] = {}
    whole: Callable = sections._Attempt._section

    def each(attempt, section, steps, allowed):
        if section != "steps":
            return whole(attempt, section, steps, allowed)
        begin, asked = 0, attempt._request
        for length in lengths:
            records, kept = len(attempt._records), len(attempt._kept)
            ended = whole(attempt, section, steps[begin : begin + length], allowed)
            outcome, failure = ended or ("passed", None)
            done, files = tuple(attempt._records[records:]), tuple(attempt._kept[kept:])
            result = Result(asked.task, asked.attempt, outcome, 0.0, failure, done, files)
            found.setdefault(asked.method.driver, []).append((result, len(calls)))
            begin += length
        return None

    with mock.patch.object(sections._Attempt, "_section", each):
        yield found


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
        self.tools = used_tools(calls)
        return cli, mcp

    def cases(self, *cases: Sequence[object], opened: bool = True, **options: object) -> list[Case]:
        """Run cases in one attempt, each on a page of its own, also after one that fails; return what came of each."""
        told = [[OPEN, *case] if opened else [*case] for case in cases]
        steps = [step for case in told for step in case]
        options = {"timeout_seconds": 300, **options}
        with noted() as calls, going_on([len(case) for case in told], calls) as found:
            begun = [self._begin(name, steps, options) for name in ("playwright", "mcp")]
            whole = passed([one.result() for one in begun])
        came, before = [], 0
        for (cli, _), (mcp, after), case in zip(found["playwright"], found["mcp"], cases, strict=True):
            assert verdict(mcp) == verdict(cli), (case, mcp.failure, cli.failure, calls[before:after])
            came.append(((cli, mcp), used_tools(calls[before:after])))
            before = after
        cli, mcp = whole
        assert verdict(mcp) == verdict(cli)
        return came

    def again(self):
        """The same, in fresh folders."""
        folder = self._folder / "again"
        folder.mkdir()
        return Both(folder, self._url, self._warm, self._chromium)


def used_tools(calls: Sequence[tuple[str, str]]) -> dict[str, set[str]]:
    """Return the tools that were called, by verb; each must be one that the verb may use."""
    tools: dict[str, set[str]] = {}
    for verb, tool in calls:
        tools.setdefault(verb, set()).add(tool)
    assert tools.pop("", set()) <= EVIDENCE
    for verb, used in tools.items():
        assert used <= {*VOCABULARY[verb].mcp, *ASIDE.get(verb, ()), *ANYWHERE}, (verb, used)
    return tools


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


def passed(results, case=""):
    for result in results:
        assert result.outcome == "passed", (case, result.failure)
    return results


def failed(results, outcome="failed", fault="assertion", case=""):
    for result in results:
        assert (result.outcome, result.failure and result.failure.kind) == (outcome, fault), (case, result.failure)
    return results
