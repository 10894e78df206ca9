"""`python` of a spec is the user's: of the active environment, of PATH, and orchestra's own only where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import SuiteProject

OWN = Path(sys.executable).parent
SPEC = """orchestra: 1
suite: s
health:
  seed: {job: {run: [%(word)s, -c, "import sys; open('seed', 'w').write(sys.prefix)"]}}
  server: {needs: [seed], service: {run: [%(word)s, -c, "import sys, time; open('server', 'w').write(sys.prefix); time.sleep(600)"]}}
  probe: {ready: {run: {argv: [%(word)s, -c, "import sys; open('probe', 'w').write(sys.prefix)"]}}}
methods: {cli: {driver: command}}
tests:
  a: {requires: [server, probe], command: {argv: [%(word)s, -c, "import sys; open('test', 'w').write(sys.prefix)"]}}
"""


@pytest.fixture(scope="module")
def active(tmp_path_factory) -> Path:
    """A virtual environment of the user's."""
    folder = tmp_path_factory.mktemp("user") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def environment_of(case: str, active: Path, empty: Path) -> dict[str, str]:
    system = os.pathsep.join(["/bin", str(empty)])
    return {
        "on PATH": {"PATH": f"{active}/bin{os.pathsep}{system}", "VIRTUAL_ENV": ""},
        "active": {"PATH": f"{active}/bin{os.pathsep}{system}", "VIRTUAL_ENV": str(active)},
        "active, not on PATH": {"PATH": str(empty), "VIRTUAL_ENV": str(active)},
        "own is on PATH, too": {"PATH": f"{OWN}{os.pathsep}{empty}", "VIRTUAL_ENV": str(active)},
        "none": {"PATH": str(empty), "VIRTUAL_ENV": ""},
        "gone": {"PATH": str(empty), "VIRTUAL_ENV": str(empty / "no-such-folder")},
    }[case]


CASES = ("on PATH", "active", "active, not on PATH", "own is on PATH, too", "none", "gone")


@pytest.mark.parametrize(
    "case, word",
    [
        *((case, "python") for case in CASES),
        ("none", "python3"),  # where it is looked up is the same for both names
        *(pytest.param(case, "python3", marks=pytest.mark.nightly) for case in CASES if case != "none"),
    ],
)
def test_python_of_a_spec_is_the_user_s_everywhere(project: SuiteProject, active, tmp_path_factory, case, word):
    env = environment_of(case, active, tmp_path_factory.mktemp("empty"))
    project.write(SPEC % {"word": word}).compile()
    done = project.run("run", **env)
    assert done.code == 0, done.err
    expected = str(OWN.parent) if case in {"none", "gone"} else str(active)
    files = ("seed", "server", "probe", "test")
    assert {name: (project.root / name).read_text() for name in files} == dict.fromkeys(files, expected)


@pytest.mark.parametrize(
    "case, words",
    [
        ("on PATH", "{active}/bin/python; the first on PATH"),
        ("active, not on PATH", "{active}/bin/python; VIRTUAL_ENV"),
        ("none", "{own}/python; next to orchestra"),
    ],
)
def test_doctor_names_the_python_of_specs(project, active, tmp_path_factory, case, words):
    project.write(SPEC % {"word": "python"}).compile()
    done = project.run("doctor", **environment_of(case, active, tmp_path_factory.mktemp("empty")))
    [line] = [line for line in done.out.splitlines() if " python of specs " in line]
    assert words.format(active=active, own=OWN) in line


def test_a_python_that_cannot_be_started_is_a_warning_of_the_doctor(project, tmp_path):
    shim = tmp_path / "bin" / "python"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\necho 'pyenv: python: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    project.write(SPEC % {"word": "python"}).compile()
    done = project.run("doctor", PATH=f"{shim.parent}:/bin", VIRTUAL_ENV="")
    [line] = [line for line in done.out.splitlines() if " python of specs " in line]
    assert line.startswith("warning")
    assert "pyenv: python: command not found" in line


def test_a_program_beside_orchestra_is_found_where_the_user_has_none(project, tmp_path):
    project.write(
        "orchestra: 1\nsuite: s\nmethods: {cli: {driver: command}}\n"
        "tests:\n  a: {command: {argv: [playwright, --version]}}\n"
    ).compile()
    assert project.run("run", PATH="/bin", VIRTUAL_ENV="").code == 0
    mine = tmp_path / "mine" / "playwright"
    mine.parent.mkdir()
    mine.write_text("#!/bin/sh\nexit 7\n")
    mine.chmod(0o755)
    assert project.run("run", PATH=f"/bin:{mine.parent}", VIRTUAL_ENV="").code == 1
