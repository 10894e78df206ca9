"""Rules about components with an instance for each worker, and about their reset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestra import names
from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.address import has_address
from orchestra.compiler.rules.context import Context, Problem, rule
from orchestra.compiler.schema.health import ComponentSpec
from orchestra.compiler.schema.key import StepSpec
from orchestra.compiler.schema.methods import MethodSpec
from orchestra.compiler.schema.spec import Spec


def _instanced(context: Context) -> dict[str, ComponentSpec]:
    return {name: row for name, row in context.spec.get("health", {}).items() if row.get("per") == "worker"}


@rule
def per_worker(context: Context) -> Iterator[Problem]:
    """A component with `per: worker` cannot have an instance for each worker.

    It needs a `service` or a `job`, because nothing else is started; a `port_range` with a port for each of the tests that
    run at once, if it has a port; and it is not `shared`, because its instances belong to the tests of one run. Where one
    is declared, no component is called `worker`: `${worker.dir}` and `${worker.number}` are names of an instance.
    """
    rows = _instanced(context)
    for name, row in rows.items():
        place = context.place(("health", name, "per"), key=True)
        if not (row.get("service") or row.get("job")):
            message = f'"{name}" cannot have an instance for each worker: it has neither a service nor a job'
            yield Problem(place, message, "remove per: there is nothing to start")
        if row.get("shared"):
            message = f'"{name}" has an instance for each worker, and is "shared" with other runs'
            yield Problem(place, message, "remove per or shared: its instances belong to the tests of one run")
        for part in ("service", "failover"):
            yield from _too_few(context, name, part, row.get(part) or {})  # type: ignore[arg-type]
    if rows and "worker" in context.spec.get("health", {}):
        message = 'the component name "worker" is taken: `${worker.dir}` is a name of components with `per: worker`'
        yield Problem(context.place(("health", "worker"), key=True), message, "rename it, for instance worker_server")


def _too_few(context: Context, name: str, part: str, service: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problem of a service or failover with fewer ports than tests that run at once."""
    key = "port" if "port" in service else "port_range"
    if key not in service:
        return
    low, _, high = str(service[key]).partition("-")
    ports, workers = int(high or low) - int(low) + 1, _workers(context)
    wanted = max(workers, 2) if _by_machine(context) else workers
    if 0 < ports < wanted:
        count = "one port" if ports == 1 else f"{ports} ports"
        at_once = f"{workers} tests run at once" if workers > 1 else "the machine decides how many tests run at once"
        message = f'"{name}" has an instance for each worker and {count} ({service[key]}), and {at_once}'
        yield Problem(
            context.place(("health", name, part, key)), message, f"write a port_range of {wanted} ports or more"
        )


def _by_machine(context: Context) -> bool:
    return any(not isinstance(_number(method), int) for method in context.methods.values())


def _number(method: MethodSpec) -> int | str:
    """Return how many tests of a method run at once, as the spec has it."""
    return 1 if method.get("session", {}).get("single") else method.get("workers", "auto")


def _workers(context: Context) -> int:
    """Return how many tests the declared numbers of workers let run at once. Where the machine decides, it is one at least."""
    most = parallel = 0
    for method in context.methods.values():
        number = _number(method)
        count = number if isinstance(number, int) else 1
        parallel += count if method.get("parallel") else 0
        most = max(most, 0 if method.get("parallel") else count)
    return most + parallel


@rule
def per_worker_need(context: Context) -> Iterator[Problem]:
    """A component of which there is one needs a component with `per: worker`, of which there are several.

    Instance 1 of a component uses instance 1 of what it needs, so both have `per: worker`. The other way round is
    allowed: all instances can need one database server.
    """
    rows = _instanced(context)
    for name, row in context.spec.get("health", {}).items():
        for index, need in enumerate(row.get("needs", ()) if name not in rows else ()):
            if need in rows:
                message = (
                    f'"{name}" needs "{need}", which has an instance for each worker, and has no `per: worker` itself'
                )
                hint = f'add `per: worker` to "{name}", or remove it from "{need}"'
                if not (row.get("service") or row.get("job")):  # which alone have instances
                    hint = f'remove "{need}" from its needs, or `per: worker` from "{need}"'
                yield Problem(context.place(("health", name, "needs", index)), message, hint)


@rule
def idle_reset(context: Context) -> Iterator[Problem]:
    """`reset` of a component can never take effect: it has no `per: worker`, or no service.

    Of a component without `per: worker` other tests may be using the only instance at that time. A request needs an address.
    """
    for name, row in context.spec.get("health", {}).items():
        if "reset" not in row:
            continue
        path = ("health", name, "reset")
        service: Mapping[str, Any] = row.get("service") or {}
        if row.get("per") != "worker":
            message = f'"{name}" has "reset" without `per: worker`: other tests may use it at that time'
            hint = "add per: worker, or restore its state in the tests (`before`), or with between_methods"
            yield Problem(context.place(path, key=True), message, hint)
        elif not service:
            message = f'"{name}" has "reset" and no service to be reset'
            yield Problem(context.place(path, key=True), message, "move reset to the service that uses it")
        elif not has_address(row):
            for index, step in enumerate(row["reset"]):
                if isinstance(step, dict) and "http" in step:
                    message = f'the request of "reset" has no target: "{name}" has no address'
                    yield Problem(context.place((*path, index)), message, "give its service a port_range")


@rule
def per_worker_login(context: Context) -> Iterator[Problem]:
    """A login signs in at a component with `per: worker`: its state is made once for all workers, and each instance
    knows only its own sessions.

    Sign in by steps: a block that `before` uses. A login at a component of which there is one may stay.
    """
    rows = _instanced(context)
    for name, login in context.spec.get("logins", {}).items() if rows else ():
        signed = sorted(_named(context.spec, login["steps"], login.get("check", {})) & rows.keys())
        if signed:
            message = f'the login "{name}" is made once for all workers, and "{signed[0]}" has an instance for each'
            hint = f'sign in by steps, in `before`, or remove `per: worker` of "{signed[0]}"'
            yield Problem(context.place(("logins", name), key=True), message, hint)


def _named(spec: Spec, steps: Sequence[StepSpec], check: Mapping[str, Any]) -> set[str]:
    """Return the components that steps, the blocks that they use, and a check may name."""
    bodies = [body for _, body in resolve.all_steps(spec, steps)]
    uses = [step for step in resolve.flat(steps) if resolve.verb_of(step)[0] == "use"]
    found, ahead = set[str](), list(_texts([*bodies, *uses, check]))
    variables = spec.get("vars", {})
    seen = set[str]()
    while ahead:
        text = ahead.pop()
        found.add(text)  # `base: NAME`
        for reference in names.references(text):
            head, _, rest = reference.name.partition(".")
            found.add(head)
            if head == "vars" and rest in variables and rest not in seen:
                seen.add(rest)
                ahead += _texts(variables[rest])
    return found


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


RULES = (per_worker, per_worker_need, idle_reset, per_worker_login)
