"""Start workers, and keep spare ones that outlive a run: `run --watch` takes them for the run after the next save.

The start of a worker and of its browser is most of the time from a save to the first step. A spare worker has opened and
closed the page of a request of the run before, so that its browser is warm. It fits a run with the same environment alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import msgspec

from orchestra import checkout, nofollow
from orchestra.drivers import DRIVERS
from orchestra.errors import OrchestraError
from orchestra.ledger.running_step import SUFFIX
from orchestra.runtime import interpreter, scratch
from orchestra.runtime.attempt import WARM, Request
from orchestra.runtime.engine.outbox import Outbox
from orchestra.runtime.processes.process import Process, end_tree, spawn

Kind: TypeAlias = tuple[str, str]
"""The method and the browser of a worker."""

HEAP_MEGABYTES = 1024
"""The memory limit of Playwright's process and of the MCP server of a worker, against pages that flood them."""

YOUNG_MEGABYTES = 16
"""The limit of each half of the memory for their new objects. By itself Node doubles it after some hundred tests, to 64 MB, which
saves no measurable processor time and looks like a leak.
"""

_LIMITS = {"max-old-space-size": HEAP_MEGABYTES, "max-semi-space-size": YOUNG_MEGABYTES}
"""The limits of Node, as options of it."""

_REGISTRY = "PWTEST_SERVER_REGISTRY"
"""The folder in which Playwright lists browsers to attach to: not in the user's cache, which may not exist."""

MOST = 2
"""The number of spare workers: as many browsers wait for the next save."""


def _heap(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variable with the limits of Node, except those that the user has set: Node takes either spelling."""
    options = environment.get("NODE_OPTIONS", "")
    given = options.replace("_", "-")
    ours = [f"--{name}={value}" for name, value in _LIMITS.items() if f"--{name}" not in given]
    return {"NODE_OPTIONS": " ".join([options, *ours]).strip()} if ours else {}


def start(environment: Mapping[str, str], root: Path, steps: Path, stderr: int | IO[bytes], mark: str) -> Started:
    """Start a worker.

    Args:
        environment: what it inherits.
        root: its working folder.
        steps: the file in which it shows the step that it executes.
        stderr: of the process.
        mark: of its tree.

    Raises:
        MachineError: it cannot be started.
    """
    folder = scratch.make(environment)
    try:
        process = spawn(
            [*interpreter.own("orchestra.runtime.worker"), str(steps)],
            cwd=root,
            env={
                **checkout.environment(environment, root),
                "TMPDIR": str(folder),
                _REGISTRY: str(folder / "browsers"),
                **_heap(environment),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            mark=mark,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    stdin, stdout = process.popen.stdin, process.popen.stdout
    if stdin is None or stdout is None:
        raise AssertionError("both were asked for as pipes")
    return Started(process, Outbox(stdin), stdout, folder, steps)


@dataclass(frozen=True, slots=True)
class Started:
    """A worker process.

    Attributes:
        process: which.
        outbox: to its stdin.
        stdout: its answers.
        scratch: its folder for temporary files.
        steps: the file in which it shows its step.
        errors: the reading end of its stderr, of a spare one.
    """

    process: Process
    outbox: Outbox
    stdout: IO[bytes]
    scratch: Path
    steps: Path
    errors: int = -1

    def end(self) -> None:
        """End it with all of its tree, and remove what its browser and MCP server wrote for themselves."""
        end_tree(self.process, grace_seconds=0.0)
        self.outbox.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        with suppress(OSError):
            nofollow.unlink(self.steps)


class Spares:
    """Spare workers of a process.

    Args:
        root: the project root.
        home: a folder on the disk of the runs, for what they show.
    """

    def __init__(self, root: Path, home: Path) -> None:
        self._root = root
        self._home = home
        self._spares: dict[Kind, tuple[Started, Mapping[str, str]]] = {}
        self._count = 0

    def prepare(self, kind: Kind, environment: Mapping[str, str], request: Request) -> None:
        """Start a spare worker, and let it open its browser as for a request. Where it cannot be started there is none.

        One of a driver that a package brings is not kept: its code may be what is being edited.
        """
        if kind in self._spares or len(self._spares) == MOST or request.method.driver not in DRIVERS:
            return
        self._count += 1
        errors, stderr = os.pipe()
        steps = self._home / f"spare-{self._count}{SUFFIX}"
        try:
            os.close(nofollow.open_file(steps, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, make=True))
            started = start(environment, self._root, steps, stderr, f"watch-{os.getpid()}/spare-{self._count}")
        except (OSError, OrchestraError):
            os.close(errors)
            with suppress(OSError):
                nofollow.unlink(steps)
            return
        finally:
            os.close(stderr)
        spare = Started(started.process, started.outbox, started.stdout, started.scratch, steps, errors)
        self._spares[kind] = (spare, dict(environment))
        with suppress(OSError):  # it is gone, which `take` notices
            opened = msgspec.structs.replace(request, folder=str(spare.scratch), pausing=None, login=None, logins="")
            spare.outbox.send(WARM + msgspec.json.encode(opened) + b"\n")

    def take(self, kind: Kind, environment: Mapping[str, str]) -> Started | None:
        """Hand over the spare worker of a kind; None if there is none that runs in this environment."""
        spare, began_in = self._spares.pop(kind, (None, {}))
        if spare is None:
            return None
        if spare.process.popen.poll() is None and began_in == environment:
            return spare
        self._end(spare)
        return None

    def close(self) -> None:
        """End them."""
        while self._spares:
            self._end(self._spares.popitem()[1][0])

    @staticmethod
    def _end(spare: Started) -> None:
        spare.end()
        spare.stdout.close()
        os.close(spare.errors)
