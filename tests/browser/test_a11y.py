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


@pytest.mark.parametrize("opened, nodes", [(BAD, ["#one", "#two"]), (FRAMED, ["iframe #inner"])], ids=["page", "frame"])
def test_a_violation_fails_with_its_elements(both, opened, nodes):
    for result in failed(both(opened, a11y(0.2, standard="wcag2a", impact="critical"))):
        message = "the page violates 1 accessibility rule of wcag2a after 0.2 s: image-alt (critical, "
        assert result.failure.message == f"{message}{len(nodes)} found)"
        assert result.failure.expected == "no violation of wcag2a of impact critical or higher"
        head, *found = result.failure.found.splitlines()
        assert head == "image-alt: Images must have alternative text"
        assert [line.split("  ")[1] for line in found] == nodes
        assert result.failure.hint.startswith("read https://dequeuniversity.com/rules/axe/")


def test_a_part_that_is_not_there_fails(both):
    cli, mcp = failed(both(GOOD, a11y(0.2, include=["#nowhere"])))
    assert cli.failure.message == mcp.failure.message
    assert cli.failure.message.startswith("the accessibility rules cannot be checked: ")


def test_the_package_carries_the_locked_axe():
    lock = json.loads((ROOT / "tests" / "npm" / "package-lock.json").read_text())
    version = lock["packages"]["node_modules/axe-core"]["version"]
    assert (axe.TARGET / "axe.min.js").read_text(encoding="utf-8").startswith(f"/*! axe v{version}\n")
    assert "Mozilla Public License" in (axe.TARGET / "LICENSE").read_text()
