"""The pictures of the README are of real runs: the first one is the report of the demo."""

from __future__ import annotations

import os
import re
import shutil
import struct
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from scripts import pictures
from tests.support.paths import ROOT


def size(path: Path) -> tuple[int, int]:
    """Return width and height of a PNG."""
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height


def test_each_picture_of_the_readme_and_the_report_page_is_there():
    for page in (ROOT / "README.md", ROOT / "docs" / "report.md"):
        for name in re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", page.read_text(encoding="utf-8")):
            assert min(size(page.parent / name)) > 300, name


@pytest.mark.browser
@pytest.mark.nightly
def test_the_first_picture_of_the_readme_is_the_report_of_the_demo(tmp_path, chromium):
    """UPDATE_GOLDEN=1 writes it: durations differ from run to run, so that the pictures themselves cannot be compared."""
    first = re.search(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert first is not None
    assert first[1] == "docs/images/report.png"
    pictures.closing_table()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.executable, args=list(chromium.args), env=dict(chromium.env) or None
        )
        folder = ROOT / ".orchestra" / "market" / "runs" / "last"
        pictures.picture_of(browser, folder, "report", "#/", "light", images=tmp_path)
        browser.close()
    assert size(tmp_path / "report.png") == size(ROOT / first[1])
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.copy(tmp_path / "report.png", ROOT / first[1])
