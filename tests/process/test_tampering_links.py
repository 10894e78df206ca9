"""A link below `.orchestra`, or one that a spec's path meets, leads no verb out of the project."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.forging import forge
from tests.support.project import HEAD, SuiteProject, py

SPEC = f"""{HEAD}tests:
  T1: {{inputs: [specs/s.yaml], command: {{argv: [python, -c, "print(1)"], attach: [kept.txt, "${{attempt.dir}}/*.txt"]}}}}
  T2: {py("raise SystemExit(0 if __import__('os').path.exists('good') else 1)")}
health:
  api: {{service: {{run: [python, -c, "import time; print('up', flush=True); time.sleep(60)"]}}, ready: {{log: {{match: up}}}}}}
"""
FOLDERS = {
    ".",
    "s",
    "s/runs",
    "s/up",
    "RUN",
    "RUN/attempts",
    "RUN/attempts/cli",
    "RUN/output",
    "RUN/services",
    "RUN/workers",
}
"""Of what may be a link, below `.orchestra`, the folders; RUN is the folder of the run."""

REFUSED = {
    (".", "run"),
    (".", "compile"),
    ("s", "run"),
    ("s", "compile"),
    ("s/runs", "run"),
    ("s/runs", "history --prune"),
    ("s/lock", "run"),
    ("s/plan.json", "run"),
    ("s/baseline.json", "report --commit"),
    ("s/up.lock", "up"),
    ("s/up", "up"),
    ("s/up/keeper.log", "up"),
    ("RUN/output", "run --resume"),
}
"""What is refused, and by which verb; what a link leads to is as it was."""

IGNORED = {
    ("s/baseline.json", "baseline reset --all"),
    ("s/history.json", "run"),
    ("s/executions.jsonl", "run"),
    ("s/runs/last", "run"),
    ("s/runs/last", "baseline reset --all"),
    ("s/up.json", "up"),
    ("s/up.wanted.json", "up"),
    ("stamp.json", "compile"),
    ("RUN", "run"),
    ("RUN/attempts", "run --resume"),
    ("RUN/attempts/cli", "run --resume"),
    ("RUN/services", "audit"),
    ("RUN/state.json", "status --json"),
}
"""What is passed over or replaced: what a link leads to is as it was."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> SuiteProject:
    """A project with a run of which one test failed, in a work tree of git."""
    project = SuiteProject(tmp_path_factory.mktemp("ran"))
    (project.root / "kept.txt").write_text("kept")
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project.write(SPEC).compile()
    assert project.run("run").code == 1
    subprocess.run(["git", "init", "-q", "."], cwd=project.root, check=True)
    return project


@pytest.fixture
def project(ran, tmp_path) -> SuiteProject:
    root = shutil.copytree(ran.root, tmp_path / "project", symlinks=True)
    (root / "good").touch()
    return SuiteProject(root)


def planted(project: SuiteProject, name: str) -> Path:
    """Move a file or folder below `.orchestra` out of the project, put a link in its place, and give what it leads to."""
    below = project.root / ".orchestra"
    link = below / name.replace("RUN", f"s/runs/{project.folder.name}")
    outside = project.root.parent / "outside"
    outside.mkdir()
    victim = outside / "victim"
    if link.is_symlink():
        link.unlink()
        (outside / "victim").mkdir()
    elif link.exists():
        shutil.move(link, victim)
    elif name in FOLDERS:
        victim.mkdir()
    else:
        victim.write_text("precious\n" * 9)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(victim)
    return outside


def everything(root: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def carried_out(project: SuiteProject, verb: str):
    if verb == "report --commit":
        config = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
        return project.run("report", "--commit", **dict.fromkeys(config, "t"))
    ended = project.run(*verb.split())
    if verb == "up":
        project.run("down")
    return ended


@pytest.mark.parametrize("name, verb", sorted(REFUSED | IGNORED))
def test_what_a_link_leads_to_is_as_it_was(project, name, verb):
    outside = planted(project, name)
    before = everything(outside)
    ended = carried_out(project, verb)
    assert everything(outside) == before
    assert "Traceback" not in ended.err + ended.out
    if (name, verb) in REFUSED:
        assert ended.code in {2, 3}, ended
        assert "link" in ended.err
    else:
        assert ended.code in {0, 1}, ended


@pytest.mark.parametrize("verb", sorted({verb for _, verb in REFUSED | IGNORED}))
def test_without_the_link_each_verb_does_its_work(project, verb):
    """The control: the same project, the same verb."""
    assert carried_out(project, verb).code in {0, 1}


OUT = {
    "absolute": "/etc/hostname",
    "up and out": "../../../../../outside.txt",
    "by a link": "attempts/cli/T1/1/out.txt",
    "another file of the project": "../../../../kept.txt",
}


@pytest.mark.parametrize("name", OUT)
def test_evidence_that_leads_out_is_not_read(project, name):
    (project.root.parent / "outside.txt").write_text("kept")
    (project.folder / "attempts/cli/T1/1/out.txt").symlink_to(project.root.parent / "outside.txt")

    def named(kind: str, body: dict) -> dict:
        if kind == "attempt_finished" and body["test"] == "T1":
            body["evidence"] = [{**one, "path": OUT[name]} for one in body["evidence"] if one["kind"] == "attachment"]
        return body

    forge(project.folder, named)
    audited = project.run("audit")
    assert audited.code == 1
    assert "cannot be read: it" in audited.out, "a digest of it is not even compared"
    opened = project.run("show", "T1", "--run", "last", "--open", "attachment", BROWSER="true")
    assert opened.code == 3
    assert "cannot open" in opened.err


def test_evidence_of_the_project_has_a_relative_path(project):
    """The control: the attached file lies in the project, and a copy of it in the run's folder."""
    [body] = [event["body"] for event in project.events("attempt_finished") if event["body"]["test"] == "T1"]
    [kept] = [one["path"] for one in body["evidence"] if one["kind"] == "attachment"]
    assert kept == "attempts/cli/T1/1/attached/kept.txt"
    assert project.run("audit").code == 0
    assert "kept.txt" in project.run("show", "T1", "--run", "last").out


def test_a_starter_is_written_into_the_project_alone(tmp_path):
    project = SuiteProject(tmp_path / "project")
    project.root.mkdir()
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    (tmp_path / "outside").mkdir()
    (project.root / "specs").symlink_to(tmp_path / "outside")
    ended = project.run("init")
    assert (ended.code, '"specs/suite.yaml" is outside the project root' in ended.err) == (2, True)
    assert list((tmp_path / "outside").iterdir()) == []
    (project.root / "specs").unlink()
    assert project.run("init").code == 0


LINKED = {
    "cwd": '{argv: ["true"], cwd: out}',
    "cwd, by a name": '{argv: ["true"], cwd: "${env.WHERE}"}',
    "junit": "{argv: [touch, out/j.xml], junit: out/j.xml}",
    "junit, by a name": '{argv: [touch, "${env.WHERE}/j.xml"], junit: "${env.WHERE}/j.xml"}',
    "attach": '{argv: ["true"], attach: ["out/*.xml"]}',
    "attach, made by the command": '{argv: [ln, -s, "${env.WHERE}/j.xml", "${attempt.dir}/x"], attach: ["${attempt.dir}/*"]}',
}


@pytest.fixture
def linked(tmp_path):
    """A project whose `out` leads out, to a JUnit file that is all good."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "j.xml").write_text('<testsuite><testcase name="fine"/></testsuite>')
    (tmp_path / "project").mkdir()
    (tmp_path / "project/out").symlink_to(outside)
    (tmp_path / "project/pyproject.toml").write_text("[tool.orchestra]\n")
    return SuiteProject(tmp_path / "project")


@pytest.mark.parametrize("name", LINKED)
def test_a_path_of_the_spec_that_leads_out_is_an_error(linked, name):
    linked.write(f"{HEAD}tests:\n  T1: {{command: {LINKED[name]}}}\n").compile()
    assert linked.run("run", WHERE=str(linked.root.parent / "outside")).code == 1
    assert linked.verdicts() == {"cli:T1": "error"}
    assert "leaves the project root" in linked.reasons()["cli:T1"]


@pytest.mark.parametrize("inputs", ["out/*.xml", "out/**", "one.xml", "*.xml"])
def test_an_input_that_leads_out_is_not_read_and_nothing_is_unchanged_on_it(linked, inputs):
    (linked.root / "one.xml").symlink_to("../outside/j.xml")
    linked.write(f'{HEAD}tests:\n  T1: {{inputs: ["{inputs}"], command: {{argv: ["true"]}}}}\n').compile()
    digests = []
    for text in ("first", "second"):
        (linked.root.parent / "outside/j.xml").write_text(text)
        assert linked.run("run").code == 0
        assert linked.verdicts() == {"cli:T1": "passed"}
        digests.append(linked.events("verdict")[-1]["body"]["inputs"])
    assert digests[0] == digests[1]
    assert linked.run("run").code == 0
    [note] = [
        event["body"]["message"] for event in linked.events("note") if "inputs of its last" in event["body"]["message"]
    ]
    assert "leads its input" in note
    assert linked.verdicts() == {"cli:T1": "passed"}


def test_an_input_whose_link_stays_inside_is_read(linked):
    """The control: the link leads to a file of the project."""
    (linked.root / "within.xml").write_text("first")
    (linked.root / "one.xml").symlink_to("within.xml")
    linked.write(f'{HEAD}tests:\n  T1: {{inputs: ["one.xml"], command: {{argv: ["true"]}}}}\n').compile()
    given = []
    for text in ("first", "first", "second"):
        (linked.root / "within.xml").write_text(text)
        assert linked.run("run").code == 0
        given.append(linked.verdicts()["cli:T1"])
    assert given == ["passed", "unchanged", "passed"]


@pytest.mark.parametrize("name", LINKED)
def test_one_that_stays_inside_is_followed(linked, name):
    """The control: the link leads to a folder of the project."""
    shutil.move(linked.root.parent / "outside", linked.root / "within")
    (linked.root / "out").unlink()
    (linked.root / "out").symlink_to("within")
    where = "within" if name == "cwd, by a name" else str(linked.root / "within")
    linked.write(f"{HEAD}tests:\n  T1: {{command: {LINKED[name]}}}\n").compile()
    assert linked.run("run", WHERE=where).code == 0
    assert linked.verdicts() == {"cli:T1": "passed"}
