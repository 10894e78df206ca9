"""The proof of a node: what it must have in common with the run before it gets an attempt. `refusal` is pure."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from orchestra import __version__
from orchestra.instances import ON_NODES
from orchestra.plan import Component, Plan, Test
from orchestra.remote_address import is_loopback
from orchestra.runtime.attempt import launches_browser
from orchestra.runtime.nodes.words import Hello, Proof, Versions

TRANSPORT = "distributed"
"""The package that carries the words; its versions must be equal on all machines."""

_INTERPRETER = frozenset({"python", "python3"})
"""Programs that every node has: orchestra puts its own interpreter on the PATH of commands."""


def network() -> str:
    """Return a word that two processes have in common if `127.0.0.1` is the same for both."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/net').st_ino}"  # noqa: PTH116 - a file of the system
    return f"{socket.gethostname()}/{uuid.getnode():x}"


def versions(browsers: Mapping[str, str]) -> Versions:
    """Return the versions of this machine."""
    try:
        transport = version(TRANSPORT)
    except PackageNotFoundError:
        transport = ""
    return Versions(__version__, platform.python_version(), version("playwright"), transport, dict(browsers))


def programs_of(tests: Iterable[Test], components: Iterable[Component] = ()) -> tuple[str, ...]:
    """Return the programs that tests and components start and that PATH must have, sorted."""
    found = {test.command.argv[0] for test in tests if test.command is not None and not test.command.shell}
    for component in components:
        parts = (component.job, component.service, component.failover)
        found |= {part.run[0] for part in parts if part is not None and not part.shell}
    return tuple(sorted(name for name in found if "/" not in name and "$" not in name and name not in _INTERPRETER))


def variables_of(plan: Plan, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables of the environment that a plan refers to and that are set here, sorted."""
    text = msgspec.json.encode(msgspec.structs.replace(plan, engine=None)).decode()
    return tuple(sorted(name for name in environment if f"${{env.{name}}}" in text))


def browsers_of(plan: Plan, tests: Iterable[Test]) -> frozenset[str]:
    """Return the browser engines that a machine needs for tests."""
    return frozenset(
        test.browser
        for test in tests
        for method in plan.methods
        if method.id in test.methods and launches_browser(test, method)
    )


def lacking(hello: Hello, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the programs and variables that are not here, as phrases."""
    path = environment.get("PATH", os.defpath)
    programs = [f'the program "{name}"' for name in hello.programs if shutil.which(name, path=path) is None]
    return (*programs, *(f"the variable {name}" for name in hello.variables if name not in environment))


def only_here(plan: Plan, tests: Iterable[Test]) -> tuple[str, str] | None:
    """Return the first component that tests require and that only this machine can reach, and its address. Pure."""
    wanted = {name for test in tests for name in test.requires}
    for component in plan.components:
        if component.id in wanted and component.where != ON_NODES and (host := _loopback_host(component)) is not None:
            return component.id, host
    return None


def _loopback_host(component: Component) -> str | None:
    hosts = [one.host for one in (component.service, component.failover) if one is not None]
    hosts += [urlsplit(component.url).hostname or ""] if component.url else []
    return next((host for host in hosts if is_loopback(host)), None)


def refusal(
    proof: Proof, *, plan: str, versions: Versions, network: str, only_here: tuple[str, str] | None
) -> tuple[str, str] | None:
    """Return why a node cannot be used, and what to do; None if it can. Pure.

    Args:
        proof: of the node.
        plan: the digest of the plan here.
        versions: here.
        network: here.
        only_here: a component that only this machine can reach, and its address.
    """
    if proof.fault:
        return proof.fault, "correct that on the node, and start it again"
    if proof.plan != plan:
        message = f"its plan is another one ({proof.plan[:19]}, here {plan[:19]})"
        return message, "check out the same commit on the node, with no change of the specs, and start the node again"
    for name, theirs, ours in _pairs(proof.versions, versions):
        if theirs != ours:
            return f"it has {name} {theirs or 'none'}, and here is {ours}", "install the same version on both"
    if proof.missing:
        return f"it lacks {', '.join(proof.missing)}", "install or set what is missing, and start the node again"
    if only_here is not None and proof.network != network:
        component, host = only_here
        message = f'it is another machine, and tests require "{component}" at {host}, which only this machine reaches'
        return message, "give its service a `host` that the nodes reach, or select tests that do not require it"
    return None


def _pairs(theirs: Versions, ours: Versions) -> Iterable[tuple[str, str, str]]:
    yield "orchestra", theirs.orchestra, ours.orchestra
    yield "Python", _minor(theirs.python), _minor(ours.python)
    yield "playwright", theirs.playwright, ours.playwright
    yield TRANSPORT, theirs.transport, ours.transport
    for engine in sorted(ours.browsers):
        yield engine, theirs.browsers.get(engine, ""), ours.browsers[engine]


def _minor(full: str) -> str:
    return ".".join(full.split(".")[:2])
