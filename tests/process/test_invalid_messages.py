"""The server of `orchestra mcp` answers each message that is no valid one, so that no client waits for ever."""

from __future__ import annotations

import json
import subprocess
import sys


def test_the_server_answers_invalid_messages_and_goes_on(tmp_path):
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    (tmp_path / "pyproject.toml").touch()
    with subprocess.Popen(
        [sys.executable, "-m", "orchestra", "-C", str(tmp_path), "mcp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:

        def answered(text):
            server.stdin.write(f"{text}\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        assert answered("{bad")["error"]["code"] == -32700
        assert "result" in answered(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}))
        assert answered('{"jsonrpc": "2.0", "id": 2, "method": "ping", "params": [1]}')["error"]["code"] == -32602
        assert answered('{"jsonrpc": "2.0", "id": 3, "method": "ping"}') == {"jsonrpc": "2.0", "id": 3, "result": {}}
        server.stdin.close()
    assert server.returncode == 0
