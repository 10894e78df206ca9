"""The instances of components with `per: worker` or `where: worker`: their ids, and their rows of a health matrix. Pure.

Instance 2 of `app` is the row `app.2`, the one on the node `n1` is `app@n1`. No id of a component holds a dot or an `@`, so
`component_of` needs no table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from orchestra.plan import Component, Test, closure

PER_WORKER = "worker"
"""The value of `per` of a component with an instance for each worker."""

ON_NODES = "worker"
"""The value of `where` of a component with an instance on each node of a cluster."""

Worker: TypeAlias = int | str
"""Whose instances a test uses: the number of a worker, from 1, or the name of a node; 0 and empty for none."""

WORSE: Mapping[str, int] = {"stopped": 1, "healthy": 2, "starting": 3, "unhealthy": 4, "failed": 5}
"""Of the states of several rows of a component the worst one counts; an idle instance does not count."""


def instance_of(component: str, worker: int) -> str:
    """Return the id of the row of an instance."""
    return f"{component}.{worker}"


def on_node(component: str, node: str) -> str:
    """Return the id of the row of the instance on a node."""
    return f"{component}@{node}"


def node_of(row: str) -> str:
    """Return the node of an instance; empty for a row that is on none."""
    return row.partition("@")[2]


def worker_of(row: str) -> int:
    """Return the number of an instance, from 1; 0 for a row that is none."""
    number = row.rpartition(".")[2] if "." in row else ""
    return int(number) if number.isdecimal() else 0


def component_of(row: str) -> str:
    """Return the component of a row: `app` for `app.2` and `app@n1`, other rows as they are."""
    row = row.partition("@")[0]
    return row.rpartition(".")[0] if worker_of(row) else row


def expanded(components: Iterable[Component], workers: int) -> tuple[Component, ...]:
    """Return the rows of a health matrix, with so many instances of each component with `per: worker`.

    Instance i needs instance i of what has instances. The rows are in the order of the plan, in which needs come first.
    """
    rows: list[Component] = []
    several: set[str] = set()
    for component in components:
        if component.per != PER_WORKER:
            rows.append(component)
            continue
        several.add(component.id)
        for worker in range(1, workers + 1):
            needs = tuple(instance_of(need, worker) if need in several else need for need in component.needs)
            row = msgspec.structs.replace(component, id=instance_of(component.id, worker), needs=needs, per="run")
            rows.append(row)
    return tuple(rows)


def once(components: Iterable[Component]) -> tuple[Component, ...]:
    """Return the components of which there is one. A component that needs one with instances has instances itself."""
    return tuple(component for component in components if component.per != PER_WORKER)


def of_nodes(components: Iterable[Component]) -> tuple[Component, ...]:
    """Return the components of which a cluster has one on each node."""
    return tuple(component for component in components if component.where == ON_NODES)


def used_on_nodes(components: Sequence[Component], tests: Iterable[Test]) -> tuple[Component, ...]:
    """Return the components that tests require, with all that these need, of which a cluster has one on each node."""
    return of_nodes(closure(components, {name for test in tests for name in test.requires}))


def required(components: Sequence[Component], ids: Iterable[str], worker: int) -> tuple[str, ...]:
    """Return the rows of these components and of all that they need, in the order of the plan.

    Args:
        components: of the plan.
        ids: components.
        worker: whose instances are meant; 0 leaves components with instances out.
    """
    if not components:
        return ()
    rows = [component for component in closure(components, ids) if worker or component.per != PER_WORKER]
    return tuple(instance_of(row.id, worker) if row.per == PER_WORKER else row.id for row in rows)


def uses_instance(components: Iterable[Component], test: Test) -> bool:
    """Return whether a test uses an instance of a component."""
    return any(component.per == PER_WORKER and component.id in test.requires for component in components)


def most(components: Iterable[Component]) -> int | None:
    """Return how many instances there can be: the ports of the shortest range; None without a bound."""
    services = [
        service
        for component in components
        if component.per == PER_WORKER
        for service in (component.service, component.failover)
        if service is not None and service.ports is not None
    ]
    return min((high - low + 1 for low, high in (service.ports for service in services if service.ports)), default=None)


def worst(states: Mapping[str, str]) -> dict[str, str]:
    """Return the state of each component from those of its rows: the worst of its instances that were started."""
    found: dict[str, str] = {}
    for row, state in states.items():
        name = component_of(row)
        if name not in found or WORSE.get(state, 0) > WORSE.get(found[name], 0):
            found[name] = state
    return found
