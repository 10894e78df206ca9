"""The reaper: a tiny process that outlives the run by a moment and ends what the run left behind.

The run holds the writing end of a pipe. When the run ends in any way, SIGKILL included, the reaper reads the end of the
file, and ends every process whose environment carries the mark of the run, every registered process and session, and
all descendants of these: TERM, KILL a second later, until for half a second nothing new shows up, five seconds at most.
The pipe stays open in a child between fork and exec, so that even that one is not missed.

A session counts as the run's when a member of it does, except the session in which the run itself was started.

Lines: `+PID START` (a process and its session), `-PID` (it has ended), `done` (the run ended well: leave).
"""

# ruff: noqa: PTH110, PTH123, PTH208 - pathlib and contextlib would double the time to start
from __future__ import annotations

import os
import sys
import time

GRACE_SECONDS = 1.0
SETTLE_SECONDS = 0.5
LIMIT_SECONDS = 5.0
_PAUSE_SECONDS = 0.05
_SHORT_SECONDS = 0.001
_BURY_SECONDS = 2.0
_TERM, _KILL = 15, 9
_STOP, _CONT = (17, 19) if sys.platform == "darwin" else (19, 18)
_FREEZE_ROUNDS = 8
# HUP, INT, QUIT, PIPE and TERM, which a terminal or a service manager sends to all of a run, stay blocked for good.
_BLOCKED = (1, 2, 3, 13, 15)
_VARIABLE = "ORCHESTRA_TREE"


class Reaper:
    """The run's handle of its reaper. If the reaper was ended, it is started again with all registered processes.

    `returncode` is None until the exit code of the first one was taken.
    """

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.pid = 0
        self.returncode: int | None = None
        self._pipe = -1
        self._told: dict[int, str] = {}
        self._launch()

    @classmethod
    def start(cls, mark: str) -> Reaper:
        """Start a reaper for everything that carries `mark` or a mark below it. It is not awaited: a millisecond."""
        return cls(mark)

    def add(self, pid: int) -> None:
        """Register a process and its session, whatever their environment. One that is gone is left out.

        A zombie is registered, because its session may have living members.
        """
        row = _row(pid, zombies=True)
        if row is not None:
            self._told[pid] = row[2]
            self._say(f"+{pid} {row[2]}\n")

    def remove(self, pid: int) -> None:
        """Remove a process that has ended, because its number may be reused."""
        if self._told.pop(pid, None) is not None:
            self._say(f"-{pid}\n")

    def close(self) -> None:
        """End the reaper and wait for it, after the run has ended its processes itself."""
        if self._pipe >= 0:
            self._say("done\n")
            self._bury()

    def _launch(self) -> None:
        reading, self._pipe = os.pipe()
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", __file__, self.mark, str(os.getsid(0))],
                # Without the marks of the run, so that ending processes by the mark does not end the reaper first, and
                # not blank, so that its marks are not asked for again.
                {_VARIABLE: ""},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, reading, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
                setsigmask=_BLOCKED,
            )
        finally:
            os.close(reading)
        os.set_blocking(self._pipe, False)
        for pid, start in self._told.items():
            self._say(f"+{pid} {start}\n")

    def _say(self, line: str) -> None:
        try:
            os.write(self._pipe, line.encode())  # shorter than PIPE_BUF: all of it or nothing
        except BlockingIOError:
            pass  # stopped and full: the marks alone find unregistered processes
        except BrokenPipeError:
            self._bury()
            if line != "done\n":
                self._launch()

    def _bury(self) -> None:
        os.close(self._pipe)
        self._pipe = -1
        end = time.monotonic() + _BURY_SECONDS
        try:
            while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                if time.monotonic() > end:  # it was stopped
                    os.kill(self.pid, _KILL)
                time.sleep(_SHORT_SECONDS)
        except ChildProcessError:
            pass
        self.returncode = 0


def _row(pid: int, *, zombies: bool = False) -> tuple[int, int, str] | None:
    """Parent, session and start of a living process, from one read, so that they belong together."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except FileNotFoundError:
        return _row_elsewhere(pid) if not os.path.exists("/proc/self/stat") else None
    except OSError:
        return None
    if fields[0] == b"X" or (fields[0] == b"Z" and not zombies):
        return None
    return int(fields[1]), int(fields[3]), fields[19].decode()


def _ps(*arguments: str) -> list[list[str]]:
    """Lines of ps, split into words: for systems without /proc."""
    import subprocess  # noqa: PLC0415 - on Linux it is not needed, and half of the time to start

    answer = subprocess.run(["/bin/ps", *arguments], capture_output=True, text=True, errors="replace", check=False)
    return [line.split() for line in answer.stdout.splitlines()]


def _row_elsewhere(pid: int) -> tuple[int, int, str] | None:
    for words in _ps("-o", "ppid=,stat=,lstart=", "-p", str(pid)):
        if not words[1].startswith("Z"):
            return int(words[0]), _session(pid), "_".join(words[2:])
    return None


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _marks(pid: int) -> list[str]:
    """Return the marks in the environment of a process of this user."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            block = file.read()
    except OSError:
        return []
    for entry in block.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == _VARIABLE.encode():
            return value.decode(errors="replace").split()
    return []


def _everything() -> dict[int, tuple[int, int, str, list[str]]]:
    """Parent, session, start and marks of every living process but this one."""
    here = os.getpid()
    if os.path.exists("/proc/self/stat"):
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        rows = {pid: _row(pid) for pid in pids if pid != here}
        return {pid: (*row, _marks(pid)) for pid, row in rows.items() if row is not None}
    found: dict[int, tuple[int, int, str, list[str]]] = {}
    for words in _ps("-axEww", "-o", "pid=,ppid=,stat=,lstart=,command="):
        if int(words[0]) != here and not words[2].startswith("Z"):
            starts = [n for n, word in enumerate(words) if word.startswith(f"{_VARIABLE}=")]
            marks = [word.partition("=")[2] for word in words[starts[0] : starts[0] + 1]] if starts else []
            marks += [word for word in words[starts[0] + 1 :] if "=" not in word] if starts else []
            found[int(words[0])] = (int(words[1]), _session(int(words[0])), "_".join(words[3:8]), marks)
    return found


def victims(mark: str, told: dict[int, str], home: int) -> dict[int, str]:
    """Pid and start of each living process that belongs to the run, which itself was started in session `home`."""
    rows = _everything()
    members = {
        pid
        for pid, (_, _, start, marks) in rows.items()
        if told.get(pid) == start or any(word == mark or word.startswith(f"{mark}/") for word in marks)
    }
    # The number of a session is not reused while it has members, so a registered leader that is gone still identifies
    # them.
    opened = {pid for pid in told if pid not in rows or told[pid] == rows[pid][2]}
    size = -1
    while size != len(members):
        size = len(members)
        opened |= {rows[pid][1] for pid in members} - {home}
        members |= {pid for pid, row in rows.items() if row[0] in members or row[1] in opened}
    return {pid: rows[pid][2] for pid in members}


def _send(number: int, processes: dict[int, str]) -> None:
    """Send a signal to each process that is still the same, the youngest first, so that a parent outlives its children."""
    for pid in sorted(processes, reverse=True):
        row = _row(pid)
        if row is not None and row[2] == processes[pid]:
            try:
                os.kill(pid, number)
            except OSError:
                continue


def _frozen(mark: str, told: dict[int, str], home: int) -> dict[int, str]:
    """Return the victims, stopped until nothing new shows up: a parent could fork between the list and its end."""
    frozen: dict[int, str] = {}
    for _ in range(_FREEZE_ROUNDS):
        found = victims(mark, told | frozen, home)
        fresh = {pid: start for pid, start in found.items() if frozen.get(pid) != start}
        if not fresh:
            break
        _send(_STOP, fresh)
        frozen |= fresh
    return frozen


def end_all(mark: str, known: dict[int, str], home: int) -> None:
    """End the whole of a run whose process is gone."""
    begin = time.monotonic()
    quiet_since = begin
    warned: dict[int, str] = {}
    while (now := time.monotonic()) < begin + LIMIT_SECONDS:
        processes = victims(mark, known, home)
        hard = now >= begin + GRACE_SECONDS
        if processes:
            quiet_since = now
        elif now - quiet_since >= SETTLE_SECONDS:
            return
        if processes and (hard or any(warned.get(pid) != start for pid, start in processes.items())):
            processes = _frozen(mark, known, home)
            known = known | processes  # what was found once is known, although the parent that led there ends first
            _send(_KILL if hard else _TERM, processes)
            _send(_CONT, processes)
            warned |= processes
        time.sleep(_PAUSE_SECONDS)


def main(mark: str, home: int) -> None:
    """Read the run's lines until it is done or gone."""
    os.chdir("/")
    told: dict[int, str] = {}
    rest = b""
    while block := os.read(0, 65536):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            word = line.decode()
            if word == "done":
                return
            if word[:1] == "+":
                pid, _, start = word[1:].partition(" ")
                told[int(pid)] = start
            else:
                told.pop(int(word[1:]), None)
    end_all(mark, told, home)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
