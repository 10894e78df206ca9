"""Rules about pools and the entries that tests lease."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.address import RESERVED
from orchestra.compiler.rules.context import Context, Problem, quoted, rule
from orchestra.yamltext.document import Path


def takes(context: Context) -> Iterator[tuple[Path, str]]:
    """Yield the place of each pool that `takes` names, and its name."""
    spec: dict[str, Any] = dict(context.spec)
    places: list[tuple[Path, Any]] = [(("defaults",), spec.get("defaults", {}))]
    places += [
        ((section, name), entry) for section in ("groups", "tests") for name, entry in spec.get(section, {}).items()
    ]
    for path, entry in places:
        yield from (((*path, "takes", name), pool) for name, pool in entry.get("takes", {}).items())


@rule
def pool_size(context: Context) -> Iterator[Problem]:
    """A test takes more entries of a pool than the pool has, so it can never start. Add entries."""
    pools = context.spec.get("pools", {})
    worst: dict[str, tuple[int, str]] = {}
    for test_id, test in context.spec["tests"].items() if pools else ():
        for pool, number in Counter(resolve.takes_of(context.spec, test).values()).items():
            if pool in pools and number > len(pools[pool]) and number > worst.get(pool, (0, ""))[0]:
                worst[pool] = number, test_id
    for pool, (number, test_id) in worst.items():
        entries = f"{len(pools[pool])} {'entry' if len(pools[pool]) == 1 else 'entries'}"
        message = f'the pool "{pool}" has {entries}, and "{test_id}" takes {number}'
        yield Problem(context.place(("pools", pool), key=True), message, "add entries, or take fewer")


@rule
def pool_entry(context: Context) -> Iterator[Problem]:
    """Two entries of a pool are the same, so that two tests would hold one at the same time. Remove one of them."""
    for name, entries in context.spec.get("pools", {}).items():
        for index, entry in enumerate(entries):
            if entry in entries[:index]:
                first = context.place(("pools", name, entries.index(entry)))
                message = f'the pool "{name}" has this entry twice; the other is at {first}'
                yield Problem(context.place(("pools", name, index)), message, "remove one of them")


@rule
def taken_name(context: Context) -> Iterator[Problem]:
    """The name for an entry under `takes` is that of a component, or begins other names (`env`, `saved`, …)."""
    rows = context.spec.get("health", {})
    for path, _ in takes(context):
        name = str(path[-1])
        if name in rows or name in RESERVED:
            other = "a component has it" if name in rows else f"{quoted(RESERVED)} begin other names"
            yield Problem(context.place(path, key=True), f'the name "{name}" is taken: {other}', "choose another name")


RULES = (pool_size, pool_entry, taken_name)
