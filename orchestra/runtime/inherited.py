"""The environment that commands, services, jobs, probes and workers of a suite inherit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from orchestra import remote_address
from orchestra.checkout import without_key
from orchestra.plan import Component, Plan
from orchestra.runtime import env_files, interpreter, proxies
from orchestra.yamltext.places import Places


class Inherited(NamedTuple):
    """The environment of a suite, and the names in it whose values are masked: the addresses of remote browsers, too."""

    environment: dict[str, str]
    secrets: tuple[str, ...]


def of_plan(root: Path, plan: Plan, env: Mapping[str, str]) -> Inherited:
    """Return the environment of a suite: that of the user, over the variables of its `env_files`.

    Args:
        root: the project root.
        plan: of the suite.
        env: of the user.

    Raises:
        SpecError: a file is missing or has a bad line.
    """
    variables = env_files.read(root, plan.env_files, env, Places(root, plan.sources, plan.profile).find)
    inherited = environment({**variables.values, **env}, plan.components)
    addresses = (method.connect.url for method in plan.methods if method.connect is not None)
    of_addresses = (name for url in addresses for name in remote_address.secret_names(url, inherited))
    secrets = dict.fromkeys((*plan.secrets, *variables.secrets, *of_addresses))
    return Inherited(inherited, tuple(secrets))


def environment(env: Mapping[str, str], components: Iterable[Component]) -> dict[str, str]:
    """Return the environment of the user, with a complete PATH, the hosts of services in NO_PROXY, and no key for signing.

    Args:
        env: of the user.
        components: of the plan.
    """
    hosts = (one.host for row in components for one in (row.service, row.failover) if one is not None)
    return proxies.without(interpreter.environment(without_key(env)), hosts)


def names_of(plan: Plan, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a plan refers to, as runtime variables; one that is not set has none."""
    text = msgspec.json.encode(plan).decode()
    return {f"env.{name}": value for name, value in env.items() if f"${{env.{name}}}" in text}
