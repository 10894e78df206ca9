"""A ground for tests of the health matrix: a small server that misbehaves on demand, and a matrix that is watched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from orchestra.ledger.event import ServiceChanged
from orchestra.plan import Backoff, Component, Live, Probe, Ready, Service
from orchestra.runtime.mask import NOTHING
from orchestra.runtime.processes.mark import TREE, carries
from orchestra.runtime.servers.matrix import Matrix, Row

GENEROUS_SECONDS = 120.0
QUICK = Backoff(max=2, initial_seconds=0.01, factor=2.0, max_seconds=0.05, jitter=0.1)

SERVER = '''
"""server.py PORT FOLDER [deaf] [daemon] [dies=N] [silent] [never] [port0]: answers as FOLDER/mode says, for each request."""
import os, signal, socket, sys, time
port, folder, flags = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
name = os.path.join(folder, "starts")
with open(name, "a") as file:
    file.write(f"{os.getpid()}\\n")
count = len(open(name).readlines())
print("start", count, "of", os.getpid(), flush=True)
for flag in flags:
    if flag.startswith("dies=") and count <= int(flag[5:]):
        sys.exit(f"no data for start {count}")
if "deaf" in flags:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if "daemon" in flags:
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
if "never" in flags:
    time.sleep(1000)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 0 if "port0" in flags else port))
listener.listen(64)
print("listening on", listener.getsockname()[1], flush=True)
held = []
while True:
    caller, _ = listener.accept()
    try:
        mode = open(os.path.join(folder, "mode")).read()
    except OSError:
        mode = "ok"
    if mode == "hang":
        held.append(caller)
        continue
    if mode == "close":
        caller.recv(65536)  # what is unread makes the end of a connection a reset
        caller.close()
        continue
    body = b'{"status": "ok", "pid": %d, "list": [{"a.b": 1}]}' % os.getpid()
    if mode == "wrong":
        body = b"somebody else's page"
    try:
        caller.settimeout(5)
        caller.recv(65536)
        status = b"500 Sorry" if mode == "500" else b"200 OK"
        size = len(body) + 100 if mode == "cut" else len(body)
        caller.sendall(b"HTTP/1.1 %s\\r\\nServer: tiny\\r\\nContent-Length: %d\\r\\n\\r\\n" % (status, size))
        if mode == "trickle":
            held.append(caller)
            caller.sendall(body[:1])
            continue
        caller.sendall(body)
    except OSError:
        pass
    caller.close()
'''


def free_range(count: int) -> tuple[int, int]:
    """Ports in a row of which nobody listens on any now."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            low = first.getsockname()[1]
        try:
            for number in range(low, low + count):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", number))
        except (OSError, OverflowError):
            continue
        return low, low + count - 1


def until(condition: Callable[[], object], what: Callable[[], object] | str) -> None:
    deadline = time.monotonic() + GENEROUS_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still waiting: {what() if callable(what) else what}"
        time.sleep(0.005)


def carriers(mark: str) -> list[psutil.Process]:
    """Every living process whose environment carries the mark, wherever it went."""
    found = []
    for process in psutil.process_iter():
        try:
            if carries(process.environ().get(TREE, ""), mark) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


class Ground:
    """A project of its own, and the matrices over it; each is closed and counted at the end."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.mark = f"{name}-{os.getpid()}-{time.monotonic_ns()}"
        self.events: list[ServiceChanged] = []
        self.matrices: list[Matrix] = []
        self.strangers: list[subprocess.Popen[bytes]] = []
        self.changed = threading.Event()
        (root / "server.py").write_text(SERVER)

    # ------------------------------------------------------------------------------------------------------ components

    def service(self, name: str, *flags: str, ports: tuple[int, int] | None = None, **more: Any) -> Component:
        """A component with the small server; its folder is `name`."""
        (self.root / name).mkdir(exist_ok=True)
        own = {key: more.pop(key) for key in ("grace_seconds", "env", "host") if key in more}
        ports = ports or free_range(4)
        words = (sys.executable, "server.py", "${port}", name, *flags)
        plain = Component(
            name,
            name,
            service=Service(words, ports=ports, **own),
            ready=Ready(Probe("http", {"path": "/health", "json": {"status": "ok"}}, 5.0), 60.0),
            retries=QUICK,
        )
        return _with(plain, more)

    def mode(self, name: str, mode: str) -> None:
        """How the server of a component answers from now on."""
        fresh = self.root / name / "mode.new"
        fresh.write_text(mode)
        fresh.replace(self.root / name / "mode")

    def starts(self, name: str) -> list[int]:
        """The pids of the starts of a component, in order."""
        return [int(word) for word in (self.root / name / "starts").read_text().split()]

    def stranger(self, port: int, *flags: str) -> subprocess.Popen[bytes]:
        """A server of somebody else, listening on the port."""
        (self.root / "stranger").mkdir(exist_ok=True)
        popen = subprocess.Popen(
            [sys.executable, "server.py", str(port), "stranger", *flags], cwd=self.root, stdout=subprocess.PIPE
        )
        self.strangers.append(popen)
        assert popen.stdout is not None
        popen.stdout.readline()
        popen.stdout.readline()
        return popen

    # ------------------------------------------------------------------------------------------------------ the matrix

    def matrix(
        self, *components: Component, run: str = "run", env: dict[str, str] | None = None, **more: Any
    ) -> Matrix:
        matrix = Matrix(
            components,
            root=self.root,
            folder=self.root / run,
            mark=f"{self.mark}/{run}",
            env={"PATH": os.environ["PATH"], **(env or {})},
            masks=more.pop("masks", NOTHING),
            on_event=lambda body, _: self.events.append(body),
            wake=self.changed.set,
            **more,
        )
        self.matrices.append(matrix)
        return matrix

    def settle(self, matrix: Matrix, *ids: str) -> list[Row]:
        """Request, and wait until each has come up or failed."""
        matrix.request(ids)
        self.until(matrix, ids, lambda row: row.state in {"healthy", "failed"})
        return [matrix.row(name) for name in ids]

    def until(self, matrix: Matrix, ids: Sequence[str], condition: Callable[[Row], bool]) -> None:
        rows = lambda: [matrix.row(name) for name in ids]  # noqa: E731
        until(lambda: all(map(condition, rows())), rows)

    def story(self, *names: str) -> list[str]:
        """What happened: `backend starting`, `backend healthy restart`."""
        return [
            " ".join([body.component, body.state, *([body.action] if body.action else [])])
            for body in list(self.events)
            if not names or body.component in names
        ]

    def close(self) -> None:
        for matrix in self.matrices:
            matrix.close()
        for popen in self.strangers:
            popen.kill()
            popen.wait()
            assert popen.stdout is not None
            popen.stdout.close()
        left = carriers(self.mark)
        for process in left:
            process.kill()
        assert not left


def _with(component: Component, more: dict[str, Any]) -> Component:
    values = {name: getattr(component, name) for name in component.__struct_fields__}
    return Component(**{**values, **more})


def live(every: float = 0.05, failures: int = 3, timeout: float = 5.0) -> Live:
    """A watch that is quick enough for a test."""
    return Live(Probe("http", {"path": "/health"}, timeout), every, failures)


def shown(row: Row) -> Row:
    """A row without what differs from run to run."""
    return replace(row, pid=None, port=None, url="", seconds=0.0)
