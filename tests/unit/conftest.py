"""Refuses what a test of this folder must not need: processes and connections. So `make quick` stays quick."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Generator
from typing import Any

import pytest

REFUSED: tuple[tuple[Any, str, str], ...] = (
    (os, "fork", "process"),
    (os, "posix_spawn", "process"),
    (os, "posix_spawnp", "process"),
    (os, "system", "process"),
    (socket.socket, "bind", "server"),
    (socket.socket, "connect", "connection"),
    (socket.socket, "connect_ex", "connection"),
    (subprocess.Popen, "__init__", "process"),
)


def _refusal(owner: Any, name: str, kind: str) -> Callable[..., None]:
    def refuse(*arguments: object, **_: object) -> None:
        given = arguments[1:] if isinstance(owner, type) else arguments
        raise RuntimeError(
            f"a test in tests/unit/ starts a {kind} ({owner.__name__}.{name} {given!r}): move it to tests/process/"
        )

    return refuse


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch a test with its fixtures. The hook is called for the tests of every folder.

    An audit hook would see more, and it cannot be taken away: it is called for each trace function, too, and CPython fails
    when another thread ends its own in the meantime, as threads do while the measurement of coverage pauses.
    """
    if item.get_closest_marker("unit") is None:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, kind in REFUSED:
            patch.setattr(owner, name, _refusal(owner, name, kind))
        return (yield)
