"""Recorded tests: they pass by both methods, and fail where what they touched is broken."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import msgspec
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from orchestra.agent.browser import command
from orchestra.recording import calls, files
from orchestra.recording.draft import Draft
from orchestra.recording.session import draft_of
from orchestra.recording.suite import step_lines
from orchestra.runtime.driver.mcp.session import server_environment
from orchestra.runtime.driver.sections import carry_out
from orchestra.yamltext.parse import parse
from tests.support.market import Market, impatient
from tests.support.paths import ROOT
from tests.support.requests import request

pytestmark = pytest.mark.browser

SECONDS = 1.5
"""How long what a mutation took away is awaited; the reason of the failure is asserted, too."""


@pytest.fixture(scope="module")
def market(chromium):
    shared = Market()
    yield shared
    shared.close()


def outcomes(market, draft: Draft, folder: Path, mutation: str = "", **options) -> dict[str, tuple[str, str]]:
    """Return the outcome of recorded steps by each driver, and why it failed."""
    steps = parse("\n".join(step_lines(draft.steps)).encode(), "steps").data
    results = {}
    for driver in ("playwright", "mcp"):
        own = folder / f"{driver}{mutation}"
        own.mkdir()
        names, browser = market.names(mutation), market.browser("chromium")
        asked = request(own, steps, browser=browser, driver=driver, names=names, evidence="off", **options)
        test = impatient(asked.test, SECONDS) if mutation else asked.test
        asked = msgspec.structs.replace(asked, test=test, root=str(folder))
        result = carry_out(asked, market.drivers[driver], market.http)
        results[driver] = (result.outcome, result.failure.message if result.failure else "")
    return results


async def explore(client: Client, url: str, file: str) -> None:
    """Explore the chat, its export, import and dialog as an agent does, by references of snapshots."""

    async def call(tool: str, **arguments: object) -> str:
        result = await client.call_tool(f"browser_{tool}", arguments)
        text = "".join(part.text for part in result.content if part.type == "text")
        assert not result.is_error, text
        return text

    async def named(name: str) -> str:
        """Return the reference of an element in a fresh snapshot."""
        return re.search(rf"{re.escape(name)}.* \[ref=(\w+)\]", await call("snapshot"))[1]

    await call("navigate", url=url)
    await call("wait_for", text="What is NVDA doing?", time=30)
    await call("type", target=await named('textbox "Message"'), text="Market status", submit=True)
    await call("wait_for", text="Dow Jones", time=30)
    await call("verify_element_visible", role="cell", accessibleName="Dow Jones")
    await call("click", target=await named('button "Export JSON"'))
    await call("click", target=await named('button "Clear conversation"'))
    await call("handle_dialog", accept=True)
    await call("click", target=await named('button "Import conversation"'))
    await call("file_upload", paths=[file])
    await call("verify_text_visible", text="Yes, it was imported from a file.")


def test_the_session_of_an_agent_becomes_a_test_that_needs_none(market, tmp_path):
    conversation = tmp_path / "conversation.json"
    conversation.write_bytes((ROOT / "specs/data/conversation.json").read_bytes())
    browser = market.browser("chromium")
    program, *arguments = command(browser, tmp_path / "server")
    environment = {**server_environment(os.environ), **dict(browser.env)}
    start = StdioServerParameters(command=program, args=arguments, env=environment, cwd=tmp_path)

    async def session() -> None:
        async with Client(stdio_client(start)) as client:
            await explore(client, market.names("")["frontend.url"], str(conversation))

    asyncio.run(session())
    log = next((tmp_path / "server").glob("session-*/session.md")).read_text(encoding="utf-8")
    draft = draft_of(calls.read(log), Draft({"frontend": market.names("")["frontend.url"]}))
    assert (draft.notes, draft.expectations) == ([], 4)
    files.relative(draft, tmp_path, str)
    assert outcomes(market, draft, tmp_path) == dict.fromkeys(("playwright", "mcp"), ("passed", ""))
    broken = outcomes(market, draft, tmp_path, "b004")
    assert {outcome for outcome, _ in broken.values()} == {"failed"}, broken
    assert all("Dow Jones" in message for _, message in broken.values()), broken
