"""`orchestra plan --shards N`: which tests each job of a pipeline runs, and `--shard I/N`: the part of one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import click

from orchestra.draw import duration, terminal_table
from orchestra.ledger import baseline
from orchestra.ledger.event import Sharding
from orchestra.plan import Plan
from orchestra.printing import unbroken
from orchestra.project import PLAN_FOLDER, Project
from orchestra.runtime.engine.pools import enough
from orchestra.runtime.expected import Durations, durations_of, expected
from orchestra.runtime.shards.partition import Split, Unit, cut, group_once, services, split
from orchestra.verbs.group import say, say_json

_SHOWN: Final = 5


class Sharded(NamedTuple):
    """A selection that was split: by which durations, and the expected seconds of each task of the plan."""

    split: Split
    durations: Durations
    seconds: Mapping[str, float]


def sharded(project: Project, plan: Plan, tasks: Sequence[str], number: int) -> Sharded:
    """Return a selection split into a number of shards, by the durations in `baseline.json`.

    Raises:
        MachineError: that file is damaged or cannot be read.
        UsageError: there are too many shards, or one has too few entries of a pool.
    """
    durations = durations_of(plan, baseline.load(project.root / PLAN_FOLDER / plan.suite / baseline.FILE))
    seconds = expected(plan, durations)
    found = Sharded(split(plan, tasks, number, seconds), durations, seconds)
    tests = {test.id: test for test in plan.tests}
    for index, shard in enumerate(found.split.shards, 1):
        enough(plan, (tests[task.partition(":")[2]] for task in shard.tasks), _place(found, index))
    return found


def _place(found: Sharded, index: int) -> Sharding:
    split, digest = found.split, found.durations.digest
    return Sharding(index=index, of=len(split.shards), durations=digest, selection=split.tasks)


def shard_of(
    project: Project, plan: Plan, tasks: Sequence[str], shard: tuple[int, int] | None
) -> tuple[Sharding | None, Sequence[str]]:
    """Return the place of shard I of N and its tasks, or all tasks where there is no shard. Raises as `sharded`."""
    if shard is None:
        return None, tasks
    index, number = shard
    found = sharded(project, plan, tasks, number)
    return _place(found, index), list(found.split.shards[index - 1].tasks)


def print_split(plan: Plan, sharded: Sharded) -> None:
    """Print each shard with its expected time, tests and services, and what binds the split."""
    shards, number = sharded.split.shards, len(sharded.split.shards)
    known = sum(task in sharded.durations.seconds for task in sharded.split.tasks)
    source = f"{known} of {len(sharded.split.tasks)} tests have a known duration"
    source += (
        f" ({baseline.FILE}, {sharded.durations.place})" if known else f": none in {baseline.FILE}, so steps count"
    )
    rows = [
        (
            f"{index}/{number}",
            duration(shard.seconds),
            str(len(shard.tasks)),
            " ".join(services(plan, shard)) or "-",
            _some(shard.tasks),
        )
        for index, shard in enumerate(shards, 1)
    ]
    say(terminal_table(("shard", "expected", "tests", "starts once", "first tests"), rows))
    say("")
    say(unbroken(source))
    over = sharded.split.slowest / sharded.split.share if sharded.split.share else 1.0
    say(f"slowest {duration(sharded.split.slowest)}, {over:.2f} of the mean {duration(sharded.split.share)}")
    for unit in sharded.split.too_large:
        say(unbroken(f"binds: {_binding(plan, unit, sharded)}"))


def _some(tasks: Sequence[str]) -> str:
    more = len(tasks) - _SHOWN
    return " ".join(tasks[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _binding(plan: Plan, unit: Unit, found: Sharded) -> str:
    """Return why a unit is larger than its share, and the edge to cut."""
    size = (
        f"{len(unit.tasks)} tests of {duration(unit.seconds)} stay together, a share is {duration(found.split.share)}"
    )
    if unit.session:
        return f'{size}: method "{unit.session}" has single_session; without it they can be split'
    edge = cut(plan, unit, found.seconds)
    if name := group_once(plan, unit):
        return f'{size}: the group "{name}" has tests that run once (before_all, after_all)'
    if edge is None:
        return f"{size}: they need each other in more than one way, from {unit.tasks[0]} on; no single edge parts them"
    return f'{size}: cut "{edge.task}" needs "{edge.need}" to part them most evenly'


def print_split_json(plan: Plan, sharded: Sharded) -> None:
    """Print the split as JSON."""
    number = len(sharded.split.shards)
    fields = {
        "suite": plan.suite,
        "plan_digest": plan.digest(),
        "durations": {
            "digest": sharded.durations.digest,
            "place": sharded.durations.place,
            "known": sum(task in sharded.durations.seconds for task in sharded.split.tasks),
            "tests": len(sharded.split.tasks),
        },
        "share_seconds": round(sharded.split.share, 6),
        "slowest_seconds": round(sharded.split.slowest, 6),
        "least_seconds": round(sharded.split.least, 6),
        "shards": [
            {
                "shard": f"{index}/{number}",
                "seconds": round(shard.seconds, 6),
                "tasks": {task: round(sharded.seconds[task], 6) for task in shard.tasks},
                "services": services(plan, shard),
            }
            for index, shard in enumerate(sharded.split.shards, 1)
        ],
        "binds": [_bound(plan, unit, sharded) for unit in sharded.split.too_large],
    }
    say_json(json.dumps(fields, ensure_ascii=False, indent=1))


def _bound(plan: Plan, unit: Unit, found: Sharded) -> dict[str, Any]:
    edge = cut(plan, unit, found.seconds)
    return {
        "tasks": list(unit.tasks),
        "seconds": round(unit.seconds, 6),
        "single_session": unit.session or None,
        "cut": {"task": edge.task, "needs": edge.need} if edge is not None else None,
    }


class ShardType(click.ParamType[tuple[int, int]]):
    """`I/N`: shard I of N."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return both numbers."""
        index, slash, number = str(value).partition("/")
        if not (slash and index.isascii() and index.isdigit() and number.isascii() and number.isdigit()):
            self.fail(f'"{value}" is not a shard: write I/N, for instance 2/4', param, ctx)
        if not 1 <= int(index) <= int(number):
            self.fail(f'"{value}" is no shard: I is a number from 1 to N, which is {int(number)}', param, ctx)
        return int(index), int(number)
