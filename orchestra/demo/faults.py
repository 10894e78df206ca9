"""Faults and delays of the sample server, switched by its environment.

    DEMO_DELAY_MS=250     each reply of the API takes that much longer
    DEMO_SLOW_MS=2000     the answer to `simulate delay` takes that much longer, and no other
    DEMO_FAIL=a,b,…       faults, each one of
        ROUTE             the route answers 503
        ROUTE:500         … or another status from 400 to 599
        ROUTE:hang        … or never
        ROUTE:close       … or closes the connection in the middle of its reply
        ROUTE:500@3       any of these, but only after the route has answered three times
        crash-after:3     the process ends with exit code 70 once the API has answered three requests
        start:exit        the process ends with exit code 70 at once
        start:hang        the process lives and never listens
    DEMO_STARVED=FILE     while FILE is there, the process ends with exit code 70 at once
    DEMO_FAIL_ONCE=FILE   the faults hold for the first process: it creates FILE; where FILE is, nothing fails

Routes are `health`, `market`, `ask` and `analyze`. The cached mode has no faults: it replaces a failed live server.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

ROUTES: Final = {"/health": "health", "/api/market": "market", "/api/ask": "ask", "/api/analyze": "analyze"}
EXIT_CRASH: Final = 70
_FAULT = re.compile(r"(health|market|ask|analyze)(?::([45]\d\d|hang|close))?(?:@(\d+))?")
_CRASH = re.compile(r"crash-after:(\d+)")
_START = re.compile(r"start:(exit|hang)")


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of a route once it has answered `after` times: a status, `hang` or `close`."""

    action: str
    after: int = 0


@dataclass(frozen=True, slots=True)
class Faults:
    """All faults of one process.

    `crash_after` counts answered API requests; `delay_seconds` comes before each, `slow_seconds` before the slow answer.
    """

    routes: Mapping[str, Fault] = field(default_factory=dict)
    crash_after: int | None = None
    start: str = ""
    delay_seconds: float = 0.0
    slow_seconds: float = 0.0


def _seconds(environ: Mapping[str, str], name: str) -> float:
    text = environ.get(name, "0").strip() or "0"
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{name} is {text!r}; allowed: whole milliseconds from 0")
    return int(text) / 1000


def from_environ(environ: Mapping[str, str]) -> Faults:
    """Read the switches `DEMO_FAIL`, `DEMO_DELAY_MS` and `DEMO_SLOW_MS`; `disarmed` decides whether they apply.

    Raises:
        ValueError: a switch has a value that is not in the table of this module.
    """
    delay, slow = _seconds(environ, "DEMO_DELAY_MS"), _seconds(environ, "DEMO_SLOW_MS")
    routes: dict[str, Fault] = {}
    crash_after: int | None = None
    start = ""
    for word in filter(None, (part.strip() for part in environ.get("DEMO_FAIL", "").split(","))):
        if match := _FAULT.fullmatch(word):
            routes[match[1]] = Fault(match[2] or "503", int(match[3] or 0))
        elif match := _CRASH.fullmatch(word):
            crash_after = int(match[1])
        elif match := _START.fullmatch(word):
            start = match[1]
        else:
            allowed = "ROUTE[:STATUS|:hang|:close][@COUNT], crash-after:COUNT, start:exit, start:hang"
            raise ValueError(
                f"DEMO_FAIL holds {word!r}; allowed: {allowed}, with ROUTE one of {', '.join(ROUTES.values())}"
            )
    return Faults(routes, crash_after, start, delay, slow)


def starved(environ: Mapping[str, str]) -> bool:
    """Return True if `DEMO_STARVED` names a file that is there."""
    name = environ.get("DEMO_STARVED", "")
    return bool(name) and Path(name).exists()


def disarmed(environ: Mapping[str, str]) -> bool:
    """Return True if an earlier process used up the faults of `DEMO_FAIL_ONCE`; create its file otherwise."""
    name = environ.get("DEMO_FAIL_ONCE", "")
    if not name:
        return False
    try:
        Path(name).touch(exist_ok=False)
    except FileExistsError:
        return True
    return False


class FaultMiddleware:
    """Applies `Faults` to the requests that it sees; the counters are its only state."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app = app
        self.faults = faults
        self.seen: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI call."""
        route = ROUTES.get(scope.get("path", "")) if scope["type"] == "http" and scope["method"] != "OPTIONS" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        is_api = route != "health"
        if is_api:
            await asyncio.sleep(self.faults.delay_seconds)
        fault = self.faults.routes.get(route)
        if fault is not None and self.seen[route] >= fault.after:
            await _misbehave(fault.action, scope, receive, send)
            return
        await self.app(scope, receive, send)
        self.seen[route] += 1
        self.seen["api"] += is_api
        if self.faults.crash_after is not None and self.seen["api"] >= max(1, self.faults.crash_after):
            os._exit(EXIT_CRASH)  # a crash runs no cleanup


async def _misbehave(action: str, scope: Scope, receive: Receive, send: Send) -> None:
    if action == "hang":
        await asyncio.Event().wait()
    elif action == "close":
        # a reply that promises more than it brings: the server closes the connection
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
    else:
        await JSONResponse({"error": "the server fails on purpose"}, int(action))(scope, receive, send)
