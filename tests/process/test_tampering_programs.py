"""A program or a setting that a pull request brings stands for none of those that orchestra starts of its own accord."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.project import HEAD, Ended, SuiteProject, ended, environment, py

SPEC = f"{HEAD}tests:\n  T1: {py('raise SystemExit(1)')}\n"
NAMES = ("git", "xdg-open", "open", "chromium", "google-chrome", "firefox", "ps", "apt-get", "node", "sh")
VERBS = {
    "run": ("run",),
    "doctor": ("doctor",),
    "report --commit": ("report", "--commit"),
    "show --open": ("show", "T1", "--run", "last", "--open", "log"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> SuiteProject:
    project = SuiteProject(tmp_path_factory.mktemp("ran"))
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project.write(SPEC).compile()
    subprocess.run(["git", "init", "-q", "."], cwd=project.root, check=True)
    assert project.run("run").code == 1
    return project


@pytest.fixture
def project(ran, tmp_path) -> SuiteProject:
    return SuiteProject(shutil.copytree(ran.root, tmp_path / "project", symlinks=True))


def planted(folder: Path, trace: Path) -> None:
    """Put a program of each name into a folder, which leaves a trace when it is started."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / name).write_text(f'#!/bin/sh\necho {name} >> "{trace}"\nexit 1\n')
        (folder / name).chmod(0o755)


def called(project: SuiteProject, verb: str, path: str) -> Ended:
    who = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "t")
    return project.run(*VERBS[verb], PATH=f"{path}:{os.environ['PATH']}", HOME=str(project.root.parent), **who)


@pytest.mark.parametrize("entry", ["{root}/.venv/bin", "{root}/node_modules/.bin", "node_modules/.bin"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_program_of_the_project_is_not_started(project, verb, entry):
    trace = project.root.parent / "trace"
    folder = Path(entry.replace("{root}", str(project.root)))
    planted(project.root / folder, trace)
    called(project, verb, str(folder))
    assert not trace.exists(), trace.read_text()


@pytest.mark.parametrize("verb", VERBS)
def test_one_that_the_user_has_elsewhere_is(project, verb):
    """The control."""
    trace = project.root.parent / "trace"
    planted(project.root.parent / "bin", trace)
    called(project, verb, str(project.root.parent / "bin"))
    wanted = {"show --open": "open"}.get(verb, "git")
    for _ in range(1000):  # the opener is not waited for
        if trace.exists() and wanted in trace.read_text():
            return
        os.sched_yield()
    subprocess.run(["sleep", "1"], check=True)
    assert wanted in trace.read_text()


def bare(folder: Path, trace: Path) -> None:
    """Put the files of a bare repository into a folder: git takes it for one, and starts what its `config` names."""
    (folder / "objects").mkdir()
    (folder / "refs").mkdir()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n"
        f"\tfsmonitor = \"echo started >> '{trace}'; false\"\n"
    )


@pytest.mark.parametrize("verb", ["run", "doctor", "report --commit", "baseline accept"])
def test_a_bare_repository_in_the_project_names_no_program(project, tmp_path, verb):
    trace = tmp_path / "trace"
    (project.root / ".git").rename(tmp_path / ".git")  # the project is a folder of the checkout
    bare(project.root, trace)
    who = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "t")
    ended = project.run(*verb.split(), **who)
    assert "bug of orchestra" not in ended.err
    assert not trace.exists(), trace.read_text()
    subprocess.run(["git", "status"], cwd=project.root, capture_output=True, check=False)
    assert trace.exists(), "the control: git alone starts it"


SETTINGS = {
    "doit.cfg, a command": ("doit.cfg", "[COMMAND]\nrun = doit.cmd_help:Help\n"),
    "doit.cfg, a reporter": ("doit.cfg", "[REPORTER]\norchestra = doit.reporter:ZeroReporter\n"),
    "pyproject.toml, a command": (
        "pyproject.toml",
        '[tool.orchestra]\n[tool.doit.plugins.command]\nrun = "doit.cmd_help:Help"\n',
    ),
    "pyproject.toml, options": (
        "pyproject.toml",
        '[tool.orchestra]\n[tool.doit]\nreporter = "zero"\nnum_process = 7\n',
    ),
}


def test_a_plug_in_of_doit_that_is_installed_stands_for_no_run(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    info = folder / "evil-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[doit.COMMAND]\nrun = doit.cmd_help:Help\n")
    done = ended(["orchestra", "run"], project.root, environment(), packages=[folder])
    assert done.code == 1
    assert "failed      cli:T1" in done.err


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_doit_stand_for_no_run(project, name):
    file, text = SETTINGS[name]
    (project.root / file).write_text(text)
    done = project.run("run")
    assert done.code == 1
    assert "failed      cli:T1" in done.err
