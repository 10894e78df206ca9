"""Measure a warm three-step browser test through the worker against the same steps in plain Playwright for Python.

    python bench/browser_steps.py [rounds]

Both keep one browser and open a fresh context for each test; the rounds alternate, so that the machine's moods meet
both. The worker is the real process with its pipes. Prints the medians in milliseconds and their ratio; the target is
1.15. A second worker shows the step that it executes in a file, as those of a run do: its ratio to the first is printed, too.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import expect, sync_playwright

from orchestra.runtime.attempt import Result
from orchestra.runtime.browsers.finder import Browser, find, launch_options
from tests.support.requests import request
from tests.support.site import site

TARGET = 1.15
WARM = 3
"""Rounds that only fill caches."""
STEPS = [
    {"goto": "${s.url}/steps.html"},
    {"fill": {"label": "Message", "exact": True, "value": "new"}},
    {"expect": {"placeholder": "Ask me", "to": {"have_value": "new"}}},
]


def plain(browser: PlaywrightBrowser, url: str) -> float:
    begun = time.perf_counter()
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    page = context.new_page()
    page.goto(f"{url}/steps.html")
    page.get_by_label("Message", exact=True).fill("new")
    expect(page.get_by_placeholder("Ask me")).to_have_value("new")
    context.close()
    return time.perf_counter() - begun


def through(worker: subprocess.Popen[bytes], line: bytes) -> float:
    if worker.stdin is None or worker.stdout is None:
        raise AssertionError("both were asked for as pipes")
    begun = time.perf_counter()
    worker.stdin.write(line)
    worker.stdin.flush()
    worker.stdout.readline()  # its time begins
    answer = worker.stdout.readline()
    seconds = time.perf_counter() - begun
    result = msgspec.json.decode(answer, type=Result)
    if result.outcome != "passed":
        raise SystemExit(f"the test did not pass: {result.failure}")
    return seconds


def main(rounds: int) -> int:
    found = find("chromium", os.environ)
    if not isinstance(found, Browser):
        raise SystemExit(found.text())
    with site() as url, tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options(found, os.environ))
        line = msgspec.json.encode(request(Path(folder), STEPS, browser=found, names={"s.url": url})) + b"\n"
        argv = [sys.executable, "-m", "orchestra.runtime.worker"]
        shown = [*argv, f"{folder}/worker.step"]
        with (
            subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker,
            subprocess.Popen(shown, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
        ):
            turns = [(plain(browser, url), through(worker, line), through(other, line)) for _ in range(WARM + rounds)]
        browser.close()
    theirs, ours, showing = (statistics.median(times) for times in zip(*turns[WARM:], strict=True))
    print(f"plain Playwright {theirs * 1000:7.1f} ms   (median of {rounds})")
    print(f"worker           {ours * 1000:7.1f} ms")
    print(f"ratio            {ours / theirs:7.2f}      (target {TARGET} at most)")
    print(f"with its step    {showing / ours:7.2f}")
    print(f"python bench/browser_steps.py {rounds}")
    return 0 if ours / theirs <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 40))
