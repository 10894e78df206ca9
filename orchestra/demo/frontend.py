"""The web front end of the sample application: `python -m orchestra.demo.frontend --api URL --port N`.

GET /              the page
GET /static/…      its styles and scripts, as they lie in the folder `static`
GET /config.json   {"api": URL, "mutation": …}
GET /health        {"status": "ok"}
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestra.demo import mutation
from orchestra.demo.server import EXIT_USAGE, port_number, serve

STATIC = Path(__file__).parent / "static"


def api_url(text: str) -> str:
    """Return the address of the API without a trailing slash.

    Raises:
        argparse.ArgumentTypeError: it is no plain http or https address of a server.
    """
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    else:
        valid = valid and not (parts.username or parts.query or parts.fragment)
    # an address goes into a response header: only what an address may hold, nothing that ends a directive
    if not valid or not text.isascii() or not text.isprintable() or set(text) & set(" \"'<>\\;,{}|^`"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address of an API; allowed: http://HOST[:PORT] or https://HOST[:PORT]"
        )
    return text.rstrip("/")


class SafeHeaders:
    """Headers of every reply: the page loads nothing from elsewhere, and browsers ask again for each file."""

    def __init__(self, app: ASGIApp, api: str = "") -> None:
        parts = urlsplit(api)
        api_origin = f" {parts.scheme}://{parts.netloc}" if api else ""
        self.app = app
        # no inline scripts; `unsafe-eval` is for the waits of browser drivers, which evaluate text in the page
        self.policy = (
            f"default-src 'self'; script-src 'self' 'unsafe-eval'; connect-src 'self'{api_origin}; "
            "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI call."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = self.policy
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "no-referrer"
                headers["cache-control"] = "no-cache"
            await send(message)

        await self.app(scope, receive, send_with_headers)


def application(api: str, broken: str = "") -> Starlette:
    """Return the ASGI application that serves the page for one API."""

    async def page(_: Request) -> FileResponse:
        return FileResponse(STATIC / "index.html")

    async def config(_: Request) -> JSONResponse:
        return JSONResponse({"api": api, "mutation": broken})

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/config.json", config),
            Route("/health", health),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(SafeHeaders, api=api)],
    )


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the server and gives back its exit code: 0, 2 for a wrong switch, 3 for a taken port."""
    parser = argparse.ArgumentParser(prog="orchestra.demo.frontend", description="The web front end of Market Parser.")
    parser.add_argument("--api", type=api_url, required=True, metavar="URL", help="the address of the API server")
    parser.add_argument(
        "--port", type=port_number, required=True, help="the port to listen on; 0 lets the system choose"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    options = parser.parse_args(argv)
    try:
        broken = mutation.chosen(environ)
    except ValueError as error:
        sys.stderr.write(f"cannot start: {error}\n")
        return EXIT_USAGE
    return serve(application(options.api, broken), options.host, options.port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
