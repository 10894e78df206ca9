"""What the repository promises about itself: its locks, its make targets, its wheel, its version, its layers."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import orchestra
from orchestra import resources

LOCKS = ("requirements.txt", "requirements-dev.txt")


def pyproject(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", name, maxsplit=1)[0]).lower()


def blocks(text: str) -> list[str]:
    """The requirements of a lock, each with its hashes on one line."""
    return text.replace("\\\n", " ").splitlines()


# ------------------------------------------------------------------------------------------------------------- locks


@pytest.mark.parametrize("name", LOCKS)
def test_locks_carry_hashes_and_name_no_index(root, name):
    lines = blocks((root / name).read_text())
    assert len(lines) > 30
    for line in lines:
        assert re.match(r"[a-z0-9-]+==[\w.+!]+( ; [^#]+?)? +--hash=sha256:[0-9a-f]{64}", line), line
        assert "://" not in line
        assert "index" not in line.replace("python-multipart", "")


def test_the_locks_hold_what_the_project_asks_for_and_agree(root):
    project = pyproject(root)
    locked, developer = ({normal(line) for line in blocks((root / name).read_text())} for name in LOCKS)
    assert {normal(one) for one in project["project"]["dependencies"]} <= locked
    assert {normal(one) for one in project["dependency-groups"]["dev"]} <= developer
    pins = [set(re.findall(r"^[a-z0-9-]+==\S+", (root / name).read_text(), re.MULTILINE)) for name in LOCKS]
    assert pins[0] <= pins[1]


def test_the_npm_lock_names_no_address(root):
    lock = json.loads((root / "tests" / "npm" / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 50
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if "integrity" not in package] == []


def test_no_tracked_file_names_a_registry_or_a_home(root):
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    hosts = "|".join(
        ["registry" + r"\.npmjs", r"files\.pythonhosted", r"pypi\.org/simple", "/root" + "/", "/work" + "/"]
    )
    found = []
    for name in tracked.stdout.decode().split("\0"):
        path = root / name
        if name and path.is_file() and not path.is_symlink():
            found += [
                f"{name}: {hit}" for hit in re.findall(rf"(?<![\w.}}*-])(?:{hosts})", path.read_text(errors="replace"))
            ]
    assert found == []


# -------------------------------------------------------------------------------------------------------------- make


def test_every_make_target_is_explained_and_help_is_the_default(root):
    done = subprocess.run(["make", "PYTHON=none"], cwd=root, capture_output=True, text=True, check=True)
    listed = re.findall(r"^make ([\w-]+) +\S", done.stdout, re.MULTILINE)
    assert {"demo", "test", "check", "bench", "clean", "help"} <= set(listed)
    phony = re.search(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert set(phony[1].split()) == {*listed, "env", "browser"}


def test_without_a_python_make_says_what_is_needed(root):
    done = subprocess.run(["make", "env", "PYTHON="], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no Python 3.11 or later on PATH; name one: make PYTHON=/path/to/python3" in done.stderr


def test_clean_leaves_nothing_that_a_checkout_makes(root, tmp_path):
    """What tells that a thing was made goes with the thing: a stamp that stayed would vouch for what is gone."""
    shutil.copy(root / "Makefile", tmp_path)
    made = (
        ".venv/stamp",
        ".coverage.x",
        "tests/npm/node_modules/x",
        "tests/npm/.stamp",
        "tests/npm/hosts/node_modules/x",
        "tests/npm/hosts/.stamp",
        ".orchestra/s/runs/x",
        "a/__pycache__/x",
    )
    kept = ("a/b.py", ".orchestra/s/plan.json", "tests/npm/package-lock.json", "tests/npm/hosts/package-lock.json")
    for name in (*made, *kept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean", "PYTHON=none"], cwd=tmp_path, capture_output=True, check=True)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"Makefile", *kept}


def test_ci_stops_at_the_first_failure(root):
    text = (root / ".ci" / "run").read_text()
    assert os.access(root / ".ci" / "run", os.X_OK)
    assert "set -euo pipefail" in text
    assert re.findall(r"^make (\w+)$", text, re.MULTILINE) == ["check", "test", "demo"]


# ------------------------------------------------------------------------------------------------------------- wheel


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> Path:
    """The wheel as the build backend makes it from a copy, so that nothing is left in the checkout."""
    copy = tmp_path_factory.mktemp("copy") / "checkout"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "tests", "bench", "build", "dist")
    shutil.copytree(root, copy, ignore=ignored)
    target = copy / "dist"
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(target)]
    done = subprocess.run(build, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_what_the_program_reads(root, wheel):
    assert wheel.name == f"orchestra_e2e-{orchestra.__version__}-py3-none-any.whl"
    inside = set(zipfile.ZipFile(wheel).namelist())
    for kind in ("schemas", "templates"):
        shipped = {f"orchestra/{kind}/{path.name}" for path in (root / kind).iterdir() if path.is_file()}
        assert shipped <= inside
    package = root / "orchestra"
    wanted = {
        f"orchestra/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= inside
    assert [name for name in inside if name.startswith(("tests/", "bench/", "scripts/", "specs/"))] == []


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The `bin` of a fresh environment with the wheel, whose requirements are those of the environment of the tests."""
    target = tmp_path_factory.mktemp("fresh") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(target)], check=True)
    python = target / "bin" / "python"
    site = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    # Files of a folder that is added so are not read for folders to add, so the checkout does not come along.
    (target / site / "requirements.pth").write_text(str(Path(sys.prefix) / site) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    # What is reached by the line above counts as installed, and the checkout is of the same version.
    subprocess.run([*pip, "--ignore-installed", str(wheel)], check=True)
    return target / "bin"


def test_an_installed_wheel_works_outside_of_a_checkout(installed, tmp_path):
    env = {name: value for name, value in os.environ.items() if name not in {"ORCHESTRA_TREE", "CI", "PYTHONPATH"}}
    env["PATH"] = f"{installed}{os.pathsep}{env['PATH']}"

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    probe = "from orchestra import resources; print(resources.folder('schemas')); print(resources.folder('templates'))"
    package = next(installed.parent.glob("lib/python3.*/site-packages/orchestra"))
    assert run("python", "-c", probe).split() == [str(package / kind) for kind in ("schemas", "templates")]
    assert orchestra.__version__ in run("orchestra", "--version")
    run("orchestra", "init")
    assert "compiled: 1 suite, 2 tests" in run("orchestra", "compile")
    assert "2 passed; 2 in all" in run("orchestra", "run")
    assert "2 passed; 2 in all" in run("python", "-m", "doit")
    assert "up to date" in run("orchestra", "compile", "--check")


def test_a_checkout_finds_its_resources(root):
    assert resources.folder("schemas") == root / "schemas"
    assert resources.path("templates", "x") == root / "templates" / "x"
    assert resources.read_text("schemas", "event.schema.json").startswith("{")
    with pytest.raises(ValueError, match="no kind of resource is named 'nonsense'; there are schemas, templates"):
        resources.folder("nonsense")


def test_a_broken_installation_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "orchestra")
    with pytest.raises(FileNotFoundError, match="the installation lacks"):
        resources.folder("schemas")


# -------------------------------------------------------------------------------------------------------- agreements


def test_the_version_is_one(root):
    assert pyproject(root)["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", orchestra.__version__)
    changes = (root / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)
    assert "## [Unreleased]" in changes
    assert released[:1] in ([], [orchestra.__version__])


def test_contributing_is_short_and_says_what_this_is_not(root):
    text = (root / "CONTRIBUTING.md").read_text()
    assert len(text.splitlines()) <= 60
    assert "## Non-goals" in text


def test_every_third_party_package_has_an_owner(root):
    """Each dependency is in the contract of owners, so that a new one cannot slip in without.

    msgspec has none, because its structs are the records of the whole program.
    """
    contracts = configparser.ConfigParser()
    contracts.read(root / ".importlinter")
    owned = contracts["importlinter:contract:owners"]["forbidden_modules"].split()
    spelled = {"ruamel-yaml": "ruamel", "ruamel-yaml-clib": "ruamel", "python-dotenv": "dotenv"}
    wanted = {
        spelled.get(normal(one), normal(one).replace("-", "_")) for one in pyproject(root)["project"]["dependencies"]
    }
    assert wanted - set(owned) == {"msgspec"}


def test_the_hooks_of_this_repository_fetch_nothing_and_run_what_check_runs(root):
    repos = YAML(typ="safe").load(root / ".pre-commit-config.yaml")["repos"]
    assert {repo["repo"] for repo in repos} == {"local"}
    hooks = {hook["id"]: hook["entry"].removeprefix(".venv/bin/") for repo in repos for hook in repo["hooks"]}
    assert all((Path(sys.executable).parent / entry.split()[0]).exists() for entry in hooks.values())
    makefile = (root / "Makefile").read_text()
    for words in (
        "ruff check",
        "ruff format",
        "-m scripts.generate --check",
        "orchestra compile --check",
        "scripts/words.py",
    ):
        assert f"$(BIN)/{words}" in makefile.replace("$(BIN)/python ", "$(BIN)/"), words
        assert [entry for entry in hooks.values() if words in entry], words


def test_contributing_names_every_target_of_a_working_day(root):
    text = (root / "CONTRIBUTING.md").read_text()
    for target in ("quick", "test T=…", "check", "generate", "test", "test-all"):
        assert f"| `{target}` |" in text
    assert "pre-commit install" in text


def test_the_hook_runs_the_check(root):
    text = (root / ".pre-commit-hooks.yaml").read_text()
    assert "entry: orchestra compile --check" in text
    pattern = re.search(r"files: (\^\(specs.*\$)$", text, re.MULTILINE)[1]
    for name in ("specs/market.yaml", "dodo.py", ".claude/commands/test_cli_full.md", ".orchestra/market/plan.json"):
        assert re.search(pattern, name), name
