"""The browsers of another machine: the meaning of the errors of their server, and the proof that it gives one.

Playwright's text quotes the address, which may hold a token, and the reply of the server. So a message is made of what is
recognised in it, and of scheme, host and port.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from orchestra import names
from orchestra.errors import UsageError
from orchestra.remote_address import fault, shown
from orchestra.runtime.browsers import finder
from orchestra.runtime.proxies import is_loopback

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_VERSIONS = re.compile(r"server version: v(\S+).*?client version: v(\S+)", re.DOTALL)
_STATUS = re.compile(r"(?:\s|^)([1-5]\d\d)(?: ([A-Z][A-Za-z' -]*))?(?:\s|$)")
_SYSTEM = re.compile(r"\b(ECONN\w+|ENOTFOUND|EAI_\w+|EHOST\w+|ENET\w+|ETIMEDOUT|EPIPE|socket hang up)\b")
_ADDRESS = re.compile(r"\b(?:wss?|https?)://\S+")
_LATE = re.compile(r"Timeout [\d.]+ms exceeded|timed out")

_WHOLE = "the address of a Playwright server: ws://HOST:PORT/PATH"

_HINTS: Mapping[str, str] = {
    "200": "it is no server of browsers: correct the address",
    "400": "correct the path of the address: `playwright run-server` prints it when it starts",
    "401": "correct the token in the address",
    "403": "correct the token in the address",
    "404": "correct the path of the address: `playwright run-server` prints it when it starts",
    "429": "lower `sessions` of the method",
    "503": "lower `sessions` of the method",
}


class Refusal(NamedTuple):
    """Why a server gives no browser.

    Attributes:
        message: what was found.
        hint: what to do about it.
        passing: it may give one later.
    """

    message: str
    hint: str
    passing: bool = False


def address(url: str, known: Mapping[str, str]) -> str:
    """Return an address of the plan with its names replaced.

    Raises:
        UsageError: a name has no value, or what comes of it is no address.
    """

    def lookup(name: str) -> str:
        if name in known:
            return known[name]
        if name.startswith("env."):
            message = f"the environment variable {name[4:]} is not set, and the browsers are at {url}"
            whole = url == f"${{{name}}}"
            raise UsageError(message, f"set it to {_WHOLE}" if whole else "set it to that part of the address")
        raise UsageError(f"${{{name}}} has no value, and the browsers are at {url}")

    final = names.expand(url, lookup)
    if why := fault(final):
        raise UsageError(f"{url} is no address of a server of browsers: {why}", "write ws://HOST:PORT/PATH")
    return final


def refusal(error: str, url: str, engine: str) -> Refusal:
    """Return what an error of Playwright's `connect` means.

    Args:
        error: its text.
        url: the final address.
        engine: chromium, firefox or webkit.
    """
    server, head = shown(url), error.partition("\nCall log:")[0]
    if match := _VERSIONS.search(head):
        theirs, ours = match[1], match[2]
        message = f"the server of browsers at {server} has Playwright {theirs}, and this machine has {ours}: they must be equal"
        hint = f"start the server with Playwright {ours} (`npx playwright@{ours} run-server`), or install {theirs} here"
        return Refusal(message, hint)
    if "Executable doesn't exist" in head or "is not found" in head:
        hint = f"install it there: `playwright install {engine}` with Playwright {version('playwright')}"
        return Refusal(f"the server of browsers at {server} has no {engine}", hint)
    bare = _ADDRESS.sub("", head)
    if match := _SYSTEM.search(head):
        hint = "start it (`playwright run-server`), or correct the address"
        return Refusal(f"no server of browsers answers at {server}: {match[1]}", hint, passing=True)
    if _LATE.search(head):
        hint = "see whether it hangs, or has fewer free sessions than `sessions` of the method"
        return Refusal(f"the server of browsers at {server} does not answer in time", hint, passing=True)
    if match := _STATUS.search(bare.partition("\n")[0]):
        status, reason = match[1], (match[2] or "").strip()
        reply = f"{status} {reason}".strip()
        hint = _HINTS.get(status, "see the log of that server")
        passing = status.startswith("5") or status == "429"
        return Refusal(f"the server at {server} refuses to give a browser: {reply}", hint, passing)
    if "is not valid JSON" in head:
        return Refusal(f"the server at {server} is no server of browsers: its reply names no path", _HINTS["404"])
    lines = bare.strip().splitlines()
    reason = lines[0].strip() if lines else "no reason was given"
    return Refusal(f"the server at {server} gives no browser: {reason}", "see the log of that server", passing=True)


def options(url: str, seconds: float, known: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Return the arguments for Playwright's `connect`.

    Args:
        url: the final address.
        seconds: its limit.
        known: the late names of a test. Of the addresses in it those of this machine are asked through this machine, and no
            other port of it is open to the server.
    """
    ports: dict[str, None] = {}
    for name, value in known.items():
        parts = urlsplit(value) if name.endswith(".url") else None
        if parts is not None and is_loopback(parts.hostname or ""):
            ports[str(parts.port or (443 if parts.scheme == "https" else 80))] = None
    exposed = ",".join(f"{host}:{port}" for port in ports for host in _LOOPBACK)
    return {"endpoint": url, "timeout": seconds * 1000, **({"expose_network": exposed} if exposed else {})}


def prove(url: str, engine: str, env: Mapping[str, str]) -> str | Refusal:
    """Return the version of a browser that the server gives and that opens about:blank, or why it gives none."""
    answer = finder.ask({"engine": engine, "connect": options(url, finder.LAUNCH_SECONDS)}, env)
    if answer is None:
        return refusal("timed out", url, engine)
    return answer.get("version") or refusal(answer.get("error", ""), url, engine)
