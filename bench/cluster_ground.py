"""A cluster of this machine for measurements: a scheduler and its nodes, which stay from run to run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bench.measure import ORCHESTRA, environment
from tests.support.servers import free_range

HANG_SECONDS = 300.0
"""The limit of each wait for what takes seconds."""

_LOOK_SECONDS = 0.02


class HangError(Exception):
    """A wait has come to its limit."""


class OddError(Exception):
    """A surprise that is no hang."""


@dataclass
class Node:
    """A node under way: its name, its process, the file with its output, and its checkout."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    root: Path

    def text(self) -> str:
        """Return its output so far."""
        return self.log.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Return whether its process runs."""
        return self.process.poll() is None


class Ground:
    """A cluster of this machine: a scheduler, nodes, the checkout of the run and another one of the same commit.

    Args:
        scratch: a folder of its own.
        text: the spec, of a suite `c`.
        files: what it uses, by name.
    """

    def __init__(self, scratch: Path, text: str, files: Mapping[str, str] = MappingProxyType({})) -> None:
        self.root, self.copy, self.other = scratch / "run", scratch / "copy", scratch / "other"
        self.log, self.temp, self.outputs = scratch / "log", scratch / "tmp", scratch / "outputs"
        for folder in (self.log, self.temp, self.outputs):
            folder.mkdir(parents=True)
        for root, one in (
            (self.root, text),
            (self.copy, text),
            (self.other, text.replace("suite: c", "suite: c\ntitle: o")),
        ):
            (root / "specs").mkdir(parents=True)
            (root / "pyproject.toml").write_text("[tool.orchestra]\n")
            for name, content in files.items():
                (root / name).write_text(content)
            (root / "specs/c.yaml").write_text(one)
            self.orchestra("compile", root=root)
        self.port = free_range(1)[0]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.nodes: list[Node] = []
        self.gone: list[Node] = []
        self.count = 0
        self.scheduler = self.start_scheduler()

    def env(self, **more: str) -> dict[str, str]:
        """Return the environment of every process, whose temporary files are those of this ground."""
        return environment({"TMPDIR": str(self.temp), **more})

    def orchestra(self, *words: str, root: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run `orchestra …` to its end, which must be a success."""
        done = subprocess.run(
            [*ORCHESTRA, *words], cwd=root or self.root, env=self.env(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OddError(f"exit {done.returncode} of orchestra {' '.join(words)}: {done.stderr[-500:]}")
        return done

    def start(self, argv: Sequence[str], root: Path, log: Path, **env: str) -> subprocess.Popen[bytes]:
        """Start a process with a session and an output file of its own."""
        with log.open("wb") as output:
            return subprocess.Popen(
                argv,
                cwd=root,
                env=self.env(**env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start the scheduler, which needs no checkout."""
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        argv = [sys.executable, "-m", "distributed.cli.dask_scheduler", *words]
        (keeps := self.log.parent / "scheduler").mkdir(exist_ok=True)  # which Dask leaves there
        return self.start(argv, Path("/"), self.outputs / "scheduler.log", DASK_TEMPORARY_DIRECTORY=str(keeps))

    def node(self, root: Path, before: Sequence[str] = (), *, slots: int = 2) -> Node:
        """Start a node, by the words before its command line, and wait until the scheduler knows it."""
        self.count += 1
        name = f"n{self.count}"
        argv = [*before, *ORCHESTRA, "worker", f"--scheduler={self.address}", f"--name={name}", f"--slots={slots}"]
        log = self.outputs / f"{name}.log"
        node = Node(name, self.start(argv, root, log), log, root)
        self.nodes.append(node)
        self.until(lambda: f"node {name}: {slots} slot" in node.text() or not node.alive, f"the node {name} to begin")
        if not node.alive:
            raise OddError(f"the node {name} ended at once: {node.text()[-500:]}")
        return node

    def ready(self, number: int, dice: random.Random) -> None:
        """See to it that so many nodes are there, in either checkout."""
        self.bury()
        for node in self.nodes[number:]:
            self.end(node)
        while len(self.nodes) < number:
            self.node(dice.choice([self.root, self.copy]))

    def bury(self) -> None:
        """Take the nodes off that have ended."""
        self.gone += [node for node in self.nodes if not node.alive]
        self.nodes = [node for node in self.nodes if node.alive]

    def end(self, node: Node, number: int = signal.SIGTERM) -> None:
        """Let a node end by a signal."""
        node.process.send_signal(number)
        self.until(lambda: not node.alive, f"the node {node.name} to end")
        self.bury()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition. Raises HangError at the limit."""
        deadline = time.monotonic() + HANG_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise HangError(what)
            time.sleep(_LOOK_SECONDS)

    def close(self) -> list[str]:
        """End all of it, after a node more, which removes what killed ones have left; return what is left nevertheless."""
        self.ready(0, random.Random(0))
        self.end(self.node(self.root))
        self.end(self.node(self.copy))
        self.scheduler.terminate()
        self.scheduler.wait(HANG_SECONDS)
        folders = [f"{path.name} in the folder for temporary files" for path in self.temp.iterdir()]
        for root in (self.root, self.copy):
            kept = {".lock", ""}
            nodes = root / ".orchestra/c/nodes"
            files = [path for path in nodes.rglob("*") if path.is_file()] if nodes.exists() else []
            folders += [
                str(path.relative_to(root)) for path in files if "attempts" in path.parts and path.suffix not in kept
            ]
        return folders

    def kill(self) -> None:
        """End every process without asking."""
        for process in (*(node.process for node in self.nodes), self.scheduler):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
