"""The entries of pools: which test holds which, and the values that its texts get.

An entry belongs to one test from the grant of its slot to the end of its last attempt. Shards divide the entries: the first
of two has the first, the third and so on, so that no entry is held in two jobs at once.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from orchestra import names
from orchestra.diagnostic import Place
from orchestra.errors import UsageError
from orchestra.instances import uses_instance
from orchestra.ledger.event import Sharding
from orchestra.plan import Component, Method, Plan, Pool, Test
from orchestra.runtime.attempt import connects


class Entry(NamedTuple):
    """An entry of a pool: the pool, and the index of the entry there."""

    pool: Pool
    number: int

    @property
    def label(self) -> str:
        """`users[ana]`: by its key `id` or `name`, if that is in the spec as it is, else by its number from 1."""
        values = self.pool.entries[self.number]
        known = (values.get(key, "") for key in ("id", "name"))
        return f"{self.pool.id}[{next((text for text in known if text and '${' not in text), self.number + 1)}]"


INSTANCES = "instances per worker"
"""The name of what a test holds that uses an instance of a component with `per: worker`."""


def sessions_of(method: Method) -> str:
    """Return the name of what a test holds that has a browser of the server of its method."""
    return f"sessions of {method.id}"


def sessions(methods: Iterable[Method]) -> dict[str, int]:
    """Return how many browsers the server of each method gives at once, by the names of `wanted`; methods without a limit
    are left out.
    """
    return {
        sessions_of(one): one.connect.sessions for one in methods if one.connect is not None and one.connect.sessions
    }


def wanted(test: Test, components: Iterable[Component] = (), method: Method | None = None) -> dict[str, int]:
    """Return the counted resources that a test holds while it runs: entries of pools, an instance and a remote browser among
    them.

    Args:
        test: of the plan.
        components: of the plan.
        method: by which it runs.
    """
    remote = dict.fromkeys(sessions((method,)), 1) if method is not None and connects(test, method) else {}
    entries = {f"pool {pool}": number for pool, number in Counter(test.takes.values()).items()}
    return {**test.resources, **entries, **({INSTANCES: 1} if uses_instance(components, test) else {}), **remote}


class Pools:
    """The free and the held entries of a run.

    Args:
        plan: the suite.
        shard: whose entries these are; None for all.
    """

    def __init__(self, plan: Plan, shard: Sharding | None = None) -> None:
        self._pools = {pool.id: pool for pool in plan.pools}
        first, step = (shard.index - 1, shard.of) if shard is not None else (0, 1)
        self._free = {pool.id: list(range(first, len(pool.entries), step)) for pool in plan.pools}
        self._held: dict[str, dict[str, Entry]] = {}

    def detach(self) -> None:
        """Take over the free entries, as a copy of pools that were never used."""
        self._free, self._held = {pool: [*free] for pool, free in self._free.items()}, {}

    def counts(self) -> dict[str, int]:
        """Return how many entries of each pool are free, by the names of `wanted`."""
        return {f"pool {name}": len(free) for name, free in self._free.items()}

    def take(self, task: str, test: Test) -> None:
        """Lease the first free entries to a task, of which there are enough."""
        if test.takes:
            self._held[task] = {
                name: Entry(self._pools[pool], heapq.heappop(self._free[pool])) for name, pool in test.takes.items()
            }

    def release(self, task: str) -> None:
        """Take back the entries of a task."""
        for pool, index in self._held.pop(task, {}).values():
            heapq.heappush(self._free[pool.id], index)

    def held(self, task: str) -> Mapping[str, Entry]:
        """Return the entries of a task, by the name that its texts use."""
        return self._held.get(task, {})


def values_of(held: Mapping[str, Entry], known: Mapping[str, str]) -> dict[str, str]:
    """Return the names and values of entries: `user.name`.

    Args:
        held: by the name that texts use.
        known: the variables of the environment that the plan names, as `env.NAME`.
    """
    return {
        f"{name}.{key}": names.expand(text, lambda late: known.get(late, ""))
        for name, (pool, index) in held.items()
        for key, text in pool.entries[index].items()
    }


def enough(plan: Plan, tests: Iterable[Test], shard: Sharding) -> None:
    """Check that the entries of a shard suffice for each of its tests. Raises UsageError."""
    counts = Pools(plan, shard).counts()
    for test in tests:
        short = next((name for name, number in wanted(test).items() if name in counts and counts[name] < number), "")
        if short:
            entries = f"{counts[short]} entr{'y' if counts[short] == 1 else 'ies'}"
            message = f'shard {shard.name} has {entries} of the {short}, and "{test.id}" takes more'
            raise UsageError(message, "add entries, or run fewer shards")


def check(
    plan: Plan,
    tests: Iterable[Test],
    environment: Mapping[str, str],
    place: Callable[[str], Place | None],
) -> None:
    """Check that the variables in the entries are set.

    Args:
        plan: the suite.
        tests: that will run.
        environment: of the run.
        place: where a JSON pointer is in the spec.

    Raises:
        UsageError: an entry cannot be used.
    """
    used = {pool for test in tests for pool in test.takes.values()}
    for pool in plan.pools:
        for index, entry in enumerate(pool.entries if pool.id in used else ()):
            late = (name for text in entry.values() for name in names.names_in(text))
            unset = next((name for name in late if name.startswith("env.") and name[4:] not in environment), "")
            if unset:
                where = place(f"/pools/{pool.id}/{index}")
                message = f'the pool "{pool.id}" uses ${{{unset}}}, and the environment variable {unset[4:]} is not set'
                raise UsageError(f"{where}: {message}" if where else message, "set it, or remove the entry")
