"""What a plan declares and this version does not carry out, said at the start of a run. Pure. May import `plan`.

A spec may hold what a later version will do, so that it need not change then; until then nobody may believe that it is
done. What is carried out loses its sentence here.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestra.plan import Plan


def notices(plan: Plan) -> Iterator[str]:
    """One sentence for each declaration that has no effect yet."""
    for row in plan.components:
        if row.fail_back:
            yield f'"fail_back" of "{row.id}" is not carried out by this version: its backup serves until the run ends'
