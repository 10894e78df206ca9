"""A rollback takes the baseline and the history back with the run, whatever happens in between."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from orchestra.ledger import baseline, history
from orchestra.ledger.checkpoint import go_back, undone
from orchestra.ledger.event import BaselineChanged
from tests.support.paths import ROOT
from tests.support.project import ANY_LOAD, HEAD, SuiteProject

SPEC = f"""{HEAD}
baseline: {{{ANY_LOAD}}}
groups: {{first: {{}}, second: {{after: [first]}}}}
tests:
  a: {{group: first, command: {{argv: ["true"]}}}}
  b: {{group: second, inputs: [specs/s.yaml], command: {{argv: ["true"]}}}}
"""


def own(previous: str | None, digest: str) -> BaselineChanged:
    return BaselineChanged(previous=previous, digest=digest, reason="", by_run=True)


def others(previous: str, digest: str) -> BaselineChanged:
    return BaselineChanged(previous=previous, digest=digest, reason="")


@pytest.mark.parametrize(
    "bodies, found",
    [
        ([], None),
        ([others("a", "b")], None),
        ([own(None, "b")], ("b", None)),
        ([own("a", "b"), own("b", "c")], ("c", "a")),
        ([own("a", "b"), others("b", "x"), own("x", "c")], ("c", "x")),
        ([own("a", "b"), own("a", "c")], ("c", "a")),  # an earlier rollback had put "a" back
        ([own("a", "b"), others("b", "x")], ("b", "a")),
    ],
)
def test_what_the_run_did_to_the_baseline(bodies, found):
    assert undone(bodies) == found


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> SuiteProject:
    """Two good runs; nobody changes it. `baseline.before` is what the second found."""
    root = tmp_path_factory.mktemp("done")
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project = SuiteProject(root).write(SPEC).compile()
    assert project.run("run").code == 0
    home = root / ".orchestra/s"
    shutil.copy(home / baseline.DURATIONS, root / "baseline.before")
    assert project.run("run", "--force").code == 0
    assert (home / baseline.DURATIONS).read_bytes() != (root / "baseline.before").read_bytes()
    return project


@pytest.fixture
def copy(done: SuiteProject, tmp_path) -> SuiteProject:
    return SuiteProject(shutil.copytree(done.root, tmp_path / "copy", symlinks=True))


def test_the_baseline_is_again_what_the_run_found(copy):
    file, before = copy.root / ".orchestra/s" / baseline.DURATIONS, (copy.root / "baseline.before").read_bytes()
    told = copy.run("rollback", "first")
    assert (told.code, told.out.splitlines()[-1]) == (
        0,
        "durations.json is restored to its state before the run",
    )
    assert file.read_bytes() == before
    assert copy.run("audit").code == 1  # it waits to go on
    assert "is already as it was before" in copy.run("rollback", "first").out
    assert copy.run("run", "--resume").code == 0
    assert copy.run("audit").code == 0
    assert file.read_bytes() != before
    assert copy.run("rollback", "first").code == 0
    assert file.read_bytes() == before


def test_where_there_was_no_baseline_there_is_none_again(copy):
    first = min(path.name for path in (copy.root / ".orchestra/s/runs").iterdir())
    file = copy.root / ".orchestra/s" / baseline.DURATIONS
    told = copy.run("rollback", "first", "--run", first)
    assert told.out.splitlines()[-1] == "durations.json has changed since then, and is left alone"
    shutil.copy(copy.root / "baseline.before", file)
    told = copy.run("rollback", "first", "--run", first)
    assert told.out.splitlines()[-1] == "durations.json is removed: there was none before the run"
    assert not file.exists()


def test_what_somebody_else_changed_is_left_alone(copy):
    file = copy.root / ".orchestra/s" / baseline.DURATIONS
    assert copy.run("baseline", "reset", "a").code == 0
    changed = file.read_bytes()
    told = copy.run("rollback", "first")
    assert (told.code, "has changed since then, and is left alone" in told.out) == (0, True)
    assert file.read_bytes() == changed
    file.write_text("no baseline")
    told = copy.run("rollback", "first")
    assert (told.code, "is left alone" in told.out, "orchestra baseline reset" in told.out) == (0, True, True)
    assert file.read_text() == "no baseline"


def test_a_damaged_copy_is_not_put_in_place(copy):
    [kept] = copy.folder.glob("durations-*.json")
    kept.write_bytes(kept.read_bytes().replace(b"0", b"9"))
    file = copy.root / ".orchestra/s" / baseline.DURATIONS
    before = file.read_bytes()
    told = copy.run("rollback", "first")
    assert (told.code, f"{kept.name} in the run's folder, is not whole" in told.out) == (0, True)
    assert file.read_bytes() == before


# Dies, as by SIGKILL, just before the step of this number that changes the disk.
BACK = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from orchestra.ledger.checkpoint import go_back

left = int(sys.argv[3])
armed = False

def step(event, arguments):
    global left
    changes = event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
    changes = changes or (event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
    if armed and changes:
        left -= 1
        if left < 0:
            os._exit(9)

sys.addaudithook(step)
armed = True
go_back(Path(sys.argv[1]), Path(sys.argv[2]), "first", lambda: datetime.now(UTC), "")
"""


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.nightly)])
def test_a_rollback_that_was_cut_off_is_completed_by_the_next(done, tmp_path, step):
    """At every third of its writes, and each night at each of them."""
    before = (done.root / "baseline.before").read_bytes()
    new = (done.root / ".orchestra/s" / baseline.DURATIONS).read_bytes()
    seen = set()
    for number in range(0, 60, step):
        home = shutil.copytree(done.root / ".orchestra/s", tmp_path / str(number), symlinks=True)
        folder = (home / "runs/last").resolve()
        cut = subprocess.run([sys.executable, "-c", BACK, str(home), str(folder), str(number)], cwd=ROOT, check=False)
        found = (home / baseline.DURATIONS).read_bytes()
        assert found in {before, new}, number
        seen.add(found)
        if cut.returncode == 0:
            break
        assert cut.returncode == 9
        go_back(home, folder, "first", lambda: datetime.now(UTC), "again")
        assert (home / baseline.DURATIONS).read_bytes() == before, number
        assert history.load(home / history.LAST)["cli:b"].run == "", number
        assert list(json.loads((folder / "state.json").read_text())["completed"]) == ["cli:a"], number
    else:
        pytest.fail("it never came to its end")
    assert seen == {before, new}
    assert number > 8
