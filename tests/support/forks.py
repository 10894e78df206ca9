"""Processes of `orchestra` and `doit` that need not import anything: a server has imported it, and forks for each call.

A short run costs 0.7 s of processor time, of which the imports are 0.55 s. A fork has its own signals, environment,
streams and exit code, and ends as a program of Python ends.

The workers of its run are forks of a nursery, which is as the server was: their imports cost up to 1.2 s.
"""

from __future__ import annotations

import array
import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from orchestra.runtime.engine import spare
from orchestra.runtime.processes.mark import marked
from orchestra.runtime.processes.orphan import forking, started
from orchestra.runtime.processes.process import Process

WORKER = "orchestra.runtime.worker"

MODULES = (
    *("orchestra.cli", "orchestra.verbs.group", "orchestra.verbs.runs", "orchestra.verbs.health", "orchestra.dodo"),
    *("orchestra.start", "orchestra.report.html", "encodings.unicode_escape"),
    *("cel_expr_python.cel", "doit.doit_cmd", "httpx", "httpcore", "rich.console", "tomllib", "_strptime"),
    *(WORKER, "orchestra.runtime.driver.playwright.driver", "orchestra.runtime.driver.mcp.driver"),
)
"""The imports of a run, of its workers and of a health matrix, also those that only some of them make."""

STEPS = b"steps:"
"""In the spec of a run that has workers."""

OF_THE_INTERPRETER = ("PYTHON", "COVERAGE", "LC_", "LANG", "LD_", "TZ")
"""Beginnings of variables that are read when Python starts: with others than those of the server, nothing is forked."""

UNBUFFERED = "PYTHONUNBUFFERED"
"""Such a variable, which a fork follows."""

MOST_BYTES = 1 << 18
"""The most of what a worker is to be, as JSON: its environment is nearly all of it."""

ENVIRONMENT = dict(os.environ)
"""The environment of the server."""

_SENDING = threading.Lock()


def _own(env: Mapping[str, str]) -> dict[str, str]:
    return {name: env[name] for name in env if name.startswith(OF_THE_INTERPRETER) and name != UNBUFFERED}


def suits(env: Mapping[str, str]) -> bool:
    """Return whether a fork would be as a process that starts with this environment.

    Where each process is measured, none is forked: coverage begins when Python starts.
    """
    return sys.platform == "linux" and _own(env) == _own(ENVIRONMENT) and "COVERAGE_PROCESS_START" not in env


# ------------------------------------------------------------------------------------------------------- in the server
def _receive(connection: socket.socket) -> tuple[dict, list[int]] | None:
    """Return a request and its descriptors, or None at the end of the tests."""
    descriptors = array.array("i")
    head, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(4 * descriptors.itemsize))
    if not head:
        return None
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    size, body = int.from_bytes(head, "big"), b""
    while len(body) < size:
        body += connection.recv(size - len(body))
    return json.loads(body), list(descriptors)


def _reap(answers: dict[int, int]) -> None:
    """Answer with the exit codes of the forks that have ended."""
    while answers:
        number, status = os.waitpid(-1, os.WNOHANG)
        if not number:
            return
        answer = answers.pop(number)
        os.write(answer, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(answer)


def sync(descriptor: int) -> None:
    """Stand for `os.fsync`: only a power cut shows its work, and a run waits for its disk 30 times. Raises OSError."""
    os.fstat(descriptor)


def _serve(connection: socket.socket) -> tuple[dict, list[int]]:
    """Fork for each request and return it in the fork, with its streams; the server ends with the tests."""
    answers: dict[int, int] = {}
    woken, wakes = os.pipe()
    for end in (woken, wakes):
        os.set_blocking(end, False)
    usual = signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                os.read(woken, 1000)
                _reap(answers)
            if connection not in ready:
                continue
            received = _receive(connection)
            if received is None:
                sys.exit()
            request, [*streams, answer] = received
            number = os.fork()
            if number == 0:
                break
            answers[number] = answer
            for descriptor in streams:
                os.close(descriptor)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, usual)
    for descriptor in (woken, wakes, answer, *answers.values(), connection.detach()):
        os.close(descriptor)
    return request, streams


def main() -> NoReturn:
    """Import, serve, and in each fork be `python -m PROGRAM WORDS`."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    sys.argv = ["doit"]  # which looks for its name when it is imported
    os.fsync = sync
    gc.disable()
    for module in MODULES:
        importlib.import_module(module)
    gc.freeze()
    request, streams = _serve(connection)
    specs = [spec.read_bytes() for spec in Path(request["folder"], "specs").glob("*.yaml") if spec.is_file()]
    if any(STEPS in spec for spec in specs):
        request, streams = _with_nursery(request, streams)
    _be(request, streams)


def _be(request: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    """Be `python -m PROGRAM WORDS`."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[:0] = request["packages"]
    sys.stdout.reconfigure(write_through=UNBUFFERED in os.environ)
    gc.enable()
    program, *words = request["words"]
    if program not in {"orchestra", WORKER}:  # which take it away
        sys.path.insert(0, request["folder"])
    sys.argv = [program, *words]
    runpy.run_module(program, run_name="__main__", alter_sys=True)
    sys.exit()


# ------------------------------------------------------------------------------------------------- the workers of a run
class _Worker:
    """A worker that was forked, with what a run asks of a `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: int, stdout: int) -> None:
        self.pid = pid
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode


def _with_nursery(request: dict[str, Any], streams: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Fork a nursery before the run begins, and return what the run is to be; in a worker, what that one is to be.

    The nursery ends with its run.
    """
    asks, asked = socket.socketpair(type=socket.SOCK_SEQPACKET)
    if number := os.fork():
        asked.close()
        spare.spawn = functools.partial(_spawn, asks, spare.spawn)
        atexit.register(lambda: (asks.close(), os.waitpid(number, 0)))
        return request, streams
    for descriptor in (*streams, asks.detach()):
        os.close(descriptor)
    while body := (received := socket.recv_fds(asked, MOST_BYTES, 3))[0]:
        told, tells = os.pipe()
        between = os.fork()
        if between == 0:
            if os.fork():
                os._exit(0)  # a run is a subreaper, and gets what its descendants leave behind
            os.setsid()
            os.write(tells, str(os.getpid()).encode())
            for descriptor in (told, tells, asked.detach()):
                os.close(descriptor)
            del sys.modules[WORKER]  # as if it began now
            return json.loads(body), received[1]
        os.waitpid(between, 0)
        asked.send(os.read(told, 16))
        for descriptor in (told, tells, *received[1]):
            os.close(descriptor)
    os._exit(0)


def _spawn(
    asks: socket.socket,
    usual: Callable[..., Process],
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int | IO[bytes],
    mark: str,
) -> Process:
    """Start a worker as `processes.process.spawn` does, as a fork if its Python would start as this one did."""
    environment = marked(env, mark)
    if not suits(environment):
        return usual(argv, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, mark=mark)
    request = {"words": argv[argv.index(WORKER) :], "folder": str(cwd), "env": environment, "packages": []}
    (takes, writes), (reads, gives) = os.pipe(), os.pipe()
    with forking:
        errors = stderr if isinstance(stderr, int) else stderr.fileno()
        socket.send_fds(asks, [json.dumps(request).encode()], [takes, gives, errors])
        worker = _Worker(int(asks.recv(16)), writes, reads)
        started(worker)
    for descriptor in (takes, gives):
        os.close(descriptor)
    return Process(worker, mark)


# -------------------------------------------------------------------------------------------------------- in the tests
@functools.cache
def _server() -> socket.socket:
    """Start the server of this process."""
    ours, theirs = socket.socketpair()
    root = Path(__file__).parents[2]
    program = f"import sys; sys.path.insert(0, {str(root)!r}); from {__name__} import main; del sys.path[0]; main()"
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-P", "-c", program, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def run(
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    *,
    together: bool = False,
    packages: Sequence[Path] = (),
    terminal: IO[str] | None = None,
) -> tuple[int, bytes, bytes]:
    """Run `python -m WORDS` without input to its end; return its exit code and the texts of stdout and stderr.

    Both streams are one, as on a terminal, if that is asked for `together`; `terminal` is the stderr if there is one. Folders of `packages` are on PYTHONPATH: nothing
    that Python imports when it starts may be in them.
    """
    path = [str(folder) for folder in packages]
    env = {**env, **({"PYTHONPATH": os.pathsep.join(path)} if path else {})}
    body = json.dumps({"words": list(words), "folder": str(folder), "env": env, "packages": path}).encode()
    readers, writers = zip(*(os.pipe() for _ in range(3)), strict=True)
    nothing, (out, err, code) = os.open(os.devnull, os.O_RDONLY), writers
    with _SENDING:
        server = _server()
        second = terminal.fileno() if terminal else out if together else err
        socket.send_fds(server, [len(body).to_bytes(8, "big")], [nothing, out, second, code])
        server.sendall(body)
    for descriptor in (nothing, *writers):
        os.close(descriptor)
    texts = dict.fromkeys(readers, b"")
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                part = os.read(key.fd, 65536)
                texts[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    printed, complained, ended = texts.values()
    return int(ended), printed, complained
