"""Refuses what a test of this folder must not need: processes and connections. So `make quick` stays quick."""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest

REFUSED = {
    "os.fork": "process",
    "os.posix_spawn": "process",
    "os.system": "process",
    "socket.bind": "server",
    "socket.connect": "connection",
    "subprocess.Popen": "process",
}
_under_test = False


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if _under_test and event in REFUSED:
        raise RuntimeError(
            f"a test in tests/unit/ starts a {REFUSED[event]} ({event} {arguments[0]!r}): move it to tests/process/"
        )


sys.addaudithook(_refuse)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch a test with its fixtures. The hook is called for the tests of every folder."""
    global _under_test  # noqa: PLW0603 - an audit hook has no other state and cannot be taken away
    _under_test = item.get_closest_marker("unit") is not None
    try:
        return (yield)
    finally:
        _under_test = False
