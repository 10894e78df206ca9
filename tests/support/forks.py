"""Processes of `orchestra` and `doit` that need not import anything: a server has imported it, and forks for each call.

A short run costs 0.7 s of processor time, of which the imports are 0.55 s. A fork has its own signals, environment,
streams and exit code, and ends as a program of Python ends.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

MODULES = (
    *("orchestra.cli", "orchestra.verbs.group", "orchestra.verbs.runs", "orchestra.verbs.health", "orchestra.dodo"),
    *("cel_expr_python.cel", "doit.doit_cmd", "httpx", "httpcore", "rich.console", "tomllib", "_strptime"),
)
"""The imports of a run and of a health matrix, also those that only some of them make."""

OF_THE_INTERPRETER = ("PYTHON", "COVERAGE", "LC_", "LANG", "LD_", "TZ")
"""Beginnings of variables that are read when Python starts: with others than those of the server, nothing is forked."""

UNBUFFERED = "PYTHONUNBUFFERED"
"""Such a variable, which a fork follows."""

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
    if program != "orchestra":  # which takes it away
        sys.path.insert(0, request["folder"])
    sys.argv = [program, *words]
    runpy.run_module(program, run_name="__main__", alter_sys=True)
    sys.exit()


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
