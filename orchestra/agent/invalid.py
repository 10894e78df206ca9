"""Answer the messages of a client that are not valid: the SDK leaves them out, and the client would wait for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from mcp.shared.message import SessionMessage
from mcp.types import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError


class ValidMessages:
    """The messages of a client without those that are not valid. Each of these gets an error of JSON-RPC."""

    def __init__(self, reading: Any, writing: Any) -> None:
        self._reading, self._writing = reading, writing

    async def receive(self) -> SessionMessage:
        """Return the next valid message."""
        return await self._valid(self._reading.receive)

    async def _valid(self, following: Callable[[], Awaitable[SessionMessage | Exception]]) -> SessionMessage:
        while isinstance(message := await following(), Exception):
            if (error := answer(message)) is not None:
                await self._writing.send(SessionMessage(error))
        return message

    async def aclose(self) -> None:
        """Close the stream."""
        await self._reading.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage:
        return await self._valid(self._reading.__anext__)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def answer(error: Exception) -> JSONRPCError | None:
    """Return the answer to a message that is not valid. None: it asks for no answer, as a notification or an empty line."""
    if not isinstance(error, ValidationError):
        return None
    faults = error.errors()
    if faults[0]["type"] == "json_invalid":
        return _error(None, PARSE_ERROR, "the message is not JSON") if str(faults[0]["input"]).strip() else None
    if not any(fault["type"] == "missing" for fault in faults):
        return _error(None, INVALID_REQUEST, "the message is not a request of JSON-RPC 2.0")
    message = next(fault["input"] for fault in faults if fault["type"] == "missing")
    number = message.get("id")
    if "method" not in message or not isinstance(number, int | str):
        return None
    if not isinstance(message.get("params", {}), dict):
        return _error(number, INVALID_PARAMS, "params is not an object")
    return _error(number, INVALID_REQUEST, "the message is not a request of JSON-RPC 2.0")


def _error(number: int | str | None, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=number, error=ErrorData(code=code, message=message))
