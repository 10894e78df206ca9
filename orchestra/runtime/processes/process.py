"""Processes: started without a shell, found again by session and mark, ended with everything that they left behind.

Linux and macOS. Nothing here is ended by name, and nothing that is
not ours.

How a process is known to belong to a tree, so that one that forked away is still found:

- it descends from the process that we started;
- it is in a session that this tree opened (each process that we start leads a session of its own);
- its environment carries the tree's mark (see `mark`).

A process that clears its environment, opens a session of its own and whose parent dies has none of the three marks. On
Linux it is still a child of the run (`orphan.become_subreaper`), but no longer of a certain attempt.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from orchestra.errors import MachineError
from orchestra.runtime import interpreter
from orchestra.runtime.processes.listing import Listed, listed, row_of
from orchestra.runtime.processes.mark import KTHREADD, carries, marked, marks_of
from orchestra.runtime.processes.orphan import adopt, forking, reap_strays, session_of, started

_HARD_SECONDS = 5.0
_EMPTY_TWICE = 2
_FREEZE_ROUNDS = 8
_PAUSE_SECONDS = (0.005, 0.01, 0.02, 0.05)


@dataclass(frozen=True, slots=True)
class Process:
    """A process that `spawn` started: the leader of a session of its own.

    Attributes:
        popen: the process; its owner calls `poll` or `wait`, otherwise it stays a zombie.
        mark: what its environment carries, for example `20260101T000000Z-1a2b/cli:B004/1`.
    """

    popen: subprocess.Popen[bytes]
    mark: str

    @property
    def pid(self) -> int:
        """The process id, which is also its session and its process group."""
        return self.popen.pid


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of ending a tree: processes that are gone, and those that outlived KILL (a device that does not
    answer).
    """

    killed: int
    survivors: int


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int | IO[bytes],
    stderr: int | IO[bytes] = subprocess.STDOUT,
    stdin: int = subprocess.DEVNULL,
    mark: str,
) -> Process:
    """Start `argv` in a session of its own, no shell, nothing on stdin unless asked, no open files but these.

    `python` and `python3` are programs of the user's PATH like any other. Where it has none, as on a bare Debian, they are
    the interpreter that runs this.

    Raises:
        MachineError: the command or the folder is missing, or the system refuses to run it.
    """
    if not argv:
        raise MachineError("the command is empty", "name a program: [python, -m, pytest]")
    environment = marked(env, mark)
    path = environment.get("PATH", os.defpath)
    encoded = {_encoded(name): _encoded(value) for name, value in environment.items()}
    words, program = list(argv), _program(argv[0], path)
    if program is None and argv[0] in interpreter.WORDS and shutil.which(argv[0], path=path) is None:
        words[0] = program = sys.executable
    with forking:
        try:
            popen = subprocess.Popen(
                words,
                executable=program,
                cwd=cwd,
                env=encoded,
                stdin=_nothing() if stdin == subprocess.DEVNULL else stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                close_fds=True,
            )
        except (OSError, ValueError) as error:
            raise _refusal(words[0], cwd, path, error) from error
        started(popen)
    return Process(popen, mark)


@functools.cache
def _nothing() -> int:
    """Return an open /dev/null: `Popen` would open one for each child."""
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)


_encoded = functools.lru_cache(maxsize=4096)(os.fsencode)
"""The variables of children are nearly always those of the child before."""


@functools.lru_cache(maxsize=256)
def _folders(path: str) -> tuple[str, ...]:
    """Return the folders of PATH up to the first that is relative: what that one means depends on the child's folder."""
    return tuple(itertools.takewhile(os.path.isabs, path.split(os.pathsep)))


def _program(word: str, path: str) -> str | None:
    """Return the path of a program, None if `Popen` has to search for it. It would have each child try each folder of
    PATH.
    """
    if os.sep in word:
        return None
    for folder in _folders(path):
        if os.access(found := f"{folder}/{word}", os.X_OK):
            return None if os.path.isdir(found) else found  # noqa: PTH112 - as above
    return None


def _refusal(word: str, cwd: Path, path: str, error: OSError | ValueError) -> MachineError:
    """Return the reason why a command did not start, with a hint."""
    found = cwd / word if os.sep in word else shutil.which(word, path=path)
    if not cwd.is_dir():
        return MachineError(
            f"{word!r} cannot be started in {str(cwd)!r}: no such folder", "correct `cwd`, or create the folder"
        )
    if isinstance(error, FileNotFoundError) and isinstance(found, Path) and found.exists():
        return MachineError(
            f"{word!r} cannot be started: the interpreter that its first line names is missing",
            "install that interpreter, or correct the line that starts with #!",
        )
    if isinstance(error, FileNotFoundError) and os.sep in word:
        return MachineError(f"no such file {word!r} in {str(cwd)!r}", "the path of a program is relative to `cwd`")
    if isinstance(error, FileNotFoundError | NotADirectoryError) and found is None:
        near = difflib.get_close_matches(word, _programs(path), n=1, cutoff=0.7)
        guess = f'did you mean "{near[0]}"? ' if near else ""
        return MachineError(
            f"command {word!r} was not found (cwd {str(cwd)!r})",
            f"{guess}install it, or add its folder to PATH: {path}",
        )
    if isinstance(error, PermissionError):
        return MachineError(f"{word!r} is not executable (cwd {str(cwd)!r})", "make it executable: chmod +x")
    if isinstance(error, OSError) and error.strerror == "Exec format error":
        return MachineError(
            f"{word!r} is not a program for this machine", "a script needs a first line such as #!/usr/bin/env python3"
        )
    return MachineError(f"{word!r} cannot be started (cwd {str(cwd)!r}): {error}")


def _programs(path: str) -> list[str]:
    """Return the names in the folders of PATH, sorted."""
    names: set[str] = set()
    for folder in path.split(os.pathsep):
        with contextlib.suppress(OSError):
            names.update(os.listdir(folder or "."))  # noqa: PTH208 - names, not paths
    return sorted(names)


def alive(process: psutil.Process) -> bool:
    """Return True if this very process (not a later one with its number) still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def tree(pid: int, mark: str, *, reaped: bool = False) -> list[psutil.Process]:
    """Return every living process of the tree that `pid` leads or led, sorted by pid. Never ourselves or an ancestor of
    ours.

    Args:
        pid: the process at the top.
        mark: what the environments of its members carry.
        reaped: the exit code of `pid` was already taken, so that the number may belong to a stranger by now.

    Raises:
        ValueError: `pid` is 0 or 1, which lead the whole machine.
    """
    if pid <= 1:
        raise ValueError(f"no tree of ours is led by process {pid}")
    rows = listed()
    stranger = reaped and pid in rows
    spared = _line_of(os.getpid(), rows)
    outside = {0, session_of(0)} | ({rows[pid].session} if pid in rows and rows[pid].session != pid else set())
    running = [number for number, row in rows.items() if not row.zombie and KTHREADD not in {number, row.parent}]
    members = {number for number, marks in marks_of(running).items() if carries(marks, mark)} - spared
    if not stranger and pid not in spared:
        members.add(pid)
    size = 0
    while size != len(members):
        size = len(members)
        opened = {rows[number].session if number in rows else number for number in members} - outside
        members |= {
            n for n, row in rows.items() if (row.parent in members or row.session in opened) and n not in spared
        }
    handles = (_handle(number, rows[number]) for number in sorted(members & set(rows)))
    return [process for process in handles if process is not None and alive(process)]


def _handle(pid: int, row: Listed) -> psutil.Process | None:
    """Return the process that was listed, None if it is gone: its number may belong to a stranger by now."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        now = row_of(pid)
        return process if now is not None and now.started == row.started else None
    return None


def _line_of(pid: int, rows: Mapping[int, Listed]) -> set[int]:
    """Return a process and its ancestors."""
    line: set[int] = set()
    while pid and pid not in line:
        line.add(pid)
        pid = rows[pid].parent if pid in rows else 0
    return line


class Ending:
    """A tree that is being ended, in stages, for a loop that does other things meanwhile: call `step` when it is due.

    The tree is listed before the first signal, because a dying parent hides its children, and what is listed is stopped
    until nothing new shows up, because a parent can fork between the list and its end. Then TERM, KILL when the grace
    is over, until it was found empty twice; given up five seconds later.
    """

    def __init__(self, process: Process, *, grace_seconds: float, now: float, sig: signal.Signals) -> None:
        self.process = process
        self.due = now
        self._signal = sig
        self._kill_at = now + grace_seconds
        self._seen: set[psutil.Process] = set()
        self._targets: list[psutil.Process] = []
        self._round = 0
        self._empty = 0

    def step(self, now: float) -> Ended | None:
        """Do what is due at `now` (seconds of the caller's monotonic clock); the result when it is over."""
        living = [process for process in self._targets if alive(process)]
        hard = now >= self._kill_at
        if hard or not living:
            living = sorted({*living, *self._frozen()}, key=lambda process: process.pid)
            self._send(living, signal.SIGKILL if hard else self._signal)
            self._send(living, signal.SIGCONT)  # a stopped process handles nothing until it goes on
            self._seen.update(living)
            self._empty = 0 if living else self._empty + 1
        self._targets = living
        if self._empty == _EMPTY_TWICE or now >= self._kill_at + _HARD_SECONDS:
            return self._over(living)
        pause = _PAUSE_SECONDS[min(self._round, len(_PAUSE_SECONDS) - 1)]
        self._round += 1
        self.due = now + pause if hard else min(now + pause, self._kill_at)
        return None

    def _over(self, living: Sequence[psutil.Process]) -> Ended:
        adopt({process.pid for process in self._seen} - {self.process.pid})
        reap_strays()
        return Ended(len(self._seen) - len(living), len(living))

    def _frozen(self) -> set[psutil.Process]:
        """Return all of the tree, stopped. A bomb that forks faster than this lists it is frozen in part."""
        frozen: set[psutil.Process] = set()
        for _ in range(_FREEZE_ROUNDS):
            listed = tree(self.process.pid, self.process.mark, reaped=self.process.popen.returncode is not None)
            fresh = set(listed) - frozen
            if not fresh:
                break
            self._send(fresh, signal.SIGSTOP)
            frozen |= fresh
        return frozen

    def _send(self, processes: Iterable[psutil.Process], sig: signal.Signals) -> None:
        # The youngest first: if we are killed half way, a parent that carries the mark still leads to its children.
        for process in sorted(processes, key=lambda process: process.pid, reverse=True):
            with contextlib.suppress(psutil.Error):
                process.send_signal(sig)


def end_tree(
    process: Process,
    *,
    grace_seconds: float,
    signal: signal.Signals = signal.SIGTERM,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Ended:
    """End a process and all that belongs to it: `signal`, `grace_seconds` later KILL, at most five seconds more."""
    ending = Ending(process, grace_seconds=grace_seconds, now=clock(), sig=signal)
    while (ended := ending.step(clock())) is None:
        sleep(max(0.0, ending.due - clock()))
    process.popen.poll()
    return ended
