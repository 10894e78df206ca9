"""What pages and logs showed beside the assertions, as a part of an event and as metrics. May import `attempt`, `observed`.

The metrics are kept as running sums: a gate may ask for them after each of ten thousand tests.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from orchestra.layers import LAYERS
from orchestra.runtime.attempt import Result, Traffic
from orchestra.runtime.observed import host_of

Body = Mapping[str, Any]

_PLAIN = Traffic()


def page_body(result: Result, names: Mapping[str, str]) -> dict[str, Any]:
    """The parts `findings` and `network` of the event of an attempt; what there is none of is absent.

    Args:
        result: of the attempt.
        names: late names with their values; `backend.url` tells which component a host is.
    """
    body: dict[str, Any] = {}
    if result.findings:
        body["findings"] = [
            {"layer": one.layer, "level": one.level, "text": one.text, "where": one.where, "count": one.count}
            for one in result.findings
        ]
    if result.network is not None:
        owners = {host_of(url): name.removesuffix(".url") for name, url in names.items() if name.endswith(".url")}
        hosts = {
            host: _figures(traffic) | ({"component": owners[host]} if host in owners else {})
            for host, traffic in sorted(result.network.items())
        }
        body["network"] = {**_figures(_sum(result.network.values())), "hosts": hosts}
    return body


def _figures(traffic: Traffic) -> dict[str, Any]:
    found = msgspec.structs.asdict(traffic)
    if found["slowest_ms"] is not None:
        found["slowest_ms"] = round(found["slowest_ms"], 1)
    return {name: value for name, value in found.items() if value is not None}


def _sum(parts: Any) -> Traffic:
    total = _PLAIN
    for one in parts:
        total = _plus(total, one)
    return total


def _plus(left: Traffic, right: Traffic) -> Traffic:
    """Both together; what one of them does not tell the sum does not tell."""
    size = None if left.bytes is None or right.bytes is None else left.bytes + right.bytes
    slow = max((one for one in (left.slowest_ms, right.slowest_ms) if one is not None), default=None)
    return Traffic(left.requests + right.requests, left.failed + right.failed, size, slow)


@dataclass(slots=True)
class _Method:
    """What the tool calls of a method have cost."""

    calls: int = 0
    polls: int = 0
    lag_seconds: float | None = None
    call_ms: list[float] = field(default_factory=list)

    def take(self, body: Body) -> None:
        for step in body.get("steps", ()):
            self.calls += step.get("calls", 0)
            self.polls += step.get("polls", 0)
            if (lag := step.get("lag_seconds")) is not None:
                self.lag_seconds = max(self.lag_seconds or 0.0, lag)
        if (latency := body["facts"].get("mcp_call_ms")) is not None:
            self.call_ms.append(latency)

    def figures(self, head: str) -> dict[str, Any]:
        values: dict[str, Any] = {f"{head}calls": self.calls, f"{head}polls": self.polls}
        if self.call_ms:
            values[f"{head}call_ms_p50"] = statistics.median(self.call_ms)
        if self.lag_seconds is not None:
            values[f"{head}lag_seconds_max"] = self.lag_seconds
        return values


@dataclass(slots=True)
class PageFigures:
    """The sums over the attempts that verdicts rest on."""

    _pages: int = 0
    _logs: int = 0
    _warned: int = 0
    _layers: Counter[str] = field(default_factory=Counter)
    _total: Traffic = _PLAIN
    _components: dict[str, Traffic] = field(default_factory=dict)
    _elsewhere: int = 0
    _methods: dict[str, _Method] = field(default_factory=dict)
    _most_requests: int = 0
    _most_bytes: int = 0

    def take(self, body: Body, *, logs: bool) -> None:
        """Take in the event of an attempt, or these parts of it; `logs`: something was looked for in logs."""
        self._logs += logs
        findings = body.get("findings", ())
        for one in findings:
            self._layers[one["layer"]] += one["count"]
        self._warned += any(one["level"] == "warn" for one in findings)
        if "mcp_calls" in body.get("facts", ()):
            self._methods.setdefault(body["method"], _Method()).take(body)
        network = body.get("network")
        if network is None:
            return
        self._pages += 1
        traffic = _traffic(network)
        self._total = _plus(self._total, traffic)
        self._most_requests = max(self._most_requests, traffic.requests)
        self._most_bytes = max(self._most_bytes, traffic.bytes or 0)
        for one in network["hosts"].values():
            owner = one.get("component")
            if owner is None:
                self._elsewhere += one["requests"]
            else:
                self._components[owner] = _plus(self._components.get(owner, _PLAIN), _traffic(one))

    def figures(self) -> dict[str, Any]:
        """The metrics that have a value."""
        values: dict[str, Any] = {}
        if self._pages or self._logs:
            values["warned"] = self._warned
        for layer in LAYERS:
            if self._logs if layer == "service_logs" else self._pages:
                values[f"findings.{layer}"] = self._layers[layer]
        if not self._pages:
            return values
        values |= _named("network.", self._total)
        values["network.elsewhere"] = self._elsewhere
        values["network.requests_max"] = self._most_requests
        if self._total.bytes is not None:
            values["network.bytes_max"] = self._most_bytes
        for name, traffic in self._components.items():
            values |= _named(f"network.{name}.", traffic)
        for name, method in self._methods.items():
            values |= method.figures(f"method.{name}.")
        return values


def _traffic(body: Body) -> Traffic:
    return Traffic(body["requests"], body["failed"], body.get("bytes"), body.get("slowest_ms"))


def _named(head: str, traffic: Traffic) -> dict[str, Any]:
    return {f"{head}{name}": value for name, value in _figures(traffic).items()}
