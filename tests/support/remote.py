"""A server of browsers, as `playwright run-server` starts it, that a test may stop, kill and start again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import quote

import psutil

from orchestra.runtime.browsers.finder import Browser

RUN = ("-m", "playwright", "run-server")


def query(browser: Browser) -> str:
    """The query by which the server starts this browser and not one of Playwright's own, which few machines have."""
    return f"launch-options={quote(json.dumps({'executablePath': browser.executable}))}"


class BrowserServer:
    """A server on a port of its own.

    Args:
        browser: that it gives.
        words: its command line, up to its options.
    """

    def __init__(self, browser: Browser, words: Sequence[str] = (sys.executable, *RUN)) -> None:
        self._browser, self._words = browser, words
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        """The address by which it gives the browser."""
        return f"ws://127.0.0.1:{self._port}/?{query(self._browser)}"

    def start(self) -> None:
        """Start it; the second time on the same port."""
        self._process = subprocess.Popen(
            [*self._words, "--host", "127.0.0.1", "--port", str(self._port), "--unsafe"],
            env={**os.environ, **dict(self._browser.env)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for line in self._process.stdout:
            if found := re.search(r"ws://[^:]+:(\d+)", line):
                self._port = int(found[1])
                return
        raise AssertionError("the server of browsers did not start")

    def _tell(self, number: signal.Signals) -> None:
        own = psutil.Process(self._process.pid)
        for one in [own, *own.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # a browser that has just ended
                one.send_signal(number)

    def kill(self) -> None:
        """End it at once, with its browsers."""
        self._tell(signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()

    def freeze(self) -> None:
        """Let it answer nothing."""
        self._tell(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._tell(signal.SIGCONT)

    def close(self) -> None:
        """End it, if it runs."""
        with self._process as process:
            if process.poll() is None:
                self.kill()


@contextmanager
def browser_server(*arguments: object) -> Iterator[BrowserServer]:
    """A server that ends with the block."""
    server = BrowserServer(*arguments)
    try:
        yield server
    finally:
        server.close()
