"""The registry of engines: by name, those of orchestra, and those that packages bring (`orchestra.engines`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from orchestra import plugins
from orchestra.errors import UsageError
from orchestra.plan import Plan
from orchestra.runtime.engine.contract import ClusterKind, Opened
from orchestra.suggest import did_you_mean

LOCAL: Final = "local"
"""The engine of one machine, which needs nothing."""


def _dask(address: str, who: str) -> Opened:
    from orchestra.runtime.nodes.dask_link import DaskLink  # noqa: PLC0415 - only a run on a cluster imports Dask
    from orchestra.runtime.nodes.dask_package import check_address  # noqa: PLC0415 - as above

    return DaskLink(check_address(address) if address else "", who)


ENGINES: Final[Mapping[str, ClusterKind]] = {
    "dask": ClusterKind("dask", "nodes of a Dask cluster, one slot for each attempt", _dask)
}
"""The engines of other machines that orchestra brings, by name."""


def open_engine(plan: Plan, root: Path, name: str, address: str, who: str) -> Opened | None:
    """Return the engine of a run; None for the one of this machine.

    Args:
        plan: names the packages that may bring one.
        root: the project root; no engine is loaded from there.
        name: of the engine.
        address: of its cluster.
        who: the run, for those who find the cluster in use.

    Raises:
        UsageError: there is no such engine.
        MachineError: it cannot be used.
    """
    if name == LOCAL:
        return None
    if name in ENGINES:
        return ENGINES[name].open(address, who)
    for plugin in plan.plugins:
        if name in plugin.engines:
            return plugins.load("engine", name, plugin.name, ClusterKind, root).open(address, who)
    known = [LOCAL, *ENGINES]
    listed = ", ".join(f'"{one}"' for one in known)
    raise UsageError(
        f'unknown engine "{name}"{did_you_mean(name, known)}; there are {listed}',
        "a package that brings another one is named in `plugins` of the spec",
    )
