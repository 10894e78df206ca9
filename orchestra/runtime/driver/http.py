"""The step `http`: send a request from the runner and judge the reply. May import `contract`, `content`, `wording`, httpx."""

from __future__ import annotations

import httpx

from orchestra.errors import UsageError
from orchestra.runtime.driver.content import Looked
from orchestra.runtime.driver.contract import Deadline, Job, StepError, unfit, unmet
from orchestra.runtime.driver.wording import seconds_text

_DIRECT = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_BODY = {"json": "json", "form": "data", "body": "content"}
_HINT = "see whether the server runs: `orchestra health`"


class Http:
    """A client that is reused by all tests of a worker: connections are kept, cookies only to the end of a test."""

    def __init__(self) -> None:
        self._client: httpx.Client | None = None

    def forget(self) -> None:
        """Drop the cookies of the test before."""
        if self._client is not None:
            self._client.cookies.clear()

    def close(self) -> None:
        """Close the kept connections."""
        if self._client is not None:
            self._client.close()

    def do(self, job: Job) -> None:
        """Carry out an `http` step.

        Raises:
            StepError: it cannot be sent, nothing answers in time, or the reply is not as expected.
            UsageError: the base has no URL.
        """
        if self._client is None:
            # What serves this machine alone is not asked for through a proxy of the environment.
            self._client = httpx.Client(mounts=dict.fromkeys(_DIRECT))
        args = job.args
        url = _url(job)
        what = f"{args['method']} {url}"
        status, body = _send(self._client, what, url, job)
        _judge_status(what, status, body, args.get("status", []))
        if args.get("match") or args.get("save"):
            match, save = args.get("match", {}), args.get("save", {})
            looked = Looked(body, [*match, *save.values()], f"the reply to {what}")
            looked.judge(match)
            for name, path in save.items():
                job.scope.save(name, looked.value(path))


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
