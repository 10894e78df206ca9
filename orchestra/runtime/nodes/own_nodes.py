"""The nodes of a cluster on this machine, for a try: `--engine dask` without an address."""

from __future__ import annotations

from typing import Final

from orchestra import checkout
from orchestra.runtime import interpreter
from orchestra.runtime.engine.contract import Scene
from orchestra.runtime.processes.masked_log import MaskedLog
from orchestra.runtime.processes.process import Process, end_tree, spawn

NUMBER: Final = 2
"""As many nodes has a cluster on this machine."""

GRACE_SECONDS: Final = 10.0
"""The time that a node has to end by itself."""


class OwnNodes:
    """Starts nodes, and ends them.

    Args:
        scene: the run.
        address: of the scheduler.

    Raises:
        MachineError: one cannot be started, or the disk refuses.
    """

    def __init__(self, scene: Scene, address: str) -> None:
        self._reaper = scene.reaper
        self._processes: list[Process] = []
        self._logs: list[MaskedLog] = []
        for number in range(1, NUMBER + 1):
            name = f"node{number}"
            log = MaskedLog(scene.folder / "workers" / f"{name}.log", scene.masks.stream())
            self._logs.append(log)
            try:
                process = spawn(
                    [
                        *interpreter.own("orchestra"),
                        "worker",
                        f"--scheduler={address}",
                        f"--name={name}",
                        f"--slots={scene.slots or 1}",
                    ],
                    cwd=scene.root,
                    env=checkout.without_key(scene.environment),
                    stdout=log.file,
                    mark=f"{scene.mark}/{name}",
                )
            finally:
                log.started()
            self._reaper.add(process.pid)
            self._processes.append(process)

    def close(self) -> None:
        """End them."""
        for process in self._processes:
            end_tree(process, grace_seconds=GRACE_SECONDS)
            self._reaper.remove(process.pid)
        self._processes.clear()
        for log in self._logs:
            log.join()
