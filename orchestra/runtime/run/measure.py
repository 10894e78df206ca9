"""The gates of a run at their three moments: before the first test, while tests run, and at the end."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from orchestra.gates.standard import gates_of
from orchestra.ledger.view import View
from orchestra.runtime.attempts.record import evidence_gone
from orchestra.runtime.build import source_now
from orchestra.runtime.engine.slots import machine_load
from orchestra.runtime.gates.figures import figures
from orchestra.runtime.gates.gate import Gates
from orchestra.runtime.run.opening import Run
from orchestra.runtime.servers.matrix import Matrix, Row


class Measures:
    """Evaluates gates by what the run has measured so far.

    Args:
        run: that is open.
        matrix: the health matrix.

    Attributes:
        gates: of the plan, and the standard ones.
        unhealthy: the first row without which the run has failed; empty for none.
        evidence_missing: how much evidence of attempts is missing.
        opened: the gates before the first test were evaluated.
    """

    def __init__(self, run: Run, matrix: Matrix) -> None:
        self._run = run
        self._matrix = matrix
        self.gates = Gates(gates_of(run.plan), run.recorder.add, place=run.place, whole=not run.is_shard)
        self.unhealthy = ""
        self.evidence_missing = 0
        self.opened = False

    def note_unhealthy(self, row: Row) -> None:
        """Note a row without which the run has failed; the first one counts."""
        self.unhealthy = self.unhealthy or f"{row.id} {row.reason}"

    def open(self, workers: int, *, settled: bool = False) -> bool:
        """Evaluate the gates before the first test, once the components that they ask about are up or down.

        Args:
            workers: how many tests may run at once.
            settled: do not wait for components.

        Returns:
            Whether they were evaluated.
        """
        if self.opened:
            return True
        asked = self._matrix.required_by(self.gates.components(), worker=1)
        if asked and not settled:
            self._matrix.request(asked)
            if any(self._matrix.row(name).state in {"idle", "starting"} for name in asked):
                return False
        self.opened = True
        down = [row for row in map(self._matrix.row, asked) if row.required and row.state == "failed"]
        self.unhealthy = self.unhealthy or "; ".join(f"{row.id} {row.reason}" for row in down)
        self.gates.before(self._values(workers))
        return True

    def sample(self, workers: int) -> None:
        """Evaluate the gates that hold while tests run."""
        self.gates.sample(self._values(workers))

    def close(self, workers: int) -> None:
        """Evaluate the gates at the end, those before the first test too if that never came."""
        self.open(workers, settled=True)
        fresh = source_now(self._run.root, self._run.plan.sources) == self._run.plan.source_digest
        self.evidence_missing += evidence_gone(self._run.folder, self._run.view)
        self.gates.after({**self._values(workers), "plan_fresh": fresh})

    def _values(self, workers: int) -> Mapping[str, object]:
        run = self._run
        rows = self._matrix.rows()

        def known(view: View) -> dict[str, object]:
            return {**figures(run.plan, view, rows), **run.pace.figures(view)}

        processors, memory = machine_load()
        return {
            **run.recorder.read(known),
            "evidence_missing": self.evidence_missing,
            "workers": workers,
            "seconds_total": run.seconds(),
            "cpu_percent": processors,
            "memory_percent": memory,
            "disk_free_megabytes": shutil.disk_usage(run.root).free // 2**20,
        }
