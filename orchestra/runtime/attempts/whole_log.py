"""The logs of services and workers as whole files, bound by digest when the run has ended.

All who write them have ended by then. Should one have been let through, its log is named as open instead of bound with a
digest that would be wrong a moment later.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from orchestra import nofollow
from orchestra.ledger.event import Body, Logs
from orchestra.ledger.parts import Evidence
from orchestra.runtime.attempts.record import evidence_of

MCP = "attempts/*/*/*/mcp"
PLACES = ("services/**/*", "workers/**/*", f"{MCP}/*.log")
"""The last are those of MCP servers, which go on after the attempt in whose folder they began."""


def bind_logs(
    run: Path, add: Callable[[Body], object], clean: Callable[[Path], object] = str, *, learnt: bool = False
) -> None:
    """Record the logs of a run, where there are any.

    Args:
        run: its folder.
        add: records an event.
        clean: takes the secrets out of the files below a folder. The logs of MCP servers were written on after the end of
            the attempt in whose folder they lie, where it was done first; those of others are masked as they come.
        learnt: secrets became known during the run, so the others may hold them, too.
    """
    for folder in run.glob(MCP):
        if nofollow.is_folder(folder):
            clean(folder)
    for folder in (run / "services", run / "workers") if learnt else ():
        if nofollow.is_folder(folder) and not any(map(_written, filter(nofollow.is_file, folder.rglob("*")))):
            clean(folder)
    logs = logs_of(run)
    if logs.files or logs.open:
        add(logs)


def logs_of(run: Path) -> Logs:
    """Return the event of the files in these places of a run; one that is gone meanwhile is left out."""
    bound: list[Evidence] = []
    still: list[str] = []
    for file in sorted(file for place in PLACES for file in run.glob(place) if nofollow.is_file(file)):
        path = str(file.relative_to(run))
        if _written(file):
            still.append(path)
        elif (one := evidence_of(file.parent, run, file.name, "log")) is not None:
            bound.append(one)
    return Logs(files=tuple(bound), open=tuple(still))


def _written(file: Path) -> bool:
    """Return True if a process has the file open for writing: then the kernel (Linux) refuses a lease on it.

    If the system has no leases, or refuses one on this file, the file counts as closed.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
