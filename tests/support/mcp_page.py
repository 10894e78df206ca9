"""A page whose scripts can make things happen to the processes behind it, and the session under test."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import psutil

from orchestra.ledger.event import SessionChanged
from orchestra.plan import Method
from orchestra.runtime.attempt import Request, Result
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.mcp.driver import McpDriver
from orchestra.runtime.driver.sections import carry_out
from tests.support.requests import request

PAGE = """<!doctype html><meta charset="utf-8"><title>Ground</title><link rel="icon" href="data:,">
<h1>Ground</h1><p data-testid="log"></p><p data-testid="count">0</p>
<button onclick="did('click'); fetch('/do/' + location.hash.slice(1))">Do</button>
<button onclick="did('plain')">Plain</button>
<button onclick="setTimeout(() => later('there'), 700); fetch('/do/' + location.hash.slice(1))">Later</button>
<button onclick="setTimeout(() => alert('left open'), 200)">Alert soon</button>
<button onclick="window.open('/page')">Window</button>
<button onclick="setTimeout(() => { for (;;) {} }, 50)">Hang</button>
<script>
const did = (text) => { document.querySelector('[data-testid=log]').textContent += text + ';'; };
const later = (text) => document.body.insertAdjacentHTML('beforeend', `<p data-testid="late">${text}</p>`);
</script>"""


class Ground:
    """The site, and what its page can do.

    Attributes:
        url: of the page.
        deeds: name to what happens when the page asks for `/do/NAME`.
        done: the names asked for, in order.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/page"
        self.other = f"http://localhost:{port}/page"
        self.deeds: dict[str, Callable[[], None]] = {}
        self.done: list[str] = []

    def do(self, name: str) -> None:
        """What the page asked for; each deed once."""
        self.done.append(name)
        deed = self.deeds.pop(name, None)
        if deed is not None:
            deed()


@contextmanager
def ground() -> Iterator[Ground]:
    """Serve the page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/do/"):
                here.do(self.path.removeprefix("/do/"))
            body = PAGE.encode() if self.path.startswith("/page") else b"{}"
            self.send_response(200)
            self.send_header("content-type", "text/html" if self.path.startswith("/page") else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here = Ground(server.server_port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_SHELLS = {"bash", "dash", "sh"}


class Started:
    """The processes of the browsers that are started after its construction: a worker may have others, for other tests."""

    def __init__(self) -> None:
        self._before = set(psutil.Process().children(recursive=True))

    def _commands(self) -> Iterator[tuple[psutil.Process, list[str]]]:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if process not in self._before:
                    yield process, process.cmdline()

    def renderers(self) -> list[psutil.Process]:
        """The processes in which pages run."""
        return [process for process, words in self._commands() if "--type=renderer" in words]

    def browser_process(self) -> psutil.Process:
        """Chromium's own process, of the only one that runs; where a shell script starts it, not the shell."""
        found = [
            process
            for process, words in self._commands()
            if any(word.startswith("--remote-debugging") for word in words)
            and not any(word.startswith("--type=") for word in words)
            and Path(process.exe()).name not in _SHELLS
        ]
        return min(found, key=lambda process: len(process.parents()))  # a child that it forks has its words at first


class Ran:
    """Tests through one driver, each in a folder of its own."""

    def __init__(self, driver: McpDriver, folder: Path, chromium, names: dict[str, str], started: Started) -> None:
        self.driver = driver
        self.renderers, self.browser_process = started.renderers, started.browser_process
        self.folder = folder
        self.count = 0
        self._chromium = chromium
        self._names = names
        self._http = Http()

    def __call__(self, *said, reset: str = "storage", poll: float = 10.0, **options) -> Result:
        self.count += 1
        self.at = self.folder / str(self.count)
        self.at.mkdir()
        given = {"browser": self._chromium, "names": self._names, **options}
        asked: Request = request(self.at, said, driver="mcp", **given)
        method = Method("mcp", "MCP", "mcp", single_session=True, reset=reset, poll_seconds=poll)
        return carry_out(msgspec.structs.replace(asked, method=method), self.driver, self._http)

    @property
    def server_pid(self) -> int:
        """The MCP server's process."""
        return self.driver.session.server.pid

    def close_page(self) -> None:
        session = self.driver.session
        session._loop.run(session.browser.page.close(), 10)

    def kill_server(self) -> None:
        os.kill(self.server_pid, signal.SIGKILL)

    def stop_server(self) -> None:
        os.kill(self.server_pid, signal.SIGSTOP)

    def lines(self) -> list[dict]:
        """The calls of the last test, if it kept them."""
        return [json.loads(line) for line in (self.at / "mcp.jsonl").read_text().splitlines()]

    def session(self, result: Result) -> SessionChanged | None:
        return result.session
