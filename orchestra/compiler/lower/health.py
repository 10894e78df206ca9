"""Lower the health matrix: probes, services, failovers and recovery policies with their defaults."""

from __future__ import annotations

from typing import Any, Literal, cast

from orchestra.compiler.lower.steps import Known, fill, final_text, text, text_map, texts, usual
from orchestra.compiler.provided import BUILT_IN, Provided
from orchestra.compiler.schema.health import ComponentSpec, FailoverSpec, ServiceSpec
from orchestra.plan import Backoff, Component, Job, Live, Probe, Ready, RecoveryStep, ResetStep, Service
from orchestra.probes.table import probes_of
from orchestra.recovery import REPAIR
from orchestra.steps.schemas import asks_for_text

# The defaults, which the plan omits.
_PROBE = Probe("tcp", {})
_READY = Ready(_PROBE)
_LIVE = Live(_PROBE)
_SERVICE = Service(())
_JOB = Job(())
_BACKOFF = Backoff()
_STEP = RecoveryStep(REPAIR.name)
_RESET = ResetStep()
_COMPONENT = Component("", "")


def lower_probe(row: ComponentSpec, part: Literal["ready", "live"], known: Known, provided: Provided) -> Probe:
    """Return the probe of a part of a row."""
    ((kind, written), *_) = probes_of(row, part, provided.probes)
    schemas = {field.name: field.schema for field in kind.keys}
    # A text remains a text, whatever the type of a name in it, unless its schema allows any type.
    args = {
        key: _as_written(value, known) if asks_for_text(schemas[key]) else fill(value, known)
        for key, value in written.items()
    }
    seconds = usual(args.pop("timeout_seconds", _PROBE.timeout_seconds), _PROBE.timeout_seconds)
    return Probe(kind.name, args, seconds, provided.package_of("probe", kind.name))


def _as_written(value: Any, known: Known) -> Any:
    """Return the value with names replaced and every text a text."""
    if isinstance(value, dict):
        return text_map(value, known)
    if isinstance(value, list):
        return [_as_written(item, known) for item in value]
    return text(value, known) if isinstance(value, str) else value


def _identity(component: ComponentSpec, known: Known) -> Any:
    """Return `own` for a component that we start, `none` for others, else the mapping of the expected identity."""
    identity = component.get("identity", "none" if "url" in component else "own")
    if isinstance(identity, str):
        return identity
    return {key: fill(value, known) if key == "json" else _as_written(value, known) for key, value in identity.items()}


def _ports(service: ServiceSpec | FailoverSpec) -> tuple[int, int] | None:
    if "port" in service:
        return service["port"], service["port"]
    if "port_range" in service:
        low, _, high = service["port_range"].partition("-")
        return int(low), int(high or low)
    return None


def lower_service(service: ServiceSpec, known: Known) -> Service:
    """Return a service with defaults filled in."""
    stop = service.get("stop", {})
    return Service(
        run=texts(service["run"], known),
        shell=service.get("shell", False),
        cwd=text(service.get("cwd", "."), known),
        env=text_map(service.get("env", {}), known),
        host=usual(text(service.get("host", _SERVICE.host), known), _SERVICE.host),
        ports=_ports(service),
        port_wait_seconds=usual(service.get("port_wait_seconds", 0.0), _SERVICE.port_wait_seconds),
        stop_signal=stop.get("signal", "TERM"),
        grace_seconds=usual(stop.get("grace_seconds", _SERVICE.grace_seconds), _SERVICE.grace_seconds),
        inputs=texts(service.get("inputs", []), known),
    )


def _failover(service: ServiceSpec, failover: FailoverSpec) -> ServiceSpec:
    """Return the backup with what it inherits: ports as one thing, the environment by name, the rest by key."""
    inherited = dict(service)
    if "port" in failover or "port_range" in failover:
        inherited.pop("port", None)
        inherited.pop("port_range", None)
    merged = {**inherited, **failover, "env": {**service.get("env", {}), **failover.get("env", {})}}
    return cast("ServiceSpec", merged)


def _step(step: Any, known: Known) -> RecoveryStep:
    if not isinstance(step, dict):
        return RecoveryStep(step)
    seconds = usual(step.get("timeout_seconds", _STEP.timeout_seconds), _STEP.timeout_seconds)
    return RecoveryStep(REPAIR.name, texts(step["run"], known), seconds)


RESET_STATUS = (200, 201, 202, 204)
"""The statuses of a request that has reset an instance, unless the spec has another one."""


def _reset(step: Any, known: Known) -> ResetStep:
    """Return a step of a reset. Its request has the keys of the probe `http`."""
    if not isinstance(step, dict):
        return ResetStep()
    seconds = usual(step.get("timeout_seconds", _RESET.timeout_seconds), _RESET.timeout_seconds)
    if "run" in step:
        return ResetStep(texts(step["run"], known), None, seconds)
    written = step["http"]
    args = {
        "method": written.get("method", "POST"),
        "path": text(written.get("path", "/"), known),
        "status": written.get("status", list(RESET_STATUS)),
    }
    if "headers" in written:
        args["headers"] = text_map(written["headers"], known)
    return ResetStep((), Probe("http", args), seconds)


def lower_component(
    component_id: str, component: ComponentSpec, known: Known, provided: Provided = BUILT_IN
) -> Component:
    """Return a row of the health matrix. A service with a port and no `ready` is ready when the port accepts."""
    service = component.get("service")
    ready = component.get("ready")
    live = component.get("live")
    job = component.get("job")
    lowered = None if service is None else lower_service(service, known)
    lowered_ready = None
    if ready is not None:
        lowered_ready = Ready(
            lower_probe(component, "ready", known, provided),
            usual(ready.get("within_seconds", _READY.within_seconds), _READY.within_seconds),
            ready.get("successes", _READY.successes),
        )
    elif lowered is not None and lowered.ports is not None:
        lowered_ready = Ready(Probe("tcp", {}))
    retries = component.get("retries", {})
    return Component(
        id=component_id,
        title=final_text(component.get("title", component_id), known),
        needs=tuple(component.get("needs", [])),
        required=component.get("required", True),
        job=None
        if job is None
        else Job(
            run=texts(job["run"], known),
            shell=job.get("shell", False),
            cwd=text(job.get("cwd", "."), known),
            env=text_map(job.get("env", {}), known),
            timeout_seconds=usual(job.get("timeout_seconds", _JOB.timeout_seconds), _JOB.timeout_seconds),
            inputs=texts(job.get("inputs", []), known),
        ),
        service=lowered,
        url=text(component.get("url", ""), known),
        ready=lowered_ready,
        live=None
        if live is None
        else Live(
            lower_probe(component, "live", known, provided),
            usual(live.get("every_seconds", _LIVE.every_seconds), _LIVE.every_seconds),
            live.get("failures", _LIVE.failures),
        ),
        retries=Backoff(
            max=retries.get("max", _BACKOFF.max),
            initial_seconds=usual(retries.get("initial_seconds", _BACKOFF.initial_seconds), _BACKOFF.initial_seconds),
            factor=usual(retries.get("factor", _BACKOFF.factor), _BACKOFF.factor),
            max_seconds=usual(retries.get("max_seconds", _BACKOFF.max_seconds), _BACKOFF.max_seconds),
            jitter=usual(retries.get("jitter", _BACKOFF.jitter), _BACKOFF.jitter),
        ),
        recover=tuple(_step(step, known) for step in component.get("recover", [])),
        between=tuple(_step(step, known) for step in component.get("between_methods", [])),
        failover=None
        if service is None or "failover" not in component
        else lower_service(_failover(service, component["failover"]), known),
        fail_back=component.get("fail_back", False),
        cool_down_seconds=usual(
            component.get("cool_down_seconds", _COMPONENT.cool_down_seconds), _COMPONENT.cool_down_seconds
        ),
        shared=component.get("shared", False),
        per=component.get("per", "run"),
        where=component.get("where", "shared"),
        reset=tuple(_reset(step, known) for step in component.get("reset", [])),
        identity=_identity(component, known),
    )
