"""A web site for the tests of steps: the pages of tests/data/pages, and addresses that answer in awkward ways."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import quote, unquote

from tests.support.paths import DATA

PAGES = DATA / "pages"


class _Handler(SimpleHTTPRequestHandler):
    """Static files, `/html?PAGE` with the page in the address, and `/echo /status/N /cookie /redirect /silent /slow?SECONDS /dribble /cut-off`."""

    def __init__(self, *args, ended: Event, on_silent: Callable[[], None], **kwargs) -> None:
        self._ended, self._on_silent = ended, on_silent
        super().__init__(*args, directory=str(PAGES), **kwargs)

    def _answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _echo(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        said = {
            "method": self.command,
            "path": self.path,
            "body": self.rfile.read(length).decode(),
            "type": self.headers.get("content-type"),
            "accept": self.headers.get("accept"),
            "cookie": self.headers.get("cookie"),
            **({"tenant": self.headers["x-tenant"]} if "x-tenant" in self.headers else {}),
        }
        if self.path == "/graphql":  # a query says by its variables what comes back
            body = json.loads(said["body"])
            reply = body["variables"]["reply"]
            said = {**reply, "extensions": {**said, "body": body}} if isinstance(reply, dict) else reply
        self._answer(200, json.dumps(said).encode())

    def do_GET(self) -> None:
        if self.path.startswith("/echo"):
            self._echo()
        elif self.path.startswith("/html?"):
            self._answer(200, unquote(self.path.partition("?")[2]).encode(), "text/html; charset=utf-8")
        elif self.path.startswith("/status/"):
            self._answer(int(self.path.split("/")[2]), b'{"reason": "asked for"}')
        elif self.path == "/cookie":
            self._answer(200, b"{}", set_cookie="taste=sweet")
        elif self.path == "/redirect":
            self._answer(302, b"", location="/echo")
        elif self.path.partition("?")[0] == "/silent":
            self._on_silent()
            self._ended.wait(60)
        elif self.path.startswith("/slow?"):
            self._ended.wait(float(self.path.partition("?")[2]))
            self._answer(200, b"{}")
        elif self.path.startswith("/job?"):
            self._job(int(self.path.partition("?")[2]))
        elif self.path == "/dribble":
            self._dribble()
        elif self.path == "/cut-off":
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.send_header("content-disposition", 'attachment; filename="cut.bin"')
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        else:
            super().do_GET()

    def _job(self, needed: int) -> None:
        """A job that is done when it has been asked for so many times."""
        jobs: Counter[int] = self.server.__dict__.setdefault("jobs", Counter())
        jobs[needed] += 1
        state = "done" if jobs[needed] >= needed else "queued"
        self._answer(200, json.dumps({"state": state, "asked": jobs[needed]}).encode())

    def _dribble(self) -> None:
        """A byte now and then, for ever: no single wait for it is long."""
        self.send_response(200)
        self.send_header("content-length", "100000")
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b"<p>first</p>" + b" " * 2000)  # a browser shows nothing of less
            while not self._ended.wait(0.05):
                self.wfile.write(b" ")

    do_POST = do_PUT = do_PATCH = do_DELETE = _echo  # noqa: N815 - named by the library

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass  # a client that goes away is what some tests are about


@contextmanager
def site(on_silent: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Serve it; gives the address, without a slash at its end. `on_silent` is called when /silent is asked for."""
    ended = Event()
    server = _Server(("127.0.0.1", 0), partial(_Handler, ended=ended, on_silent=on_silent))
    thread = Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def page(html: str) -> dict[str, str]:
    """The step that opens a page of this text."""
    return {"goto": f"${{s.url}}/html?{quote('<!doctype html><meta charset=utf-8><title>T</title>' + html)}"}


def unused_address() -> str:
    """An address at which nothing listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    port = server.server_port
    server.server_close()
    return f"http://127.0.0.1:{port}"
