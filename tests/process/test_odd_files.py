"""A pipe in the place of a file of the project is not waited for, and a link that leads to itself leads nowhere."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import contextmanager, suppress

import pytest

from tests.support.project import HEAD, SuiteProject

SPEC = f'{HEAD}tests:\n  T1: {{command: {{argv: ["true"]}}}}\n'
OUTPUTS = ("dodo.py", "docs/s.md", ".orchestra/s/plan.json", ".orchestra/outputs.txt", ".orchestra/.gitignore")


@pytest.fixture
def project(tmp_path) -> SuiteProject:
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    return SuiteProject(tmp_path).write(SPEC).compile()


@contextmanager
def piped(path, content: bytes):
    """Put a pipe in the place of a file; who waits for its content gets it, so that no fault hangs this test."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    over = threading.Event()

    def feed() -> None:
        while not over.wait(0.02):
            with suppress(OSError), os.fdopen(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "wb") as pipe:
                pipe.write(content)  # there is a reader

    writer = threading.Thread(target=feed)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@pytest.mark.parametrize("verb", ["compile", "compile --check --full", "compile --check"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_pipe_is_no_output(project, name, verb):
    with piped(project.root / name, (project.root / name).read_bytes()):
        ended = project.run(*verb.split())
    assert (ended.code, f'"{name}" cannot be read: it is not a regular file' in ended.err) == (3, True)


def test_a_pipe_holds_no_settings(project):
    with piped(project.root / "pyproject.toml", b"[tool.orchestra]\nsuite = 5\n"):
        assert project.run("validate").code == 0


def test_a_pipe_is_no_spec_by_which_a_project_is_found(tmp_path):
    project = SuiteProject(tmp_path).write(SPEC)
    (tmp_path / "specs/s.yaml").rename(tmp_path / "s.yaml")
    with piped(tmp_path / "specs/s.yaml", SPEC.encode()):
        assert project.run("validate").code == 2
    (tmp_path / "specs/s.yaml").unlink()
    (tmp_path / "s.yaml").rename(tmp_path / "specs/s.yaml")
    assert project.run("validate").code == 0


def test_settings_that_are_nested_too_deeply_are_told(project):
    (project.root / "pyproject.toml").write_text(f"[tool.orchestra]\nspecs = {'[' * 5000}\n")
    ended = project.run("validate")
    assert (ended.code, "this is not TOML" in ended.err) == (2, True)


ROUND = """tests:
  cwd: {command: {argv: ["true"], cwd: round}}
  junit: {command: {argv: ["true"], junit: round/j.xml}}
  attach: {command: {argv: ["true"], attach: [round, "round/*", "**/*.txt"]}}
  inputs: {inputs: [round, "round/*"], command: {argv: ["true"]}}
  word: {requires: [tool], command: {argv: ["true"]}}
health:
  tool: {job: {run: ["true", round]}}
"""


def test_a_link_that_leads_to_itself_leads_nowhere(project):
    project.write(HEAD + ROUND).compile()
    (project.root / "round").symlink_to("round")
    assert project.run("run").code == 1
    verdicts = {task.partition(":")[2]: verdict for task, verdict in project.verdicts().items()}
    assert verdicts == {"cwd": "error", "junit": "error", "attach": "passed", "inputs": "passed", "word": "passed"}


@pytest.mark.parametrize(
    "name, verb, code",
    [
        ("specs/s.yaml", "run --list", 2),
        ("specs/s.yaml", "validate", 2),
        ("specs/s.yaml", "validate specs/s.yaml", 2),
        ("dodo.py", "compile", 3),
        ("pyproject.toml", "validate", 0),
        ("specs", "init", 2),
        (".orchestra/s/runs/last/ctrf.json", "audit", 1),
    ],
)
def test_nor_does_one_in_the_place_of_a_file(project, name, verb, code):
    assert project.run("run").code == 0
    path = (project.root / name).parent.resolve() / name.rpartition("/")[2]
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(path.name)
    ended = project.run(*verb.split())
    assert (ended.code, "bug of orchestra" in ended.err) == (code, False), ended
