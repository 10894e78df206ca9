"""The API server of the sample application: `python -m orchestra.demo.backend --port N`.

    GET  /health        {"status": "ok", "mode": "live", "model": …, "data": …, "session": …}
    GET  /api/market    every quote
    POST /api/ask       {"message": …, "attempt": 1} to {"kind", "reply", "tickers", "rows", "unknown", "mode"}
    POST /api/analyze   {"kind": "snapshot" | "levels" | "trend", "ticker": …} to the same and "title", "facts"

An error is `{"error": …}` with a status of 400 or above. The message `simulate outage` gets 503 at its first attempt
and a real answer from the second on: the caller counts, so the server holds no state. `simulate delay` is answered
after `DEMO_SLOW_MS`. `--cached` is the mode of the failover: the same data as a snapshot, no faults, and a `mode` that
reports it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from orchestra.demo import faults, market, mutation
from orchestra.demo.answer import ANALYSES, analysis, answer
from orchestra.demo.parse import MAX_MESSAGE, parse
from orchestra.demo.request import RequestError, json_body, refused
from orchestra.demo.server import EXIT_USAGE, port_number, serve

OUTAGE = "simulate outage"
DELAY = "simulate delay"


def ask(body: Mapping[str, Any], data: market.Market, broken: str = "") -> dict[str, Any]:
    """Return the reply to a message.

    Raises:
        RequestError: the message is missing, empty or too long, or it simulates an outage.
    """
    message = body.get("message")
    if not isinstance(message, str) or not message.strip():
        raise RequestError(400, "the message is empty; send {“message”: “What is NVDA doing?”}")
    if len(message) > MAX_MESSAGE:
        raise RequestError(413, f"the message has {len(message)} characters; at most {MAX_MESSAGE} are allowed")
    if _is(message, OUTAGE):
        if body.get("attempt", 1) == 1:
            raise RequestError(503, "The market service is not available right now.")
        return {"kind": "status", "reply": "The market service is back.", "tickers": [], "rows": [], "unknown": []}
    if _is(message, DELAY):
        return {"kind": "status", "reply": "That took a while.", "tickers": [], "rows": [], "unknown": []}
    question = parse(message, data, any_case=broken != "b005", names=broken != "b012")
    return answer(question, data, mutation=broken)


def _is(message: object, wanted: str) -> bool:
    return isinstance(message, str) and message.strip().lower() == wanted


def analyze(body: Mapping[str, Any], data: market.Market) -> dict[str, Any]:
    """Return an analysis of one ticker.

    Raises:
        RequestError: there is no such analysis or ticker.
    """
    kind, ticker = body.get("kind"), body.get("ticker")
    if kind not in ANALYSES:
        raise RequestError(400, f"the analysis {kind!r} does not exist; allowed: {', '.join(ANALYSES)}")
    quote = data.get(ticker.strip().upper()) if isinstance(ticker, str) else None
    if quote is None:
        raise RequestError(404, f"the ticker {ticker!r} is not in the market data")
    return analysis(kind, quote)


def application(data: market.Market, *, cached: bool, model: str, broken: str, failing: faults.Faults) -> Starlette:
    """Return the ASGI application over one market."""
    mode = "cached" if cached else "live"

    async def health(_: Request) -> JSONResponse:
        return JSONResponse(
            {"status": "ok", "mode": mode, "model": model, "data": len(data), "session": market.SESSION}
        )

    async def quotes(_: Request) -> JSONResponse:
        rows = [{**quote.row(), "sector": quote.sector} for quote in data.values()]
        return JSONResponse(
            {"session": market.SESSION, "session_title": market.SESSION_TITLE, "mode": mode, "quotes": rows}
        )

    async def asked(request: Request) -> JSONResponse:
        body = await json_body(request)
        if _is(body.get("message"), DELAY):
            await asyncio.sleep(failing.slow_seconds)
        return JSONResponse({**ask(body, data, broken), "mode": mode})

    async def analyzed(request: Request) -> JSONResponse:
        return JSONResponse({**analyze(await json_body(request), data), "mode": mode})

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/api/market", quotes),
            Route("/api/ask", asked, methods=["POST"]),
            Route("/api/analyze", analyzed, methods=["POST"]),
        ],
        # the data are public and no request carries credentials, so any origin may read them
        middleware=[
            Middleware(
                CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["content-type"]
            ),
            Middleware(faults.FaultMiddleware, faults=failing),
        ],
        exception_handlers={RequestError: refused, Exception: refused},
    )


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the server and gives back its exit code: 0, 2 for a wrong switch or file, 3 for a taken port."""
    parser = argparse.ArgumentParser(prog="orchestra.demo.backend", description="The API server of Market Parser.")
    parser.add_argument(
        "--port", type=port_number, required=True, help="the port to listen on; 0 lets the system choose"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="market data as orchestra.demo.seed writes them (embedded)"
    )
    parser.add_argument("--cached", action="store_true", help="stand in for the live server: a snapshot, no faults")
    parser.add_argument("--pid-file", type=Path, metavar="FILE", help="write the process id there")
    options = parser.parse_args(argv)
    try:
        if options.pid_file:
            options.pid_file.parent.mkdir(parents=True, exist_ok=True)
            options.pid_file.write_text(str(os.getpid()), encoding="ascii")
        failing = faults.Faults() if options.cached or faults.disarmed(environ) else faults.from_environ(environ)
        broken = mutation.chosen(environ)
        data = market.from_json(options.data.read_text(encoding="utf-8")) if options.data else market.embedded()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"cannot start: {error}\n")
        return EXIT_USAGE
    if failing.start == "exit" or (not options.cached and faults.starved(environ)):
        sys.stderr.write("the process ends at its start on purpose\n")
        return faults.EXIT_CRASH
    while failing.start == "hang":
        time.sleep(3600)
    model = environ.get("MODEL", "stub")
    return serve(
        application(data, cached=options.cached, model=model, broken=broken, failing=failing),
        options.host,
        options.port,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
