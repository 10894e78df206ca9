"""The client's side of the Model Context Protocol: lines of JSON to a process, and its answers, in whatever order they come.

It has the few messages that the driver needs. The official client takes a second of processor time to import, in each
worker, for classes of messages that are never sent here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from asyncio.subprocess import Process
from typing import Any, Final

PROTOCOL: Final = "2025-06-18"
"""The version of the protocol that is asked for."""

_BLOCK_BYTES = 65536
_NO_SUCH_METHOD = -32601


class PeerClosedError(Exception):
    """The process has closed its output: it has ended, or answers no more."""


class PeerRefusedError(Exception):
    """The process answered that it cannot do what it was asked for."""


class Peer:
    """Sends requests to a process with pipes, from its loop, and gives each its answer.

    Args:
        process: with pipes for stdin and stdout.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    @property
    def closed(self) -> bool:
        """Whether nothing more is answered."""
        return self._reading.done()

    async def begin(self, name: str, version: str) -> str:
        """Begin the conversation, as a client of this name and version; return the version of the server.

        Raises:
            PeerClosedError: the process has ended.
            PeerRefusedError: it answers with an error.
        """
        me = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": name, "version": version}}
        answer = await self.ask("initialize", me)
        self._send({"method": "notifications/initialized"})
        return str(answer.get("serverInfo", {}).get("version", ""))

    async def tools(self) -> frozenset[str]:
        """Return the names of the tools that the server has. Raises as `ask`."""
        found: list[str] = []
        given: dict[str, Any] = {}
        while True:
            page = await self.ask("tools/list", given)
            found += (str(tool["name"]) for tool in page.get("tools", ()))
            if not page.get("nextCursor"):
                return frozenset(found)
            given = {"cursor": page["nextCursor"]}

    async def call(self, tool: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        """Call a tool; return its text, and whether the tool failed. Raises as `ask`."""
        answer = await self.ask("tools/call", {"name": tool, "arguments": arguments})
        texts = (part["text"] for part in answer.get("content", ()) if part.get("type") == "text")
        return "".join(texts), bool(answer.get("isError"))

    async def ping(self) -> None:
        """Wait for a sign of life. Raises as `ask`."""
        await self.ask("ping", {})

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its result; the server hears of one that is given up.

        Raises:
            PeerClosedError: the process has ended.
            PeerRefusedError: it answers with an error.
        """
        if self.closed:
            raise PeerClosedError("it has ended")
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._send({"id": number, "method": method, "params": params})
        try:
            return await answer
        except asyncio.CancelledError:
            self._send({"method": "notifications/cancelled", "params": {"requestId": number}})
            raise
        finally:
            del self._waiting[number]

    def _send(self, message: dict[str, Any]) -> None:
        """Write a message. A process that reads nothing holds up no one: its part waits in memory."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.is_closing():
            pipe.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def _read(self) -> None:
        """Take each line until the process ends; then no request is answered any more."""
        pieces: list[bytes] = []
        try:
            while self._process.stdout is not None and (block := await self._process.stdout.read(_BLOCK_BYTES)):
                first, *more = block.split(b"\n")
                pieces.append(first)
                for line in more:
                    self._take(b"".join(pieces))
                    pieces = [line]
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(PeerClosedError("it has ended"))

    def _take(self, line: bytes) -> None:
        """Give an answer to its request; a request of the server gets one, and what is no message is passed over."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        number = message.get("id")
        if "method" in message:
            if number is not None:
                refusal = {"error": {"code": _NO_SUCH_METHOD, "message": "Method not found"}}
                self._send({"id": number, **({"result": {}} if message["method"] == "ping" else refusal)})
            return
        answer = self._waiting.get(number) if isinstance(number, int) else None
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(PeerRefusedError(str((message["error"] or {}).get("message", ""))))
        else:
            answer.set_result(message.get("result") or {})
