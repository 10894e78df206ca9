"""The server of a run's page: loopback only, a token in each address. Owns starlette and uvicorn in the report.

It shows the page, its data as they grow, the files that the record names, and Playwright's trace viewer, as the installed
package brings it. A file of evidence is never shown as a page of its own: what the tested product wrote runs no script here.
"""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from orchestra.errors import MachineError
from orchestra.ledger.evidence_file import open_evidence
from orchestra.ledger.parts import Evidence
from orchestra.ledger.reading import LedgerError
from orchestra.report.html import shell
from orchestra.report.live import Live

HOST: Final = "127.0.0.1"
POLL_SECONDS: Final = 0.5
_CHUNK: Final = 1 << 18

_TYPES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".webm": "video/webm",
    ".zip": "application/zip",
    ".pdf": "application/pdf",
}
"""All else is shown as plain text."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_SANDBOX: Final = "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'"


def viewer_folder() -> Path | None:
    """Return the folder of Playwright's trace viewer in the installed package; None where it is not."""
    package = importlib.util.find_spec("playwright")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "driver/package/lib/vite/traceViewer"
    return folder if (folder / "index.html").is_file() else None


def application(live: Live, folder: Path, token: str, closing: asyncio.Event) -> Starlette:
    """Return the server of a run.

    Args:
        live: the run.
        folder: its folder.
        token: the first part of each path.
        closing: is set when the server is asked to end.
    """
    viewer = viewer_folder()

    def page(_: Request) -> Response:
        return Response(shell(live.now().page, live=True), media_type="text/html", headers=_HEADERS)

    def data(_: Request) -> Response:
        return Response(live.now().data, media_type="application/json", headers=_HEADERS)

    async def events(_: Request) -> Response:
        return StreamingResponse(_changes(live, closing), media_type="text/event-stream", headers=_HEADERS)

    def file(request: Request) -> Response:
        one = live.file(request.path_params["digest"])
        if one is None:
            raise HTTPException(404, "the record names no such file")
        return _file(folder, one)

    routes: list[Route | Mount] = [
        Route("/", page),
        Route("/data.json", data),
        Route("/events", events),
        Route("/f/{digest}/{name:path}", file),
    ]
    if viewer is not None:
        routes.append(Mount("/trace", StaticFiles(directory=viewer)))
    return Starlette(
        routes=[Mount(f"/{token}", routes=routes)],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
            Middleware(GZipMiddleware, minimum_size=4096),
        ],
    )


async def _changes(live: Live, closing: asyncio.Event) -> AsyncIterator[str]:
    """Yield an event for each change of the run and of its running steps, then its end with the data of the page.

    The server may end together with the run, so a page that is open cannot ask for them.
    """
    last: tuple[int, bool] | None = None
    shown = "{}"
    while True:
        try:
            now = await asyncio.to_thread(live.poll)
        except (LedgerError, MachineError) as error:
            yield f"event: fault\ndata: {' '.join(error.message.split())}\n\n"
            return
        if not now[1]:
            made = await asyncio.to_thread(live.now)
            yield f"event: end\ndata: {made.data.decode()}\n\n"
            return
        if closing.is_set():
            return
        if now != last:
            yield f"event: change\ndata: {now[0]}\n\n"
            last = now
        if (steps := await asyncio.to_thread(live.steps)) != shown:
            yield f"event: steps\ndata: {steps}\n\n"
            shown = steps
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), POLL_SECONDS)


def _file(folder: Path, one: Evidence) -> Response:
    try:
        opened = open_evidence(folder, one)
    except OSError as error:
        raise HTTPException(404, f"the file cannot be read: {error.strerror}") from error
    name = Path(one.path).name

    def content() -> Iterator[bytes]:
        with opened:
            while chunk := opened.read(_CHUNK):
                yield chunk

    kind = _TYPES.get(Path(name).suffix.lower(), "text/plain; charset=utf-8")
    disposition = f"inline; filename*=utf-8''{quote(name, errors='replace')}"
    headers = {**_HEADERS, "Content-Security-Policy": _SANDBOX, "Content-Disposition": disposition}
    return StreamingResponse(content(), media_type=kind, headers=headers)


def serve(live: Live, folder: Path, port: int, announce: Callable[[str], None]) -> None:
    """Serve a run until a signal ends it.

    Args:
        live: the run.
        folder: its folder.
        port: of this machine's loopback address; 0 for a free one.
        announce: is called with the address of the page once connections are accepted.

    Raises:
        MachineError: the port is taken.
    """
    token = secrets.token_urlsafe(16)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise MachineError(
                f"cannot listen on {HOST} port {port}: {error.strerror}", "name another --port, or remove it"
            ) from error
        listener.listen()
        announce(f"http://{HOST}:{listener.getsockname()[1]}/{token}/")
        closing = asyncio.Event()
        config = uvicorn.Config(
            application(live, folder, token, closing),
            loop="asyncio",
            http="h11",
            ws="none",
            log_level="error",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        _Server(config, closing).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that lets its streams of events end before it ends itself."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then the server."""
        self._closing.set()
        await super().shutdown(sockets)
