"""A test of this folder starts no process, no server and no connection."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess

import pytest


def connects(act: str) -> None:
    with socket.socket() as made:
        getattr(made, act)(("127.0.0.1", 0))


def fork() -> None:
    os.fork()


DEEDS = {
    "subprocess": lambda: subprocess.run(["true"], check=True),
    "asyncio": lambda: asyncio.run(asyncio.create_subprocess_exec("true")),
    "system": lambda: os.system("true"),
    "fork": fork,
    "connection": lambda: connects("connect"),
    "server": lambda: connects("bind"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_a_unit_test_must_not_need_is_refused(deed):
    with pytest.raises(RuntimeError, match=r"a test in tests/unit/ starts a .*: move it to tests/process/"):
        DEEDS[deed]()
