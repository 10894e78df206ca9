"""The first screen of the README is true: its spec compiles, its commands print what it shows, its run is green."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def blocks(root: Path) -> list[str]:
    return re.findall(
        r"^```(?:yaml|console)\n(.*?)^```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def test_the_spec_has_ten_lines_and_compiles_to_what_is_shown(blocks, project):
    spec, shown = blocks[0], blocks[1]
    assert len(spec.splitlines()) <= 11, "ten lines and the name of the file"
    project.write(spec, "specs/shop.yaml")
    done = project.run("compile")
    assert done.code == 0, done.err
    assert f"$ orchestra compile\n{done.err}$ doit\n" == shown


def test_the_mistake_is_shown_as_it_is_told(blocks, project):
    project.write(blocks[0].replace("needs: [S001]", "needs: [S01]"), "specs/shop.yaml")
    done = project.run("validate")
    assert done.code == 2
    assert f"$ orchestra validate\n{done.out}{done.err}" == blocks[2]


@pytest.mark.browser
def test_the_spec_runs(blocks, project, chromium):
    project.write(blocks[0], "specs/shop.yaml")
    assert project.run("compile").code == 0
    done = project.doit()
    assert done.code == 0, done.err
    folder = (project.root / ".orchestra/shop/runs/last").resolve()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event["body"]["verdict"] for event in events if event["type"] == "verdict"] == ["passed", "passed"]


def test_every_page_that_is_named_is_there(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    named = [path for path in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in path]
    assert named
    assert [path for path in named if not (root / path).exists()] == []
