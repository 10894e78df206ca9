"""The programs of tests/npm start, and judge: what passes elsewhere in the tests has been seen to fail here."""

from __future__ import annotations

import json
import subprocess

import pytest

pytestmark = [pytest.mark.node, pytest.mark.xdist_group("node")]


@pytest.mark.parametrize(
    "text, accepted",
    [
        ('---\ndescription: "Run the suite"\n---\nBody.\n', True),
        ('---\ndescription: "Run the suite\n---\nBody.\n', False),
        ("Body without a head.\n", False),
    ],
)
def test_claude_validates_commands_offline(node_tools, tmp_path, text, accepted):
    commands = tmp_path / "project" / ".claude" / "commands"
    commands.mkdir(parents=True)
    (commands / "suite.md").write_text(text)
    done = subprocess.run(
        node_tools.argv("claude", "plugin", "validate", "--strict", "--json", str(tmp_path / "project")),
        env=node_tools.env(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["success"] is accepted, done.stdout + done.stderr
    assert done.returncode == (0 if accepted else 1)


def test_yaml_language_server_speaks(node_tools, tmp_path):
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": None, "capabilities": {}}}
    ).encode()
    with subprocess.Popen(
        node_tools.argv("yaml-language-server", "--stdio"),
        env=node_tools.env(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        server.stdin.flush()
        length = int(server.stdout.readline().decode().partition(":")[2])
        assert server.stdout.readline() == b"\r\n"
        answer = json.loads(server.stdout.read(length))
        server.kill()
    assert answer["id"] == 1
    assert answer["result"]["capabilities"]["completionProvider"] is not None
