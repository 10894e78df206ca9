"""Runs an ASGI application until a signal ends it."""

from __future__ import annotations

import argparse
import socket
import sys
from typing import Final

import uvicorn
from starlette.types import ASGIApp

EXIT_USAGE: Final = 2
EXIT_PORT_TAKEN: Final = 3
_MAX_PORT: Final = 65535


class _Announcing(uvicorn.Server):
    """A server that prints one line on stdout when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            sys.stdout.write(f"listening on http://{shown}:{port}\n")
            sys.stdout.flush()


def port_number(text: str) -> int:
    """Return a TCP port from the command line; 0 lets the system choose.

    Raises:
        argparse.ArgumentTypeError: it is no number from 0 to 65535.
    """
    if not (text.isascii() and text.isdigit() and int(text) <= _MAX_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; allowed: 0 to {_MAX_PORT}")
    return int(text)


def serve(app: ASGIApp, host: str, port: int) -> int:
    """Serve `app` until SIGINT or SIGTERM and gives back the exit code.

    Open requests get one second to end. A taken port is a message and exit code 3.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches off the delay of small packets where a socket names its protocol: it costs 40 ms for each reply
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            sys.stderr.write(
                f"cannot listen on {host} port {port}: {error.strerror or error}; free it or choose another --port\n"
            )
            return EXIT_PORT_TAKEN
        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        _Announcing(config).run(sockets=[listener])
    return 0
