"""The one place that imports Dask: late, quiet, and with a letter where it is not installed."""

from __future__ import annotations

from types import ModuleType

from orchestra.errors import MachineError, UsageError
from orchestra.remote_address import scheduler_fault

EXTRA = "orchestra-e2e[dask]"
"""The package to install."""


def distributed() -> ModuleType:
    """Return the package `distributed`, whose own log is not shown: the run records what matters.

    Raises:
        MachineError: it is not installed.
    """
    try:
        import dask  # noqa: PLC0415 - a third of a second that only runs on a cluster pay
    except ImportError as error:
        raise MachineError("Dask is not installed here, which carries out a run on several machines", _FIX) from error
    names = ("distributed", "distributed.client", "distributed.nanny", "bokeh", "tornado", "tornado.application")
    quiet = dict.fromkeys(names, "critical")
    dask.config.set({"logging": quiet, "distributed.admin.large-graph-warning-threshold": "1GiB"})
    try:
        import distributed as package  # noqa: PLC0415 - as above
    except ImportError as error:
        raise MachineError("Dask is installed here without its package `distributed`", _FIX) from error
    return package


_FIX = f"pip install '{EXTRA}'"


def check_address(address: str) -> str:
    """Return the address of a scheduler.

    Raises:
        UsageError: it is none.
    """
    if scheduler_fault(address) or address.startswith("${"):
        raise UsageError(
            f'"{address}" is not the address of a Dask scheduler', "write tcp://HOST:PORT, or tls://HOST:PORT"
        )
    return address


def no_scheduler(address: str, reason: str) -> MachineError:
    """Return the error of a scheduler that cannot be reached."""
    port = address.rpartition(":")[2]
    return MachineError(
        f"no Dask scheduler answers at {address}: {reason}",
        f"start one: `dask scheduler --port {port}`, or correct the address",
    )


def told(error: BaseException) -> str:
    """Return an error of Dask in one line."""
    text = str(error).strip().splitlines()
    if isinstance(error, TimeoutError) and not text:
        return "no answer in time"
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
