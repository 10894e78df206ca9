"""The MCP servers that `agent install --mcp` writes, started from its entries, with the official SDK as client."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.support.project import HEAD, SuiteProject, environment

SPEC = HEAD.replace("driver: command", "driver: command, command: test_s") + "tests: {a: {command: {argv: ['true']}}}\n"


def parameters(project: SuiteProject, name: str) -> StdioServerParameters:
    """Start a server as a client does that reads `.mcp.json`, with this environment's programs on PATH."""
    entry = json.loads((project.root / ".mcp.json").read_text())["mcpServers"][name]
    program = Path(sys.executable).parent / entry["command"]
    return StdioServerParameters(command=str(program), args=entry["args"], env=environment(), cwd=project.root)


@pytest.fixture
def installed(project):
    project.write(SPEC).compile()
    assert project.run("agent", "install", "--mcp").code == 0
    return project


@pytest.mark.usefixtures("chromium")
def test_the_browser_server_opens_a_page(installed):
    async def look() -> str:
        async with Client(stdio_client(parameters(installed, "playwright"))) as client:
            await client.call_tool("browser_navigate", {"url": "data:text/html,<title>here</title><h1>one</h1>"})
            page = await client.call_tool("browser_evaluate", {"function": "() => document.title"})
            await client.call_tool("browser_take_screenshot", {"filename": "shot.png"})
            return page.content[0].text

    assert '"here"' in asyncio.run(look())
    assert (installed.root / ".orchestra/agent-browser/shot.png").is_file()
