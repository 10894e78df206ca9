"""report.html of a large run, against its ledger and against a plain table; and a run whose page is followed.

    python -m bench page

The large run has tests that do nothing, of the driver of `bench.runtime`. Making its page takes turns with reading its ledger,
each line verified and folded: CPU time, in one process. Its first paint takes turns with that of the same rows as a plain
table of HTML, in one browser. A keystroke is one letter more in the filter: the time of its script, style and layout. The
followed run has commands that sleep; it takes turns with the same run without a page, and each change fetches the data.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from html import escape
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.measure import ORCHESTRA, ROOT, Case, Figure, alternate, environment, figures, ratio
from bench.runtime import NOTHING, fresh, project, work_spec
from orchestra.errors import MachineError
from orchestra.ledger import plan_store
from orchestra.ledger.reading import read
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.view import View
from orchestra.report.html import html
from orchestra.report.loading import relative, report_of
from orchestra.report.rows import Report
from orchestra.runtime.browsers import finder

TYPED = "number t12"
_PAINT = """() => new Promise((done) => new PerformanceObserver((list) => {
  for (const entry of list.getEntriesByName("first-contentful-paint")) done(entry.startTime);
}).observe({ type: "paint", buffered: true }))"""
_KEY = """(text) => { const field = document.querySelector("#filter"); const begun = performance.now();
  field.value = text; field.dispatchEvent(new Event("input")); document.body.offsetHeight; return performance.now() - begun; }"""
_FOLLOW = """\
import os, subprocess, sys
from urllib.request import urlopen

run = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
address = run.stdout.readline().strip()
try:
    with urlopen(address + "events") if address else open(os.devnull, "rb") as events:
        for line in events:
            if line.startswith(b"data"):
                urlopen(address + "data.json").read()
except OSError:
    pass  # the server ends with the run
sys.exit(run.wait())
"""


def run(tests: int = 10_000, followed: int = 60, rounds: int = 5) -> str:
    """Measure, and return the table."""
    with tempfile.TemporaryDirectory() as scratch:
        root = project(Path(scratch) / "work", work_spec(tests, "http", "steps: [{set: {done: well}}]"))
        argv = [sys.executable, "-c", NOTHING, "run"]
        subprocess.run(argv, cwd=root, env=environment({}), capture_output=True, check=True)
        folder = (root / ".orchestra/work/runs/last").resolve()
        report = report_of(root, plan_store.latest(root, folder), folder)
        where = relative(folder, root)
        found = [
            _made(lambda: _read(folder), lambda: html(report, where), rounds),
            *_shown(Path(scratch), html(report, where), report, rounds),
            _followed(Path(scratch) / "followed", followed, rounds),
        ]
    return figures(f"The page of {tests:,} tests", found)


def _read(folder: Path) -> None:
    view = View()
    for event in read(folder / LEDGER):
        view.see(event)


def _made(reading: Callable[[], None], making: Callable[[], str], rounds: int) -> Figure:
    """Return how many times the reading of the ledger the making of the page takes."""
    spent: dict[Callable[[], object], list[float]] = {reading: [], making: []}
    for _ in range(rounds):
        for work, seconds in spent.items():
            begun = time.process_time()
            work()
            seconds.append(time.process_time() - begun)
    times = statistics.median(spent[making]) / statistics.median(spent[reading])
    return Figure("making report.html, x reading the ledger", times, times, 1.5)


def _shown(folder: Path, page: str, report: Report, rounds: int) -> list[Figure]:
    """Return the first paint over that of a plain table, and the 95th percentile of a keystroke in milliseconds."""
    rows = "".join(f"<tr><td>{escape(row.test)}<td>{escape(row.title)}<td>{row.verdict}" for row in report.rows)
    (folder / "plain.html").write_text(f"<!doctype html><title>Tests</title><table>{rows}</table>", encoding="utf-8")
    (folder / "report.html").write_text(page, encoding="utf-8")
    chromium = finder.find("chromium", os.environ, ROOT)
    if not isinstance(chromium, finder.Browser):
        raise MachineError(chromium.text())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**finder.launch_options(chromium, os.environ, headless=True))
        taken: dict[str, list[tuple[float, float]]] = {"plain": [], "report": []}
        for _ in range(rounds):
            for name, times in taken.items():
                times.append(_paint(browser, folder / f"{name}.html", "html[data-ready]" if name == "report" else "tr"))
        keys = _keys(browser, folder / "report.html", rounds)
        browser.close()
    plain, ours = ([statistics.median(part) for part in zip(*times, strict=True)] for times in taken.values())
    paint, drawn = (mine / base for mine, base in zip(ours, plain, strict=True))
    slow = statistics.quantiles(keys, n=20)[-1]
    return [
        Figure("first paint, x a plain table", paint, paint, 3),
        Figure("until the rows are drawn, x a plain table", drawn, drawn, 3),
        Figure("a keystroke in the filter, ms at the 95th percentile", slow, slow, 50),
    ]


def _paint(browser: Browser, file: Path, rows: str) -> tuple[float, float]:
    """Return milliseconds until the first paint, and until the selector `rows` matches."""
    page = browser.new_page()
    begun = time.perf_counter()
    page.goto(file.as_uri())
    page.wait_for_selector(rows, state="attached")
    drawn = 1000 * (time.perf_counter() - begun)
    paint = float(page.evaluate(_PAINT))
    page.close()
    return paint, drawn


def _keys(browser: Browser, file: Path, rounds: int) -> list[float]:
    page = browser.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    texts = [TYPED[: end + 1] for end in range(len(TYPED))]
    taken = [float(page.evaluate(_KEY, text)) for _ in range(rounds) for text in texts]
    page.close()
    return taken


def _followed(folder: Path, tests: int, rounds: int) -> Figure:
    """Return how many times the run without a page the run with one takes."""
    root = project(folder, work_spec(tests, "command", "command: {argv: [sleep, '0.5']}"))
    argv = [sys.executable, "-c", _FOLLOW, *ORCHESTRA, "run"]
    taken = alternate(
        {"without": Case(argv, root, fresh(root)), "with": Case([*argv, "--open"], root, fresh(root))}, rounds
    )
    return ratio("a run whose page is followed, x without", taken["with"], taken["without"], 1.01)
