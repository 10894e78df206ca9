"""Regenerate the pictures of the README and of docs/report.md from real runs and the real application.

    python scripts/pictures.py            all
    python scripts/pictures.py report     those of report.html only

Needs the environment of `make env`, a Chromium, and fonts with the class marks (Debian: fonts-noto-color-emoji).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path
from typing import Literal

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
        env={
            **os.environ,
            "COLUMNS": "120",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
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


SHOP = Path(__file__).resolve().parent / "shop"
FAULTS = ("", "", "", "slow", "slow", "slow", "slow,lost")
"""The faults of the shop in each run: the last one fails, and the runs before are its history."""

PAGES = (("report", "#/", "light"), ("report-timeline", "#/timeline", "dark"))
SHOP_PAGES = (
    ("report-first", "#/", 860),
    ("report-failure", "#/test/B2/cli", 1180),
    ("report-needs", "#/needs", 340),
    ("report-history", "#/history", 760),
    ("report-run", "#/run", 960),
)
HEIGHT = 760


def report_pages(browser: BrowserOfPlaywright) -> None:
    """Write the pictures of report.html: of the latest run of the reference suite, and of a shop with a history that fails."""
    for name, view, scheme in PAGES:
        picture_of(browser, ROOT / ".orchestra/market/runs/last", name, view, scheme)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "specs").mkdir()
        (root / "pyproject.toml").write_text("[tool.orchestra]\n", encoding="utf-8")
        shutil.copy(SHOP / "shop.yaml", root / "specs")
        shutil.copy(SHOP / "shop.py", root)
        orchestra(root, "compile")
        for faults in FAULTS:
            orchestra(root, "run", SHOP=faults)
        for name, view, height in SHOP_PAGES:
            picture_of(browser, root / ".orchestra/shop/runs/last", name, view, "light", height)
        picture_of_live(browser, root)


def orchestra(root: Path, *words: str, **variables: str) -> None:
    """Run orchestra in a project."""
    start(root, *words, **variables).communicate()


def start(root: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    """Start orchestra in a project."""
    environment = {**os.environ, **variables, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    argv = [sys.executable, "-P", "-m", "orchestra", *words]
    return subprocess.Popen(argv, cwd=root, env=environment, stdout=subprocess.PIPE, text=True)


def picture_of_live(browser: BrowserOfPlaywright, root: Path) -> None:
    """Write the picture of the page of a run under way, while one of its tests waits for the shop."""
    run = start(root, "run", "--open", SHOP="crawling,lost")
    assert run.stdout is not None  # noqa: S101 - it was asked for as a pipe
    page = browser.new_page(viewport={"width": 1180, "height": 560}, device_scale_factor=1.5, color_scheme="light")
    page.goto(run.stdout.readline().strip())
    page.locator("[data-step$=':A2']", has_text="http").wait_for(timeout=120_000)
    page.wait_for_timeout(3000)  # so that its seconds are seen
    page.screenshot(path=IMAGES / "report-live.png")
    page.close()
    run.send_signal(signal.SIGINT)
    run.communicate()


def picture_of(
    browser: BrowserOfPlaywright,
    folder: Path,
    name: str,
    view: str,
    scheme: Literal["light", "dark"],
    height: int = HEIGHT,
    images: Path = IMAGES,
) -> None:
    """Write a picture of a view of the page of a run."""
    page = browser.new_page(viewport={"width": 1180, "height": height}, device_scale_factor=1.5, color_scheme=scheme)
    page.goto(f"{(folder / 'report.html').resolve().as_uri()}{view}")
    page.locator("html[data-ready]").wait_for()
    page.screenshot(path=images / f"{name}.png")
    page.close()


def main() -> None:
    """Write docs/images: run.png, market.png and those of report.html."""
    chromium = find("chromium", os.environ, ROOT)
    if not isinstance(chromium, Browser):
        raise SystemExit(chromium.text())
    IMAGES.mkdir(parents=True, exist_ok=True)
    if sys.argv[1:] == ["report"]:
        closing_table()
        with sync_playwright() as playwright:
            report_pages(playwright.chromium.launch(**launch_options(chromium, os.environ)))
        return
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
