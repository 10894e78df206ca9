"""Survey the health matrix without a run: probed rows, known rows, and rows that are not started.

A survey starts nothing without `--start`: tools, variables, files and remote systems are probed; servers of `orchestra
up` are probed at their address; of a run in progress the rows are its own.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from orchestra.instances import PER_WORKER, component_of, expanded, worker_of
from orchestra.ledger.lock import holder_of
from orchestra.ledger.state import read_state
from orchestra.ledger.state_rows import ServiceRow
from orchestra.plan import Component, Plan, closure
from orchestra.runtime.inherited import Inherited
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers import reuse, up
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.port import Port, locks_folder, reserve
from orchestra.runtime.servers.recovery import first_bound_seconds
from orchestra.runtime.servers.row import Row
from orchestra.yamltext.places import Places

SETTLED = frozenset({"healthy", "failed"})


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the survey: the component's title, its row, and its starter (`up`, the id of a run, or empty)."""

    title: str
    row: Row
    by: str = ""


def bound_of(components: Sequence[Component]) -> float:
    """Return how long these take at most to come up or be given up, one after the other, in seconds."""
    return sum(first_bound_seconds(component) for component in components)


class Survey:
    """Asks the rows of a suite.

    Args:
        root: the project root.
        home: `.orchestra/<suite>`, absolute.
        plan: the suite.
        names: rows to ask, with what they need.
        inherits: the environment of probes and services.
        start: start what is down, and end it in `close`.
    """

    def __init__(
        self,
        root: Path,
        home: Path,
        plan: Plan,
        names: Sequence[str],
        inherits: Inherited,
        *,
        start: bool = False,
    ) -> None:
        self._root, self._home, self._plan = root, home, plan
        self._components = closure(plan.components, names)
        # One instance shows whether a component with `per: worker` comes up.
        self._chosen = list(expanded(self._components, 1)) if start else self._components
        self._environment = inherits.environment
        self._start = start
        self._masks = Masks(inherits.secrets, inherits.environment)
        self._changed = threading.Event()
        self._matrix: Matrix | None = None
        self._reaper: Reaper | None = None

    def lines(self) -> list[Line]:
        """Return the rows as they are now. Each is asked within its own bounds."""
        lent, refused, unsure = reuse.usable(self._root, self._home, self._plan, self._environment)
        run, known = self._of_run()
        asked = [component for component in self._askable(lent) if component.id not in known]
        if self._matrix is None:
            self._matrix = self._new(self._components if self._start else asked, lent)
        matrix = self._matrix
        mine = {component.id for component in (self._chosen if self._start else asked)}
        matrix.request(mine)
        while any(matrix.row(name).state not in SETTLED for name in mine):
            self._changed.clear()
            if any(matrix.row(name).state not in SETTLED for name in mine):
                self._changed.wait()
        kept = up.read(self._home)
        lines = []
        for component in _with_known_instances(self._chosen, known):
            if component.id in mine:
                line = Line(
                    component.title, _doubted(matrix.row(component.id), unsure), "up" if component.id in lent else ""
                )
            elif component.id in known:
                line = Line(component.title, _of_state(component, known[component.id]), f"run {run}")
            elif kept is not None and component.id in kept.rows:
                row = _of_record(component, kept.rows[component.id])
                if component.id in refused and not row.reason:
                    reason = f"a run would not use it: {refused[component.id]}"
                    row = replace(row, reason=reason, hint=f"orchestra up --restart {component.id}")
                line = Line(component.title, row, "up")
            else:
                line = Line(component.title, self._idle(component))
            lines.append(line)
        if not self._start:
            self._drop()
        return [self._without_secrets(line) for line in lines]

    def _without_secrets(self, line: Line) -> Line:
        """The line for people: an address can hold a secret, of the spec or of what a service printed."""
        row, text = line.row, self._masks.text
        return replace(line, row=replace(row, url=text(row.url), reason=text(row.reason), hint=text(row.hint)))

    def _askable(self, lent: Mapping[str, up.UpRow]) -> list[Component]:
        """Return the components that can be probed without starting anything, without their recovery."""
        kept: list[Component] = []
        for component in self._chosen:
            started = component.service is not None or component.job is not None
            if (component.id in lent or not started) and all(
                need in {row.id for row in kept} for need in component.needs
            ):
                kept.append(msgspec.structs.replace(component, recover=()))
        return kept

    def _new(self, components: Sequence[Component], lent: Mapping[str, up.UpRow]) -> Matrix:
        mark = f"health-{os.getpid()}-{time.time_ns():x}"
        self._reaper = Reaper.start(mark)
        return Matrix(
            components,
            root=self._root,
            folder=self._home / "health",
            mark=mark,
            env=self._environment,
            masks=self._masks,
            on_event=lambda *_: None,
            wake=self._changed.set,
            reaper=self._reaper,
            lent=lent,
            starts=self._start,
            instances=int(self._start),
            tls=self._plan.tls,
            place=lambda pointer: Places(self._root, self._plan.sources, self._plan.profile).text((pointer,)),
        )

    def _of_run(self) -> tuple[str, Mapping[str, ServiceRow]]:
        """Return the run under way, and the rows that it has started, by its own state."""
        holder = holder_of(self._home / "lock")
        if holder is None:
            return "", {}
        try:
            return holder.run, read_state(self._home / "runs" / holder.run / "state.json").health
        except (OSError, ValueError):
            return holder.run, {}

    def _idle(self, component: Component) -> Row:
        if component.per == PER_WORKER:
            hint = f"`orchestra health --start {component.id}` starts one, probes it and ends it"
            return Row(
                component.id,
                "idle",
                "is started by a run, once for each worker",
                hint=hint,
                required=component.required,
            )
        reason = "is not started"
        hint = f"orchestra up {component.id}, or let a run start it"
        if component.service is None and component.job is None:
            reason, hint = "needs components that are not started", f"orchestra up {' '.join(component.needs)}"
        elif component.service is not None and component.service.ports is not None:
            port = reserve(component.service.host, component.service.ports, but={}, folder=locks_folder(os.getuid()))
            if isinstance(port, Port):
                port.release()
            else:
                reason += f", and has no free port: {'; '.join(port.reasons)}"
                hint = "end the process that holds it, or widen `port_range`"
        return Row(component.id, "idle", reason, hint=hint, required=component.required)

    def _drop(self) -> None:
        if self._matrix is not None:
            self._matrix.close()
        if self._reaper is not None:
            self._reaper.close()
        self._matrix = self._reaper = None

    def close(self) -> None:
        """End what was started."""
        self._drop()


def _with_known_instances(components: Iterable[Component], known: Iterable[str]) -> Iterator[Component]:
    """Yield components; in place of one with instances those of the run in progress, if it has any."""
    for component in components:
        mine = sorted(
            (row for row in known if component_of(row) == component.id != row), key=lambda row: (worker_of(row), row)
        )
        if not mine:
            yield component
        else:
            yield from (msgspec.structs.replace(component, id=row) for row in mine)


def _doubted(row: Row, unsure: Mapping[str, str]) -> Row:
    """Return the row, with why it may be old code, if there is such a reason."""
    if row.state != "healthy" or row.id not in unsure:
        return row
    return replace(row, reason=f"may be old code: {unsure[row.id]}", hint=reuse.fix(row.id))


def _of_state(component: Component, known: ServiceRow) -> Row:
    return Row(
        component.id,
        known.state,  # type: ignore[arg-type] # as the run's matrix wrote it
        known.reason,
        pid=known.pid,
        port=known.port,
        url=known.url or "",
        attempts=known.attempt,
        seconds=known.seconds,
        required=component.required,
    )


def _of_record(component: Component, row: up.UpRow) -> Row:
    return Row(
        component.id,
        row.state,  # type: ignore[arg-type] # as the keeper's matrix wrote it
        row.reason,
        pid=row.pid,
        port=row.port,
        url=row.url,
        attempts=row.attempts,
        seconds=row.seconds,
        hint=row.hint,
        required=component.required,
        degraded=row.degraded,
        identity=row.identity,
    )
