"""The method `mcp`: what its driver adds to bare tool calls, how soon it sees a change, and what kills of its server
cost.

    python -m bench.mcp [latency] [lag] [kills] [--rounds N]

`latency`: a warm three-step test through the driver, against the same calls through a bare client of the same server;
the rounds alternate. `lag`: the time from a change of the page to the end of a `wait`, at seeded moments, against
`browser_wait_for`. `kills`: a suite of passing and failing tests, its server killed at seeded moments; a test that ends
as a crash is retried, as in a run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from playwright.sync_api import sync_playwright

from orchestra.plan import Method
from orchestra.runtime.attempt import Request, Result
from orchestra.runtime.browsers.finder import Browser, find, launch_options
from orchestra.runtime.driver.contract import Deadline, Job
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.mcp.driver import McpDriver
from orchestra.runtime.driver.mcp.session import server_argv, server_environment
from orchestra.runtime.driver.sections import carry_out
from orchestra.runtime.scope import Scope
from orchestra.steps.step import Step
from orchestra.steps.vocabulary import mcp_calls
from tests.support.requests import request, steps
from tests.support.site import site

SEED = 4
RATIO = 1.15
THREE = [
    {"goto": "${s.url}/steps.html"},
    {"click": {"role": "button", "name": "Send"}},
    {"expect": {"testid": "log", "to": {"contain": "click 0;"}}},
]


def asked(folder: Path, url: str, browser: Browser, said: list, **options) -> Request:
    made = request(folder, said, browser=browser, driver="mcp", names={"s.url": url}, **options)
    return msgspec.structs.replace(made, method=Method("mcp", "MCP", "mcp", single_session=True))


class Bare:
    """The same server on a browser of its own, and the official client with nothing around it."""

    def __init__(self, url: str, browser: Browser, folder: Path) -> None:
        self._playwright = sync_playwright().start()
        options = launch_options(browser, os.environ)
        self._browser = getattr(self._playwright, browser.engine).launch(**options)
        self._browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        endpoint = self._browser.bind(f"bench-{os.getpid()}")["endpoint"]
        node, *arguments = server_argv(endpoint, folder)
        self._server = StdioServerParameters(
            command=node, args=arguments, env=server_environment(os.environ), cwd=str(folder)
        )
        told = [{"goto": f"{url}/steps.html"}, *THREE[1:]]
        self._calls = [call for step in steps(told) for call in mcp_calls(step, 10.0)]

    async def rounds(self, turns: asyncio.Queue, done: asyncio.Queue) -> None:
        """One round for each turn; the client lives in this one task."""
        async with Client(stdio_client(self._server), mode="legacy") as client:
            await client.list_tools()
            while await turns.get():
                begun = time.perf_counter()
                for call in self._calls:
                    result = await client.call_tool(call.tool, call.arguments)
                    if result.is_error:
                        raise SystemExit(str(result.content))
                await done.put(time.perf_counter() - begun)

    def close(self) -> None:
        self._browser.close()
        self._playwright.stop()


def latency(browser: Browser, rounds: int) -> tuple[list[str], bool]:
    with site() as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare, driver, http = Bare(url, browser, folder), McpDriver(os.environ), Http()
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        turns, done = asyncio.Queue(), asyncio.Queue()
        life = asyncio.run_coroutine_threadsafe(bare.rounds(turns, done), loop)

        def plain() -> float:
            asyncio.run_coroutine_threadsafe(turns.put(True), loop).result()
            return asyncio.run_coroutine_threadsafe(done.get(), loop).result(60)

        def through() -> tuple[float, float]:
            begun = time.perf_counter()
            result = carry_out(asked(folder, url, browser, THREE), driver, http)
            if result.outcome != "passed":
                raise SystemExit(str(result.failure))
            return sum(step.seconds for step in result.steps), time.perf_counter() - begun

        for _ in range(5):
            plain(), through()
        pairs = [(plain(), *through()) for _ in range(rounds)]
        asyncio.run_coroutine_threadsafe(turns.put(False), loop).result()
        life.result(30)
        loop.call_soon_threadsafe(loop.stop)
        driver.close()
        bare.close()
    theirs, ours, whole = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    return [
        f"three warm steps, median of {rounds}",
        f"  bare client          {theirs:7.1f} ms",
        f"  driver, its steps    {ours:7.1f} ms   ratio {ours / theirs:.2f}  (target {RATIO} at most)",
        f"  driver, whole test   {whole:7.1f} ms   with the reset before it and the record of the session after it",
    ], ours / theirs <= RATIO


KINDS = {
    "testid": ({"testid": "slow"}, 0.020),
    "text": ({"text": "there", "exact": True}, 0.020),
    "css": ({"css": "#slow[data-testid]"}, 0.020),
    "role": ({"role": "status", "name": "arrived"}, 0.300),
    "label": ({"label": "Late field"}, 0.300),
}
CHANGE = """() => { document.body.insertAdjacentHTML('afterbegin', '<div id=top></div>'); window.at = 0; later(() => {
  show('slow', 'there'); const top = document.getElementById('top');
  top.innerHTML = '<div role="status" aria-label="arrived">x</div><label>Late field <input></label>';
  window.at = Date.now(); }, DELAY); }"""


def lag(browser: Browser, trials: int) -> tuple[list[str], bool]:
    chance = random.Random(SEED)
    lines, good = [f"lag after the change, ms, median / 95th / max of {trials} seeded trials"], True
    with site() as url, tempfile.TemporaryDirectory() as name:
        folder, driver = Path(name), McpDriver(os.environ)
        attempt = driver.open(asked(folder, url, browser, THREE))
        attempt.bound(1e6)
        scope = Scope({})

        def do(step: Step) -> None:
            attempt.do(Job(step, folder, folder, scope, Deadline(time.monotonic() + 60), 60))

        (goto,) = steps([{"goto": f"{url}/steps.html"}])

        def measure(ends) -> float:
            do(goto)
            delay = chance.randint(30, 250)
            (change,) = steps([{"evaluate": CHANGE.replace("DELAY", str(delay))}])
            do(change)
            ends()
            end = time.time()
            (when,) = steps([{"evaluate": {"script": "() => window.at", "save": "at"}}])
            do(when)
            return end - scope.lookup("saved.at") / 1000

        def row(what: str, ends, target: float | None) -> bool:
            found = sorted(measure(ends) * 1000 for _ in range(trials))
            middle, high = statistics.median(found), found[int(len(found) * 0.95)]
            said = f"(target {target * 1000:.0f} at most)" if target else ""
            lines.append(f"  {what:28} {middle:7.1f} / {high:7.1f} / {found[-1]:7.1f}   {said}")
            return target is None or middle <= target * 1000

        for kind, (target, limit) in KINDS.items():
            (wait,) = steps([{"wait": target}])
            good &= row(f"wait, {kind}", lambda wait=wait: do(wait), limit)
        waited = {"text": "there", "time": 10}
        row("browser_wait_for, text", lambda: driver.session.server.call("browser_wait_for", waited, 20), None)
        driver.close()
    polls = [10_000 - chance.randint(30, 250) for _ in range(trials)]
    lines.append(f"  {'a poll every 10 s (computed)':28} {statistics.median(polls):7.1f} / {max(polls):7.1f}")
    return lines, good


MUST_PASS = [
    *THREE,
    {"fill": {"label": "Message", "exact": True, "value": "new"}},
    {"click": {"role": "button", "name": "Slow"}},
    {"wait": {"testid": "slow"}},
    {"expect": {"placeholder": "Ask me", "to": {"have_value": "new"}}},
    {"check": {"label": "Compact view"}},
    {"expect": {"testid": "log", "to": {"have_text": "over; click 0; compact true;"}}},
]
MUST_FAIL = [*MUST_PASS[:-1], {"expect": {"testid": "log", "to": {"have_text": "click 1;"}, "within_seconds": 0.3}}]
TRIES = 4


@contextmanager
def killed(driver: McpDriver, after: float) -> Iterator[list[bool]]:
    """Kill the server `after` seconds; whether it lived until then."""
    hit: list[bool] = []

    def kill() -> None:
        with suppress(OSError):
            os.kill(driver.session.server_pid or 2**22 + 1, signal.SIGKILL)
            hit.append(True)

    timer = threading.Timer(after, kill)
    timer.start()
    try:
        yield hit
    finally:
        timer.cancel()
        timer.join()


def kills(browser: Browser, count: int) -> tuple[list[str], bool]:
    chance = random.Random(SEED)
    told = {"kills": 0, "wrong verdicts": 0, "lost pages": 0, "restarted in the test": 0, "tried again": 0}
    with site() as url, tempfile.TemporaryDirectory() as name:
        folder, driver, http = Path(name), McpDriver(os.environ), Http()

        def once(said: list) -> Result:
            return carry_out(asked(folder, url, browser, said), driver, http)

        once(MUST_PASS)
        lasting = once(MUST_PASS).seconds
        session = once(MUST_PASS).session.session
        while told["kills"] < count:
            said, wanted = chance.choice([(MUST_PASS, "passed"), (MUST_FAIL, "failed")])
            with killed(driver, chance.uniform(0, lasting * 1.3)) as hit:
                result = once(said)
            told["kills"] += bool(hit)
            told["restarted in the test"] += bool(result.facts.get("mcp_restarts"))
            for _ in range(TRIES):
                state = result.session
                gone = state is None or state.session != session or state.tabs != 1 or "page" in state.reason
                told["lost pages"] += gone
                if not (result.outcome == "error" and result.failure and result.failure.kind == "crash"):
                    break
                told["tried again"] += 1
                result = once(said)
            if result.outcome != wanted:
                told["wrong verdicts"] += 1
                print(f"wanted {wanted}, got {result.outcome}: {result.failure}", file=sys.stderr)
        driver.close()
    lines = ["kills of the MCP server at seeded moments", *(f"  {what:22} {number:5}" for what, number in told.items())]
    return lines, told["wrong verdicts"] == told["lost pages"] == 0


PARTS = {"latency": latency, "lag": lag, "kills": kills}


def run(names: list[str] | None = None, rounds: int = 100) -> str:
    """Return the table of all parts, or of those named."""
    return measure(names or list(PARTS), rounds)[0]


def measure(names: list[str], rounds: int) -> tuple[str, bool]:
    browser = find("chromium", os.environ)
    if not isinstance(browser, Browser):
        raise SystemExit(browser.text())
    parts = [PARTS[name](browser, rounds) for name in names]
    return "\n".join(line for lines, _ in parts for line in lines), all(good for _, good in parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    text, good = measure(given.parts or list(PARTS), given.rounds)
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
