"""A project in a temporary folder: a spec, compiled, and run as a user would run it."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO
from unittest import mock

from orchestra import cli
from orchestra.gates.standard import STANDARD
from tests.support import forks

HEAD = "orchestra: 1\nsuite: s\nmethods: {cli: {driver: command, workers: 2}}\n"

STATE = Path(tempfile.gettempdir()) / f"orchestra-tests-{os.getuid()}"
"""The state folder of the user as whom these tests run projects: the developer's stays as it is."""


ANY_LOAD = "max_load_percent: 100"
"""In `baseline`, for tests of durations that other programs on the machine of the tests must not disturb."""


def environment(**more: str) -> dict[str, str]:
    """The environment of a user: without what belongs to the run of these tests."""
    own = {"ORCHESTRA_TREE", "CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    return {**{name: value for name, value in os.environ.items() if name not in own}, **more}


@dataclass(frozen=True)
class Ended:
    """What came of a command line."""

    code: int
    out: str
    err: str


PROCESS_VERBS = {"run", "up", "down", "health", "doctor"}
"""Verbs that start servers, browsers or workers, or hear signals; the others only read and write files."""


def needs_process(words: Sequence[str]) -> bool:
    """Return whether a command line is more than text and files."""
    return "--help" not in words and not PROCESS_VERBS.isdisjoint(words)


def call(words: Sequence[str], folder: Path, env: Mapping[str, str], *, together: bool = False) -> Ended:
    """Call the command line in the process of the tests, as in `folder`: with that environment, at a pipe, without input.

    What it prints for people comes with its data, as to one terminal, if that is asked for `together`.
    """
    out, apart = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    err = out if together else apart
    with (
        mock.patch.dict(os.environ, env, clear=True),
        contextlib.chdir(folder),
        Path(os.devnull).open(encoding="utf-8") as nothing,
        mock.patch.object(sys, "stdin", nothing),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(gc, "freeze"),  # the process goes on
    ):
        try:
            code = cli.run(list(words))
        except SystemExit as end:  # click ends so after a completion
            code = end.code
    return Ended(code, *(stream.buffer.getvalue().decode() for stream in (out, apart)))


def _process(argv: Sequence[str], folder: Path, env: Mapping[str, str], terminal: IO[str] | None = None) -> Ended:
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": terminal or subprocess.PIPE}
    done = subprocess.run(argv, cwd=folder, env=env, text=True, check=False, **streams)
    return Ended(done.returncode, done.stdout, done.stderr or "")


def ended(
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    packages: Sequence[Path] = (),
    terminal: IO[str] | None = None,
    limits: Mapping[str, float] = MappingProxyType({}),
    modules: Sequence[str] = (),
) -> Ended:
    """Run `python -m WORDS` to its end: a fork of what is imported already, or a new process where that is not the same.

    Args:
        words: the program and its arguments.
        folder: the current one.
        env: the whole environment.
        packages: folders on PYTHONPATH, with packages that are imported only when the program asks for them.
        terminal: its stderr; by default a pipe.
        limits: other values of constants, for `orchestra` alone.
        modules: more modules that a fork has imported.
    """
    if not forks.suits(env):
        path = {"PYTHONPATH": os.pathsep.join(map(str, packages))} if packages else {}
        argv = [*shortened(limits), *words[1:]] if limits else [sys.executable, "-m", *words]
        return _process(argv, folder, {**env, **path}, terminal)
    code, *streams = forks.run(words, folder, env, packages=packages, terminal=terminal, limits=limits, modules=modules)
    return Ended(code, *(io.TextIOWrapper(io.BytesIO(text), encoding="utf-8").read() for text in streams))


Process = subprocess.Popen[str] | forks.Begun


def under_way(
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    *,
    limits: Mapping[str, float] = MappingProxyType({}),
    before: Sequence[str] = (),
    modules: Sequence[str] = (),
    alone: bool = False,
) -> Process:
    """Begin `python -m WORDS` in a session of its own: a fork where that is the same as a new process.

    Args:
        words: the program and its arguments.
        folder: the current one.
        env: the whole environment.
        limits: other values of constants, for `orchestra` alone.
        before: the words that start it.
        modules: more modules that a fork has imported.
        alone: whether it has imported nothing yet, for tests of its memory.
    """
    if not (before or alone) and forks.suits(env):
        return forks.start(words, folder, env, limits=limits, modules=modules)
    return subprocess.Popen(
        [*before, *([*shortened(limits), *words[1:]] if limits else [sys.executable, "-m", *words])],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


SHORTER = """\
import importlib, json, sys
for name, value in json.loads(sys.argv.pop(1)).items():
    module, _, constant = name.rpartition(".")
    module = importlib.import_module(module)
    getattr(module, constant)
    setattr(module, constant, value)
from orchestra.cli import main
main()
"""
"""Runs the command line with other values of constants: a program of Python, for `-c`."""


def shortened(limits: Mapping[str, float]) -> list[str]:
    """Return the first words of a command line of `orchestra` with other values of constants."""
    return [sys.executable, "-P", "-c", SHORTER, json.dumps(limits)]


@dataclass(frozen=True)
class SuiteProject:
    """A project root with a `pyproject.toml` that marks it."""

    root: Path

    def write(self, spec: str, name: str = "specs/s.yaml") -> SuiteProject:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(spec, encoding="utf-8")
        return self

    def run(self, *words: str, **env: str) -> Ended:
        """Run `orchestra …` to its end: a verb that only reads and writes files in the process of the tests."""
        if needs_process(words):
            return self.process(*words, **env)
        return call(words, self.root, environment(**env))

    def process(self, *words: str, **env: str) -> Ended:
        """Run `orchestra …` to its end, in a process of its own."""
        return ended(["orchestra", *words], self.root, environment(**env))

    def shortened(self, limits: Mapping[str, float], *words: str, **env: str) -> Ended:
        """Run `orchestra …` in a process of its own whose limits are shorter, so that a test need not wait them out.

        Args:
            limits: values of constants, by their names: `orchestra.git.SECONDS`.
            words: the command line.
            env: variables on top of the environment.
        """
        return ended(["orchestra", *words], self.root, environment(**env), limits=limits)

    def doit(self, *words: str, **env: str) -> Ended:
        """`doit …`, to its end."""
        return ended(["doit", *words], self.root, environment(**env))

    def git(self, *words: str) -> str:
        """`git …` at the root, by a user without a configuration; what it prints."""
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
        argv = ["git", *identity, "-c", "init.defaultBranch=main", *words]
        return subprocess.run(argv, cwd=self.root, check=True, capture_output=True, text=True).stdout

    def start(
        self,
        *words: str,
        limits: Mapping[str, float] = MappingProxyType({}),
        before: Sequence[str] = (),
        modules: Sequence[str] = (),
        alone: bool = False,
        **env: str,
    ) -> Process:
        """`orchestra …`, under way, as `under_way`; `env` are variables on top of the environment."""
        more = {"limits": limits, "before": before, "modules": modules, "alone": alone}
        return under_way(["orchestra", *words], self.root, environment(**env), **more)

    def compile(self) -> SuiteProject:
        done = self.run("compile")
        assert done.code == 0, done.err
        return self

    @property
    def folder(self) -> Path:
        """The folder of the last run."""
        return (self.root / ".orchestra/s/runs/last").resolve()

    def folder_now(self) -> Path:
        """The folder of the only run, which may be under way."""
        [found] = [path for path in (self.root / ".orchestra/s/runs").iterdir() if not path.is_symlink()]
        return found

    def events(self, kind: str = "") -> list[dict]:
        lines = (self.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
        events = [whole(json.loads(line)) for line in lines]
        return [event for event in events if kind in {"", event["type"]}]

    def gates(self) -> list[dict]:
        """What was judged of the gates that the spec has; the standard ones are left out."""
        standard = {(gate.name, gate.require) for gate in STANDARD}
        judged = [event["body"] for event in self.events("gate")]
        return [body for body in judged if (body["name"], body["expression"]) not in standard]

    def verdicts(self) -> dict[str, str]:
        return {event["body"]["task"]: event["body"]["verdict"] for event in self.events("verdict")}

    def reasons(self) -> dict[str, str]:
        return {event["body"]["task"]: event["body"]["reason"] for event in self.events("verdict")}


def whole(event: dict) -> dict:
    """An event with the fields that its line leaves out because they are as for most: the first attempt, a plain pass."""
    body = event["body"]
    match event["type"]:
        case "attempt_started":
            attempt = body.get("attempt", 1)
            usual = {"attempt": attempt, "dir": f"attempts/{body['method']}/{body['test']}/{attempt}"}
        case "attempt_finished":
            usual = {"attempt": 1, "error": None, "steps": [], "evidence": [], "retry": False}
        case "verdict":
            usual = {"reason": "", "attempts": 1, "degraded": []}
        case _:
            return event
    return {**event, "body": usual | body}


def py(code: str) -> str:
    """A command that runs Python code, as flow YAML."""
    return f"{{command: {{argv: [python, -c, {json.dumps(code)}]}}}}"
