"""The side that asks: helpers that wait for work, one for each request under way.

A helper that was ended by a limit is not replaced before the next request. Safe to call from several threads.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from orchestra.runtime.processes.process import spawn

WALL: Final = 3.0
"""By the clock a part of the work may take so many times its processor time: on a busy machine it waits for its turn."""

_BLOCK_BYTES = 65536
_LOOK_SECONDS = 0.1


class StoppedError(Exception):
    """A request was given up by who had made it."""


class Done(NamedTuple):
    """The result of a request.

    Attributes:
        part: the number of the part that was under way last.
        fault: `time`, `memory`, or why a part cannot be read; empty when there is a value.
        value: the answer.
    """

    part: int
    fault: str
    value: Any = None


def ask(
    request: dict[str, Any],
    *,
    seconds: float,
    memory: int,
    data: bytes = b"",
    folders: tuple[str, ...] = (),
    stop: Callable[[], bool] = lambda: False,
) -> Done:
    """Have a helper do something.

    Args:
        request: for `helper`, as JSON.
        seconds: of processor time for each part of it.
        memory: in bytes.
        data: as they are.
        folders: where the helper finds libraries.
        stop: whether the request is to be given up; asked all the time.

    Raises:
        StoppedError: it was given up.
        OSError: a file that the request names cannot be read.
        MachineError: no helper can be started.
    """
    body = json.dumps({**request, "seconds": seconds}).encode()
    helper = _taken(folders)
    try:
        answer = helper.answer(b"%d %d %d\n%s" % (len(body), memory, len(data), body), data, seconds * WALL, stop)
    except BaseException:
        helper.end()
        raise
    if answer is None:
        helper.end()
        return Done(helper.part, "time")
    with _lock:
        _idle.setdefault(folders, []).append(helper)
    if "lost" in answer:
        raise OSError(answer["lost"])
    return Done(helper.part, answer.get("fault", ""), answer.get("value"))


def close() -> None:
    """End the helpers that wait. A later request starts another."""
    with _lock:
        waiting = [one for some in _idle.values() for one in some]
        _idle.clear()
    for one in waiting:
        one.end()


class _Helper:
    """A process that works, and its two pipes."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self._process = spawn(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("helper.py")), *folders],
            cwd=Path("/"),
            env={},  # it needs nothing of ours, and nothing of ours is for it
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            mark=f"helper-{os.getpid()}",
        )
        popen = self._process.popen
        if popen.stdin is None or popen.stdout is None:
            raise AssertionError("both were asked for as pipes")
        self._in, self._out = popen.stdin, popen.stdout
        for end in (self._in, self._out):
            os.set_blocking(end.fileno(), False)
        self.part = 0

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def alive(self) -> bool:
        """Return True if it still waits for work."""
        return self._process.popen.poll() is None

    def answer(self, head: bytes, data: bytes, seconds: float, stop: Callable[[], bool]) -> dict[str, Any] | None:
        """Return the answer to a request; None when it ended, or a part of the work took longer than so many seconds."""
        self.part, rest, unsent = 0, bytearray(), [memoryview(head), memoryview(data)]
        due = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            selector.register(self._in, selectors.EVENT_WRITE)
            while (left := due - time.monotonic()) > 0:
                if stop():
                    raise StoppedError
                for key, _ in selector.select(min(left, _LOOK_SECONDS)):
                    if key.fileobj is self._in:
                        if not self._send(unsent):
                            selector.unregister(self._in)
                        continue
                    block = os.read(self._out.fileno(), _BLOCK_BYTES)
                    if not block:
                        return None
                    rest += block
                    if b"\n" not in block:
                        continue
                    *lines, rest = rest.split(b"\n")
                    for line in lines:
                        told = json.loads(line)
                        if isinstance(told, dict):
                            return told
                        self.part, due = told, time.monotonic() + seconds
        return None

    def _send(self, unsent: list[memoryview]) -> bool:
        """Send a piece; whether there is more."""
        try:
            unsent[0] = unsent[0][os.write(self._in.fileno(), unsent[0][:_BLOCK_BYTES]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            unsent.clear()  # the end of its output shows that it is gone
        while unsent and not unsent[0]:
            unsent.pop(0)
        return bool(unsent)

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.popen.kill()
        self._process.popen.wait()
        self._in.close()
        self._out.close()


_lock = threading.Lock()
_idle: dict[tuple[str, ...], list[_Helper]] = {}


def _taken(folders: tuple[str, ...]) -> _Helper:
    """Return a helper that is idle, or a new one."""
    with _lock:
        waiting = _idle.get(folders, [])
        while waiting:
            one = waiting.pop()
            if one.alive():
                return one
            one.end()
    return _Helper(folders)
