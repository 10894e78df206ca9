"""The accessibility rules of `expect: {a11y: …}` by both browser methods."""

from __future__ import annotations

import json

import pytest

from scripts import axe
from tests.support.both import failed, passed
from tests.support.paths import ROOT
from tests.support.site import page

pytestmark = pytest.mark.browser

START = "<html lang=en><body><main><h1>Shop</h1>"
GOOD, BAD = page(f"{START}<p>Books</p></main>"), page(f"{START}<img src=data:, id=one><img src=data:, id=two></main>")
FRAMED = page(f"{START}<iframe title=Inner srcdoc='<html lang=en><img src=data:, id=inner>'></iframe></main>")
FIXED = page(
    f"{START}<img src=data:, id=late></main><script>setTimeout(() => {{ late.alt = 'A book'; }}, 300)</script>"
)


def a11y(within_seconds=5, **wanted):
    return {"expect": {"a11y": wanted, "within_seconds": within_seconds}}


def test_a_page_without_violations_passes_and_parts_can_be_left_out(both):
    passed(
        both(GOOD, a11y(), a11y(standard="best-practice", include=["main"]), BAD, a11y(exclude=["img"]), FIXED, a11y())
    )


def test_a_violation_fails_with_its_elements_and_so_does_a_part_that_is_not_there(both):
    pages = {"page": (BAD, ["#one", "#two"]), "frame": (FRAMED, ["iframe #inner"])}
    said = [[opened, a11y(0.2, standard="wcag2a", impact="critical")] for opened, _ in pages.values()]
    *violated, (no_part, _) = both.cases(*said, [GOOD, a11y(0.2, include=["#nowhere"])], opened=False)
    for case, (results, _) in zip(pages, violated, strict=True):
        nodes = pages[case][1]
        for result in failed(results, case=case):
            message = "the page violates 1 accessibility rule of wcag2a after 0.2 s: image-alt (critical, "
            assert result.failure.message == f"{message}{len(nodes)} found)", case
            assert result.failure.expected == "no violation of wcag2a of impact critical or higher", case
            head, *found = result.failure.found.splitlines()
            assert head == "image-alt: Images must have alternative text", case
            assert [line.split("  ")[1] for line in found] == nodes, case
            assert result.failure.hint.startswith("read https://dequeuniversity.com/rules/axe/"), case
    cli, mcp = failed(no_part, case="no part")
    assert cli.failure.message == mcp.failure.message
    assert cli.failure.message.startswith("the accessibility rules cannot be checked: ")


def test_the_package_carries_the_locked_axe():
    lock = json.loads((ROOT / "tests" / "npm" / "package-lock.json").read_text())
    version = lock["packages"]["node_modules/axe-core"]["version"]
    assert (axe.TARGET / "axe.min.js").read_text(encoding="utf-8").startswith(f"/*! axe v{version}\n")
    assert "Mozilla Public License" in (axe.TARGET / "LICENSE").read_text()
