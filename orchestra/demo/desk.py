"""The order desk of the sample application, for people who have signed in: `python -m orchestra.demo.desk --port N`.

    GET  /login                 the form: `ana` is an admin, `ben` a reader
    GET  /                      the desk
    GET  /statement             the statement, which the desk opens in a window of its own
    GET  /static/…              styles and scripts of all pages

    POST /api/session           {"user": …, "password": …} to a session cookie; DELETE ends the session
    GET  /api/me                {"user": …, "role": "admin" | "reader"}
    POST /api/orders            {"ticker": …, "quantity": …} to {"ticker": …, "quantity": …, "total": …}
    GET  /api/activity?from=N   {"entries": [20 texts], "total": …}
    GET  /api/rate              {"rate": …}
    POST /api/audits            {"audit": N}: a job, for an admin alone
    GET  /api/outbox?audit=N    {"mails": […]}: empty until the audit is done
    GET  /api/audits/N          {"audit": N, "result": …} once it is done
    GET  /health, /config.json  {"status": "ok"}, {"mutation": …}

An error is `{"error": …}` with a status of 400 or above. Sessions and audits are in memory; orders are not stored.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from orchestra.demo import market, mutation
from orchestra.demo.frontend import STATIC, SafeHeaders
from orchestra.demo.request import RequestError, json_body, refused
from orchestra.demo.server import EXIT_USAGE, port_number, serve

COOKIE: Final = "desk_session"
AUDIT_SECONDS: Final = 0.5
ACTIVITY: Final = 60
_PAGE: Final = 20
_MOST: Final = 5000
_RATE: Final = 0.9184
_VERBS: Final = ("placed", "filled", "cancelled")


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in."""

    name: str
    role: str
    password: str


USERS: Final = {user.name: user for user in (User("ana", "admin", "lemon tree"), User("ben", "reader", "paper boat"))}


@dataclass(slots=True)
class Desk:
    """The rules of the desk, and what it remembers: sessions, and the times at which audits are done."""

    quotes: market.Market
    broken: str = ""
    clock: Callable[[], float] = time.monotonic
    sessions: dict[str, User] = field(default_factory=dict)
    audits: list[float] = field(default_factory=list)

    def sign_in(self, body: Mapping[str, Any]) -> str:
        """Return the id of a new session. Raises RequestError: user or password is wrong."""
        user = USERS.get(str(body.get("user")))
        if user is None or user.password != body.get("password"):
            raise RequestError(401, "The user or the password is wrong.")
        session = secrets.token_hex(16)
        self.sessions[session] = user
        return session

    def user(self, session: str) -> User:
        """Return the person of a session. Raises RequestError: there is no such session."""
        if session not in self.sessions:
            raise RequestError(401, "Sign in first.")
        return self.sessions[session]

    def order(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return an order with its total. Raises RequestError: it cannot be placed."""
        quote = self.quotes.get(str(body.get("ticker")))
        if quote is None:
            raise RequestError(404, f"There is no ticker “{body.get('ticker')}”.")
        text = str(body.get("quantity", "")).strip()
        if fault := _quantity_fault(text):
            raise RequestError(422, "The quantity is wrong." if self.broken == "c003" else fault)
        return {"ticker": quote.ticker, "quantity": int(text), "total": round(int(text) * quote.price, 2)}

    def begin_audit(self, user: User) -> int:
        """Return the number of a new audit. Raises RequestError: only an admin may begin one."""
        if user.role != "admin":
            raise RequestError(403, "Only an admin may run an audit.")
        self.audits.append(self.clock() + AUDIT_SECONDS)
        return len(self.audits)

    def mails(self, audit: int) -> list[dict[str, str]]:
        """Return the mails about an audit."""
        if not self._done(audit) or self.broken == "c005":
            return []
        return [{"to": "ana@desk.example", "subject": f"Audit {audit} is done", "link": f"/?audit={audit}"}]

    def result(self, audit: int) -> dict[str, Any]:
        """Return the result of an audit. Raises RequestError: it has none yet."""
        if not self._done(audit):
            raise RequestError(404, f"Audit {audit} has no result.")
        return {"audit": audit, "result": f"{len(self.quotes)} quotes, no fault"}

    def _done(self, audit: int) -> bool:
        return 0 < audit <= len(self.audits) and self.audits[audit - 1] <= self.clock()


def _quantity_fault(text: str) -> str:
    """Return the error of a quantity; empty for a valid one."""
    if not text:
        return "Enter a quantity."
    if not (text.isascii() and text.isdigit() and int(text)):
        return f"“{text}” is no whole number above 0."
    return f"At most {_MOST:,} shares are allowed." if int(text) > _MOST else ""


def activity(quotes: market.Market, first: int) -> dict[str, Any]:
    """Return the entries from a number on."""
    tickers = list(quotes)
    entries = [
        f"Order {1000 + number}: {10 * (number + 1)} {tickers[number % len(tickers)]} {_VERBS[number % len(_VERBS)]}"
        for number in range(first, min(first + _PAGE, ACTIVITY))
    ]
    return {"entries": entries, "total": ACTIVITY}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < len(str(sys.maxsize))):
        raise RequestError(400, f"{text!r} is no whole number")
    return int(text)


class _Site:
    """The replies to requests for one desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def user(self, request: Request) -> User:
        return self.desk.user(request.cookies.get(COOKIE, ""))

    async def login(self, _: Request) -> Response:
        return FileResponse(STATIC / "desk/login.html")

    async def page(self, request: Request) -> Response:
        if request.cookies.get(COOKIE, "") not in self.desk.sessions:
            return RedirectResponse("/login", 303)
        return FileResponse(STATIC / f"desk/{'statement' if request.url.path == '/statement' else 'desk'}.html")

    async def session(self, request: Request) -> JSONResponse:
        reply = JSONResponse({"signed_in": request.method == "POST"})
        if request.method == "POST":
            reply.set_cookie(COOKIE, self.desk.sign_in(await json_body(request)), httponly=True, samesite="strict")
        else:
            self.desk.sessions.pop(request.cookies.get(COOKIE, ""), None)
            reply.delete_cookie(COOKIE)
        return reply

    async def me(self, request: Request) -> JSONResponse:
        return JSONResponse({"user": self.user(request).name, "role": self.user(request).role})

    async def order(self, request: Request) -> JSONResponse:
        self.user(request)
        return JSONResponse(self.desk.order(await json_body(request)))

    async def entries(self, request: Request) -> JSONResponse:
        self.user(request)
        return JSONResponse(activity(self.desk.quotes, _number(request.query_params.get("from", "0"))))

    async def rate(self, _: Request) -> JSONResponse:
        return JSONResponse({"rate": _RATE})

    async def audits(self, request: Request) -> JSONResponse:
        return JSONResponse({"audit": self.desk.begin_audit(self.user(request))}, 202)

    async def audit(self, request: Request) -> JSONResponse:
        self.user(request)
        return JSONResponse(self.desk.result(_number(request.path_params["audit"])))

    async def outbox(self, request: Request) -> JSONResponse:
        self.user(request)
        return JSONResponse({"mails": self.desk.mails(_number(request.query_params.get("audit", "0")))})

    async def config(self, _: Request) -> JSONResponse:
        return JSONResponse({"mutation": self.desk.broken})

    async def health(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})


def application(desk: Desk) -> Starlette:
    """Return the ASGI application of one desk."""
    site = _Site(desk)
    return Starlette(
        routes=[
            Route("/login", site.login),
            Route("/", site.page),
            Route("/statement", site.page),
            Route("/api/session", site.session, methods=["POST", "DELETE"]),
            Route("/api/me", site.me),
            Route("/api/orders", site.order, methods=["POST"]),
            Route("/api/activity", site.entries),
            Route("/api/rate", site.rate),
            Route("/api/audits", site.audits, methods=["POST"]),
            Route("/api/audits/{audit}", site.audit),
            Route("/api/outbox", site.outbox),
            Route("/config.json", site.config),
            Route("/health", site.health),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(SafeHeaders)],
        exception_handlers={RequestError: refused, Exception: refused},
    )


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the server and give back its exit code: 0, 2 for a wrong switch, 3 for a taken port."""
    parser = argparse.ArgumentParser(prog="orchestra.demo.desk", description="The order desk of Market Parser.")
    parser.add_argument(
        "--port", type=port_number, required=True, help="the port to listen on; 0 lets the system choose"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    options = parser.parse_args(argv)
    try:
        desk = Desk(market.embedded(), mutation.chosen(environ))
    except ValueError as error:
        sys.stderr.write(f"cannot start: {error}\n")
        return EXIT_USAGE
    return serve(application(desk), options.host, options.port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
