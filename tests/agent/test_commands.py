"""The program that reads the slash commands accepts them."""

from __future__ import annotations

import subprocess

import pytest

from orchestra import plan as plans
from orchestra.compiler.emit import files
from tests.support import plans as plan_samples


@pytest.mark.node
@pytest.mark.xdist_group("node")
def test_claude_accepts_the_commands(node_tools, tmp_path):
    hostile = plan_samples.small(
        "odd", title='a: "b" \\ # c\n---\nx: [', tests=(plans.Test("T1", "---\nmodel: x", ("cli",)),)
    )
    for file in files.files([plan_samples.market(), plan_samples.large(1000), hostile]):
        if file.kind == "command":
            target = tmp_path / "project" / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
    done = subprocess.run(
        node_tools.argv("claude", "plugin", "validate", "--strict", "--json", str(tmp_path / "project")),
        env=node_tools.env(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
