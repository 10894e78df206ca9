"""The steps that workers execute now: a file for each worker, for the displays of a run under way.

A worker overwrites one line of its file at each step, which takes a few microseconds, and a display reads it when it draws.
Of a run on several machines there is a file for each node, with a line for each step, as its latest heartbeat has them.
The files are no part of the record: no verdict is based on them, a torn or missing line shows nothing, and each ends with its
worker. `orchestra status` reads them too, so this module imports little.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from orchestra import nofollow

FOLDER: Final = "workers"
"""In the folder of a run: the logs of its workers, and these files."""

SUFFIX: Final = ".step"

_MOST_BYTES: Final = 1 << 16


class RunningStep(NamedTuple):
    """A step that is executed now.

    Attributes:
        task, attempt: that it belongs to.
        section: of the test: `before`, `steps`, `finally`.
        position: its place in the section, from 0.
        number: of steps in the section.
        verb: the kind of step.
        since: its begin, in seconds of the epoch.
    """

    task: str
    attempt: int
    section: str
    position: int
    number: int
    verb: str
    since: float

    def words(self, target: str = "") -> str:
        """Return the step for people, with its target if that is known: `step 3 of 7 click {role: "button"}`."""
        where = "step" if self.section == "steps" else f"step of {self.section}"
        return f"{where} {self.position + 1} of {self.number} {self.verb} {target}".rstrip()


_TYPES: Final = [str, int, str, int, int, str, float]


class StepFile:
    """The writing end: the file of one worker.

    Args:
        path: of the file, in a folder that exists; without one nothing is written.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = -1
        if path is not None:
            with suppress(OSError):  # a full disk costs a display, and the run reports it elsewhere
                self._file = nofollow.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def show(self, step: RunningStep | None) -> None:
        """Write the step in which the worker is; None between tests. Raises nothing."""
        if self._file >= 0:
            line = "" if step is None else json.dumps(step)
            with suppress(OSError):
                os.pwrite(self._file, f"{line}\n".encode(), 0)


NO_DISPLAY: Final = StepFile(None)
"""Shows nothing."""


class NodeSteps:
    """The writing end for nodes: a file for each, which is replaced when it executes other steps. One thread owns it.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._shown: dict[str, list[tuple[Any, ...]]] = {}

    def show(self, node: str, steps: Iterable[RunningStep]) -> None:
        """Write the steps that a node executes, none where it is gone. Raises nothing."""
        steps = list(steps)
        now = [step[:-1] for step in steps]
        if self._shown.get(node, []) == now:
            return
        self._shown[node] = now
        path = self._folder / f"node-{node}{SUFFIX}"
        staged = path.with_suffix(".new")
        with suppress(OSError):  # a full disk costs a display, and the run reports it elsewhere
            if steps:
                nofollow.make_folders(self._folder)
                file = nofollow.open_file(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                with os.fdopen(file, "wb") as stream:
                    stream.writelines(f"{json.dumps(step)}\n".encode() for step in steps)
                nofollow.replace(staged, path)
            else:
                nofollow.unlink(path)

    def close(self) -> None:
        """Remove the files."""
        for node in list(self._shown):
            self.show(node, ())


def running_steps(folder: Path) -> dict[str, RunningStep]:
    """Return the running steps by task.

    Args:
        folder: the run's.
    """
    steps: dict[str, RunningStep] = {}
    with suppress(OSError), os.scandir(folder / FOLDER) as entries:
        for name in sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX)):
            steps.update((step.task, step) for step in _read(folder / FOLDER / name))
    return steps


def _read(path: Path) -> Iterator[RunningStep]:
    try:
        with nofollow.open_read(path) as file:
            lines = file.read(_MOST_BYTES).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, list) and list(map(type, fields)) == _TYPES:
            yield RunningStep(*fields)
