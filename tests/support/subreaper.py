"""Runs a command as its subreaper, ends it as asked, and counts exactly what is left of it: a program, not a test.

    python -m tests.support.subreaper HOW MARKER -- COMMAND…

HOW is `wait` (let it end), `INT`, `TERM` or `KILL` (signal the run once the file MARKER exists), `worker` (SIGKILL one
of its worker processes then), or `after:SECONDS` (SIGKILL the run that long after its start, wherever it is). Prints
JSON: the exit code, the descendants that were alive when it ended and that were still alive once nothing changed any more,
and the seconds from the signal until then.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from orchestra.runtime.processes.orphan import become_subreaper

PATIENCE_SECONDS = 30.0


def living() -> list[psutil.Process]:
    """Descendants that are no zombies; those that ended are reaped."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def lines(processes: list[psutil.Process]) -> list[str]:
    told = []
    for process in processes:
        try:
            told.append(" ".join(process.cmdline())[:120] or process.name())
        except psutil.Error:
            continue
    return told


def main() -> None:
    how, marker, _, *command = sys.argv[1:]
    if not become_subreaper():
        raise SystemExit("no subreaper on this system")
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    if how.startswith("after:"):
        try:
            run.wait(float(how.removeprefix("after:")))
        except subprocess.TimeoutExpired:
            run.kill()
    elif how != "wait":
        while not Path(marker).exists():
            if run.poll() is not None:
                raise SystemExit(f"the run ended too early: {run.stderr.read().decode()}")
            time.sleep(0.01)
    if how == "worker":
        [worker, *_] = [one for one in living() if "orchestra.runtime.worker" in " ".join(one.cmdline())]
        worker.kill()
    elif how != "wait" and not how.startswith("after:"):
        os.kill(run.pid, getattr(signal, f"SIG{how}"))
    begun = time.monotonic()
    _, err = run.communicate()
    at_once = lines(living())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while living() and time.monotonic() < deadline:
        time.sleep(0.05)
    told = {"code": run.returncode, "at_once": at_once, "left": lines(living()), "err": err.decode()}
    sys.stdout.write(json.dumps({**told, "seconds": time.monotonic() - begun}))


if __name__ == "__main__":
    main()
