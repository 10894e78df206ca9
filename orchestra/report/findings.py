"""Provide the errors outside assertions and the network of pages, as rows. Pure.

Texts of a page or a log are raw: the printing modules make them visible with `draw`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestra.ledger.event import AttemptFinished
from orchestra.ledger.parts import Finding, Network, Traffic

SHOWN = 3
"""The number of findings that are shown with the verdict of a test; summary.md has the others, and the record all of
them.
"""

_HOSTS = 12


def heading(finding: Finding) -> str:
    """Return the beginning of a failure that a finding causes."""
    return f"{finding.layer}: {finding.text}"


def finding_text(finding: Finding) -> str:
    """Return a finding in words: `Error: boom (http://127.0.0.1:3000/app.js:12:5), 3 times`."""
    times = f", {finding.count} times" if finding.count > 1 else ""
    return f"{finding.text}{f' ({finding.where})' if finding.where else ''}{times}"


@dataclass(frozen=True, slots=True)
class HostRow:
    """The requests of all pages of a method to one host.

    Attributes:
        method, host: ids; `component` is the row of the health matrix that the host is, empty for none.
        requests, failed: how many.
        bytes: of the answers' bodies; None when not known of all.
        slowest_ms: the slowest request, and its `test`.
    """

    method: str
    host: str
    component: str
    requests: int
    failed: int
    bytes: int | None
    slowest_ms: float | None
    test: str = ""

    def cells(self) -> tuple[str, ...]:
        """For a table, in the order of `HEADS`."""
        size = "" if self.bytes is None else size_text(self.bytes)
        slowest = "" if self.slowest_ms is None else f"{self.slowest_ms:.0f} ms ({self.test})"
        return self.method, self.host, self.component, str(self.requests), str(self.failed), size, slowest


HEADS = ("method", "host", "component", "requests", "failed", "bytes", "slowest")


def size_text(size: int) -> str:
    """Bytes for people: `512 B`, `12.3 kB`, `4.0 MB`."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def summed(findings: Iterable[Finding]) -> str:
    """Return the number of findings of each layer: `2 page_errors, 1 http_5xx`; empty for none."""
    counts = Counter[str]()
    for finding in findings:
        counts[finding.layer] += finding.count
    return ", ".join(f"{count} {layer}" for layer, count in counts.items())


def network_text(traffic: Traffic | None) -> str:
    """Return the requests in words; empty without a page or without a request."""
    if traffic is None or not traffic.requests:
        return ""
    parts = [f"{traffic.requests} requests", f"{traffic.failed} failed"]
    if traffic.bytes is not None:
        parts.append(size_text(traffic.bytes))
    if traffic.slowest_ms is not None:
        parts.append(f"slowest {traffic.slowest_ms:.0f} ms")
    return ", ".join(parts)


def host_lines(network: Network | None) -> Iterator[str]:
    """Yield a line for each host of an attempt."""
    for host, traffic in network.hosts.items() if network is not None else ():
        yield f"{host}{f' ({traffic.component})' if traffic.component else ''}: {network_text(traffic)}"


def host_rows(attempts: Iterable[AttemptFinished]) -> tuple[HostRow, ...]:
    """Return the network by method and host: those with the most requests of each method, in the order of the methods.

    Args:
        attempts: those to count.
    """
    rows: dict[tuple[str, str], HostRow] = {}
    for body in attempts:
        for host, traffic in body.network.hosts.items() if body.network is not None else ():
            new = HostRow(
                body.method,
                host,
                traffic.component,
                traffic.requests,
                traffic.failed,
                traffic.bytes,
                traffic.slowest_ms,
                body.test,
            )
            old = rows.get((body.method, host))
            rows[body.method, host] = new if old is None else _both(old, new)
    methods = dict.fromkeys(method for method, _ in rows)
    busiest = sorted(rows.values(), key=lambda row: (-row.requests, row.host))
    return tuple(row for method in methods for row in [row for row in busiest if row.method == method][:_HOSTS])


def _both(old: HostRow, new: HostRow) -> HostRow:
    slower = max(old, new, key=lambda row: -1.0 if row.slowest_ms is None else row.slowest_ms)
    size = None if old.bytes is None or new.bytes is None else old.bytes + new.bytes
    return HostRow(
        old.method,
        old.host,
        old.component or new.component,
        old.requests + new.requests,
        old.failed + new.failed,
        size,
        slower.slowest_ms,
        slower.test,
    )
