"""The first screen of the README: a spec of ten lines, and pages that are there. tests/docs/test_docs_examples.py runs it."""

from __future__ import annotations

import re


def test_the_spec_has_ten_lines(root):
    spec = re.search(r"^```yaml\n(.*?)^```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(spec[1].splitlines()) <= 11, "ten lines and the name of the file"


def test_every_page_that_is_named_is_there(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    named = [path for path in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in path]
    assert named
    assert [path for path in named if not (root / path).exists()] == []
