"""Implement the step `har`: answer requests from a HAR file, or record them into one, by whichever driver.

A reply of the file is a mock: it is counted and marked as one. The rules are those of `routeFromHAR` of Playwright: method and
address must be the same, of a POST the body, too, and a redirect is followed within the file.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin

import msgspec

from orchestra import nofollow, stored
from orchestra.ledger.disk import replace_file
from orchestra.runtime.driver.contract import Job, StepError, unfit
from orchestra.runtime.driver.wording import quoted
from orchestra.runtime.files import inside, open_plain

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 10
_OF_BODY: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers of a reply that are about the form in which its body was sent."""
_LEFT_OUT: Final = _OF_BODY | {"set-cookie"}
"""Headers of a reply that are not recorded."""
_MOMENT: Final = "2000-01-01T00:00:00.000Z"
"""Of each entry: a file that is recorded again is the same where the replies are."""


class Header(msgspec.Struct, frozen=True):
    """A header of a reply."""

    name: str
    value: str


class PostData(msgspec.Struct, rename="camel", frozen=True):
    """The body of a request."""

    mime_type: str = ""
    text: str = ""


class Asked(msgspec.Struct, rename="camel", frozen=True):
    """A request of a HAR file."""

    method: str
    url: str
    post_data: PostData | None = None


class Content(msgspec.Struct, rename="camel", frozen=True):
    """The body of a reply; `encoding` is empty or `base64`. Playwright writes a body into a file of its own, `_file`."""

    mime_type: str = ""
    text: str = ""
    encoding: str = ""
    file: str = msgspec.field(default="", name="_file")


class Reply(msgspec.Struct, rename="camel", frozen=True):
    """A reply of a HAR file."""

    status: int
    headers: tuple[Header, ...] = ()
    content: Content = Content()


class Entry(msgspec.Struct, frozen=True):
    """A request with its reply."""

    request: Asked
    response: Reply


class _Log(msgspec.Struct):
    entries: list[Entry]


class _Whole(msgspec.Struct):
    log: _Log


class Sent(NamedTuple):
    """A request of a page."""

    method: str
    url: str
    body: bytes


class Answer(NamedTuple):
    """A reply to a request.

    Attributes:
        next: the request that the reply leads to, if it is a redirect.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    next: Sent | None = None


def _redirected(sent: Sent, status: int, headers: Mapping[str, str]) -> Sent | None:
    if status not in _REDIRECTS or "location" not in headers:
        return None
    method = sent.method if status in (307, 308) or sent.method == "HEAD" else "GET"
    return Sent(method, urljoin(sent.url, headers["location"]), sent.body if method == sent.method else b"")


class Har:
    """A `har` step: the entries of its file by method and address, and how many requests it has answered.

    Attributes:
        url: the glob of the requests that it is about.
        update: whether it records, in place of answering.
        strict: whether a request that the file lacks fails, in place of going to the network.
        count: the requests that were answered or recorded.
        at: the pointers of the step.
    """

    def __init__(
        self, file: Path, shown: str, url: str, *, update: bool, strict: bool, at: tuple[str, ...] = ()
    ) -> None:
        self._file = file
        self.at = at
        self._shown = shown
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        self._recorded: dict[Sent, dict[str, Any]] = {}
        self.url = url
        self.update = update
        self.strict = strict
        self.count = 0

    @property
    def file(self) -> str:
        """The file as it is written."""
        return self._shown

    @property
    def name(self) -> str:
        """The file for a record: `har data/api.har`."""
        return f"har {self._shown}"

    def read(self) -> None:
        """Read the file.

        Raises:
            StepError: there is none, or it is no HAR file.
        """
        try:
            with open_plain(self._file) as data:
                whole = stored.decode(data.readall(), _Whole)
        except FileNotFoundError:
            raise unfit(f"there is no HAR file {quoted(self._shown)}", hint="record it by `update: true`") from None
        except (OSError, ValueError) as error:
            message = f"{quoted(self._shown)} is no HAR file that can be read: {error}"
            raise unfit(message, hint="record it again by `update: true`") from None
        for entry in whole.log.entries:
            asked = entry.request
            self._entries.setdefault((asked.method, asked.url), []).append(entry)

    def answer(self, sent: Sent) -> Answer | None:
        """Return the reply of the file to a request; None if the file lacks it."""
        entry = self._find(sent)
        if entry is None:
            return None
        headers = {header.name.lower(): header.value for header in entry.response.headers}
        kept = {name: value for name, value in headers.items() if name not in _OF_BODY}
        status = entry.response.status
        return Answer(status, kept, self._body(entry.response.content), _redirected(sent, status, headers))

    def _find(self, sent: Sent) -> Entry | None:
        for entry in self._entries.get((sent.method, sent.url.partition("#")[0]), ()):
            wanted = entry.request.post_data
            if sent.method != "POST" or wanted is None or wanted.text.encode() == sent.body:
                return entry
        return None

    def _body(self, content: Content) -> bytes:
        if content.file:
            return self._file.parent.joinpath(Path(content.file).name).read_bytes()
        return base64.b64decode(content.text) if content.encoding == "base64" else content.text.encode()

    def record(self, sent: Sent, reply: Answer, mask: Callable[[str], str]) -> None:
        """Note the reply of the network to a request; `mask` takes secrets out."""
        status, headers, body = reply.status, reply.headers, reply.body
        asked: dict[str, Any] = {
            "method": sent.method,
            "url": mask(sent.url.partition("#")[0]),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
        }
        asked |= {"headers": [], "queryString": [], "headersSize": -1, "bodySize": -1}
        if sent.body:
            asked["postData"] = {"mimeType": "", "text": mask(sent.body.decode(errors="replace"))}
        kept = [
            {"name": name, "value": mask(value)}
            for name, value in sorted(headers.items())
            if name.lower() not in _LEFT_OUT
        ]
        content: dict[str, Any] = {"size": len(body), "mimeType": headers.get("content-type", "")}
        try:
            content["text"] = mask(body.decode())
        except UnicodeDecodeError:
            content |= {"text": base64.b64encode(body).decode(), "encoding": "base64"}
        shown: dict[str, Any] = {
            "status": status,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": kept,
        }
        shown |= {"content": content, "redirectURL": headers.get("location", ""), "headersSize": -1, "bodySize": -1}
        self._recorded[sent] = {
            "startedDateTime": _MOMENT,
            "time": 0,
            "request": asked,
            "response": shown,
            "cache": {},
            "timings": {"send": 0, "wait": 0, "receive": 0},
        }

    def write(self) -> None:
        """Write the file, if requests were recorded.

        Raises:
            MachineError: the disk refuses.
        """
        if not self._recorded:
            return
        entries = [self._recorded[sent] for sent in sorted(self._recorded)]
        log = {"version": "1.2", "creator": {"name": "orchestra", "version": ""}, "entries": entries}
        content = msgspec.json.format(msgspec.json.encode({"log": log}), indent=2) + b"\n"
        nofollow.make_folders(self._file.parent)
        replace_file(self._file, content)


def har_of(job: Job) -> Har:
    """Return what a `har` step asks for; its file is read, unless it is recorded.

    Raises:
        UsageError: the file is outside of the project.
        StepError: it cannot be read, or is a folder.
    """
    path, args = job.text("file"), job.args
    file = inside(path, job.root)
    if file.is_dir():
        raise unfit(f"{quoted(path)} is a folder, not a HAR file", hint="name a file, such as data/api.har")
    har = Har(file, path, job.text("url"), update=args["update"], strict=args["not_found"] == "abort", at=job.step.at)
    if not har.update:
        har.read()
    elif file.suffix != ".har" and file.exists():
        _refuse_other(har, path)
    return har


def _refuse_other(har: Har, path: str) -> None:
    """Refuse to write over a file of another kind, such as a source file that is named by mistake.

    Raises:
        StepError: it is no HAR file.
    """
    try:
        har.read()
    except StepError:
        hint = "name another file, or remove this one"
        raise unfit(f"{quoted(path)} is no HAR file, so it is not written over", hint=hint) from None


async def serve(route: Any, har: Har, mask: Callable[[str], str]) -> bool:
    """Answer a request from a file, or record its reply, and count it; whether the network was left out.

    Args:
        route: the object of Playwright behind a route of either interface, which share it.
        har: the file.
        mask: takes secrets out of what is recorded.

    Raises:
        playwright.async_api.Error: the page is gone, or the network does not answer.
    """
    request = route.request
    sent = Sent(request.method, request.url, request.post_data_buffer or b"")
    moves = request.is_navigation_request() and request.frame.parent_frame is None
    answer = await _fetched(route, sent) if har.update else har.answer(sent)
    for _ in range(_MOST_REDIRECTS):
        if har.update and answer is not None:
            har.record(sent, answer, mask)
        if answer is None or answer.next is None or moves:
            break
        sent = answer.next
        answer = await _fetched(route, sent) if har.update else har.answer(sent)
    if answer is None:
        await (route.abort() if har.strict else route.fallback())
        return False
    har.count += 1
    if (
        answer.next is not None and moves
    ):  # the page must have the address that it is led to, whose request comes here, too
        await route._redirected_navigation_request(answer.next.url)  # noqa: SLF001 - as the router of Playwright
    else:
        await route.fulfill(status=answer.status, headers=answer.headers, body=answer.body)
    return not har.update


async def _fetched(route: Any, sent: Sent) -> Answer:
    reply = await route.fetch(url=sent.url, method=sent.method, postData=sent.body or None, maxRedirects=0)
    headers = {name.lower(): value for name, value in reply.headers.items()}
    kept = {name: value for name, value in headers.items() if name not in _OF_BODY}
    return Answer(reply.status, kept, await reply.body(), _redirected(sent, reply.status, headers))
