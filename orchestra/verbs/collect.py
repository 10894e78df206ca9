"""Drift of meaning: what a wrapped runner really collects, against what a spec names.

Each command under `collect:` lists what its runner would run. Every value that a test gives to the parameter named by
`of` must occur in that list; a file that was moved or renamed is found before a run finds nothing to do.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from orchestra.compiler.include import Assembled
from orchestra.compiler.lower import resolve
from orchestra.compiler.lower.steps import final_text, text
from orchestra.compiler.schema.spec import Spec
from orchestra.diagnostic import Diagnostic, Place
from orchestra.errors import MachineError, SpecError
from orchestra.runtime import env_files
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.commands import Commands, Finished, Job
from orchestra.suggest import did_you_mean
from orchestra.yamltext.document import Path as SpecPath

BOUND_SECONDS = 300.0
_TAIL_LINES = 5
_SUGGESTED_FROM = 2000


@dataclass(frozen=True, slots=True)
class _Asked:
    """One `collect` of one spec."""

    source: Assembled
    name: str
    argv: tuple[str, ...]
    block: str
    parameter: str

    @property
    def spec(self) -> Spec:
        return cast("Spec", self.source.data)

    def problem(self, rule: str, path: SpecPath, message: str, hint: str) -> Diagnostic:
        return Diagnostic(self.source.place(path), rule, message, hint)


def check(
    root: Path, specs: Sequence[Assembled], environment: Mapping[str, str], bound_seconds: float = BOUND_SECONDS
) -> list[Diagnostic]:
    """Run every `collect` of the specs in parallel, and check their lists.

    Args:
        root: the project root, their working folder.
        specs: what has no problem of its own.
        environment: what the commands inherit.
        bound_seconds: after it a command and all that it started is ended.
    """
    lists = {
        f"{index}": collect for index, collect in enumerate(collect for source in specs for collect in _asked(source))
    }
    if not lists:
        return []
    problems: list[Diagnostic] = []
    with tempfile.TemporaryDirectory(prefix="orchestra-collect-") as folder:
        commands = Commands()
        try:
            for key, collect in lists.items():
                log = Path(folder, key)
                try:
                    commands.start(_job(key, collect, root, environment, log, bound_seconds))
                except SpecError as error:
                    problems += error.diagnostics
                except MachineError as error:
                    path = ("collect", collect.name, "run")
                    problems.append(
                        collect.problem(
                            "collect-failed", path, f'collect "{collect.name}": {error.message}', error.hint
                        )
                    )
            while len(commands):
                for ended in commands.poll(None):
                    problems += _problems_of(lists[ended.key], ended, bound_seconds)
        finally:
            commands.close()
    return sorted(set(problems))


def _asked(source: Assembled) -> Iterator[_Asked]:
    spec = cast("Spec", source.data)
    known = {f"vars.{name}": value for name, value in spec.get("vars", {}).items()}
    for name, entry in spec.get("collect", {}).items():
        block, _, parameter = entry["of"].partition(".")
        yield _Asked(source, name, tuple(final_text(word, known) for word in entry["run"]), block, parameter)


def _job(key: str, one: _Asked, root: Path, environment: Mapping[str, str], log: Path, bound_seconds: float) -> Job:
    variables = env_files.read(root, resolve.env_files(one.spec), environment, partial(_place, one.source))
    environment = {**variables.values, **environment}
    return Job(
        key=key,
        argv=one.argv,
        cwd=root,
        env=environment,
        log=log,
        mark=f"collect-{os.getpid()}/{key}",
        timeout_seconds=bound_seconds,
        mask=Masks((*one.spec.get("secrets", []), *variables.secrets), environment).stream(),
    )


def _place(source: Assembled, pointer: str) -> Place:
    """Return the place of a file in `env_files`."""
    return source.place(("env_files", int(pointer.rpartition("/")[2])))


def _problems_of(collect: _Asked, ended: Finished, bound_seconds: float) -> Iterator[Diagnostic]:
    listed = ended.log.read_text(encoding="utf-8", errors="replace") if ended.log.exists() else ""
    if ended.timed_out or ended.exit_code != 0:
        how = (
            f"did not end within {bound_seconds:g} seconds"
            if ended.timed_out
            else f"was ended by signal {ended.signal}"
            if ended.exit_code is None
            else f"ended with exit code {ended.exit_code}"
        )
        tail = " | ".join(listed.split("\n")[-_TAIL_LINES - 1 :]).strip(" |")
        message = f'the command of collect "{collect.name}" {how}'
        yield collect.problem(
            "collect-failed", ("collect", collect.name, "run"), message, f"its output: {tail}" if tail else ""
        )
        return
    for path, value in _given(collect):
        if not _occurs(value, listed):
            words = sorted(set(re.findall(r"[^\s\"',]+", listed)))[:_SUGGESTED_FROM]
            message = f'"{value}" is not in the list of collect "{collect.name}"{did_you_mean(value, words)}'
            place = collect.source.place(("collect", collect.name), key=True)
            yield collect.problem("collect-missing", path, message, f"correct it, or the command at {place}")


def _given(collect: _Asked) -> Iterator[tuple[SpecPath, str]]:
    """Yield each value that a test gives to the parameter, and where."""
    variables = {f"vars.{name}": value for name, value in collect.spec.get("vars", {}).items()}
    for test_id, test in collect.spec["tests"].items():
        arguments = test.get("use", {}).get(collect.block)
        if arguments is None:
            continue
        for _, values in resolve.matrix_tests(test_id, test):
            known = {**variables, **resolve.values_known(test, values)}
            yield ("tests", test_id, "use", collect.block, collect.parameter), text(arguments[collect.parameter], known)


def _occurs(value: str, listed: str) -> bool:
    """Return True if the list names the value: whole, not as a part of a longer name."""
    return re.search(rf"(?<![\w.-]){re.escape(value)}(?![\w-])", listed) is not None
