"""Rules about port numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from orchestra.compiler.rules.context import Context, Problem, rule
from orchestra.diagnostic import Edit
from orchestra.yamltext.document import Path

_LAST = 65535


class _Range(NamedTuple):
    """Ports that a component may take, both ends included."""

    low: int
    high: int
    component: str
    path: Path


def _ranges(context: Context) -> Iterator[_Range]:
    for name, row in context.spec.get("health", {}).items():
        for key in ("service", "failover"):
            part: Mapping[str, Any] = row.get(key) or {}  # type: ignore[assignment]
            if "port" in part:
                yield _Range(part["port"], part["port"], name, ("health", name, key, "port"))
            if "port_range" in part:
                low, _, high = part["port_range"].partition("-")
                yield _Range(int(low), int(high or low), name, ("health", name, key, "port_range"))


def _written(ports: _Range) -> str:
    return f"the port {ports.low}" if ports.low == ports.high else f"the range {ports.low}-{ports.high}"


@rule
def port_number(context: Context) -> Iterator[Problem]:
    """A port is not a number from 1 to 65535, or a range of ports is descending."""
    numbers = [(ports.low, ports.high, ports.path) for ports in _ranges(context)]
    for path, kind, args in context.probes():
        numbers += [(args[key], args[key], (*path, key)) for key in kind.holding("port") if key in args]
    for low, high, path in numbers:
        if low > high:
            message = f'the range "{low}-{high}" is descending'
            edit = Edit(f"{low}-{high}", f"{high}-{low}", value=True)
            yield Problem(context.place(path), message, f"write {edit.new}", edit)
        elif low < 1 or high > _LAST:
            wrong = high if high > _LAST else low
            yield Problem(context.place(path), f"{wrong} is not a port", f"use a number from 1 to {_LAST}")


@rule
def port_collision(context: Context) -> Iterator[Problem]:
    """Two components can take the same port, as services or as failovers, so one could be mistaken for the other.

    A failover can share the ports of its own service, which has ended when it starts.
    """
    ranges = sorted(ports for ports in _ranges(context) if ports.low <= ports.high)
    for index, lower in enumerate(ranges):
        for higher in ranges[index + 1 :]:
            if higher.low > lower.high:
                break
            if higher.component != lower.component:
                first, second = sorted((lower, higher), key=lambda ports: context.place(ports.path))
                place = context.place(first.path)
                taken = f'{_written(first)} of "{first.component}" at {place}'
                message = f'{_written(second)} of "{second.component}" overlaps with {taken}'
                yield Problem(context.place(second.path), message, "give each component ports of its own")


@rule
def port_wait(context: Context) -> Iterator[Problem]:
    """A service has `port_wait_seconds` and neither `port` nor `port_range`: there is no port to wait for."""
    for name, row in context.spec.get("health", {}).items():
        service: Mapping[str, Any] = row.get("service") or {}
        failover: Mapping[str, Any] = row.get("failover") or {}
        for key, part, inherited in (("service", service, {}), ("failover", failover, service)):
            if "port_wait_seconds" in part and not {"port", "port_range"} & (part.keys() | inherited.keys()):
                place = context.place(("health", name, key, "port_wait_seconds"), key=True)
                yield Problem(place, f'"{name}" has no port to wait for', "add `port` or `port_range`, or remove it")


RULES = (port_number, port_collision, port_wait)
