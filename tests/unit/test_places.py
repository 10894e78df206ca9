"""JSON pointers of a plan, looked up in the spec files."""

from __future__ import annotations

import pytest

from orchestra.yamltext.places import Places

MAIN = """\
tests:
  "001": {steps: [reload, {goto: x}]}
  B/1~2: {title: odd}
  list: {steps: []}
profiles:
  other:
    tests: {"001": {steps: [back]}}
"""
PART = """\
tests:
  "001": {title: hidden}
  P1: {title: from the part}
blocks: {open: {steps: [reload]}}
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "main.yaml").write_text(MAIN)
    (tmp_path / "part.yaml").write_text(PART)
    (tmp_path / "wrong.yaml").write_text("a: [")
    return tmp_path


@pytest.fixture
def places(root):
    return Places(root, ["main.yaml", "gone.yaml", "wrong.yaml", "part.yaml"])


@pytest.mark.parametrize(
    "pointer, place",
    [
        ("/tests/001", "main.yaml:2:10"),
        ("/tests/001/steps/1", "main.yaml:2:27"),
        ("/tests/B~11~02/title", "main.yaml:3:18"),
        ("/tests/P1/title", "part.yaml:3:15"),
        ("/blocks/open/steps/0", "part.yaml:4:25"),
        ("", "main.yaml:1:1"),
        ("/tests/001/title", "part.yaml:2:18"),
    ],
)
def test_found(places, pointer, place):
    assert str(places.find(pointer)) == place


@pytest.mark.parametrize(
    "pointer",
    [
        "/tests/none",
        "/tests/001/steps/2",
        "/tests/001/steps/-1",
        "/tests/001/steps/²",
        "/tests/001/steps/x",
        "/suite",
        "/tests/P1/title/x",
    ],
)
def test_not_found(places, pointer):
    assert places.find(pointer) is None
    assert places.data(pointer) is None


def test_what_stands_there(places):
    assert places.data("/tests/001/steps/1") == {"goto": "x"}
    assert places.data("/tests/list/steps") == []


def test_a_profile_is_looked_at_first(root):
    places = Places(root, ["main.yaml"], "other")
    assert str(places.find("/tests/001/steps/0")) == "main.yaml:7:29"
    assert str(places.find("/tests/001/steps/1")) == "main.yaml:2:27"


def test_uses_of_blocks_are_named_with_the_block(places):
    assert places.text(["/tests/001/steps/0", "/blocks/open/steps/0"]) == "main.yaml:2:19 (block at part.yaml:4:25)"
    assert places.text(["/tests/001/steps/0"]) == "main.yaml:2:19"
    assert places.text(["/tests/none"]) == ""
    assert places.text([]) == ""


def test_files_are_read_once_and_only_when_asked(root):
    places = Places(root, ["main.yaml"])
    (root / "main.yaml").write_text("tests: {A: {title: late}}\n")
    assert str(places.find("/tests/A")) == "main.yaml:1:12"
    (root / "main.yaml").write_text("other: 1\n")
    assert str(places.find("/tests/A")) == "main.yaml:1:12"
