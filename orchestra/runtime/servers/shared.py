"""Services that several suites have alike, or several runs of one suite, started once for all of these runs.

Two rows are alike if their processes are: command, environment, folder, host, ports, readiness and files, and so those of
all that they need. A shared row is lent to each run as one that is up: a run that loses it starts its own.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from orchestra.plan import NO_TLS, Component, Plan, closure
from orchestra.runtime.build import build_of
from orchestra.runtime.inherited import Inherited
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers.keeper import row_of
from orchestra.runtime.servers.lending import identities
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.survey import SETTLED
from orchestra.runtime.servers.up import UpRow

ALL_SUITES, WATCH = "`run --all-suites`", "`run --watch`"
"""Who starts them, for people."""


def alike(suites: Iterable[Sequence[Component]]) -> frozenset[str]:
    """Return the identities of services that more than one suite has."""
    having: dict[str, int] = defaultdict(int)
    for components in suites:
        known = identities(components)
        for identity in {
            known[component.id] for component in components if component.service is not None and component.id in known
        }:
            having[identity] += 1
    return frozenset(identity for identity, number in having.items() if number > 1)


def _fixed(components: Iterable[Component]) -> frozenset[int]:
    """Return the ports that services have no choice of."""
    services = [
        service
        for component in components
        for service in (component.service, component.failover)
        if service is not None
    ]
    ranges = [service.ports for service in services if service.ports is not None]
    return frozenset(low for low, high in ranges if low == high)


class Shared:
    """The services that some suites share, or some runs of one suite.

    Args:
        root: the project root.
        folder: for the logs of the services.
        suites: for each suite its plan and the rows that its selected tests require.
        inherits: the environment of services.
        by: who starts them. With `WATCH` a service of one suite is among them, too.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        suites: Mapping[str, tuple[Plan, Iterable[str]]],
        inherits: Inherited,
        *,
        by: str = ALL_SUITES,
    ) -> None:
        self._by = by
        tls, env_files = next(((plan.tls, plan.env_files) for plan, _ in suites.values()), (NO_TLS, ()))
        # A suite that checks certificates in another way, or has other variables, asks its services itself.
        required = {
            suite: closure(plan.components, names if (plan.tls, plan.env_files) == (tls, env_files) else ())
            for suite, (plan, names) in suites.items()
        }
        each = frozenset(identity for rows in required.values() for identity in identities(rows).values())
        wanted = each if by == WATCH else alike(required.values())
        self._rows: dict[str, dict[str, str]] = {}
        self._ports: dict[str, frozenset[int]] = {}
        self._builds: dict[str, tuple[str, float]] = {}
        components: dict[str, Component] = {}
        for suite, rows in required.items():
            known = identities(rows)
            mine = closure(rows, [component.id for component in rows if known.get(component.id) in wanted])
            self._rows[suite] = {component.id: known[component.id] for component in mine}
            for component in mine:
                # The first suite that has a row names it; recovery is the matter of the run that uses it.
                needs = tuple(components[known[need]].id for need in component.needs)
                row = msgspec.structs.replace(
                    component, id=f"{suite}.{component.id}", needs=needs, live=None, recover=(), failover=None
                )
                components.setdefault(known[component.id], row)
            self._ports[suite] = _fixed(row for row in rows if row not in mine)
        self._components = components
        self._root, self._changed = root, threading.Event()
        self._reaper: Reaper | None = None
        self._matrix: Matrix | None = None
        if components:
            secrets = tuple({*inherits.secrets, *(name for plan, _ in suites.values() for name in plan.secrets)})
            mark = f"shared-{os.getpid()}-{time.time_ns():x}"
            self._reaper = Reaper.start(mark)
            self._matrix = Matrix(
                list(components.values()),
                root=root,
                folder=folder,
                mark=mark,
                env=inherits.environment,
                masks=Masks(secrets, inherits.environment),
                on_event=lambda *_: None,
                wake=self._changed.set,
                reaper=self._reaper,
                tls=tls,
            )

    def names(self) -> dict[str, list[str]]:
        """Return by suite the services that it shares."""
        return {
            suite: [name for name, identity in rows.items() if self._components[identity].service is not None]
            for suite, rows in self._rows.items()
        }

    def prepare(self, suite: str, later: Sequence[str]) -> list[str]:
        """Start what a suite shares, and end what no later suite needs or what holds a port that the suite needs itself.

        Returns when each is healthy or has failed.

        Args:
            suite: whose run is next.
            later: the suites after it.

        Returns:
            Those that have failed, with the reason.
        """
        if self._matrix is None:
            return []
        mine = set(self._rows[suite].values())
        needed = mine.union(*(self._rows[other].values() for other in later))
        ports = self._ports[suite]
        over = [
            component.id
            for identity, component in self._components.items()
            if component.service is not None
            and identity not in mine
            and (identity not in needed or self._matrix.row(component.id).port in ports)
        ]
        self._matrix.stop(over)
        ids = [component.id for identity, component in self._components.items() if identity in mine]
        for identity, component in self._components.items():
            if identity in mine and self._matrix.row(component.id).state == "idle":
                self._builds[identity] = build_of(self._root, component).digest, time.time()
        self._matrix.request(ids)
        while any(self._matrix.row(name).state not in SETTLED for name in ids):
            self._changed.clear()
            if any(self._matrix.row(name).state not in SETTLED for name in ids):
                self._changed.wait()
        rows = [self._matrix.row(name) for name in ids]
        return [f"{row.id} {row.reason}" for row in rows if row.state == "failed"]

    def end_old(self) -> list[str]:
        """End what is of other files than are there now, with what needs it; `prepare` starts it again. Return its names."""
        if self._matrix is None:
            return []
        old = [
            self._components[identity].id
            for identity, (digest, _) in self._builds.items()
            if build_of(self._root, self._components[identity]).digest != digest
        ]
        self._matrix.stop(old)
        return [name.partition(".")[2] for name in old]

    def lent(self, suite: str) -> dict[str, UpRow]:
        """Return the rows that a run of a suite may use, with what they need; those that have failed since are left out."""
        lent: dict[str, UpRow] = {}
        if self._matrix is None:
            return lent
        for name, identity in self._rows[suite].items():
            component = self._components[identity]
            if component.service is None and component.job is None:
                continue
            if self._matrix.row(component.id).state == "healthy":
                row = row_of(self._matrix, component.id, *self._builds[identity])
                lent[name] = msgspec.structs.replace(row, by=self._by)
        return lent

    def close(self) -> None:
        """End them."""
        if self._matrix is not None:
            self._matrix.close()
        if self._reaper is not None:
            self._reaper.close()
