"""What tests found beside their assertions, and what their pages asked of the network, as rows. Pure. May import `table`.

All texts of a page or a log are shown through `draw` by those who print them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]

SHOWN = 3
"""So many findings of a test are told with its verdict; the rest is in summary.md, and all of it in the record."""

_HOSTS = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """An error beside the assertions; `level` is fail or warn, `where` is empty when it is not known."""

    layer: str
    level: str
    text: str
    where: str = ""
    count: int = 1

    def head(self) -> str:
        """As a failure that it is the reason of begins."""
        return f"{self.layer}: {self.text}"

    def said(self) -> str:
        """In words: `Error: boom (http://127.0.0.1:3000/app.js:12:5), 3 times`."""
        times = f", {self.count} times" if self.count > 1 else ""
        return f"{self.text}{f' ({self.where})' if self.where else ''}{times}"


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


def findings_of(body: Body) -> tuple[Finding, ...]:
    """The findings of an attempt, from its event."""
    return tuple(Finding(**one) for one in body.get("findings", ()))


def summed(findings: Iterable[Finding]) -> str:
    """How many of each layer: `2 page_errors, 1 http_5xx`; empty for none."""
    found = Counter[str]()
    for one in findings:
        found[one.layer] += one.count
    return ", ".join(f"{number} {layer}" for layer, number in found.items())


def network_of(body: Body) -> str:
    """The network of an attempt in words, from its event; empty without a page or without a request."""
    network = body.get("network")
    if network is None or not network["requests"]:
        return ""
    parts = [f"{network['requests']} requests", f"{network['failed']} failed"]
    if "bytes" in network:
        parts.append(size_text(network["bytes"]))
    if "slowest_ms" in network:
        parts.append(f"slowest {network['slowest_ms']:.0f} ms")
    return ", ".join(parts)


def hosts_of(body: Body) -> Iterator[str]:
    """A line for each host of an attempt."""
    for host, one in body.get("network", {}).get("hosts", {}).items():
        yield f"{host}{f' ({name})' if (name := one.get('component')) else ''}: {network_of({'network': one})}"


def host_rows(attempts: Iterable[tuple[str, Body]]) -> tuple[HostRow, ...]:
    """The network by method and host: those with the most requests of each method, in the order of the methods.

    Args:
        attempts: task and event of the attempts to count.
    """
    rows: dict[tuple[str, str], HostRow] = {}
    for task, body in attempts:
        method, _, test = task.partition(":")
        for host, one in body.get("network", {}).get("hosts", {}).items():
            new = HostRow(
                method,
                host,
                one.get("component", ""),
                one["requests"],
                one["failed"],
                one.get("bytes"),
                one.get("slowest_ms"),
                test,
            )
            old = rows.get((method, host))
            rows[method, host] = new if old is None else _both(old, new)
    methods = dict.fromkeys(method for method, _ in rows)
    by = sorted(rows.values(), key=lambda row: (-row.requests, row.host))
    return tuple(row for method in methods for row in [one for one in by if one.method == method][:_HOSTS])


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
