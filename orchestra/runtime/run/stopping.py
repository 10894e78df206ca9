"""Ask a run in another process to end: by the process that its lock names, never by a name."""

from __future__ import annotations

import psutil

from orchestra.errors import MachineError
from orchestra.ledger.lock import Holder

_CLOCK_SECONDS = 1.0
"""Two processes may compute the start of a third that much apart."""


def born() -> float:
    """Return when this process started, in seconds of the epoch."""
    return float(psutil.Process().create_time())


def terminate(holder: Holder) -> None:
    """Send SIGTERM to the process of a run. A process that has ended in the meantime is no error.

    Raises:
        MachineError: the process with this number is not the one that started the run, or belongs to another user.
    """
    try:
        process = psutil.Process(holder.pid)
        started = process.create_time()
        if abs(started - holder.born) > _CLOCK_SECONDS:
            raise MachineError(
                f"process {holder.pid} is not the one that started run {holder.run}",
                "the run is in another container or on another machine: stop it there",
            )
        process.terminate()
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        raise MachineError(f"process {holder.pid} of run {holder.run} belongs to another user") from error
