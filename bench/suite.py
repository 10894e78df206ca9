"""Measure whole browser suites: 100 tests against Playwright Test, and a long session against its own beginning.

    python -m bench suite          100 tests of three steps and 49 of a to-do list, whole processes, in turns
    python -m bench soak           2,000 tests of four steps in one run of each method

Both tools open the same page, carry out the same steps and use the same browser program. The soak compares the last hundred
tests with the second hundred: seconds from start to start, by the ledger, and the resident memory of the tree of processes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Final

import psutil

from bench import todo
from bench.look import CONFIG, MODULES, NODE
from bench.measure import (
    ORCHESTRA,
    BenchmarkError,
    Case,
    Figure,
    Timing,
    against,
    alternate,
    environment,
    figures,
    table,
    timings,
)
from orchestra.runtime.browsers.finder import Browser, find

PAGE: Final = """<!doctype html><meta charset=utf-8><title>Orders</title><link rel=icon href=data:,>
<label>Message <input id=message></label>
<button onclick="log.textContent += message.value">Send</button><p id=log data-testid=log></p>
<script>for (let row = 0; row < 50; row++) document.body.append(Object.assign(document.createElement('p'),
  { textContent: 'Order ' + row }));</script>"""
TEST: Final = """const { test, expect } = require('@playwright/test');
for (let number = 0; number < COUNT; number++) test('order ' + number, async ({ page }) => {
  await page.goto(URL);
  await page.getByLabel('Message', { exact: true }).fill('order ' + number);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await expect(page.getByTestId('log')).toContainText('order ' + number);
});"""
HUNDRED: Final = 100
STEADY: Final = 1.05
SUITE: Final = "orders"
LOOP: Final = "Playwright for Python, a loop"


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for many requests, as servers have it

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
        """Be quiet."""


@contextmanager
def _site(folder: Path, page: str = PAGE) -> Iterator[str]:
    folder.mkdir()
    (folder / "index.html").write_text(page)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _orders(url: str, count: int) -> dict[str, object]:
    """Return this many tests of a spec, of three steps and an expectation each."""
    return {
        f"order_{number}": {
            "steps": [
                {"goto": url},
                {"fill": {"label": "Message", "exact": True, "value": f"order {number}"}},
                {"click": {"role": "button", "name": "Send", "exact": True}},
                {"expect": {"testid": "log", "to": {"contain": f"order {number}"}}},
            ]
        }
        for number in range(count)
    }


def _project(folder: Path, tests: Mapping[str, object]) -> Path:
    """Write a project of orchestra with these tests, compiled."""
    methods = {"cli": {"driver": "playwright"}, "mcp": {"driver": "mcp", "session": {"single": True}}}
    (folder / "specs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n")
    spec = {"orchestra": 1, "suite": SUITE, "methods": methods, "tests": tests}
    (folder / "specs" / f"{SUITE}.yaml").write_text(json.dumps(spec, indent=1))
    subprocess.run([*ORCHESTRA, "compile"], cwd=folder, env=environment({}), capture_output=True, check=True)
    return folder


def _playwright_test(folder: Path, browser: Browser, tests: str) -> Path:
    """Write a project of Playwright Test with these tests."""
    folder.mkdir()
    (folder / "node_modules").symlink_to(MODULES)
    config = CONFIG.replace("EXECUTABLE", json.dumps(browser.executable)).replace("ARGS", json.dumps(browser.args))
    (folder / "playwright.config.js").write_text(config.replace("workers: 1", "fullyParallel: true"))
    (folder / f"{SUITE}.spec.js").write_text(tests)
    return folder


def _browser() -> Browser:
    browser = find("chromium", os.environ)
    if not isinstance(browser, Browser):
        raise BenchmarkError(browser.text())
    return browser


def _ratio(timing: Timing, base: Timing) -> tuple[float, float]:
    return timing.wall / base.wall, timing.cpu / base.cpu


def _taken(
    name: str,
    page: str,
    tests: Callable[[str], tuple[Mapping[str, object], str]],
    rounds: int,
    limits: tuple[float, float, float],
    *,
    by_cpu: bool,
    loop: Callable[[str, Browser], Case] | None = None,
) -> str:
    """Return the tables of a suite by both methods against Playwright Test.

    Args:
        name: of the suite.
        page: that it is about.
        tests: of a spec and of Playwright Test, for an address.
        rounds: in which the processes take turns.
        limits: for the ratios of `cli` with one and with two workers, and of `mcp`.
        by_cpu: those of `cli` are for the CPU time.
        loop: the same steps in plain Playwright for Python, for an address and a browser: what no tool can go below.
    """
    with tempfile.TemporaryDirectory() as folder, _site(Path(folder) / "site", page) as url:
        spec, plain_tests = tests(url)
        ours = _project(Path(folder) / "ours", spec)
        theirs = _playwright_test(Path(folder) / "theirs", _browser(), plain_tests)
        plain = [NODE, "node_modules/@playwright/test/cli.js", "test"]
        cli = [*ORCHESTRA, "run", "--method", "cli"]
        cases = {
            "Playwright Test, 1 worker": Case([*plain, "--workers", "1"], theirs),
            "cli, 1 worker": Case([*cli, "--workers", "1"], ours),
            "Playwright Test, 2 workers": Case([*plain, "--workers", "2"], theirs),
            "cli, 2 workers": Case([*cli, "--workers", "2"], ours),
            "mcp": Case([*ORCHESTRA, "run", "--method", "mcp"], ours),
        }
        if loop is not None:
            cases[LOOP] = loop(url, _browser())
        taken = alternate(cases, rounds)
    one, two = taken["Playwright Test, 1 worker"], taken["Playwright Test, 2 workers"]
    found = [
        Figure("cli, 1 worker, x Playwright Test", *_ratio(taken["cli, 1 worker"], one), limits[0], by_cpu=by_cpu),
        Figure("cli, 2 workers, x Playwright Test", *_ratio(taken["cli, 2 workers"], two), limits[1], by_cpu=by_cpu),
        Figure("mcp, x Playwright Test", *_ratio(taken["mcp"], one), limits[2], by_cpu=True),
    ]
    if loop is not None:
        found.append(Figure(f"{LOOP}, x Playwright Test", *_ratio(taken[LOOP], one), None))
    return "\n".join([timings(name, taken), figures(f"{name}: ratios", found)])


def run(count: int = HUNDRED, rounds: int = 5) -> str:
    """Return the tables of the suites against Playwright Test; `count` tests of orders, half as many of the to-do list."""
    if not MODULES.exists():
        raise BenchmarkError("the programs of tests/npm are not installed: a test that uses them installs them")

    def orders(url: str) -> tuple[Mapping[str, object], str]:
        return _orders(url, count), TEST.replace("URL", json.dumps(url)).replace("COUNT", str(count))

    def tasks(url: str) -> tuple[Mapping[str, object], str]:
        tests = min(todo.TESTS, max(1, count // 2))
        return todo.spec_tests(url, tests), todo.playwright_tests(url, tests)

    def plain(url: str, browser: Browser) -> Case:
        tests = str(min(todo.TESTS, max(1, count // 2)))
        return Case([sys.executable, "-m", "bench.todo", url, tests, browser.executable or "", *browser.args])

    suites = [
        _taken("Suite", PAGE, orders, rounds, (0.65, 0.75, 1.0), by_cpu=False),
        _taken("To-do list", todo.PAGE, tasks, rounds, (0.75, 0.75, 1.0), by_cpu=True, loop=plain),
    ]
    return "\n".join(suites)


@dataclass(frozen=True)
class _Soak:
    """Of each test of a run, in the order of their starts: seconds to the next start, and the MiB in use at that moment."""

    seconds: Sequence[float]
    memory: Sequence[float]

    def part(self, values: Sequence[float], begin: int, count: int) -> float:
        return statistics.median(values[begin : begin + count])


def _memory(pid: int, ended: threading.Event, looks: list[tuple[float, float]]) -> None:
    """Look at the resident memory of a tree of processes, every half second."""
    root = psutil.Process(pid)
    while not ended.wait(0.5):
        total = 0
        try:
            for process in (root, *root.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
        except psutil.Error:
            return
        looks.append((time.time(), total / 2**20))


def _soak(folder: Path, method: str) -> _Soak:
    argv = [*ORCHESTRA, "run", "--method", method, "--workers", "1"]
    ended, looks = threading.Event(), list[tuple[float, float]]()
    with subprocess.Popen(
        argv, cwd=folder, env=environment({}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        watcher = threading.Thread(target=_memory, args=(process.pid, ended, looks))
        watcher.start()
        code = process.wait()
        ended.set()
        watcher.join()
    if code:
        raise BenchmarkError(f"the run by {method} ended with exit code {code}")
    with (folder / ".orchestra" / SUITE / "runs" / "last" / "events.jsonl").open() as lines:
        events = (json.loads(line) for line in lines if '"attempt_started"' in line)
        starts = [
            datetime.fromisoformat(event["time"]).timestamp() for event in events if event["type"] == "attempt_started"
        ]
    at = [next((used for moment, used in looks if moment >= start), looks[-1][1]) for start in starts]
    return _Soak([after - before for before, after in pairwise(starts)], at)


def soak(count: int = 2000, part: int = HUNDRED) -> str:
    """Return the table of a long run by each method."""
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as name, _site(Path(name) / "site") as url:
        folder = _project(Path(name) / "ours", _orders(url, count))
        for method in ("cli", "mcp"):
            found = _soak(folder, method)
            measured: Mapping[str, Sequence[float]] = {
                "ms a test": [s * 1e3 for s in found.seconds],
                "MiB": found.memory,
            }
            for unit, values in measured.items():
                early, late = found.part(values, part, part), found.part(values, len(values) - part, part)
                row, *judged = against(f"{method}: {unit}", late / early, STEADY, digits=3)
                rows.append((row, f"{early:.0f}", f"{late:.0f}", *judged))
    heads = ("median of", f"the second {part}", f"the last {part}", "ratio", "limit", "")
    return table(f"Soak: {count:,} tests in one run", heads, rows)
