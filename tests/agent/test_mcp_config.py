"""The server that `.mcp.json` names knows its flags."""

from __future__ import annotations

import subprocess
import sys

from orchestra.agent.mcp_config import entry


def test_the_server_knows_every_flag():
    _, *arguments = entry()["args"]
    known = subprocess.run(
        [sys.executable, "-m", *arguments[:2], "--help"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    ).stdout
    for flag in arguments[2:]:
        assert flag.partition("=")[0] in known, flag
