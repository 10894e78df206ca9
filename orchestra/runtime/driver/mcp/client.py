"""The Playwright MCP server as a child process, and the client that calls its tools.

A server is disposable: it is killed and started again on the same page. A ping distinguishes a server that hangs from a
busy one, which answers pings during a call: it is sent during a call, and when its time is over.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeAlias, cast

import psutil
from anyio import BrokenResourceError, ClosedResourceError
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult, Implementation, TextContent

from orchestra import __version__
from orchestra.runtime.driver.mcp.flags import RELEASE
from orchestra.runtime.driver.mcp.loop import Loop
from orchestra.runtime.driver.mcp.result import Answer, answer_of
from orchestra.runtime.mask import NOTHING, Masks
from orchestra.runtime.processes.masked_log import MaskedLog

START_SECONDS = 30.0
PATIENCE_SECONDS = 5.0
"""The time of a call before the server is pinged, and the time that it has to answer."""

TICK_SECONDS = 0.15

Beside: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[Answer]]
Meanwhile: TypeAlias = Callable[[Beside], Awaitable[None]]

_VERSIONS = ((1, 64), (1, 66))
"""The first version of the server that this driver was held against, and the first that it was not."""

TOOLS = frozenset(
    {
        "browser_click",
        "browser_drag",
        "browser_drop",
        "browser_console_messages",
        "browser_evaluate",
        "browser_file_upload",
        "browser_fill_form",
        "browser_handle_dialog",
        "browser_hover",
        "browser_navigate",
        "browser_navigate_back",
        "browser_network_requests",
        "browser_press_key",
        "browser_resize",
        "browser_run_code_unsafe",
        "browser_select_option",
        "browser_tabs",
        "browser_take_screenshot",
        "browser_type",
    }
)


class ServerError(Exception):
    """The base of what goes wrong with the server itself."""


class ServerUnfitError(ServerError):
    """It does not start, or is not one that this driver knows."""


class ServerLostError(ServerError):
    """It is gone; whether the last call was carried out is not known."""


class ServerHungError(ServerLostError):
    """It runs and does not answer."""


class CallOverError(ServerError):
    """The call took longer than it was given; it may still go on."""


@dataclass(frozen=True, slots=True)
class Start:
    """The start of a server.

    Attributes:
        argv: program and arguments.
        folder: its working folder.
        environment: all of it.
        log: the file that its stderr is added to.
        masks: take secrets out of it.
    """

    argv: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    masks: Masks = NOTHING


class Server:
    """A server that runs, and its client.

    Args:
        loop: where the client lives.
        start: how it is started.
        patience_seconds: see `PATIENCE_SECONDS`.

    Raises:
        ServerUnfitError: it does not start, or lacks what the driver needs.
    """

    def __init__(self, loop: Loop, start: Start, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._loop = loop
        self._patience = patience_seconds
        self.pid = 0
        self.version = ""
        self._client = loop.run(self._begin(start), START_SECONDS * 2)

    async def _begin(self, start: Start) -> Client:
        self._stop = asyncio.Event()
        ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        before = _children()
        # A client is entered and left in one task; this one waits until it is to end.
        self._life = asyncio.create_task(self._live(start, before, ready))
        try:
            return await asyncio.wait_for(ready, START_SECONDS)
        except Exception as error:
            self._kill(before)
            self._stop.set()
            await asyncio.wait({self._life}, timeout=START_SECONDS / 2)
            if isinstance(error, ServerUnfitError):
                raise
            told = f" within {START_SECONDS:.0f} s" if isinstance(error, TimeoutError) else f": {_cause(error)}"
            raise ServerUnfitError(f"the MCP server does not start{told}") from error

    async def _live(self, start: Start, before: set[int], ready: asyncio.Future[Client]) -> None:
        program, *arguments = start.argv
        server = StdioServerParameters(
            command=program, args=arguments, env=dict(start.environment), cwd=str(start.folder)
        )
        me = Implementation(name="orchestra", version=__version__)
        try:
            with MaskedLog(start.log, start.masks.stream()) as log:
                pipes = stdio_client(server, cast("TextIO", log.file))
                async with Client(pipes, mode="legacy", client_info=me, cache=None) as client:
                    self.pid = next(iter(_children() - before), 0)
                    try:
                        await self._require_support(client)
                        ready.set_result(client)
                    except ServerUnfitError as unfit:
                        ready.set_exception(unfit)
                    else:
                        await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - any error is reported to the caller that waits for the start
            if not ready.done():
                ready.set_exception(error)

    async def _require_support(self, client: Client) -> None:
        """Check that the driver supports the server.

        Raises:
            ServerUnfitError: it is not.
        """
        info = client.server_info
        self.version = info.version if info is not None else ""
        first, beyond = _VERSIONS
        if not first <= _numbers(self.version) < beyond:
            allowed = f"{first[0]}.{first[1]} up to, not including, {beyond[0]}.{beyond[1]}"
            message = f'the MCP server is version "{self.version}"; this driver knows {allowed}'
            raise ServerUnfitError(f"{message}. Install a playwright of that version")
        known = {tool.name for tool in (await client.list_tools()).tools}
        if missing := sorted(TOOLS - known):
            raise ServerUnfitError(f"the MCP server {self.version} lacks the tools {', '.join(missing)}")

    def call(
        self, tool: str, arguments: dict[str, Any], seconds: float, *, meanwhile: Meanwhile | None = None
    ) -> Answer:
        """Call a tool.

        Args:
            tool: its name.
            arguments: what it is given.
            seconds: how long it may take.
            meanwhile: awaited every `TICK_SECONDS` while the call goes on; it may send calls of its own.

        Raises:
            CallOverError: it took longer.
            ServerHungError: the server does not answer at all.
            ServerLostError: the server is gone.
        """
        try:
            return self._loop.run(self._call(tool, arguments, seconds, meanwhile), seconds + 3 * self._patience)
        except TimeoutError:
            raise ServerHungError("does not answer") from None

    async def _call(self, tool: str, arguments: dict[str, Any], seconds: float, meanwhile: Meanwhile | None) -> Answer:
        if self._life.done():
            raise ServerLostError("died")
        end = time.monotonic() + seconds
        ping = time.monotonic() + self._patience
        work = asyncio.ensure_future(self._client.call_tool(tool, arguments))
        try:
            while True:
                left = end - time.monotonic()
                done, _ = await asyncio.wait({work}, timeout=max(0.0, min(left, TICK_SECONDS)))
                if done:
                    return _answer(work.result(), tool, arguments)
                if left <= TICK_SECONDS:
                    await self._ping()  # most limits are shorter than our patience: a server that hangs is no slow page
                    raise CallOverError(f"{tool} took longer than {seconds:.3g} s")
                if meanwhile is not None:
                    await meanwhile(self._beside)
                if time.monotonic() >= ping:
                    await self._ping()
                    ping = time.monotonic() + self._patience
        except MCPError as error:
            if error.error.code == REQUEST_TIMEOUT:
                raise ServerHungError("does not answer") from None
            if error.error.code == CONNECTION_CLOSED:
                raise ServerLostError("died") from None
            raise ServerLostError(f"answers with an error: {error}") from None
        except (BrokenResourceError, ClosedResourceError):
            raise ServerLostError("died") from None
        finally:
            work.cancel()

    async def _beside(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Send a call in parallel with the running one."""
        try:
            result = await asyncio.wait_for(self._client.call_tool(tool, arguments), self._patience)
        except TimeoutError:
            raise ServerHungError("does not answer") from None
        return _answer(result, tool, arguments)

    async def _ping(self) -> None:
        try:
            await asyncio.wait_for(self._client.session.send_ping(), self._patience)
        except TimeoutError:
            raise ServerHungError("does not answer") from None

    def released(self, seconds: float) -> bool:
        """Release keys and buttons that a call may have left pressed on the page; whether the server answered in time."""
        with suppress(CallOverError, ServerError):
            self.call("browser_run_code_unsafe", {"code": RELEASE}, seconds)
            return True
        return False

    def caught_up(self, seconds: float) -> bool:
        """Let the server hear of the dialogs that others have answered; whether it did in time.

        One that it takes for open keeps it from opening the next page, and its answer may not report it.
        """
        end = time.monotonic() + seconds
        with suppress(CallOverError, ServerError):
            while (left := end - time.monotonic()) > 0:
                answer = self.call("browser_evaluate", {"function": "() => true"}, left)
                if answer.has_value and answer.value() is True:  # it came after all events before it
                    return True
        return False

    def alive(self) -> bool:
        """Return True if its process runs."""
        try:
            os.kill(self.pid, 0)
        except OSError:
            return False
        return bool(self.pid)

    def kill(self) -> None:
        """End it at once; the page is not its own and stays. Raises nothing."""
        with suppress(TimeoutError):
            self._loop.run(self._end(), START_SECONDS)

    async def _end(self) -> None:
        if self.alive():
            with suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        self._stop.set()
        await asyncio.wait({self._life}, timeout=START_SECONDS / 2)

    @staticmethod
    def _kill(before: set[int]) -> None:
        for pid in _children() - before:
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)


def _answer(result: CallToolResult, tool: str, arguments: dict[str, Any]) -> Answer:
    text = "".join(part.text for part in result.content if isinstance(part, TextContent))
    fields = arguments.get("fields") or [arguments]
    return answer_of(
        text,
        failed=bool(result.is_error),
        tool=tool,
        target=str(fields[0].get("target", arguments.get("startTarget", ""))),
    )


def _children() -> set[int]:
    """Our child processes. Only this loop starts any, so the one that is new is the server's."""
    return {child.pid for child in psutil.Process().children()}


def _cause(error: BaseException) -> str:
    """Return the error in a group of tasks: the first that is not a group itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def _numbers(version: str) -> tuple[int, int]:
    parts = [int(part) if part.isdigit() else 0 for part in version.split(".")[:2]]
    return (parts[0], parts[1]) if len(parts) == 2 else (0, 0)
