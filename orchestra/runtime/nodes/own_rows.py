"""The rows of the health matrix that a node has itself: its instances of components with `where: worker`.

They are started, watched, recovered and ended by the same matrix as on the machine of the run. The run gets each change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from orchestra.instances import of_nodes
from orchestra.ledger.event import ServiceChanged
from orchestra.plan import Plan, Test, closure
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.window import Mark, marks, wants_evidence, with_services
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.row import RowChange
from orchestra.yamltext.places import Places

_MOVING = frozenset({"starting", "unhealthy"})


class OwnRows:
    """The rows of one visit. Any thread may call it; `want` and `look` are for one.

    Args:
        plan: of the run.
        root: the project root of the node.
        folder: of the visit.
        mark: its tree mark.
        environment: of services and probes.
        masks: take secrets out of logs and reasons.
        reaper: gets every process.
        in_use: whether a test under way requires a component.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        root: Path,
        folder: Path,
        mark: str,
        environment: Mapping[str, str],
        masks: Masks,
        reaper: Reaper,
        in_use: Callable[[str], bool],
    ) -> None:
        self._folder, self._components = folder, plan.components
        self._changes: list[RowChange] = []
        self._wanted: set[str] = set()
        self._matrix = Matrix(
            of_nodes(plan.components),
            root=root,
            folder=folder,
            mark=mark,
            env=environment,
            masks=masks,
            on_event=self._changed,
            wake=lambda: None,
            reaper=reaper,
            in_use=in_use,
            place=lambda pointer: Places(root, plan.sources, plan.profile).text((pointer,)),
            tls=plan.tls,
        )

    def _changed(self, event: ServiceChanged, ago_seconds: float) -> None:
        row = self._matrix.row(event.component)
        bound = dict(self._matrix.bound(event.component))
        self._changes.append(RowChange(event, ago_seconds, bound, row.hint, degraded=bool(row.degraded)))

    def want(self, components: Iterable[str]) -> None:
        """Start components; returns at once."""
        names = self._matrix.required_by(components)
        self._wanted.update(names)
        self._matrix.request(names)

    def look(self, components: Iterable[str], done: Callable[[], None]) -> None:
        """Find out whether components are well; `done` is called when it is known, by any thread."""
        self._matrix.look(components, done)

    def changes(self, after: int) -> tuple[RowChange, ...]:
        """Return the changes after so many, in order."""
        return tuple(self._changes[after:])

    def moving(self) -> bool:
        """Return whether a row is about to change."""
        states = {self._matrix.row(name).state for name in list(self._wanted)}
        return not states.isdisjoint(_MOVING | {"idle"})

    def required(self, test: Test) -> tuple[str, ...]:
        """Return the rows that a test requires, of those that a node has itself."""
        return tuple(row.id for row in of_nodes(closure(self._components, test.requires)))

    def marks(self, test: Test) -> Mapping[str, Mark]:
        """Return where the logs of what a test requires end now."""
        self._matrix.hear()
        return marks(self._folder, self.required(test))

    def with_logs(self, test: Test, result: Result, folder: Path, begun: Mapping[str, Mark]) -> Result:
        """Return a result with what they have written since, if its test wants evidence."""
        if not begun or not wants_evidence(test, result):
            return result
        self._matrix.hear()
        return with_services(result, self._folder, folder, begun)

    def close(self) -> None:
        """End them all, and wait for it."""
        self._matrix.close()
