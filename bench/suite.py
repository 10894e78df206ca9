"""Measure whole browser suites: 100 tests against Playwright Test, and a long session against its own beginning.

    python -m bench suite          100 tests of three steps, whole processes, in turns
    python -m bench soak           2,000 tests of four steps in one run of each method

Both tools open the same page, carry out the same steps and use the same browser program. The soak compares the last hundred
tests with the second hundred: seconds from start to start, by the ledger, and the resident memory of the tree of processes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Final

import psutil

from bench.look import CONFIG, MODULES, NODE
from bench.measure import (
    ORCHESTRA,
    BenchmarkError,
    Case,
    Figure,
    alternate,
    environment,
    figures,
    ratio,
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


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for many requests, as servers have it

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
        """Be quiet."""


@contextmanager
def _site(folder: Path) -> Iterator[str]:
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _project(folder: Path, url: str, count: int) -> Path:
    """Write a project of orchestra with this many tests, compiled."""
    tests = "".join(
        f"  order_{number}:\n    steps:\n"
        f"      - goto: '{url}'\n"
        f"      - fill: {{label: Message, exact: true, value: order {number}}}\n"
        f"      - click: {{role: button, name: Send, exact: true}}\n"
        f"      - expect: {{testid: log, to: {{contain: order {number}}}}}\n"
        for number in range(count)
    )
    head = "orchestra: 1\nsuite: orders\nmethods:\n  cli: {driver: playwright}\n  mcp: {driver: mcp, session: {single: true}}\n"
    (folder / "specs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.orchestra]\n")
    (folder / "specs" / "orders.yaml").write_text(f"{head}tests:\n{tests}")
    subprocess.run([*ORCHESTRA, "compile"], cwd=folder, env=environment({}), capture_output=True, check=True)
    return folder


def _playwright_test(folder: Path, browser: Browser, url: str, count: int) -> Path:
    """Write the same tests for Playwright Test."""
    folder.mkdir()
    (folder / "node_modules").symlink_to(MODULES)
    config = CONFIG.replace("EXECUTABLE", json.dumps(browser.executable)).replace("ARGS", json.dumps(browser.args))
    (folder / "playwright.config.js").write_text(config.replace("workers: 1", "fullyParallel: true"))
    (folder / "orders.spec.js").write_text(TEST.replace("URL", json.dumps(url)).replace("COUNT", str(count)))
    return folder


def _browser() -> Browser:
    browser = find("chromium", os.environ)
    if not isinstance(browser, Browser):
        raise BenchmarkError(browser.text())
    return browser


def run(count: int = HUNDRED, rounds: int = 5) -> str:
    """Return the tables of the suite against Playwright Test."""
    if not MODULES.exists():
        raise BenchmarkError("the programs of tests/npm are not installed: a test that uses them installs them")
    with tempfile.TemporaryDirectory() as name, _site(Path(name) / "site") as url:
        ours = _project(Path(name) / "ours", url, count)
        theirs = _playwright_test(Path(name) / "theirs", _browser(), url, count)
        plain = [NODE, "node_modules/@playwright/test/cli.js", "test"]
        cli = [*ORCHESTRA, "run", "--method", "cli"]
        cases = {
            "Playwright Test, 1 worker": Case([*plain, "--workers", "1"], theirs),
            "cli, 1 worker": Case([*cli, "--workers", "1"], ours),
            "Playwright Test, 2 workers": Case([*plain, "--workers", "2"], theirs),
            "cli, 2 workers": Case([*cli, "--workers", "2"], ours),
            "mcp": Case([*ORCHESTRA, "run", "--method", "mcp"], ours),
        }
        taken = alternate(cases, rounds)
    one, two = taken["Playwright Test, 1 worker"], taken["Playwright Test, 2 workers"]
    found = [
        ratio("cli, 1 worker, x Playwright Test", taken["cli, 1 worker"], one, 0.65),
        ratio("cli, 2 workers, x Playwright Test", taken["cli, 2 workers"], two, 0.75),
        Figure("mcp, x Playwright Test", taken["mcp"].wall / one.wall, taken["mcp"].cpu / one.cpu, 1.0, by_cpu=True),
    ]
    return "\n".join([timings(f"Suite of {count} browser tests", taken), figures("Suite: ratios", found)])


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
    with (folder / ".orchestra" / "orders" / "runs" / "last" / "events.jsonl").open() as lines:
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
        folder = _project(Path(name) / "ours", url, count)
        for method in ("cli", "mcp"):
            found = _soak(folder, method)
            measured: Mapping[str, Sequence[float]] = {
                "ms a test": [s * 1e3 for s in found.seconds],
                "MiB": found.memory,
            }
            for unit, values in measured.items():
                early, late = found.part(values, part, part), found.part(values, len(values) - part, part)
                held = "held" if late <= STEADY * early else "MISSED"
                rows.append(
                    (f"{method}: {unit}", f"{early:.0f}", f"{late:.0f}", f"{late / early:.3f}", f"<= {STEADY:g}", held)
                )
    heads = ("median of", f"the second {part}", f"the last {part}", "ratio", "limit", "")
    return table(f"Soak: {count:,} tests in one run", heads, rows)
