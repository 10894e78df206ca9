"""The client's side of the Model Context Protocol, spoken with a process that says what it likes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from subprocess import PIPE

import pytest

from orchestra.runtime.driver.mcp.peer import Peer, PeerClosedError, PeerRefusedError

PROGRAM = """
import json, sys
def read():
    return json.loads(sys.stdin.readline())
def say(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
"""


def spoken(program: str, deed: Callable[[Peer], Awaitable[None]]) -> None:
    """Let a client speak with a program of Python, and wait for its end."""

    async def speak() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM + program, stdin=PIPE, stdout=PIPE)
        await deed(Peer(process))
        process.stdin.close()
        assert await process.wait() == 0

    asyncio.run(speak())


def test_each_request_has_its_own_answer_whatever_else_is_said():
    program = (
        "first, second = read(), read()\n"
        "print('no message'); print('[1]'); print('{\"id\": 99, \"result\": {}}')\n"
        "say(method='notifications/progress', params={})\n"
        "say(id='mine', method='ping'); assert read() == {'jsonrpc': '2.0', 'id': 'mine', 'result': {}}\n"
        "say(id=7, method='roots/list'); assert read()['error']['code'] == -32601\n"
        "say(id=second['id'], result={'content': [{'type': 'text', 'text': 'x' * 300_000}, {'type': 'image'}], 'isError': True})\n"
        "say(id=first['id'], result={'content': [{'type': 'text', 'text': 'one'}]})\n"
    )

    async def asks(peer: Peer) -> None:
        first, second = await asyncio.gather(peer.call("a", {}), peer.call("b", {"c": "\ud800"}))
        assert first == ("one", False)
        assert second == ("x" * 300_000, True)

    spoken(program, asks)


def test_a_server_is_asked_for_its_version_and_for_each_page_of_its_tools():
    program = (
        "begun = read(); assert begun['params']['clientInfo'] == {'name': 'me', 'version': '1'}\n"
        "say(id=begun['id'], result={'serverInfo': {'name': 's', 'version': '2.0'}})\n"
        "assert read()['method'] == 'notifications/initialized'\n"
        "say(id=read()['id'], result={'tools': [{'name': 'a'}], 'nextCursor': 'next'})\n"
        "more = read(); assert more['params'] == {'cursor': 'next'}\n"
        "say(id=more['id'], result={'tools': [{'name': 'b'}]})\n"
    )

    async def asks(peer: Peer) -> None:
        assert await peer.begin("me", "1") == "2.0"
        assert await peer.tools() == {"a", "b"}

    spoken(program, asks)


def test_an_error_an_end_and_a_request_that_is_given_up():
    program = (
        "say(id=read()['id'], error={'code': 1, 'message': 'no'})\n"
        "asked = read(); given_up = read()\n"
        "assert (given_up['method'], given_up['params']) == ('notifications/cancelled', {'requestId': asked['id']})\n"
        "say(id=asked['id'], result={}); read()\n"
    )

    async def asks(peer: Peer) -> None:
        with pytest.raises(PeerRefusedError, match="no"):
            await peer.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.ping(), 0.2)
        with pytest.raises(PeerClosedError):
            await peer.ping()
        assert peer.closed
        with pytest.raises(PeerClosedError):
            await peer.ping()

    spoken(program, asks)
