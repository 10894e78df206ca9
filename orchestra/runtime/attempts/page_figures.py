"""Turn the errors and the network of pages and logs into a part of an event and into metrics. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from orchestra.layers import LAYERS
from orchestra.ledger.event import AttemptFinished
from orchestra.ledger.life import Life, StepSums
from orchestra.ledger.parts import Host, Network, Traffic
from orchestra.ledger.view import View
from orchestra.plan import Plan
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.log_finding import patterns_of
from orchestra.runtime.attempts.observed import host_of

_PLAIN = Traffic(requests=0, failed=0, bytes=0)


def network_of(result: Result, names: Mapping[str, str]) -> Network | None:
    """Return the network of an attempt as its event has it; None without a page.

    Args:
        result: of the attempt.
        names: runtime variables with their values; `backend.url` identifies the component of a host.
    """
    if result.network is None:
        return None
    owners = {host_of(url): name.removesuffix(".url") for name, url in names.items() if name.endswith(".url")}
    hosts = {
        host: Host(**_rounded(traffic), component=owners.get(host, ""))
        for host, traffic in sorted(result.network.items())
    }
    return Network(**_rounded(_sum(result.network.values())), hosts=hosts)


def _rounded(traffic: Traffic) -> dict[str, Any]:
    found = msgspec.structs.asdict(traffic)
    if found["slowest_ms"] is not None:
        found["slowest_ms"] = round(found["slowest_ms"], 1)
    return found


def _sum(every: Iterable[Traffic]) -> Traffic:
    total = _PLAIN
    for one in every:
        total = _plus(total, one)
    return total


def _plus(left: Traffic, right: Traffic) -> Traffic:
    """Return the sum of both; a value that is unknown in one of them is unknown in the sum."""
    size = None if left.bytes is None or right.bytes is None else left.bytes + right.bytes
    slow = max((one for one in (left.slowest_ms, right.slowest_ms) if one is not None), default=None)
    return Traffic(
        requests=left.requests + right.requests, failed=left.failed + right.failed, bytes=size, slowest_ms=slow
    )


@dataclass(slots=True)
class _Method:
    """The cost of the tool calls of a method."""

    calls: int = 0
    polls: int = 0
    lag_seconds: float | None = None
    call_ms: list[float] = field(default_factory=list)

    def take(self, sums: StepSums, facts: Mapping[str, Any]) -> None:
        self.calls += sums.calls
        self.polls += sums.polls
        if sums.lag_seconds is not None:
            self.lag_seconds = max(self.lag_seconds or 0.0, sums.lag_seconds)
        if (latency := facts.get("mcp_call_ms")) is not None:
            self.call_ms.append(latency)

    def figures(self, head: str) -> dict[str, Any]:
        values: dict[str, Any] = {f"{head}calls": self.calls, f"{head}polls": self.polls}
        if self.call_ms:
            values[f"{head}call_ms_p50"] = statistics.median(self.call_ms)
        if self.lag_seconds is not None:
            values[f"{head}lag_seconds_max"] = self.lag_seconds
        return values


def page_figures(plan: Plan, view: View) -> dict[str, Any]:
    """Return the metrics of pages, logs and tool calls that have a value: over the attempts that verdicts rest on."""
    looked = {(test.id, method) for test in plan.tests for method in test.methods if patterns_of(test, method)}
    found = _Pages()
    for life in view.lives.values():
        if (last := life.last) is not None and not last.retry:
            found.take(last, life, logs=(last.test, last.method) in looked)
    return found.figures()


@dataclass(slots=True)
class _Pages:
    """The sums so far."""

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

    def take(self, body: AttemptFinished, life: Life, *, logs: bool) -> None:
        """Take in the last attempt of a life; `logs`: something was looked for in logs."""
        self._logs += logs
        if body.findings:
            for one in body.findings:
                self._layers[one.layer] += one.count
            self._warned += any(finding.level == "warn" for finding in body.findings)
        if "mcp_calls" in body.facts:
            self._methods.setdefault(body.method, _Method()).take(life.sums, body.facts)
        if body.network is None:
            return
        self._pages += 1
        self._total = _plus(self._total, body.network)
        self._most_requests = max(self._most_requests, body.network.requests)
        self._most_bytes = max(self._most_bytes, body.network.bytes or 0)
        for host in body.network.hosts.values():
            if host.component:
                self._components[host.component] = _plus(self._components.get(host.component, _PLAIN), host)
            else:
                self._elsewhere += host.requests

    def figures(self) -> dict[str, Any]:
        """Return the metrics that have a value."""
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


def _named(head: str, traffic: Traffic) -> dict[str, Any]:
    return {f"{head}{name}": value for name, value in _rounded(traffic).items() if value is not None}
