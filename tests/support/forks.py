"""Processes of `orchestra` and `doit` that need not import anything: a server has imported it, and forks for each call.

A short run costs 0.7 s of processor time, of which the imports are 0.55 s. A fork has its own signals, environment,
streams and exit code, and ends as a program of Python ends.

The processes of orchestra that it starts in turn, first of all workers, are forks of a nursery, which is as the server was:
their imports cost up to 1.2 s.
"""

from __future__ import annotations

import array
import atexit
import contextlib
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
from types import MappingProxyType
from typing import IO, Any, NoReturn

from orchestra.runtime.engine import spare
from orchestra.runtime.nodes import own_nodes
from orchestra.runtime.processes.mark import marked
from orchestra.runtime.processes.orphan import become_subreaper, forking, started
from orchestra.runtime.processes.process import Process
from orchestra.runtime.run import detached
from orchestra.runtime.servers import keeping

WORKER, KEEPER = "orchestra.runtime.worker", "orchestra.runtime.servers.keeper"

MODULES = (
    *("orchestra.cli", "orchestra.verbs.group", "orchestra.verbs.runs", "orchestra.verbs.health", "orchestra.dodo"),
    *("orchestra.start", "orchestra.report.html", "encodings.unicode_escape"),
    *("cel_expr_python.cel", "doit.doit_cmd", "httpx", "httpcore", "rich.console", "tomllib", "_strptime"),
    *(WORKER, KEEPER, "orchestra.runtime.driver.playwright.driver", "orchestra.runtime.driver.mcp.driver"),
)
"""The imports of a run, of its workers and of a health matrix, also those that only some of them make."""

STARTING = (b"steps:", b"shared:")
"""In the spec of a run that has workers, or servers of a keeper."""

OF_THE_INTERPRETER = ("PYTHON", "COVERAGE", "LC_", "LANG", "LD_", "TZ")
"""Beginnings of variables that are read when Python starts: with others than those of the server, nothing is forked."""

UNBUFFERED = "PYTHONUNBUFFERED"
"""Such a variable, which a fork follows."""

MOST_BYTES = 1 << 18
"""The most of what a worker is to be, as JSON: its environment is nearly all of it."""

PID_BYTES = 8
"""The number of a fork, before its exit code."""

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
            os.write(answer, number.to_bytes(PID_BYTES, "big"))
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
    while modules := request.get("modules"):  # a server that has imported more
        for name in modules:
            module, _, function = name.partition(":")
            imported = importlib.import_module(module)
            if function:
                getattr(imported, function)()
        gc.freeze()
        request, streams = _serve(socket.socket(fileno=streams[0]))
    if request["session"]:
        os.setsid()
    while _starts_more(request):
        request, streams, goes_on = _with_nursery(request, streams)
        if goes_on:
            break
    _be(request, streams)


def _starts_more(request: Mapping[str, Any]) -> bool:
    """Return whether a process starts others of orchestra: workers, nodes, a run in the background, a keeper of servers."""
    program, *words = request["words"]
    if program in {WORKER, KEEPER}:
        return False
    specs = (spec.read_bytes() for spec in Path(request["folder"], "specs").glob("*.yaml") if spec.is_file())
    return not {"up", "--detach", "dask"}.isdisjoint(words) or any(key in spec for spec in specs for key in STARTING)


def _be(request: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    """Be `python -m PROGRAM WORDS`."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[:0] = request["packages"]
    _shorten(request.get("limits", {}))
    sys.stdout.reconfigure(write_through=UNBUFFERED in os.environ)
    gc.enable()
    program, *words = request["words"]
    if program not in {"orchestra", WORKER, KEEPER}:  # which take it away
        sys.path.insert(0, request["folder"])
    sys.argv = [program, *words]
    code: object = None
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    if code is not None and not isinstance(code, int):
        sys.exit(code)  # a message
    _end(code or 0)


def _end(code: int) -> NoReturn:
    """End as Python does, but for its modules: to take each of them apart copies all of what the server has imported."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()
    os._exit(code & 0xFF)


def _shorten(limits: Mapping[str, float]) -> None:
    """Give constants other values. A module that has imported one by its name has one of its own, which must be named, too."""
    for name, value in limits.items():
        owner, _, constant = name.rpartition(".")
        module = importlib.import_module(owner)
        old = getattr(module, constant)
        ours = [other for other in sys.modules if other.startswith("orchestra.")]
        also = {f"{other}.{constant}" for other in ours if getattr(sys.modules[other], constant, None) is old}
        if more := also - set(limits):
            raise AssertionError(f"{name} is also {', '.join(more)}")
        setattr(module, constant, value)


# ------------------------------------------------------------------------------------- the processes that a fork starts
class _Child:
    """A process that was forked, with what its starter asks of a `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: int | None, stdout: int | None) -> None:
        self.pid = pid
        self.stdin = None if stdin is None else os.fdopen(stdin, "wb")
        self.stdout = None if stdout is None else os.fdopen(stdout, "rb")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


def _with_nursery(request: dict[str, Any], streams: list[int]) -> tuple[dict[str, Any], list[int], bool]:
    """Fork a nursery before a process begins, and return what that is to be; in a child of the nursery, what the child is.

    The nursery ends with the process. The last value is whether this is the process that has it.
    """
    asks, asked = socket.socketpair(type=socket.SOCK_SEQPACKET)
    if number := os.fork():
        asked.close()
        for module in (spare, own_nodes):
            module.spawn = functools.partial(_spawn, asks, module.spawn)
        for module in (detached, keeping):
            module.subprocess = _Starting(asks)
        atexit.register(lambda: (asks.close(), os.waitpid(number, 0)))
        return request, streams, True
    for descriptor in (*streams, asks.detach()):
        os.close(descriptor)
    while body := (received := socket.recv_fds(asked, MOST_BYTES, 3))[0]:
        told, tells = os.pipe()
        between = os.fork()
        if between == 0:
            if os.fork():
                os._exit(0)  # the starter is a subreaper, and gets what its descendants leave behind
            os.setsid()
            os.write(tells, str(os.getpid()).encode())
            for descriptor in (told, tells, asked.detach()):
                os.close(descriptor)
            for module in (WORKER, KEEPER):
                sys.modules.pop(module, None)  # as if it began now
            return json.loads(body), received[1], False
        os.waitpid(between, 0)
        asked.send(os.read(told, 16))
        for descriptor in (told, tells, *received[1]):
            os.close(descriptor)
    os._exit(0)


def _start(
    asks: socket.socket,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
) -> _Child:
    """Let the nursery fork a process of ours, as `subprocess.Popen` would start it in a session of its own."""
    request = {"words": argv[argv.index("-m") + 1 :], "folder": str(cwd), "env": dict(env), "packages": []}
    (takes, writes) = os.pipe() if stdin == subprocess.PIPE else (os.open(os.devnull, os.O_RDONLY), None)
    (reads, gives) = os.pipe() if stdout == subprocess.PIPE else (None, os.dup(_number(stdout)))
    become_subreaper()
    with forking:
        errors = gives if stderr == subprocess.STDOUT else _number(stderr)
        socket.send_fds(asks, [json.dumps(request).encode()], [takes, gives, errors])
        child = _Child(int(asks.recv(16)), writes, reads)
        started(child)
    for descriptor in (takes, gives):
        os.close(descriptor)
    return child


def _number(stream: int | IO[bytes]) -> int:
    return stream if isinstance(stream, int) else stream.fileno()


def _spawn(
    asks: socket.socket,
    usual: Callable[..., Process],
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes] = subprocess.STDOUT,
    mark: str,
) -> Process:
    """Start a process of ours as `processes.process.spawn` does, as a fork if its Python would start as this one did."""
    environment = marked(env, mark)
    if not suits(environment):
        return usual(argv, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, mark=mark)
    return Process(_start(asks, argv, environment, cwd, stdin, stdout, stderr), mark)


class _Starting:
    """The module `subprocess`, for a module that starts processes of ours alone."""

    def __init__(self, asks: socket.socket) -> None:
        self._asks = asks

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, argv: Sequence[str], **more: Any) -> _Child | subprocess.Popen[bytes]:  # noqa: N802 - the name of a class
        if not suits(more["env"]):
            return subprocess.Popen(argv, **more)
        return _start(self._asks, argv, *(more[name] for name in ("env", "cwd", "stdin", "stdout", "stderr")))


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


@functools.cache
def _server_of(modules: tuple[str, ...]) -> socket.socket:
    """Return a server that has imported more: a fork of the first one. It ends with this process."""
    if not modules:
        return _server()
    ours, theirs = socket.socketpair()
    with theirs, Path(os.devnull).open("wb") as nothing:
        ended, ends = os.pipe()
        _send(_server(), {"modules": modules}, theirs.fileno(), nothing.fileno(), nothing.fileno(), ends)
    os.close(ends)
    atexit.register(os.close, ended)  # the first one writes to it when this one ends
    return ours


def _send(server: socket.socket, request: Mapping[str, Any], *descriptors: int) -> None:
    body = json.dumps(request).encode()
    socket.send_fds(server, [len(body).to_bytes(8, "big")], descriptors)
    server.sendall(body)


def _begin(
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    out: int,
    err: int,
    *,
    packages: Sequence[Path] = (),
    limits: Mapping[str, float] = MappingProxyType({}),
    session: bool = False,
    modules: Sequence[str] = (),
) -> tuple[int, int]:
    """Begin `python -m WORDS`, and return its number and what is to be read of its exit code."""
    path = [str(one) for one in packages]
    env = {**env, **({"PYTHONPATH": os.pathsep.join(path)} if path else {})}
    request = {
        "words": list(words),
        "folder": str(folder),
        "env": env,
        "packages": path,
        "limits": dict(limits),
        "session": session,
    }
    nothing, (ended, ends) = os.open(os.devnull, os.O_RDONLY), os.pipe()
    with _SENDING:
        _send(_server_of(tuple(modules)), request, nothing, out, err, ends)
    for descriptor in (nothing, ends):
        os.close(descriptor)
    return int.from_bytes(os.read(ended, PID_BYTES), "big"), ended


def run(
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    *,
    together: bool = False,
    packages: Sequence[Path] = (),
    terminal: IO[str] | None = None,
    limits: Mapping[str, float] = MappingProxyType({}),
    modules: Sequence[str] = (),
) -> tuple[int, bytes, bytes]:
    """Run `python -m WORDS` without input to its end; return its exit code and the texts of stdout and stderr.

    Both streams are one, as on a terminal, if that is asked for `together`; `terminal` is the stderr if there is one. Folders of `packages` are on PYTHONPATH: nothing
    that Python imports when it starts may be in them. `limits` are other values of constants, `modules` as in `start`.
    """
    readers, (out, err) = zip(*(os.pipe() for _ in range(2)), strict=True)
    second = terminal.fileno() if terminal else out if together else err
    _, ended = _begin(words, folder, env, out, second, packages=packages, limits=limits, modules=modules)
    for descriptor in (out, err):
        os.close(descriptor)
    texts = dict.fromkeys((*readers, ended), b"")
    with selectors.DefaultSelector() as selector:
        for reader in texts:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                part = os.read(key.fd, 65536)
                texts[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    printed, complained, code = texts.values()
    return int(code), printed, complained


class Begun:
    """A fork under way, with what tests ask of a `subprocess.Popen` with two pipes of text.

    Args:
        words: its command line.
        pid: its number.
        ended: from which its exit code is to be read.
        out, err: the reading ends of its streams.
    """

    def __init__(self, words: Sequence[str], pid: int, ended: int, out: int, err: int) -> None:
        self.args, self.pid, self.returncode = list(words), pid, None
        self.stdout, self.stderr = (os.fdopen(stream, encoding="utf-8") for stream in (out, err))
        self._ended: int | None = ended
        self._waiting = threading.Lock()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code. Raises `subprocess.TimeoutExpired` after that many seconds."""
        with self._waiting:
            if self._ended is not None:
                with selectors.DefaultSelector() as selector:
                    selector.register(self._ended, selectors.EVENT_READ)
                    if not selector.select(timeout):
                        raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
                self.returncode = int(os.read(self._ended, 16))
                os.close(self._ended)
                self._ended = None
        assert self.returncode is not None
        return self.returncode

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read both streams to their ends, and wait for its own."""
        texts = ["", ""]

        def read(number: int, stream: IO[str]) -> None:
            texts[number] = stream.read()
            stream.close()

        readers = [
            threading.Thread(target=read, args=item, daemon=True) for item in enumerate((self.stdout, self.stderr))
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.wait(timeout)
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def start(
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    *,
    limits: Mapping[str, float] = MappingProxyType({}),
    modules: Sequence[str] = (),
) -> Begun:
    """Begin `python -m WORDS` without input, in a session of its own.

    Args:
        words: the program and its arguments.
        folder: the current one.
        env: the whole environment.
        limits: other values of constants.
        modules: more modules that it has imported; `MODULE:FUNCTION` is called, too.
    """
    (read_out, out), (read_err, err) = os.pipe(), os.pipe()
    pid, ended = _begin(words, folder, env, out, err, limits=limits, session=True, modules=modules)
    for descriptor in (out, err):
        os.close(descriptor)
    return Begun(words, pid, ended, read_out, read_err)
