"""The history of real runs, and its cache."""

from __future__ import annotations

import json

from orchestra.ledger import history
from tests.support.project import HEAD, py


def test_runs_fill_the_cache_and_it_can_be_made_again(project):
    """What the runs wrote and what their ledgers give are the same to the byte."""
    (project.root / "input.txt").write_text("1")
    spec = f"""{HEAD}
tests:
  a: {{inputs: [input.txt], command: {{argv: [python, -c, pass]}}}}
  b: {py("raise SystemExit(1)")}
"""
    project.write(spec).compile()
    for _ in range(2):
        assert project.run("run").code == 1
    home = project.root / ".orchestra/s"
    assert project.verdicts()["cli:a"] == "unchanged"
    records = history.executions(home)
    assert [sorted(record.executions) for record in records] == [["cli:a", "cli:b"], ["cli:b"]]
    written = (home / history.EXECUTIONS).read_bytes()
    (home / history.EXECUTIONS).unlink()
    (home / history.LAST).unlink()
    history.refresh(home)
    assert (home / history.EXECUTIONS).read_bytes() == written
    assert project.run("run").code == 1
    assert project.verdicts()["cli:a"] == "unchanged"
    assert json.loads((home / history.LAST).read_text())["format"] == history.FORMAT
