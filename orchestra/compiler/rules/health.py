"""Check rows of the health matrix: probes, retries, recovery policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from orchestra.compiler.rules.context import Context, Problem, rule
from orchestra.compiler.schema.health import BackoffSpec, ComponentSpec
from orchestra.plan import Backoff, Live, Probe, Ready
from orchestra.probes.table import probes_of
from orchestra.recovery import RECOVERY, REPAIR, StepKind
from orchestra.yamltext.document import Path

_MANY = 100_000
"""So many retries are not counted out."""

# The defaults are those of the plan.
_PROBE = Probe("", {})
_WITHIN, _EVERY, _BACKOFF = Ready(_PROBE).within_seconds, Live(_PROBE).every_seconds, Backoff()


def _rows(context: Context) -> Iterator[tuple[str, ComponentSpec]]:
    yield from context.spec.get("health", {}).items()


@rule
def idle_component(context: Context) -> Iterator[Problem]:
    """A row of the health matrix has nothing to start and nothing to check."""
    for name, row in _rows(context):
        if not any(row.get(key) for key in ("job", "service", "url", "ready")):
            message = f'the component "{name}" is neither started nor checked'
            hint = "give it one of service, job and url, or a probe: ready: {run: {argv: […]}}"
            yield Problem(context.place(("health", name), key=True), message, hint)


@rule
def live_without_ready(context: Context) -> Iterator[Problem]:
    """A component has `live` but no `ready`, so the watch would begin before it can answer."""
    for name, row in _rows(context):
        if "live" in row and "ready" not in row:
            message = f'"{name}" has "live" and no "ready", so the watch has no start'
            (kind, _), *_rest = probes_of(row, "live", context.provided.probes)
            hint = f"add ready: {{{kind.name}: …}} with the same probe"
            yield Problem(context.place(("health", name, "live"), key=True), message, hint)


@rule
def probe_time(context: Context) -> Iterator[Problem]:
    """The limit of one probe exceeds the time in which the component must be ready, or the period of the probe."""
    for name, row in _rows(context):
        for part, key, default in (("ready", "within_seconds", _WITHIN), ("live", "every_seconds", _EVERY)):
            probe: Mapping[str, Any] = row.get(part, {})  # type: ignore[assignment]
            limit = probe.get(key, default)
            for kind, args in probes_of(row, part, context.provided.probes):
                timeout = args.get("timeout_seconds", 0)
                if timeout > limit:
                    message = f'a probe of "{name}" may take {timeout:g} seconds, but "{key}" is {limit:g}'
                    path: Path = ("health", name, part, kind.name, "timeout_seconds")
                    edits = context.rewritten((path, timeout, limit), (("health", name, part, key), limit, timeout))
                    yield Problem(context.place(path), message, f"lower timeout_seconds, or raise {key}", edits=edits)


@rule
def log_probe(context: Context) -> Iterator[Problem]:
    """A probe reads the log of a component without one: only a `service` writes a log. As `live`, a matched line never
    expires.
    """
    rows = context.spec.get("health", {})
    for path, kind, _ in context.probes():
        _, name, part, _ = path
        if not kind.reads_log:
            continue
        if part == "ready" and not rows[str(name)].get("service"):
            message = f'the probe "{kind.name}" of "{name}" has no log: the component has no service'
            yield Problem(context.place(path, key=True), message, "use another probe")
        if part == "live":
            message = f'the probe "{kind.name}" cannot watch "{name}": a written line matches for ever'
            yield Problem(context.place(path, key=True), message, "use another probe")


@rule
def identity_place(context: Context) -> Iterator[Problem]:
    """`identity` is set for a component without replies: it has neither a `service` nor a `url`."""
    for name, row in _rows(context):
        if "identity" in row and not (row.get("service") or "url" in row):
            message = f'"{name}" has "identity", and neither a service nor a url to check'
            yield Problem(context.place(("health", name, "identity"), key=True), message, "remove identity")


@rule
def shared_component(context: Context) -> Iterator[Problem]:
    """A `shared` component cannot be used by another run: it is not started, is renewed between methods, or needs a
    component that is started and not shared.
    """
    rows = dict(_rows(context))
    for name, row in rows.items():
        if not row.get("shared"):
            continue
        why = hint = ""
        alone = [need for need in _needed(rows, name) if _started(rows[need]) and not rows[need].get("shared")]
        if not _started(row):
            why, hint = "it has neither a service nor a job", "remove shared"
        elif row.get("between_methods"):
            why, hint = "it is renewed between methods", "remove shared or between_methods"
        elif alone:
            why, hint = f'it needs "{alone[0]}", which is not shared', f'add `shared: true` to "{alone[0]}"'
        if why:
            place = context.place(("health", name, "shared"), key=True)
            yield Problem(place, f'"{name}" cannot be shared: {why}', hint)


def _needed(rows: Mapping[str, ComponentSpec], name: str) -> list[str]:
    """Return all that a component needs, the nearest first."""
    needed: dict[str, None] = {}
    ahead = [*rows[name].get("needs", [])]
    while ahead:
        need = ahead.pop(0)
        if need in rows and need not in needed:
            needed[need] = None
            ahead += rows[need].get("needs", [])
    return [*needed]


def _started(row: ComponentSpec) -> bool:
    return bool(row.get("service") or row.get("job"))


@rule
def idle_backoff(context: Context) -> Iterator[Problem]:
    """`retries` of a component have no effect: nothing is started or probed again, or the waits are too long.

    The first wait (`initial_seconds`) must not exceed the longest (`max_seconds`), and must be shorter than the time in
    which the component must be ready (`ready.within_seconds`). All probes of a `url` or a check share that time, so the
    sum of the waits before the last retry must not exceed it. A `job` runs once; only the recovery step `retry` probes
    it again.
    """
    for name, row in _rows(context):
        retries = row.get("retries")
        if retries is None:
            continue
        path = ("health", name, "retries")
        first, longest = _backoff(retries, "initial_seconds"), _backoff(retries, "max_seconds")
        within = row.get("ready", {}).get("within_seconds", _WITHIN)
        key = "initial_seconds" if "initial_seconds" in retries else "max_seconds"
        if not (row.get("service") or "job" in row or "ready" in row):
            message = f'"{name}" has "retries", but is neither started nor probed'
            yield Problem(context.place(path, key=True), message, "remove retries")
        elif first > longest:
            message = f'the first wait of "{name}" is {first:g} seconds, longer than "max_seconds" ({longest:g})'
            edits = context.rewritten(
                ((*path, "max_seconds"), longest, first), ((*path, "initial_seconds"), first, longest)
            )
            hint = f"write max_seconds: {first:g}, or a shorter first wait"
            yield Problem(context.place((*path, key)), message, hint, edits=edits)
        elif "ready" in row and first >= within:
            message = f'the first wait of "{name}" is {first:g} seconds, but it must be ready within {within:g}'
            yield Problem(context.place((*path, "initial_seconds")), message, "shorten initial_seconds")
        elif "job" in row and not any(_kind(step).repeats for step in row.get("recover", [])):
            message = f'"{name}" has "retries", but a job runs once'
            yield Problem(context.place(path, key=True), message, "remove retries")
        elif not row.get("service") and "job" not in row and (fitting := _fitting(retries, within)) is not None:
            message = (
                f'"{name}" is to be asked {_backoff(retries, "max")} times more, but must be ready within {within:g} seconds, '
                f"in which there is time for {fitting}"
            )
            yield Problem(context.place(path, key=True), message, f"write max: {fitting}, or raise within_seconds")


def _backoff(retries: BackoffSpec, key: Literal["max", "initial_seconds", "factor", "max_seconds", "jitter"]) -> float:
    """Return a value of `retries`, else its default."""
    value: float = retries.get(key, getattr(_BACKOFF, key))
    return value


def _fitting(retries: BackoffSpec, within: float) -> int | None:
    """Return how many retries have time, with the shortest waits that the spread allows; None when all have."""
    wait, total = _backoff(retries, "initial_seconds"), 0.0
    longest, factor = _backoff(retries, "max_seconds"), _backoff(retries, "factor")
    for number in range(min(int(_backoff(retries, "max")), _MANY)):
        total += min(wait, longest) * max(0.0, 1.0 - _backoff(retries, "jitter"))
        if total >= within:
            return number
        wait = min(wait * factor, longest)
    return None


@rule
def missing_failover(context: Context) -> Iterator[Problem]:
    """The recovery policy ends in `failover` and none is declared, or a failover is declared that nothing ever starts."""
    for name, row in _rows(context):
        steps = row.get("recover", [])
        path = ("health", name)
        index = _failover(steps)
        if index is not None and "failover" not in row:
            place = context.place((*path, "recover", index))
            message = f'"recover" of "{name}" has the step "{steps[index]}", but no failover is declared'
            yield Problem(place, message, "declare it: failover: {run: […]}")
        if "failover" in row and index is None:
            message = f'"{name}" declares a failover that "recover" never reaches'
            hint = f"write recover: [{', '.join(_shown(step) for step in [*steps, 'failover'])}]"
            yield Problem(context.place((*path, "failover"), key=True), message, hint)
        for key in ("fail_back", "cool_down_seconds"):
            if key in row and "failover" not in row:
                message = f'"{key}" of "{name}" has no effect without a failover'
                yield Problem(context.place((*path, key), key=True), message, "remove it, or declare a failover")


def _shown(step: Any) -> str:
    return step if isinstance(step, str) else f"{{run: [{', '.join(step['run'])}]}}"


@rule
def idle_step(context: Context) -> Iterator[Problem]:
    """A recovery step can never be reached, or has no effect.

    `failover` is the last step. `retry` needs `retries.max` above 0. `restart`, `port` and `failover` need a `service`,
    and `port` one with more than one port to choose from.
    """
    for name, row in _rows(context):
        steps = row.get("recover", [])
        for index, step in enumerate(steps):
            why = _idle(row, steps, index)
            if why:
                word = step if isinstance(step, str) else REPAIR.name
                place = context.place(("health", name, "recover", index))
                yield Problem(place, f'the recovery step "{word}" of "{name}" {why[0]}', why[1])


def _kind(step: Any) -> StepKind:
    """Return the row of a recovery step as a spec writes it: a word, or a mapping with a command."""
    return RECOVERY[step] if isinstance(step, str) else REPAIR


def _failover(steps: Sequence[Any]) -> int | None:
    """Return the index of the first step that starts the failover."""
    return next((index for index, step in enumerate(steps) if _kind(step).failover), None)


def _idle(row: ComponentSpec, steps: Sequence[Any], index: int) -> tuple[str, str] | None:
    """Return why a recovery step is idle and a hint, or None if it is not."""
    service: Mapping[str, Any] = row.get("service") or {}
    kind, last = _kind(steps[index]), _failover(steps)
    if last is not None and index > last:
        return f'comes after "{steps[last]}", which is the last', f"put {steps[last]} at the end, once"
    if kind.repeats and _backoff(row.get("retries", {}), "max") == 0:
        return 'has nothing to do while "retries.max" is 0', "raise it, or remove the step"
    if kind.starts and not service:
        return "needs a service, and there is none", "remove it; in a profile, write recover: null"
    if kind.moves and len(set(service.get("port_range", "").split("-"))) == 1:
        return "has no other port to try", "give the service a port_range of several ports"
    return None


@rule
def missing_port(context: Context) -> Iterator[Problem]:
    """`${port}` is used in a service without a port, or a service with several ports does not use it.

    A service gets its port as `${port}`, in `run` or in `env`.
    """
    for name, row in _rows(context):
        service = row.get("service")
        for key in ("service", "failover"):
            part: Mapping[str, Any] = row.get(key) or {}  # type: ignore[assignment]
            if not service or not part:
                continue
            own = {**service, **part}
            texts = [*own["run"], *service.get("env", {}).values(), *part.get("env", {}).values()]
            uses_port = any("${port}" in text for text in texts)
            path = ("health", name, key)
            ports = [one for one in ("port", "port_range") if one in own]
            if (
                uses_port
                and not ports
                and any("${port}" in text for text in [*part.get("run", ()), *part.get("env", {}).values()])
            ):
                message = f'"${{port}}" has no value: the {key} of "{name}" has no port'
                yield Problem(context.place((*path, "run")), message, "add port_range: 8000-8003, or port: 8000")
            low, _, high = str(own.get("port_range", "")).partition("-")
            if not uses_port and "port" not in own and low and high and low != high:
                message = f'the {key} of "{name}" has a range of ports, but does not use "${{port}}"'
                yield Problem(context.place(path, key=True), message, 'add "${port}" to run or to env')


@rule
def idle_renewal(context: Context) -> Iterator[Problem]:
    """`between_methods` has no effect: there is one method, methods run in parallel, or `restart` has nothing to start."""
    methods = context.spec.get("methods", {})
    parallel = next((name for name, method in methods.items() if method.get("parallel")), "")
    for name, row in _rows(context):
        if "between_methods" not in row:
            continue
        path = ("health", name, "between_methods")
        if len(methods) < 2:
            message = f'"between_methods" of "{name}" has no effect: the suite has one method'
            yield Problem(context.place(path, key=True), message, "remove it")
        elif parallel:
            message = f'"between_methods" of "{name}" has no effect: the method "{parallel}" runs in parallel to others'
            yield Problem(context.place(path, key=True), message, f'remove it, or "parallel" of "{parallel}"')
        for index, step in enumerate(row["between_methods"]):
            if _kind(step).starts and "service" not in row and "job" not in row:
                message = f'"{name}" cannot be restarted: it has neither a service nor a job'
                yield Problem(
                    context.place((*path, index)),
                    message,
                    "write {run: […]}, a command that restores its initial state",
                )


RULES = (
    idle_component,
    live_without_ready,
    probe_time,
    log_probe,
    identity_place,
    shared_component,
    idle_backoff,
    missing_failover,
    idle_step,
    idle_renewal,
    missing_port,
)
