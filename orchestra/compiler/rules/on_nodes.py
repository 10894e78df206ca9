"""Rules about components of which a cluster has one on each node."""

from __future__ import annotations

from collections.abc import Iterator

from orchestra.compiler.rules.context import Context, Problem, errors_of, rule
from orchestra.gates.expression import names_in


@rule
def where_worker(context: Context) -> Iterator[Problem]:
    """A component with `where: worker`, of which a cluster has one on each node, cannot be so.

    A node starts, watches and ends its own by itself, so it needs nothing that runs elsewhere, and nothing of which there is one
    needs it. It is not `shared` with other runs, has no `between_methods`, which the run does, and its log stays on the node, so
    no `log_patterns` names it. A gate `before` reads no row of it: there may be no node yet. A suite has components with
    `per: worker` or with `where: worker`, because a test uses the instances of one number, or of one node.
    """
    health = context.spec.get("health", {})
    rows = {name: row for name, row in health.items() if row.get("where") == "worker"}
    if not rows:
        return
    numbered = sorted(name for name, row in health.items() if row.get("per") == "worker")
    for name, row in rows.items():
        where = context.place(("health", name, "where"), key=True)
        if numbered:
            message = f'"{name}" is on each node of a cluster, and "{numbered[0]}" has an instance for each worker'
            yield Problem(where, message, "remove where, or per of all components")
        if row.get("shared"):
            message = f'"{name}" is on each node of a cluster, and is "shared" with other runs'
            yield Problem(where, message, "remove where or shared")
        if "between_methods" in row:
            message = f'"{name}" is on each node of a cluster, where "between_methods" is not done'
            yield Problem(where, message, "remove where, or restore its state in the tests (`before`)")
    yield from _needs(context)
    yield from _named(context, frozenset(rows))


def _needs(context: Context) -> Iterator[Problem]:
    health = context.spec.get("health", {})
    there = {name for name, row in health.items() if row.get("where") == "worker"}
    for name, row in health.items():
        for index, need in enumerate(row.get("needs", ())):
            if need in health and (name in there) != (need in there):
                one, other = (name, need) if name in there else (need, name)
                message = f'"{name}" needs "{need}": "{one}" is on each node of a cluster, and "{other}" is not'
                hint = f'add `where: worker` to "{other}", or remove it from "{one}"'
                yield Problem(context.place(("health", name, "needs", index)), message, hint)


def _named(context: Context, there: frozenset[str]) -> Iterator[Problem]:
    for path, errors in errors_of(context):
        for name in sorted(there.intersection(errors.get("log_patterns", ()))):
            message = (
                f'"{name}" is on each node of a cluster, where its log stays, and "log_patterns" reads that of the run'
            )
            yield Problem(
                context.place((*path, "log_patterns", name), key=True), message, "remove where, or the pattern"
            )
    for name, gate in context.spec.get("gates", {}).get("before", {}).items():
        read = (metric.partition(".") for metric in names_in(gate["require"]))
        for row in sorted({row for head, _, row in read if head == "health"} & there):
            message = (
                f'the gate "{name}" reads health.{row} before the first test, and "{row}" is on nodes that come later'
            )
            place = context.place(("gates", "before", name, "require"))
            yield Problem(place, message, "remove where, or make it a gate `after`")


RULES = (where_worker,)
