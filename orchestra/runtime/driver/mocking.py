"""The mocks of a test, and the requests that its pages have sent; both browser drivers route by Playwright's own contexts."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from playwright._impl._errors import Error

from orchestra.errors import OrchestraError
from orchestra.runtime.driver.contract import Job, Unmet, unfit, unmet
from orchestra.runtime.driver.har import Har, serve
from orchestra.runtime.driver.wording import quoted
from orchestra.runtime.files import inside, open_plain
from orchestra.steps.url_glob import url_pattern

PAUSE_SECONDS = 0.05
_SHOWN = 3
_SHOWN_LETTERS = 200


@dataclass
class Mock:
    """A `mock` step, and how many requests it has answered.

    Attributes:
        url: the glob as it is written.
        answer: the arguments of Playwright's `route.fulfill`.
        abort: the reason of Playwright's `route.abort`; empty for an answer.
    """

    url: str
    method: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)
    abort: str = ""
    delay_ms: int = 0
    times: int = 0
    count: int = 0

    def takes(self, method: str) -> bool:
        """Return True if it answers one more request with this method, and count it."""
        if (self.method and method != self.method) or (self.times and self.count >= self.times):
            return False
        self.count += 1
        return True

    @property
    def name(self) -> str:
        """The mock for a record: `GET **/api/quote`."""
        return f"{self.method} {self.url}".strip()


def mock_of(job: Job) -> Mock:
    """Return the mock of a step.

    Raises:
        UsageError: its file is outside of the project.
        StepError: there is no such file.
    """
    args = job.args
    body: str | bytes = job.text("body") if "body" in args else ""
    kind = ""
    if "json" in args:
        body, kind = json.dumps(args["json"], ensure_ascii=False), "application/json"
    elif "file" in args:
        path = job.text("file")
        body, kind = _content(job, path), mimetypes.guess_type(path)[0] or "application/octet-stream"
    headers = {str(name): str(value) for name, value in args["headers"].items()}
    if kind and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = kind
    answer = {"status": args["status"], "headers": headers, "body": body}
    return Mock(
        job.text("url"), args.get("method", ""), answer, args.get("abort", ""), args["delay_ms"], args.get("times", 0)
    )


def _content(job: Job, path: str) -> bytes:
    try:
        with open_plain(inside(path, job.root, job.folder)) as file:
            return file.readall()
    except OSError as error:
        message = f"the file {quoted(path)}, with which a mock replies, cannot be read: {error.strerror or error}"
        raise unfit(message, hint="paths are relative to the project root") from None


class Mocks:
    """The mocks of one attempt.

    Attributes:
        answered: the requests that got no answer of the network.
    """

    def __init__(self) -> None:
        self._mocks: list[Mock] = []
        self._hars: list[Har] = []
        self.answered: set[Any] = set()

    def add(self, mock: Mock) -> None:
        """Add a mock: it is the first to be asked from now on."""
        self._mocks.append(mock)

    def replay(self, har: Har) -> None:
        """Add a HAR file: it is the first to be asked from now on."""
        self._hars.append(har)

    def answers(self) -> bool:
        """Return True if there is a mock or a HAR file."""
        return bool(self._mocks or self._hars)

    def unwritten(self) -> Unmet | None:
        """Write the HAR files that were recorded. Return why one of them cannot be written."""
        failed: Unmet | None = None
        for har in self._hars:
            try:
                har.write()
            except (OrchestraError, OSError) as error:
                reason = error.message if isinstance(error, OrchestraError) else str(error.strerror or error)
                message = f"the HAR file {quoted(har.file)} cannot be written: {reason}"
                hint = "name a file in a folder of the project that can be written"
                failed = failed or Unmet(unfit(message, hint=hint), har.at)
        return failed

    def facts(self, mask: Callable[[str], str]) -> dict[str, Any]:
        """Return how many requests each mock has answered, and each HAR file recorded; nothing without any."""
        counts: dict[str, Counter[str]] = {"mocks": Counter(), "recorded": Counter()}
        every: list[Mock | Har] = [*self._mocks, *self._hars]
        for mock in every:
            counts["recorded" if isinstance(mock, Har) and mock.update else "mocks"][mask(mock.name)] += mock.count
        return {kind: dict(of_kind) for kind, of_kind in counts.items() if of_kind}

    def route(self, mock: Mock, pause: Callable[[int], None]) -> Callable[[Any], None]:
        """Return the handler of Playwright's synchronous interface; `pause` waits so many milliseconds, and raises nothing."""

        def handle(route: Any) -> None:
            with suppress(Error):  # the page is gone
                if not mock.takes(route.request.method):
                    route.fallback()
                    return
                self.answered.add(route.request)
                if mock.delay_ms:
                    pause(mock.delay_ms)
                if mock.abort:
                    route.abort(mock.abort)
                else:
                    route.fulfill(**mock.answer)

        return handle

    def har_route(self, har: Har, mask: Callable[[str], str]) -> Callable[[Any], None]:
        """Return the handler of a HAR file, of the synchronous interface."""

        def handle(route: Any) -> None:
            with suppress(Error):
                if route._sync(serve(route._impl_obj, har, mask)):  # noqa: SLF001 - see `serve`
                    self.answered.add(route.request)

        return handle

    def async_har_route(self, har: Har, mask: Callable[[str], str]) -> Callable[[Any], Awaitable[None]]:
        """Return the handler of a HAR file, of the asynchronous interface."""

        async def handle(route: Any) -> None:
            with suppress(Error):
                if await serve(route._impl_obj, har, mask):  # noqa: SLF001 - see `serve`
                    self.answered.add(route.request)

        return handle

    def async_route(self, mock: Mock) -> Callable[[Any], Awaitable[None]]:
        """Return the handler of Playwright's asynchronous interface."""

        async def handle(route: Any) -> None:
            with suppress(Error):
                if not mock.takes(route.request.method):
                    await route.fallback()
                    return
                self.answered.add(route.request)
                await asyncio.sleep(mock.delay_ms / 1000)
                await (route.abort(mock.abort) if mock.abort else route.fulfill(**mock.answer))

        return handle


def expect_requests(job: Job, sent: Callable[[], list[Any]], pause: Callable[[float], None]) -> None:
    """Wait until pages have sent as many requests as the step expects.

    Args:
        job: the step.
        sent: the requests so far.
        pause: waits for so many seconds, and lets further requests be heard.

    Raises:
        StepError: they have not in its time.
    """
    wanted = job.args["request"]
    pattern = url_pattern(text := str(wanted["url"]))
    own = float(job.args["within_seconds"])
    end = time.monotonic() + job.deadline.limit(own)
    while True:
        near = [request for request in sent() if pattern.match(request.url)]
        count = sum(1 for request in near if _matches(request, wanted))
        least, most = (wanted["count"],) * 2 if "count" in wanted else (1, None)
        if count >= least and (most is None or count == most):
            return
        if time.monotonic() >= end or (most is not None and count > most):
            break
        pause(PAUSE_SECONDS)
    subject = " ".join(filter(None, (wanted.get("method", ""), quoted(text))))
    body = " with this JSON body" if "json" in wanted else ""
    phrase = f"{least} request{'' if least == 1 else 's'}" if most is not None else "a request"
    actual = f"{count or 'no'} such request{'' if count == 1 else 's'}{''.join(_shown(near))}"
    expected = f"{phrase} {subject}{body}"
    raise unmet(f"the page has not sent {expected}, but {actual}", expected=expected, found=actual)


def _matches(request: Any, wanted: Mapping[str, Any]) -> bool:
    if "method" in wanted and request.method != wanted["method"]:
        return False
    if "json" not in wanted:
        return True
    with suppress(ValueError, TypeError, Error):
        return bool(json.loads(request.post_data or "") == wanted["json"])
    return False


def _shown(near: list[Any]) -> Iterator[str]:
    """Yield the last requests to the address, for a message."""
    for number, request in enumerate(near[-_SHOWN:]):
        body = ""
        with suppress(Error, ValueError):
            body = (request.post_data or "")[:_SHOWN_LETTERS]
        yield f"{', ' if number else '; there were '}{request.method} {request.url}{' ' if body else ''}{body}"
