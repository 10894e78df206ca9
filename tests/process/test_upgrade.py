"""A project that version 0.1.0 left: its runs are read, its outputs are known, and one compile brings it to the formats of now."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

import orchestra
from tests.support.project import SuiteProject

GOOD, BAD, CUT = "20261129T025418Z-9e6a", "20261129T025423Z-f1a9", "20261129T025425Z-c17d"
DATA = Path(__file__).parent.parent / "data" / "projects"


@pytest.fixture
def old(tmp_path: Path) -> SuiteProject:
    with tarfile.open(DATA / "0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return SuiteProject(tmp_path / "project")


@pytest.mark.parametrize(
    "words, code, text",
    [
        (f"report {BAD}", 0, f"{BAD}/summary.md"),
        (f"report {BAD} --format md", 0, "Behind B"),
        (f"audit {GOOD}", 0, "sealed whole: 35 events"),
        (f"audit {CUT}", 0, "sealed whole: 33 events, 7 files of evidence, 5 verdicts"),
        (f"audit {GOOD} --gates", 0, "every number and result is the same"),
        (f"audit {GOOD} --policy", 0, "plan_fresh     required    held"),
        (f"events {BAD}", 0, "finished    exit code 1"),
        (f"show B --run {BAD}", 0, '"python" ended with exit code 1'),
        (f"compare {GOOD} {BAD}", 0, "cli:B"),
        ("history", 0, "cli:C  4     100 %  ffff"),
        ("history --flaky", 0, "cli:C"),
        ("baseline show", 0, "cli:B"),
        ("status", 0, "go on       orchestra run --resume"),
    ],
)
def test_what_version_0_1_0_recorded_is_read(old, words, code, text):
    done = old.run(*words.split())
    assert done.code == code, done.err
    assert text in done.out


def test_its_outputs_are_known_as_ours_and_written_once_in_the_formats_of_now(old):
    checked = old.run("compile", "--check")
    assert checked.code == 1
    assert (
        "dodo.py: stale: the spec compiles to something else (of format 1, now 2: see docs/upgrade.md)" in checked.err
    )
    assert "by hand" not in checked.err
    edited = old.root / "docs/old.md"
    edited.write_text(f"{edited.read_text()}edited\n")
    assert "docs/old.md: edited by hand" in old.run("compile", "--check").err
    done = old.run("compile")
    assert done.code == 0, done.err
    assert old.run("compile", "--check", "--full").code == 0
    assert old.run("run").code == 0
    assert old.run("audit", "last").code == 0
    assert "cli:C  5     100 %  fffff" in old.run("history").out, "history goes on"


def test_a_new_version_of_the_program_makes_no_output_stale(old, monkeypatch, tmp_path):
    assert old.run("compile").code == 0
    before = {path: path.read_bytes() for path in old.root.rglob("*") if path.is_file()}
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import orchestra\norchestra.__version__ = '99.0.0'\n")
    newer = {"PYTHONPATH": str(site)}
    assert old.process("--version", **newer).out == "orchestra 99.0.0\n"
    for words in (("compile", "--check", "--full"), ("compile",)):
        done = old.process(*words, **newer)
        assert (done.code, "up to date" in done.err) == (0, True), done.err
    assert {path: path.read_bytes() for path in before if path.name != "stamp.json"} == {
        path: content for path, content in before.items() if path.name != "stamp.json"
    }
    assert old.run("run", **newer).code == 0
    started = json.loads((old.root / ".orchestra/old/runs/last/events.jsonl").read_text().splitlines()[0])
    assert started["body"]["provenance"]["orchestra"] == "99.0.0" != orchestra.__version__
