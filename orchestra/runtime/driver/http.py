"""The step `http`: send a request from the runner and judge the reply. May import `contract`, `content`, `wording`, httpx."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from orchestra.errors import UsageError
from orchestra.runtime import proxies
from orchestra.runtime.driver.content import judge_json, parse_json, pick
from orchestra.runtime.driver.contract import Deadline, Job, StepError, unfit, unmet
from orchestra.runtime.driver.wording import seconds_text

_BODY = {"json": "json", "form": "data", "body": "content"}
_HINT = "see whether the server runs: `orchestra health`"


class Http:
    """Clients that are reused by all tests of a worker: connections are kept, cookies only to the end of a test.

    Args:
        env: names the hosts that are not asked through a proxy of it.
    """

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env
        self._clients: dict[bool, httpx.Client] = {}
        self._tls: ssl.SSLContext | None = None

    def forget(self) -> None:
        """Drop the cookies of the test before."""
        for client in self._clients.values():
            client.cookies.clear()

    def close(self) -> None:
        """Close the kept connections."""
        for client in self._clients.values():
            client.close()

    def _client(self, url: str) -> httpx.Client:
        """The client for an address: with the proxies of the environment, or without.

        Raises:
            StepError: the environment names a proxy that is none.
        """
        direct = proxies.is_direct(urlsplit(url).hostname or "", self._env)
        if direct not in self._clients:
            try:
                self._tls = self._tls or httpx.create_ssl_context()
                self._clients[direct] = httpx.Client(verify=self._tls, trust_env=not direct)
            except (ValueError, httpx.HTTPError) as error:
                raise unfit(f"a proxy of the environment cannot be used: {error}", hint=proxies.HINT) from None
        return self._clients[direct]

    def do(self, job: Job) -> None:
        """Carry out an `http` step.

        Raises:
            StepError: it cannot be sent, nothing answers in time, or the reply is not as expected.
            UsageError: the base has no URL.
        """
        args = job.args
        url = _url(job)
        what = f"{args['method']} {url}"
        status, body = _send(self._client(url), what, url, job)
        _judge_status(what, status, body, args.get("status", []))
        if args.get("match") or args.get("save"):
            document = parse_json(body, f"the reply to {what}")
            judge_json(document, args.get("match", {}), f"the reply to {what}")
            for name, path in args.get("save", {}).items():
                job.scope.save(name, pick(document, path, f"the reply to {what}"))


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


def _send(client: httpx.Client, what: str, url: str, job: Job) -> tuple[int, bytes]:
    args, clock = job.args, job.deadline.clock
    own = float(args.get("within_seconds", 30.0))
    limit = Deadline(clock() + job.deadline.limit(own), clock)
    given = {keyword: args[name] for name, keyword in _BODY.items() if name in args}
    late = StepError(
        "failed", "connection", f"{what}: no whole reply within {seconds_text(job.allowed(own))}", hint=_HINT
    )
    try:
        sent = client.stream(args["method"], url, headers=args.get("headers"), timeout=limit.limit(), **given)
        with sent as response:
            blocks = []
            for block in response.iter_bytes():  # the limit of httpx is one for each block, not for all
                blocks.append(block)
                if limit.left() <= 0:
                    raise late
            return response.status_code, b"".join(blocks)
    except httpx.TimeoutException:
        raise late from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise unfit(f"{what} cannot be sent: {error}") from None
    except httpx.TransportError as error:
        raise StepError("failed", "connection", f"{what}: nothing answers: {error}", hint=_HINT) from None
    except httpx.DecodingError as error:
        raise unmet(f"{what}: the reply cannot be decoded: {error}") from None


def _judge_status(what: str, status: int, body: bytes, allowed: list[int]) -> None:
    if status in allowed if allowed else status < 400:
        return
    expected = " or ".join(map(str, allowed)) if allowed else "a status below 400"
    found = f"{status}: {body.decode(errors='replace')}" if body else str(status)
    raise unmet(f"{what} was answered with status {status}", expected=expected, found=found)
