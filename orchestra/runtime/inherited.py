"""The environment that commands, services, jobs, probes and workers of a suite inherit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestra.checkout import without_key
from orchestra.plan import Component
from orchestra.runtime import interpreter, proxies


def environment(env: Mapping[str, str], components: Iterable[Component]) -> dict[str, str]:
    """Return the environment of the user, with a complete PATH, the hosts of services in NO_PROXY, and no key for signing.

    Args:
        env: of the user.
        components: of the plan.
    """
    hosts = (one.host for row in components for one in (row.service, row.failover) if one is not None)
    return proxies.without(interpreter.environment(without_key(env)), hosts)
