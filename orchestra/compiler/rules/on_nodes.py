"""Rules about components and the nodes of a cluster: one on each node, or one that all of them reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from orchestra import remote_address
from orchestra.compiler.lower.steps import text
from orchestra.compiler.rules.context import Context, Problem, errors_of, rule
from orchestra.compiler.schema.health import ComponentSpec
from orchestra.gates.expression import names_in
from orchestra.plan import Service
from orchestra.yamltext.document import Path


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


@rule
def engine_loopback(context: Context) -> Iterator[Problem]:
    """Tests use a component at an address of the loopback device, and `engine` names a scheduler on another machine.

    Servers run on the machine of the run, and each node takes `127.0.0.1`, `::1` and `localhost` for itself. A service listens
    on `127.0.0.1` if it has no `host`. One with `where: worker` is on each node and may stay there, and so may one that only
    other components use. With `--scheduler` on the command line, or where a variable of the environment has the address, the
    run checks it: it uses no node on another machine then.
    """
    known = {f"vars.{name}": value for name, value in context.spec.get("vars", {}).items()}
    cluster = text(context.spec.get("engine", {}).get("dask", {}).get("scheduler", ""), known)
    host = "" if remote_address.scheduler_fault(cluster) else remote_address.scheduler_host(cluster)
    if not host or remote_address.is_loopback(host):
        return
    used = _used_by_tests(context)
    for name, row in context.spec.get("health", {}).items():
        if name not in used or row.get("where") == "worker":
            continue
        for path, key, address in _addresses(name, row):
            final = text(address, known)
            hint = "write host: ADDRESS, one that the nodes reach, or where: worker for one on each node"
            if path[-1] == "url":
                final, hint = _host(final), "write an address that the nodes reach, or where: worker"
            if remote_address.is_loopback(final):
                unwritten = ", the default of host" if key else ""
                message = f'tests use "{name}" at {final}{unwritten}, which each node of {cluster} takes for itself'
                yield Problem(context.place(path, key=key), message, hint)


def _addresses(name: str, row: ComponentSpec) -> Iterator[tuple[Path, bool, str]]:
    """Yield hosts and `url` of a component as written: path, whether the place is that of the key, and text."""
    service: Mapping[str, Any] = row.get("service") or {}
    for part, given in (("service", service), ("failover", row.get("failover", {}))):
        path = ("health", name, part)
        if "host" in given:
            yield (*path, "host"), False, given["host"]
        elif part == "service" and service:
            yield path, True, Service(()).host
    if "url" in row:
        yield ("health", name, "url"), False, row["url"]


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _used_by_tests(context: Context) -> set[str]:
    """Return the names of which some are components that tests use: by `requires`, by `base`, or in a text."""
    lists = [context.spec.get("defaults", {}), *context.spec["tests"].values()]
    used = {name for one in lists for name in one.get("requires", ())}
    used.update(step.body["base"] for step in context.steps("http") if "base" in step.body)
    for one, references in context.references:
        if one.path[0] != "health":
            used.update(reference.name.partition(".")[0] for reference in references)
    return used


RULES = (where_worker, engine_loopback)
