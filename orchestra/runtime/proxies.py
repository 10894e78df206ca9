"""Proxies of the environment: what is on this machine, and what a suite starts, is never asked through one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

_VARIABLES = frozenset({"all_proxy", "ftp_proxy", "http_proxy", "https_proxy"})
_HERE = ("localhost", "127.0.0.1", "::1")

HINT = "correct ALL_PROXY, HTTP_PROXY or HTTPS_PROXY, or name the host in NO_PROXY"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or number alone."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        number = ipaddress.ip_address(name)
    except ValueError:
        return False
    return number.is_loopback or number.is_unspecified


def is_direct(host: str, env: Mapping[str, str]) -> bool:
    """Return whether a host is asked without a proxy: this machine, or one that NO_PROXY names."""
    # Here, for its import takes 20 ms, which only runs with requests pay. No type stub knows it.
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined] # noqa: PLC0415

    never = env.get("no_proxy") or env.get("NO_PROXY", "")
    return is_loopback(host) or bool(proxy_bypass_environment(host, {"no": never}))


def without(env: Mapping[str, str], hosts: Iterable[str]) -> dict[str, str]:
    """Return the environment with this machine and some hosts in NO_PROXY, where a proxy is set at all.

    Servers of a suite have addresses of this machine, and a program that calls them must not use a proxy.
    """
    if not any(name.lower() in _VARIABLES and value for name, value in env.items()):
        return dict(env)
    never = env.get("no_proxy") or env.get("NO_PROXY", "")
    known = [part.strip() for part in never.split(",") if part.strip()]
    if "*" in known:
        return dict(env)
    more = (host for host in (*_HERE, *hosts) if host not in known)
    listed = ",".join(dict.fromkeys((*known, *more)))
    return {**env, "NO_PROXY": listed, "no_proxy": listed}
