"""Record the events of a page outside its steps: errors by layer, and its network by host.

Both drivers listen to the events of the browser that they own, by Playwright, and report them here; no page is queried.
Memory is bounded: beyond the limits only numbers are recorded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from orchestra.layers import Layer
from orchestra.ledger.parts import Traffic
from orchestra.runtime.unicode import well_formed

KEPT_SIGNS = 100
"""Of each layer, so that one that is noisy hides no other."""

KEPT_HOSTS = 50
OTHER_HOSTS = "(others)"
TEXT_LETTERS = 500

# A page that is left, a file that is downloaded, a script that cancels its own request: not failures.
CANCELLED = frozenset({"net::ERR_ABORTED", "NS_BINDING_ABORTED", "Load request cancelled", "cancelled"})
# The browser's own remark on a request, which is a finding of the network already.
_ECHO = "Failed to load resource: "
_BODILESS = frozenset({204, 304})
_DIGITS = re.compile(r"[0-9]+")


class Sign(NamedTuple):
    """Something that may be an error. `host` is that of a request, empty for others."""

    layer: Layer
    text: str
    where: str = ""
    host: str = ""


class Reply(NamedTuple):
    """The response to a request, as its first bytes declare it. `size` is that of its body, None if it is not declared."""

    method: str
    url: str
    status: int
    page: str
    size: int | None = 0


@dataclass
class _Host:
    requests: int = 0
    failed: int = 0
    bytes: int = 0
    waiting: int = 0
    unsized: bool = False
    slowest_ms: float | None = None


@dataclass
class Observed:
    """One attempt's; `mask` takes secrets out before anything is cut or kept."""

    mask: Callable[[str], str] = str
    signs: dict[Sign, int] = field(default_factory=dict)
    _hosts: dict[str, _Host] = field(default_factory=dict)
    _kept: Counter[Layer] = field(default_factory=Counter)

    def console_error(self, text: str, where: str) -> None:
        """Record an error that a page wrote."""
        if not text.startswith(_ECHO):
            self._sign("console_errors", text, where)

    def page_error(self, text: str, where: str) -> None:
        """Record an uncaught exception of a script."""
        self._sign("page_errors", text, where)

    def violated(self, text: str, where: str) -> None:
        """Record an accessibility rule that a page violates."""
        self._sign("a11y", text, where)

    def answered(self, reply: Reply) -> None:
        """Record a response; its body is still to come."""
        host = self._host(reply.url)
        if host is None:
            return
        host.requests += 1
        host.bytes += reply.size or 0
        host.waiting += reply.size is None
        if reply.status >= 400:
            host.failed += 1
            layer: Layer = "http_5xx" if reply.status >= 500 else "failed_requests"
            self._sign(layer, f"{reply.method} {reply.url}: {reply.status}", reply.page, host_of(reply.url))

    def failed(self, method: str, url: str, why: str, page: str, *, answered: bool) -> None:
        """Record a failed request; `answered`: it had a response, which broke off, and may have declared its size."""
        host = self._host(url)
        if host is None:
            return
        host.requests += not answered
        if why not in CANCELLED:
            host.failed += 1
            self._sign("failed_requests", f"{method} {url}: {why}", page, host_of(url))

    def measured(self, url: str, milliseconds: float) -> None:
        """Record the end of a request and its duration, negative if the browser does not report it."""
        host = self._host(url)
        if host is not None and milliseconds >= 0:
            host.slowest_ms = max(host.slowest_ms or 0.0, milliseconds)

    def sized(self, url: str, size: int | None) -> None:
        """Record the size of a body with an undeclared length; None if it is unknown."""
        host = self._host(url)
        if host is not None:
            host.waiting -= 1
            host.bytes += size or 0
            host.unsized = host.unsized or size is None

    def waiting(self) -> bool:
        """Return True if the size of a response is still unknown."""
        return any(host.waiting for host in self._hosts.values())

    def network(self) -> dict[str, Traffic]:
        """Return the traffic so far, by host; without bytes where they are not known of all."""
        return {
            name: Traffic(
                requests=one.requests,
                failed=one.failed,
                bytes=None if one.waiting or one.unsized else one.bytes,
                slowest_ms=one.slowest_ms,
            )
            for name, one in self._hosts.items()
        }

    def _host(self, url: str) -> _Host | None:
        name = host_of(url)
        if not name:
            return None
        if name not in self._hosts and len(self._hosts) >= KEPT_HOSTS:
            name = OTHER_HOSTS
        return self._hosts.setdefault(name, _Host())

    def _sign(self, layer: Layer, text: str, where: str, host: str = "") -> None:
        sign = Sign(layer, " ".join(well_formed(self.mask(text)).split())[:TEXT_LETTERS], self.mask(where), host)
        if sign not in self.signs:
            if self._kept[layer] >= KEPT_SIGNS:
                return
            self._kept[layer] += 1
        self.signs[sign] = self.signs.get(sign, 0) + 1


def host_of(url: str) -> str:
    """Host and port of a web address, `127.0.0.1:8000`; empty for one of another kind. `localhost` is `127.0.0.1`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"}:
        return ""
    host = parts.netloc.rpartition("@")[2].lower()
    name, colon, port = host.partition(":")
    return f"127.0.0.1{colon}{port}" if name == "localhost" else host


def declared_size(method: str, status: int, headers: Mapping[str, str]) -> int | None:
    """Return the bytes of a body as an answer declares them; None when it does not, and the browser has to be asked."""
    if method == "HEAD" or status in _BODILESS:
        return 0
    said = headers.get("content-length", "")
    return int(said) if _DIGITS.fullmatch(said) else None
