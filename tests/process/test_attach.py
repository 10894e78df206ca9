"""Attached files are kept with the run, wherever a command left them."""

from __future__ import annotations

import pytest

from tests.support.project import HEAD

SPEC = f"""{HEAD}secrets: [TOKEN]
tests:
  T1:
    evidence_limit_megabytes: LIMIT
    command: {{argv: [python, tool.py], attach: ["results/**", "${{attempt.dir}}/own.txt"]}}
"""
TOOL = """import os
from pathlib import Path
folder = Path("results/deep")
folder.mkdir(parents=True, exist_ok=True)
count = len(list(Path(".orchestra/s/runs").glob("2*")))
(folder / "trace.txt").write_text(f"run {count}: {os.environ['TOKEN']}\\n")
(folder / f"{os.environ['TOKEN']}.txt").write_text("x" * 2000)
"""
SECRET = "s3cr3t-t0ken-of-mine"


@pytest.fixture
def attached(project):
    """A project whose tool writes its results in the same place each time."""
    (project.root / "tool.py").write_text(TOOL)
    return project


def evidence(project) -> list[str]:
    [body] = [event["body"] for event in project.events("attempt_finished")]
    return [one["path"].removeprefix("attempts/cli/T1/1/") for one in body["evidence"]]


def test_what_was_attached_is_still_there_after_the_next_run_of_its_tool(attached):
    attached.write(SPEC.replace("LIMIT", "1")).compile()
    assert attached.run("run", TOKEN=SECRET).code == 0
    first = attached.folder
    assert evidence(attached) == [
        "output.log",
        "attached/results/deep/__TOKEN__.txt",
        "attached/results/deep/trace.txt",
    ]
    assert attached.run("run", TOKEN=SECRET).code == 0
    assert attached.folder != first
    for folder, text in ((first, "run 1"), (attached.folder, "run 2")):
        copy = folder / "attempts/cli/T1/1/attached/results/deep/trace.txt"
        assert copy.read_text() == f"{text}: ***TOKEN***\n"
        assert attached.run("audit", folder.name).code == 0
    assert (attached.root / "results/deep/trace.txt").read_text() == f"run 2: {SECRET}\n", "the user's own is as it was"
    assert (attached.root / f"results/deep/{SECRET}.txt").exists()


def test_copies_count_for_the_limit_on_evidence(attached):
    attached.write(SPEC.replace("LIMIT", "0.001")).compile()
    assert attached.run("run", TOKEN=SECRET).code == 0
    [body] = [event["body"] for event in attached.events("attempt_finished")]
    assert body["dropped"] == [
        {"path": "attached/results/deep/__TOKEN__.txt", "bytes": 2000, "kind": "attachment"},
    ]
    assert (attached.root / f"results/deep/{SECRET}.txt").stat().st_size == 2000
