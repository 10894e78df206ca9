"""The Playwright MCP server as a child process, and the client that calls its tools.

A server is disposable: it is killed and started again on the same page. A ping distinguishes a server that hangs from a
busy one, which answers pings during a call: it is sent during a call, and when its time is over.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any, TypeAlias

from orchestra import __version__
from orchestra.runtime.driver.mcp.flags import RELEASE
from orchestra.runtime.driver.mcp.loop import Loop
from orchestra.runtime.driver.mcp.peer import Peer, PeerClosedError, PeerRefusedError
from orchestra.runtime.driver.mcp.result import Answer, answer_of
from orchestra.runtime.mask import NOTHING, Masks
from orchestra.runtime.processes.masked_log import MaskedLog
from orchestra.runtime.unicode import well_formed

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
        self.version = ""
        self._process, self._peer = loop.run(self._begin(start), START_SECONDS * 2)
        self.pid = self._process.pid

    async def _begin(self, start: Start) -> tuple[Process, Peer]:
        self._log = MaskedLog(start.log, start.masks.stream())
        try:
            return await self._open(start)
        except ServerUnfitError:
            raise
        except Exception as error:
            told = f" within {START_SECONDS:.0f} s" if isinstance(error, TimeoutError) else f": {error}"
            raise ServerUnfitError(f"the MCP server does not start{told}") from error

    async def _open(self, start: Start) -> tuple[Process, Peer]:
        try:
            process = await _spawned(start, self._log)
        finally:
            self._log.started()
        peer = Peer(process)
        try:
            await asyncio.wait_for(self._require_support(peer), START_SECONDS)
        except BaseException:
            await _ended(process)
            self._log.join()
            raise
        return process, peer

    async def _require_support(self, peer: Peer) -> None:
        """Check that the driver supports the server.

        Raises:
            ServerUnfitError: it is not.
        """
        self.version = await peer.begin("orchestra", __version__)
        first, beyond = _VERSIONS
        if not first <= _numbers(self.version) < beyond:
            allowed = f"{first[0]}.{first[1]} up to, not including, {beyond[0]}.{beyond[1]}"
            message = f'the MCP server is version "{self.version}"; this driver knows {allowed}'
            raise ServerUnfitError(f"{message}. Install a playwright of that version")
        if missing := sorted(TOOLS - await peer.tools()):
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
        if self._peer.closed:
            raise ServerLostError("died")
        end = time.monotonic() + seconds
        ping = time.monotonic() + self._patience
        work = asyncio.ensure_future(self._peer.call(tool, arguments))
        try:
            while True:
                left = end - time.monotonic()
                done, _ = await asyncio.wait({work}, timeout=max(0.0, min(left, TICK_SECONDS)))
                if done:
                    return _answer(*work.result(), tool, arguments)
                if left <= TICK_SECONDS:
                    await self._ping()  # most limits are shorter than our patience: a server that hangs is no slow page
                    raise CallOverError(f"{tool} took longer than {seconds:.3g} s")
                if meanwhile is not None:
                    await meanwhile(self._beside)
                if time.monotonic() >= ping:
                    await self._ping()
                    ping = time.monotonic() + self._patience
        except PeerRefusedError as error:
            raise ServerLostError(f"answers with an error: {error}") from None
        except PeerClosedError:
            raise ServerLostError("died") from None
        finally:
            work.cancel()

    async def _beside(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Send a call in parallel with the running one."""
        try:
            text, failed = await asyncio.wait_for(self._peer.call(tool, arguments), self._patience)
        except TimeoutError:
            raise ServerHungError("does not answer") from None
        return _answer(text, failed, tool, arguments)

    async def _ping(self) -> None:
        try:
            await asyncio.wait_for(self._peer.ping(), self._patience)
        except TimeoutError:
            raise ServerHungError("does not answer") from None

    def released(self, seconds: float) -> bool:
        """Release keys and buttons that a call may have left pressed on the page; whether the server answered in time."""
        with suppress(CallOverError, ServerError):
            self.call("browser_run_code_unsafe", {"code": RELEASE}, seconds)
            return True
        return False

    def alive(self) -> bool:
        """Return True if its process runs."""
        try:
            os.kill(self.pid, 0)
        except OSError:
            return False
        return self._process.returncode is None

    def kill(self) -> None:
        """End it at once; the page is not its own and stays. Raises nothing."""
        with suppress(TimeoutError):
            self._loop.run(_ended(self._process), START_SECONDS)
        self._log.join()


async def _spawned(start: Start, log: MaskedLog) -> Process:
    """Start the process of a server, the first of a group of its own. Raises OSError."""
    program, *arguments = start.argv
    return await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        stderr=log.file,
        cwd=start.folder,
        env=dict(start.environment),
        start_new_session=True,
    )


async def _ended(process: Process) -> None:
    """Kill a process with its group, unless it has ended, and wait until it is gone."""
    if process.returncode is None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), START_SECONDS / 2)


def _answer(text: str, failed: bool, tool: str, arguments: dict[str, Any]) -> Answer:  # noqa: FBT001 - as it comes
    fields = arguments.get("fields") or [arguments]
    return answer_of(
        str(well_formed(text)),
        failed=failed,
        tool=tool,
        target=str(fields[0].get("target", arguments.get("startTarget", ""))),
    )


def _numbers(version: str) -> tuple[int, int]:
    parts = [int(part) if part.isdigit() else 0 for part in version.split(".")[:2]]
    return (parts[0], parts[1]) if len(parts) == 2 else (0, 0)
