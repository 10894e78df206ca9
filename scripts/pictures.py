"""Regenerate the pictures of the README from a real run and the real application: `python scripts/pictures.py`.

Needs the environment of `make env`, a Chromium, and fonts with the class marks (Debian: fonts-noto-color-emoji).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from html import escape
from pathlib import Path

import httpx
from playwright.sync_api import Browser as BrowserOfPlaywright
from playwright.sync_api import sync_playwright

from orchestra.runtime.browsers.finder import Browser, find, launch_options

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PAGE = """<style>
body {{ margin: 0; background: #14161b; color: #d7dae0; font: 15px/1.45 "DejaVu Sans Mono", monospace; padding: 20px 26px }}
pre {{ margin: 0; font: inherit; white-space: pre; width: max-content }} b {{ color: #7fd4a0; font-weight: 400 }}
i {{ color: #8a93a3; font-style: normal }}
</style><pre>{text}</pre>"""


def closing_table() -> str:
    """Return the end of a run of the reference suite, from the table on."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestra", "run", "--suite", "market"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
        check=False,
    )
    table = done.stderr[done.stderr.index("\ntest  title") + 1 :]
    lines = ["$ doit", *table.splitlines()]
    return "\n".join(paint(escape(line)) for line in lines)


def paint(line: str) -> str:
    """Mark the words that a terminal shows in colour."""
    return re.sub(r"\bskipped\b", "<i>skipped</i>", re.sub(r"\bpassed\b", "<b>passed</b>", line))


def serve(module: str, *arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server of the demo and wait until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-m", module, "--port", port, *arguments], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(f"{url}/health")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return process, url


def report_pages(browser: BrowserOfPlaywright) -> None:
    """Write the pictures of report.html of the latest run: its first screen, and its timeline in dark."""
    address = (ROOT / ".orchestra/market/runs/last/report.html").resolve().as_uri()
    for name, view, scheme in (("report", "#/", "light"), ("report-timeline", "#/timeline", "dark")):
        page = browser.new_page(viewport={"width": 1180, "height": 760}, device_scale_factor=1.5, color_scheme=scheme)
        page.goto(f"{address}{view}")
        page.locator("html[data-ready]").wait_for()
        page.screenshot(path=IMAGES / f"{name}.png")
        page.close()


def main() -> None:
    """Write docs/images: run.png, market.png, report.png and report-timeline.png."""
    chromium = find("chromium", os.environ, ROOT)
    if not isinstance(chromium, Browser):
        raise SystemExit(chromium.text())
    IMAGES.mkdir(parents=True, exist_ok=True)
    text = closing_table()
    backend, api = serve("orchestra.demo.backend")
    frontend, url = serve("orchestra.demo.frontend", "--api", api)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**launch_options(chromium, os.environ))
            report_pages(browser)
            page = browser.new_page(device_scale_factor=1.5)
            page.set_content(PAGE.format(text=text))
            box = page.locator("pre").bounding_box()
            assert box is not None  # noqa: S101 - a picture without a text would be seen
            page.set_viewport_size({"width": int(box["width"]) + 52, "height": int(box["height"]) + 40})
            page.screenshot(path=IMAGES / "run.png")
            page = browser.new_page(viewport={"width": 1180, "height": 760}, device_scale_factor=1.5)
            page.goto(f"{url}/")
            page.locator('html[data-ready="true"]').wait_for()
            for message in ("Market status", "compare Apple and $nvda"):
                page.get_by_label("Message", exact=True).fill(message)
                page.get_by_role("button", name="Send").click()
                page.get_by_role("button", name="Send").wait_for()
                page.wait_for_function("n => document.querySelectorAll('[data-testid=reply]').length >= n", arg=1)
            page.wait_for_timeout(600)
            page.screenshot(path=IMAGES / "market.png")
            browser.close()
    finally:
        for process in (frontend, backend):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
