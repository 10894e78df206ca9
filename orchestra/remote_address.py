"""The addresses of servers of browsers and of clusters: what is wrong, which parts are secret, how they are shown. Pure.

A part from a variable is secret by its place: in user info, a path or a query. Of an address that is a variable as a whole,
the value shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from orchestra import names

SCHEMES = ("ws", "wss", "http", "https")
"""An address with `http` names the server, which has the rest of its address."""

_PLAIN = re.compile(r"(?:[a-z]+://)?(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])?(?::[0-9]+)?/?")
"""An address of a host and a port, or a part of one."""

_TOKEN = re.compile(r"(?=(?:[\w.~-]*[0-9]){3})[\w.~-]{20,}")
"""A part of a path, or a value of a query, that is no word of a person."""

_SCHEDULER = re.compile(r"(?:tcp|tls)://(?:\[[0-9A-Fa-f:.%]+\]|[^\s/:@\[\]]+):(?P<port>[0-9]{1,5})")

_LAST_PORT = 65535

_BLANK = re.compile(r"\s")

_SECRET = re.compile(r"token|key|secret|passw|auth|signature|credential", re.IGNORECASE)


def secret_names(url: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables of the environment of which an address makes a secret.

    Args:
        url: of the plan.
        environment: of the run.
    """

    def expanded(text: str) -> str:
        return names.expand(text, lambda name: environment.get(name.removeprefix("env."), ""))

    user_info = "@" in expanded(url).partition("://")[2].partition("/")[0]
    for one in names.references(url):
        name = one.name.removeprefix("env.")
        value = environment.get(name, "") if one.name.startswith("env.") else ""
        before = expanded(url[: one.offset]).partition("://")[2]
        if value and (user_info or "/" in before or "?" in before or not _PLAIN.fullmatch(value)):
            yield name


def literal_secret(url: str) -> str:
    """Return what in the text of an address is a secret, in words; empty if nothing is. Variables are none."""
    bare = names.expand(url, lambda _name: "")
    try:
        parts = urlsplit(bare)
        secret = parts.password or parts.username
    except ValueError:
        return ""
    if secret:
        return "user info"
    query = parse_qsl(parts.query)
    named = next((key for key, value in query if _SECRET.search(key) or _TOKEN.fullmatch(value)), "")
    if named:
        return f'the value of "{named}" in its query'
    token = _TOKEN.search(parts.path)
    return "a path like a token" if token else ""


def fault(url: str) -> str:
    """Return why a text is no address of a server; empty if it is one.

    Args:
        url: final, or with late names, of which any may stand for a scheme and a host.
    """
    if url.startswith("${"):
        return ""
    if not url:
        return "it is empty"
    scheme, colon, _ = url.partition("://")
    if not colon or scheme not in SCHEMES:
        return "it begins with none of ws://, wss://, http:// and https://"
    bare = names.expand(url, lambda _name: "1")
    try:
        parts = urlsplit(bare)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "its host or port cannot be read"
    if not host:
        return "it has no host"
    if port == 0:
        return "no server has the port 0"
    return "it holds a blank" if _BLANK.search(bare) else ""


def scheduler_fault(url: str) -> str:
    """Return why a text is no address of a scheduler of Dask; empty if it is one. It may hold names of the environment."""
    if url.startswith("${"):
        return ""
    found = _SCHEDULER.fullmatch(names.expand(url, lambda _name: "1"))
    if found is None:
        return "it is none of tcp://HOST:PORT and tls://HOST:PORT"
    return "" if 0 < int(found["port"]) <= _LAST_PORT else f"there is no port {int(found['port'])}"


def scheduler_host(url: str) -> str:
    """Return the host in the address of a scheduler; empty where a name of the environment gives it."""
    host, _, _ = url.partition("://")[2].rpartition(":")
    return "" if "${" in host else host.strip("[]")


def is_loopback(host: str) -> bool:
    """Return True if an address means the machine that uses it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def shown(url: str) -> str:
    """Return scheme, host and port of a final address, without what may be secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an address that cannot be read"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
