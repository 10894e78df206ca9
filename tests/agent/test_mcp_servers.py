"""The MCP servers that `agent install --mcp` writes, started from its entries, with the official SDK as client."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult

from orchestra.agent import tools
from tests.support.project import HEAD, SuiteProject, environment

T = TypeVar("T")

SPEC = HEAD.replace("driver: command", "driver: command, command: test_s") + (
    'tests: {good: {command: {argv: [sh, -c, "while ! test -e go; do sleep 0.1; done"]}}, bad: {command: {argv: ["false"]}}}\n'
)


@pytest.fixture
def installed(project) -> SuiteProject:
    project.write(SPEC).compile()
    assert project.run("agent", "install", "--mcp").code == 0
    return project


def code_of(result: CallToolResult) -> int:
    """The exit code at the end of an answer."""
    return int(re.search(r"^exit code (\d+)(\nnext_offset \d+)?\Z", result.content[0].text, re.MULTILINE)[1])


def client(project: SuiteProject, name: str) -> Client:
    """A client of a server, started as one does that reads `.mcp.json`, with this environment's programs on PATH."""
    entry = json.loads((project.root / ".mcp.json").read_text())["mcpServers"][name]
    program = Path(sys.executable).parent / entry["command"]
    parameters = StdioServerParameters(command=str(program), args=entry["args"], env=environment(), cwd=project.root)
    return Client(stdio_client(parameters))


def with_client(project: SuiteProject, name: str, journey: Callable[[Client], Awaitable[T]]) -> T:
    """Return what a journey of a client returns."""

    async def walk() -> T:
        async with client(project, name) as connected:
            return await journey(connected)

    return asyncio.run(walk())


@pytest.mark.usefixtures("chromium")
def test_the_browser_server_opens_a_page(installed):
    async def look(browser: Client) -> str:
        await browser.call_tool("browser_navigate", {"url": "data:text/html,<title>here</title><h1>one</h1>"})
        page = await browser.call_tool("browser_evaluate", {"function": "() => document.title"})
        await browser.call_tool("browser_take_screenshot", {"filename": "shot.png"})
        return page.content[0].text

    assert '"here"' in with_client(installed, "playwright", look)
    [folder] = installed.root.glob(".orchestra/s/runs/by-hand/*")
    assert (folder / "shot.png").is_file()
    assert list(folder.glob("session-*/session.md"))
    assert list(installed.root.glob("*.png")) == []


def test_a_run_from_its_start_to_its_claim(installed):
    lines: list[str] = []

    async def heard(_progress: float, _total: float | None, message: str | None) -> None:
        lines.append(message or "")
        (installed.root / "go").touch()

    async def walk(server: Client) -> list[tuple[int, str]]:
        done = []
        for name, arguments in (
            ("run", {}),
            ("wait", {"seconds": 0}),
            ("claim", {"sentence": "2 tests, 2 passed"}),
            ("wait", {}),
            ("claim", {"sentence": "2 tests, 1 passed, 1 failed"}),
            ("show", {"run": "last", "failed": True}),
            ("status", {}),
            ("results", {}),
            ("events", {"types": ["verdict"]}),
            ("stop", {}),
        ):
            callback = heard if arguments == {} and name == "wait" else None
            if callback:
                lines.clear()
            result = await server.call_tool(name, arguments, progress_callback=callback)
            done.append((code_of(result), result.content[0].text))
            if len(done) == 3:
                (installed.root / "go").touch()
        report = await server.read_resource("orchestra://report/s")
        assert "bad" in report.contents[0].text
        return done

    done = with_client(installed, "orchestra", walk)
    assert [code for code, _ in done] == [0, 124, 1, 1, 0, 0, 0, 0, 0, 0], done
    assert "the run goes on" in done[2][1]
    assert any("tests" in line for line in lines)
    assert "failed      cli:bad" in done[5][1]


def test_a_call_that_is_cancelled_ends_and_the_run_goes_on(installed):
    async def walk(server: Client) -> str:
        await server.call_tool("run", {})
        heard = asyncio.Event()

        async def hear(*_: object) -> None:
            heard.set()

        waiting = asyncio.create_task(server.call_tool("wait", {"seconds": 600}, progress_callback=hear))
        await heard.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        goes_on = await server.call_tool("wait", {"seconds": 0})
        (installed.root / "go").touch()
        ended = await server.call_tool("wait", {})
        return goes_on.content[0].text + ended.content[0].text

    text = with_client(installed, "orchestra", walk)
    assert "exit code 124" in text
    assert text.endswith("exit code 1")


def test_two_clients_at_once(installed):
    (installed.root / "go").touch()

    async def walk() -> list[int]:
        async with client(installed, "orchestra") as one, client(installed, "orchestra") as other:
            done = await asyncio.gather(*(server.call_tool("plan", {}) for server in (one, other)))
            begun = await one.call_tool("run", {})
            seen = await asyncio.gather(one.call_tool("wait", {}), other.call_tool("wait", {}))
            return [code_of(result) for result in (*done, begun, *seen)]

    assert asyncio.run(walk()) == [0, 0, 0, 1, 1]


def test_tools_resources_and_prompts(installed):
    async def walk(server: Client) -> None:
        listed = {tool.name: tool for tool in (await server.list_tools()).tools}
        assert list(listed) == [tool.name for tool in tools.TOOLS]
        assert {name for name, tool in listed.items() if not tool.annotations.read_only_hint} == {
            *("compile", "run", "wait", "stop")
        }
        assert [name for name, tool in listed.items() if tool.annotations.destructive_hint] == ["stop"]
        uris = [str(resource.uri) for resource in (await server.list_resources()).resources]
        assert uris == ["orchestra://spec/s", "orchestra://plan/s"]
        assert (await server.read_resource("orchestra://spec/s")).contents[0].text == SPEC
        for bad in ("orchestra://spec/zz", "orchestra://evidence/s/last/../../plan.json", "file:///etc/passwd"):
            with pytest.raises(MCPError):
                await server.read_resource(bad)
        assert [prompt.name for prompt in (await server.list_prompts()).prompts] == ["test_s"]
        text = (await server.get_prompt("test_s", {"selection": "bad"})).messages[0].content.text
        command = (installed.root / ".claude/commands/test_s.md").read_text()
        assert text == command.split("\n---\n", 1)[1].strip().replace("$ARGUMENTS", "bad")
        for name, arguments, words in (
            ("validate", {"files": ["/etc/passwd"]}, "outside the project root"),
            ("run", {"selection": ["--help"]}, 'no test, group, tag or glob "--help"'),
            ("run", {"suit": "s"}, 'run has no argument "suit"'),
            ("plan", {"suite": 1}, '"suite" of plan is 1; it must be a text'),
            ("zz", {}, 'unknown tool "zz"'),
        ):
            result = await server.call_tool(name, arguments)
            assert result.is_error
            assert words in result.content[0].text

    with_client(installed, "orchestra", walk)
