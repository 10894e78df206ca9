"""A journal that a pull request brings moves, writes and removes nothing but what a run changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger import history
from orchestra.ledger.transaction import Transaction, recover
from tests.support.project import HEAD, SuiteProject, py

RUN = "20260728T120000Z-0001"
ENTRIES = {
    "a file outside, removed": [["", "../../outside/victim"]],
    "a file outside, by its whole path": [["", "{outside}/victim"]],
    "a file outside, written": [["0", "../../outside/fresh"]],
    "a file of the project, written": [["0", "../../specs/s.yaml"]],
    "a plan, written": [["0", "plan.json"]],
    "a record, removed": [["", f"runs/{RUN}/events.jsonl"]],
    "the lock, removed": [["", "lock"]],
    "a file for the link": [["0", "runs/last"]],
    "a link for a file": [["1", "history.json"]],
    "a link that leads out": [["1", "runs/last"]],
    "no prepared file": [["../plan.json", "history.json"]],
    "a right entry before a wrong one": [["0", "history.json"], ["", "../../outside/victim"]],
}
GARBAGE = {"nested": "[" * 100_000, "no list": '{"0": "history.json"}', "three words": '[["0", "history.json", "x"]]'}
CASES = {name: json.dumps(entries) for name, entries in ENTRIES.items()} | GARBAGE


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    project = SuiteProject(tmp_path_factory.mktemp("compiled") / "project")
    project.write(f"{HEAD}tests:\n  T1: {py('pass')}\n").compile()
    return project.root


@pytest.fixture
def project(compiled, tmp_path) -> SuiteProject:
    shutil.copytree(compiled, tmp_path / "project")
    outside = tmp_path / "project" / "outside"
    outside.mkdir()
    (outside / "victim").write_text("precious")
    return SuiteProject(tmp_path / "project")


def plant(project: SuiteProject, journal: str) -> Path:
    """Put a journal into a suite, with what it needs to be carried out."""
    home = project.root / ".orchestra/s"
    prepared = home / ".prepared"
    prepared.mkdir()
    (prepared / "0").write_bytes(b"planted")
    (prepared / "1").symlink_to("../../../outside/victim")
    (home / "runs" / RUN).mkdir(parents=True)
    (home / "runs" / RUN / "events.jsonl").touch()
    (home / ".commit.json").write_text(journal.replace("{outside}", str(project.root / "outside")))
    return home


def everything(root: Path) -> dict[str, str]:
    """All that is there but the lock, which every one of the verbs takes, and what Python compiles of dodo.py."""
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in sorted(root.rglob("*"))
        if (path.is_symlink() or path.is_file())
        and path.name not in {"lock", ".doit.db"}
        and path.parent.name != "__pycache__"
    }


@pytest.mark.parametrize("name", CASES)
def test_what_no_run_writes_is_refused_and_nothing_is_touched(project, name):
    home = plant(project, CASES[name])
    before = everything(project.root)
    with pytest.raises(MachineError) as refused:
        recover(home)
    assert f'"{home / ".commit.json"}" is not a journal of orchestra: ' in refused.value.message
    assert "nothing was changed" in refused.value.message
    assert "remove it" in refused.value.hint
    assert everything(project.root) == before


@pytest.mark.parametrize("words", [("run",), ("history", "--prune"), ("doit",)], ids=" ".join)
def test_every_verb_that_recovers_refuses_it(project, words):
    plant(project, CASES["a file outside, removed"])
    before = everything(project.root)
    ended = project.doit() if words == ("doit",) else project.run(*words)
    assert ended.code == 3
    assert 'it names "../../outside/victim", and a run changes only history.json' in ended.err
    assert "Traceback" not in ended.err
    assert everything(project.root) == before


@pytest.mark.parametrize("link", [".orchestra", ".orchestra/s", ".orchestra/s/runs", ".orchestra/s/.prepared"])
def test_a_folder_that_is_a_link_is_refused(project, link):
    home = plant(project, json.dumps([["0", "history.json"], ["2", "runs/last"]]))
    (home / ".prepared/1").unlink()
    (home / ".prepared/2").symlink_to(RUN)
    shutil.move(project.root / link, project.root / "elsewhere")
    (project.root / link).symlink_to(project.root / "elsewhere")
    before = everything(project.root)
    with pytest.raises(MachineError, match=r"it is a link, and orchestra follows no link below \.orchestra") as refused:
        recover(home)
    assert f'"{project.root / link}"' in refused.value.message
    assert everything(project.root) == before


@pytest.mark.parametrize(
    "path, where", [(".claude/settings.json", "at this path"), (".orchestra/s/plan.json", r"below \.orchestra")]
)
def test_the_letter_about_a_link_names_its_place(tmp_path, path, where):
    link = tmp_path / path
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path)
    with pytest.raises(OSError, match=f"follows no link {where}"):
        nofollow.read(link)


def test_a_journal_of_a_run_that_was_cut_off_is_carried_out(project):
    """The control: what `recover` refuses differs from this in the names alone."""
    home = plant(project, json.dumps([["0", "history.json"], ["", "baseline.json"], ["2", "runs/last"]]))
    (home / ".prepared/2").symlink_to(RUN)
    (home / "baseline.json").write_text("{}")
    recover(home)
    assert (home / "history.json").read_text() == "planted"
    assert str((home / "runs/last").readlink()) == RUN
    assert not (home / "baseline.json").exists()
    assert not (home / ".prepared").exists()
    assert not (home / ".commit.json").exists()


def test_a_run_writes_no_other_journal(tmp_path):
    change = Transaction(tmp_path)
    for name in ("plan.json", "../x", "runs/last"):
        with pytest.raises(ValueError, match="is not a file that a run changes"):
            change.write(name, b"")
    with pytest.raises(ValueError, match="is not a link that a run changes"):
        change.link(history.LAST, RUN)
