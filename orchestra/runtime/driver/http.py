"""Implement the step `http`: send a request from the runner and check the reply."""

from __future__ import annotations

import math
import os
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import partial
from http.cookiejar import Cookie
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from orchestra.errors import UsageError
from orchestra.plan import Tls
from orchestra.runtime import certificates, proxies
from orchestra.runtime.body import Body, BodyError
from orchestra.runtime.certificates import CertificateError
from orchestra.runtime.driver.call_thread import CallThread
from orchestra.runtime.driver.content import SHOWN_BYTES, Looked, judge_schema
from orchestra.runtime.driver.contract import Job, StepError, unfit, unmet
from orchestra.runtime.driver.cookies import cookie_of, written
from orchestra.runtime.driver.wording import quoted, seconds_text
from orchestra.runtime.files import inside, open_plain
from orchestra.runtime.http_library import library
from orchestra.steps.verbs.runner import graphql_body
from orchestra.steps.vocabulary import argument

_BODY = {"json": "json", "form": "data", "body": "content"}
MEGABYTE = 1_000_000
"""In bytes."""

UNTIL_SECONDS = 30.0
"""The time to wait for a reply that `until` asks for."""
UNTIL_PAUSE_SECONDS = 1.0
"""The pause between two requests of `until`."""
_LAST_REPLY_SECONDS = 1.0
"""The time that the last request of `until` has for its reply, in a wait of at least four times as much."""

_HINT = "check the server with `orchestra health`"


class Http:
    """Clients that are reused by all tests of a worker: connections are kept, cookies only to the end of a test.

    Args:
        env: names the hosts that are not asked through a proxy of it.
    """

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env
        self._clients: dict[bool, Any] = {}  # of httpx, which only a test that sends a request needs
        self._given: list[Cookie] = []
        self._tls: ssl.SSLContext | None = None
        self._root, self._trusted = Path(), Tls()
        self._calls = CallThread()

    def trust(self, root: Path, tls: Tls) -> None:
        """Set the certificates that the next test accepts, of a project."""
        if (root, tls) != (self._root, self._trusted):
            self._root, self._trusted, self._tls = root, tls, None
            self._clients.clear()

    def begin(self, cookies: Iterable[Mapping[str, Any]] = ()) -> None:
        """Replace the cookies of the test before by those that the next one begins with."""
        self._given = [cookie_of(cookie) for cookie in cookies]
        for client in self._clients.values():
            client.cookies.clear()
            self._give(client)

    def _give(self, client: Any) -> None:
        for cookie in self._given:
            client.cookies.jar.set_cookie(cookie)

    def cookies(self) -> list[dict[str, Any]]:
        """Return the cookies as they are, in Playwright's form."""
        return [written(one) for client in self._clients.values() for one in client.cookies.jar]

    def close(self) -> None:
        """Close the kept connections."""
        for client in self._clients.values():
            client.close()
        self._calls.close()

    def _client(self, url: str) -> Any:
        """Return the client of httpx for an address: with the proxies of the environment, or without.

        Raises:
            StepError: the environment names a proxy that is none, or the certificates of the suite cannot be read.
        """
        direct, httpx = proxies.is_direct(urlsplit(url).hostname or "", self._env), library()
        if direct not in self._clients:
            try:
                self._clients[direct] = httpx.Client(verify=self._context(), trust_env=not direct)
                self._give(self._clients[direct])
            except CertificateError as error:
                raise unfit(error.message, hint=error.hint) from None
            except (ValueError, httpx.HTTPError) as error:
                raise unfit(f"a proxy of the environment cannot be used: {error}", hint=proxies.HINT) from None
        return self._clients[direct]

    def _context(self) -> ssl.SSLContext | bool:
        """Return what decides about a certificate.

        Raises:
            CertificateError: the certificates of the suite cannot be read.
        """
        if self._trusted.ignore_https_errors:
            return False
        if self._tls is None:
            context = library().create_ssl_context()
            self._tls = (
                certificates.add(context, self._root, self._trusted.ca_file) if self._trusted.ca_file else context
            )
        return self._tls

    def do(self, job: Job) -> None:
        """Carry out an `http` step.

        Raises:
            StepError: it cannot be sent, nothing answers in time, or the reply is too large or not as expected.
            UsageError: the base has no URL.
        """
        args = job.args
        url = _url(job)
        what = f"{args['method']} {url}"
        reply = self._until(what, url, job) if "until" in args else self._send(what, url, job, math.inf)
        body = reply.body
        _judge_status(what, reply.status, body, argument(job.step, "status"))
        _judge_content(what, body, job)
        for name, header in args.get("save_headers", {}).items():
            job.scope.save(name, _part(what, "header", header, reply.headers))
        for name, cookie in args.get("save_cookies", {}).items():
            job.scope.save(name, _part(what, "cookie", cookie, reply.cookies))
        if args.get("match") or args.get("save"):
            match, save = argument(job.step, "match"), argument(job.step, "save")
            looked = Looked(body, [*match, *save.values()], f"the reply to {what}")
            looked.check(match)
            for name, path in save.items():
                job.scope.save(name, looked.value(path))

    def _until(self, what: str, url: str, job: Job) -> Reply:
        """Return the first reply that is as `until` asks.

        Raises:
            StepError: none comes in time, or the request cannot be sent.
        """
        until, clock = job.args["until"], job.deadline.clock
        seconds = float(until.get("within_seconds", UNTIL_SECONDS))
        wanted = until.get("status", [])
        span = job.deadline.limit(seconds)
        end, least = clock() + span, min(_LAST_REPLY_SECONDS, span / 4)
        last: StepError | None = None
        while True:
            try:
                reply = self._send(what, url, job, end - clock())
                _judge_status(what, reply.status, reply.body, wanted if isinstance(wanted, list) else [wanted])
                if "match" in until:
                    Looked(reply.body, until["match"], f"the reply to {what}").check(until["match"])
            except StepError as failed:
                left = end - clock()
                cut_short = left <= 0 and failed.kind == "connection" and last is not None
                last = last if cut_short and last is not None else failed
                if last.outcome == "error" or left <= least:
                    last.message = f"{last.message}, asked for {seconds_text(job.allowed(seconds))}"
                    raise last from None
                time.sleep(min(left - least, float(until.get("every_seconds", UNTIL_PAUSE_SECONDS))))
            else:
                return reply

    def _send(self, what: str, url: str, job: Job, left: float) -> Reply:
        httpx, client, files = library(), self._client(url), _files(job)
        own = min(float(job.args["within_seconds"]), max(0.001, left))
        seconds, limit = job.deadline.limit(own), float(job.args["limit_megabytes"])
        try:
            reply, body = self._calls.run(partial(_fetch, client, url, job.args, seconds, limit, files), seconds)
        except (TimeoutError, httpx.TimeoutException):
            self._clients.clear()  # the call may still be under way
            message = f"{what}: no whole reply within {seconds_text(job.allowed(own))}"
            raise StepError("failed", "connection", message, hint=_HINT) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise unfit(f"{what} cannot be sent: {error}") from None
        except httpx.TransportError as error:
            raise StepError("failed", "connection", f"{what}: nothing answers: {error}", hint=_HINT) from None
        except BodyError as error:
            raise unmet(f"{what}: the reply cannot be decoded: {error}") from None
        if body.over:
            message, hint = f"the reply to {what} has more than {limit:g} MB", "raise `limit_megabytes` of the step"
            raise unmet(message, expected=f"at most {limit:g} MB", found="more", hint=hint)
        return reply._replace(body=bytes(body.data))


class Reply(NamedTuple):
    """A reply to a request; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: bytes = b""


def _part(what: str, kind: str, name: str, parts: Mapping[str, str]) -> str:
    """Return a header or a cookie of a reply. Raises StepError: it has none of that name."""
    value = parts.get(name.lower() if kind == "header" else name)
    if value is None:
        names = ", ".join(sorted(parts)) or "none"
        raise unmet(f'the reply to {what} has no {kind} "{name}"', expected=f'a {kind} "{name}"', found=names)
    return value


def _files(job: Job) -> list[tuple[str, Any]] | None:
    """Return the parts of a form as httpx takes them; None without `multipart`.

    Raises:
        StepError: a file cannot be read.
        UsageError: a file is not inside the project.
    """
    if "multipart" not in job.args:
        return None
    parts: list[tuple[str, Any]] = []
    for name, part in job.args["multipart"].items():
        if isinstance(part, str):
            parts.append((name, (None, part)))
            continue
        path = inside(part["file"], job.root, job.folder)
        try:
            with open_plain(path) as file:
                content = file.readall()
        except OSError as error:
            raise unfit(f'the file "{part["file"]}" cannot be read: {error.strerror}') from None
        kind = (part["type"],) if "type" in part else ()
        parts.append((name, (path.name, content, *kind)))
    return parts


def _fetch(
    client: Any,
    url: str,
    args: dict[str, Any],
    seconds: float,
    megabytes: float,
    files: list[tuple[str, Any]] | None = None,
) -> tuple[Reply, Body]:
    """Send a request and read its answer up to the limits; in a thread that may be left behind.

    Raises:
        TimeoutError: the time is over before the end of the answer.
    """
    end = time.monotonic() + seconds
    given = {keyword: args[name] for name, keyword in _BODY.items() if name in args}
    if "graphql" in args:
        given["json"] = graphql_body(args["graphql"])
    request = client.build_request(
        args["method"], url, headers=args.get("headers"), files=files, timeout=seconds, **given
    )
    if args.get("cookies") == "none" and "cookie" not in {name.lower() for name in args.get("headers", {})}:
        request.headers.pop("cookie", None)
    with closing(client.send(request, stream=True)) as reply:
        body = Body(reply.headers.get("content-encoding", ""), int(megabytes * MEGABYTE))
        for block in reply.iter_raw():
            body.feed(block)
            if body.over:
                break
            if time.monotonic() > end:  # the waiting thread may see it later, and a part is no reply
                raise TimeoutError
        cookies = {cookie.name: cookie.value or "" for cookie in reply.cookies.jar}
        return Reply(reply.status_code, dict(reply.headers.items()), cookies), body


def _url(job: Job) -> str:
    path = job.text("url")
    base = job.args.get("base")
    if base is None or "://" in path:
        return path
    try:
        root = str(job.scope.lookup(f"{base}.url"))
    except UsageError as error:
        raise unfit(f'the component "{base}" has no URL here: {error.message}', hint=error.hint) from None
    return f"{root.rstrip('/')}/{path.lstrip('/')}"


def _judge_content(what: str, body: bytes, job: Job) -> None:
    """Check the errors of GraphQL, and the schema of the reply.

    Raises:
        StepError: the reply is no JSON, not one of GraphQL, has errors, or is not as the schema.
    """
    graphql, schema = job.args.get("graphql"), job.args.get("schema")
    if graphql is None and schema is None:
        return
    whole = f"the reply to {what}"
    looked = Looked(body, ["$", "$.errors"], whole)
    if graphql is not None and not isinstance(reply := looked.value("$"), dict):
        raise unmet(f"{whole} is not one of GraphQL", expected="a JSON object", found=quoted(reply))
    if (
        graphql is not None
        and graphql.get("errors") != "allowed"
        and (errors := looked.all("$.errors")) not in ([], [None], [[]])
    ):
        message = f"{whole} has errors of GraphQL: {_first_error(errors[0])}"
        raise unmet(
            message, expected="no `errors`", found=quoted(errors[0]), hint="`errors: allowed` of `graphql` accepts them"
        )
    if schema is not None:
        judge_schema(looked.value("$"), schema, whole)


def _first_error(errors: Any) -> str:
    first = errors[0] if isinstance(errors, list) and errors else errors
    return str(first.get("message", first) if isinstance(first, dict) else first)


def _judge_status(what: str, status: int, body: bytes, allowed: list[int]) -> None:
    if status in allowed if allowed else status < 400:
        return
    expected = " or ".join(map(str, allowed)) if allowed else "a status below 400"
    found = f"{status}: {body[:SHOWN_BYTES].decode(errors='replace')}" if body else str(status)
    raise unmet(f"{what} was answered with status {status}", expected=expected, found=found)
