"""docs/security.md names a test for each promise, and the test is there."""

from __future__ import annotations

import ast
import re

import pytest

ROW = re.compile(r"^\| (?P<promise>[^|]+) \| (?P<tests>`tests/[^|]+`) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/\w+/test_\w+\.py)::(test_\w+)`")


def promises(root) -> dict[str, list[tuple[str, str]]]:
    """The rows of the page's tables that name a test."""
    text = (root / "docs/security.md").read_text(encoding="utf-8")
    return {row["promise"]: TEST.findall(row["tests"]) for row in ROW.finditer(text)}


def defined(root, file: str) -> set[str]:
    tree = ast.parse((root / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_promise_names_a_test_that_is_there(root):
    rows = promises(root)
    assert len(rows) >= 4
    for promise, tests in rows.items():
        assert tests, promise
        for file, name in tests:
            assert name in defined(root, file), f"{promise}: {file} has no {name}"


def test_no_row_of_a_table_of_promises_lacks_a_test(root):
    text = (root / "docs/security.md").read_text(encoding="utf-8")
    tables = text.split("| promise | test |\n")[1:]
    assert tables
    for table in tables:
        lines = table.split("\n\n")[0].splitlines()[1:]
        assert [line for line in lines if not ROW.match(line)] == []


def test_a_name_that_is_not_there_is_seen(root):
    with pytest.raises(AssertionError):
        assert "test_no_such" in defined(root, "tests/docs/test_security_page.py")


def test_the_policy_says_how_to_report(root):
    policy = (root / "SECURITY.md").read_text(encoding="utf-8")
    assert "Report a vulnerability" in policy
    assert "docs/security.md" in policy
