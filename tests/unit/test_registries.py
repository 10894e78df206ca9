"""Tables next to a registry have a row for each of its kinds, and name the one that they lack."""

from __future__ import annotations

import ast

import pytest

from orchestra.compiler import build as compiler
from orchestra.compiler.emit.files import files
from orchestra.compiler.provided import Provided
from orchestra.drivers import DRIVERS, DriverKind
from orchestra.engines import ENGINES
from orchestra.plan import Plugin
from orchestra.recovery import RECOVERY
from tests.support.paths import ROOT


def test_no_code_compares_the_name_of_an_engine_or_of_a_driver():
    """It asks for a property of its row, so that a new one needs no change elsewhere."""
    names = {*ENGINES, *(name for name in DRIVERS if DRIVERS[name].pages)}
    compared = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "orchestra").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and any(isinstance(side, ast.Constant) and side.value in names for side in (node.left, *node.comparators))
    ]
    assert compared == []


def test_every_recovery_step_has_its_row_in_the_docs():
    page = (ROOT / "docs/health.md").read_text(encoding="utf-8")
    assert {kind for kind in RECOVERY if f"| `{kind}` |" not in page and f"| `{{{kind}: " not in page} == set()


@pytest.mark.parametrize("keys", [frozenset({"session", "poll_seconds"}), frozenset({"session"}), frozenset()])
def test_a_driver_of_a_package_is_asked_for_its_properties_and_not_for_its_name(keys, tmp_path, monkeypatch):
    """Each key that it reads has its effect, each other one is refused, and its command names its tools."""
    kind = DriverKind("tool", "tools", frozenset({"browser"}), "tool.driver", keys=keys, tool_calls=True)
    usable = Provided(drivers={**DRIVERS, "tool": kind}, packages=(Plugin("tools", "1.0", drivers=("tool",)),))
    monkeypatch.setattr(compiler, "provided", lambda *_: (usable, []))
    (tmp_path / "s.yaml").write_text(
        "orchestra: 1\nsuite: s\nplugins: [tools]\n"
        "methods: {t: {driver: tool, command: go, session: {single: true}, poll_seconds: 3}}\n"
        "tests: {A: {title: a, steps: [{goto: 'http://localhost/'}]}}\n"
    )
    built = compiler.build(tmp_path, ["s.yaml"])
    refused = {problem.message.split('"')[1] for problem in built.diagnostics if problem.rule == "driver-lacks-key"}
    assert refused == {"session", "poll_seconds"} - keys
    if not refused:
        (plan,) = built.plans
        (method,) = plan.methods
        assert (method.single_session, method.poll_seconds, method.tool_calls) == (True, 3.0, True)
        command = next(file for file in files([plan], "s") if file.path == ".claude/commands/go.md").content.decode()
        assert "All tests share one browser session" in command
