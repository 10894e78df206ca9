"""What a plan declares and this version does not carry out, said at the start of a run. Pure. May import `plan`, `metrics`.

A spec may hold what a later version will do, so that it need not change then; until then nobody may believe that it is
done. What is carried out loses its sentence here.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestra.metrics import names_in
from orchestra.plan import Baseline, Plan


def notices(plan: Plan) -> Iterator[str]:
    """One sentence for each declaration that has no effect yet."""
    gates = [f"{gate.phase}:{gate.name}" for gate in plan.gates if "regressions" in names_in(gate.require)]
    if gates:
        listed = ", ".join(gates)
        yield f"durations are not compared with a baseline by this version: without `regressions`, {listed} may not apply"
    elif plan.baseline != Baseline():
        yield "durations are not compared with a baseline by this version: `baseline` has no effect"
