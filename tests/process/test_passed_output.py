"""The folder of a run has one file for the output of all commands that passed, and a folder for each that did not."""

from __future__ import annotations

import json
import os
import shutil
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from orchestra.agent.resources import read
from orchestra.ledger.event import CATALOGUE
from orchestra.project import Project
from tests.support.project import HEAD, SuiteProject, py

TESTS = 30
ROWS = [
    f"  t{number}: {{command: {{argv: [{f'echo, said {number}' if number % 2 else 'sh, -c, exit 0'}]}}}}\n"
    for number in range(TESTS)
]
SPEC = f"""{HEAD}tests:
  bad: {{command: {{argv: [sh, -c, "echo said before it failed; exit 3"]}}}}
  own: {{command: {{argv: [sh, -c, "echo > $DIR/own.txt"], env: {{DIR: "${{attempt.dir}}"}}, attach: ["${{attempt.dir}}/*"]}}}}
  fresh: {{command: {{argv: [sh, -c, "test -d $DIR && echo there"], env: {{DIR: "${{attempt.dir}}"}}}}}}
{"".join(ROWS)}"""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> SuiteProject:
    project = SuiteProject(tmp_path_factory.mktemp("passed"))
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project.write(SPEC).compile()
    assert project.run("run").code == 1
    return project


def part_of(project: SuiteProject, task: str) -> dict:
    [part] = next(one["body"]["evidence"] for one in project.events("attempt_finished") if one["body"]["task"] == task)
    return part


def test_only_what_failed_or_attached_files_has_a_folder(done):
    files = sorted(str(path.relative_to(done.folder)) for path in done.folder.rglob("*") if path.is_file())
    assert [path for path in files if "/" in path] == [
        "attempts/cli/bad/1/output.log",
        "attempts/cli/own/1/output.log",
        "attempts/cli/own/1/own.txt",
        "output/passed.log",
    ]
    assert sorted(path.name for path in (done.folder / "attempts/cli").iterdir()) == ["bad", "own"]
    text = (done.folder / "output/passed.log").read_text()
    assert sorted(text.splitlines()[1::2]) == sorted(["there", *(f"said {number}" for number in range(1, TESTS, 2))])
    assert done.run("audit").code == 0


def test_the_record_of_a_silent_pass_names_no_file(done):
    bodies = {one["body"]["task"]: one["body"] for one in done.events("attempt_finished")}
    assert bodies["cli:t0"]["evidence"] == []
    assert set(bodies["cli:t1"]["evidence"][0]) == {"path", "digest", "bytes", "kind", "offset"}
    assert {one["v"] for one in done.events("attempt_finished")} == {CATALOGUE["attempt_finished"].version}
    gates = {one["body"]["name"]: one["body"]["result"] for one in done.events("gate")}
    assert gates["evidence_complete"] == "passed"


def test_the_output_of_a_pass_is_shown_and_opened_alone(done, tmp_path):
    part = part_of(done, "cli:t1")
    place = f".orchestra/s/runs/{done.folder.name}/output/passed.log"
    told = done.run("show", "t1", "--run", "last")
    assert f"log         {place} (from byte {part['offset']}, 7 bytes)" in told.out
    for name in ("xdg-open", "open"):
        (tmp_path / name).write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/copy && mv {tmp_path}/copy {tmp_path}/opened\n')
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    assert done.process("show", "t1", "--run", "last", "--open", "log", **env).code == 0
    while not (tmp_path / "opened").exists():  # it is not waited for
        time.sleep(0.01)
    assert (tmp_path / "opened").read_text() == "said 1\n"
    uri = f"orchestra://evidence/s/{done.folder.name}/output/passed.log@{part['offset']}+7"
    assert read(Project(done.root), uri).text == "said 1\n"


def test_reports_name_the_output_of_a_pass_and_attach_no_file_that_others_share(done):
    place = f"output/passed.log@{part_of(done, 'cli:t1')['offset']}+7"
    cases = {case.get("name"): case for case in ET.parse(done.folder / "junit.xml").iter("testcase")}
    assert f"[[PROPERTY|output={place}]]" in cases["t1 t1"].findtext("system-out")
    assert "[[ATTACHMENT" not in cases["t1 t1"].findtext("system-out")
    assert "attempts/cli/bad/1/output.log]]" in cases["bad bad"].findtext("system-out")
    tests = {one["name"]: one for one in json.loads((done.folder / "ctrf.json").read_text())["results"]["tests"]}
    assert tests["t1 t1"]["extra"]["output"] == place
    assert "attachments" not in tests["t1 t1"]
    assert [one["path"].rpartition("/")[2] for one in tests["own own"]["attachments"]] == ["output.log", "own.txt"]


@pytest.mark.parametrize("change", ["changed", "cut off", "gone"])
def test_an_audit_finds_output_that_is_not_what_was_recorded(done, tmp_path, change):
    project = SuiteProject(Path(shutil.copytree(done.root, tmp_path / "copy", symlinks=True)))
    file = project.folder / "output/passed.log"
    content = file.read_bytes()
    if change == "gone":
        file.unlink()
    else:
        file.write_bytes(content.replace(b"said 1\n", b"said 2\n") if change == "changed" else content[:-1])
    told = project.run("audit")
    assert (told.code, 'the evidence "output/passed.log@' in told.out) == (1, True)
    if change == "changed":
        part = part_of(done, "cli:t1")
        assert f'"output/passed.log@{part["offset"]}+7" was changed' in told.out


def said(project) -> bool:
    """Whether the whole line is there: Python may write the line feed by itself."""
    [log] = (project.root / ".orchestra/s/runs").glob("2*/output/cli~slow~1.log")
    return log.read_bytes().endswith(b"\n")


def test_the_output_of_a_running_command_is_there_and_remains_after_a_kill(project):
    wait = "import pathlib, time\nprint('begun', flush=True)\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)"
    project.write(
        f"{HEAD}tests:\n  first: {{command: {{argv: [echo, one]}}}}\n  slow: {{needs: [first], {py(wait)[1:]}\n"
    ).compile()
    process = project.start("run")
    while not [*(project.root / ".orchestra/s/runs").glob("*/output/cli~slow~1.log")] or not said(project):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    [folder] = (path for path in (project.root / ".orchestra/s/runs").iterdir() if not path.is_symlink())
    assert (folder / "output/cli~slow~1.log").read_text() == "begun\n"
    (project.root / "go").touch()
    assert project.run("run", "--resume").code == 0
    assert project.run("audit").code == 0
    text = (folder / "output/passed.log").read_text()
    assert text == "==> cli:first, attempt 1 <==\none\n\n==> cli:slow, attempt 1 <==\nbegun\n"
    assert (folder / "output/cli~slow~1.log").read_text() == "begun\n"


def test_the_output_of_shards_is_read_in_the_merged_run(project):
    names = {"a": "one", "b": "two", "c": "three"}
    rows = "".join(f"  {name}: {{command: {{argv: [echo, {word}]}}}}\n" for name, word in names.items())
    project.write(f"{HEAD}tests:\n{rows}").compile()
    folders = []
    for shard in ("1/2", "2/2"):
        assert project.run("run", "--shard", shard).code == 0
        folders.append(str(project.folder))
    merged = project.run("merge", *folders)
    assert merged.code == 0, merged.err
    assert project.run("audit").code == 0
    for name, word in names.items():
        part = part_of(project, f"cli:{name}")
        assert part["path"] in {f"shards/{number}/output/passed.log" for number in (1, 2)}
        uri = f"orchestra://evidence/s/{project.folder.name}/{part['path']}@{part['offset']}+{part['bytes']}"
        assert read(Project(project.root), uri).text == f"{word}\n"
    log = project.folder / "shards/1/output/passed.log"
    log.write_bytes(log.read_bytes().replace(b"one", b"two"))
    assert 'the evidence "shards/1/output/passed.log@' in project.run("audit").out
