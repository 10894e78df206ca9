"""A warm worker: one request a line on stdin, one result a line on stdout. Between them: `early_end` and
`pausing`.

Run as `python -m orchestra.runtime.worker [FILE]` by `engine.workers`. It ends when its stdin is closed, and its browser with
it; it ignores SIGINT, because the run decides what a Ctrl-C means for a test. Only the protocol is written to stdout:
what libraries print goes to stderr, which is a file of the run. FILE holds the step that it executes now, for displays.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import msgspec

from orchestra.errors import OrchestraError
from orchestra.ledger.running_step import NO_DISPLAY, StepFile
from orchestra.runtime import bounded
from orchestra.runtime import driver as drivers
from orchestra.runtime.attempt import BEGUN, WARM, AttemptFailure, Request, Result, needs_browser
from orchestra.runtime.driver.contract import Driver
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.signing_in import signed_in
from orchestra.runtime.early_end import END, EarlyEnd
from orchestra.runtime.pausing import PAUSED, REPLY, Paused
from orchestra.runtime.processes.family import Meter

_log = logging.getLogger(__name__)


class Worker:
    """Carries out requests one after the other; keeps drivers and connections between them.

    Args:
        environment: of the process.
        begun: called when the time of an attempt begins: its page is there.
        shown: gets each step at its begin.
        paused: called when an attempt waits for a person.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        begun: Callable[[], None] = lambda: None,
        shown: StepFile = NO_DISPLAY,
        paused: Callable[[Paused], None] = lambda _paused: None,
    ) -> None:
        self._environment = environment
        self._begun = begun
        self._shown = shown
        self._paused = paused
        self._drivers: dict[str, Driver] = {}
        self._http = Http(environment)
        self._meter = Meter(os.getpid())

    def answer(self, request: Request, early: EarlyEnd) -> Result:
        """Carry out one attempt, with what it used where it had a browser."""
        result = self._carry_out(request, early)
        if not needs_browser(request.test):
            return result
        return msgspec.structs.replace(result, resources=self._meter.take())

    def warm(self, request: Request) -> None:
        """Open a page as for a request, and close it. A failure is one of the attempt that needs the browser.

        A remote browser is asked for by a test alone.
        """
        with suppress(Exception):
            if needs_browser(request.test) and request.method.connect is None:
                self._driver(request).open(request).close()

    def _carry_out(self, request: Request, early: EarlyEnd) -> Result:
        """Whatever goes wrong is the result of the attempt."""
        begun = time.monotonic()
        try:
            needed = self._driver(request) if needs_browser(request.test) else None
            self._http.trust(Path(request.root), request.tls)
            return signed_in(
                request,
                needed,
                self._http,
                self._environment,
                early=early,
                begun=self._begun,
                shown=self._shown,
                paused=self._paused,
            )
        except OrchestraError as error:  # a plug-in that cannot be loaded
            failure = AttemptFailure("setup", error.message, hint=error.hint)
            return Result(request.task, request.attempt, "error", time.monotonic() - begun, failure)
        except Exception as error:  # noqa: BLE001 - a bug of ours ends this attempt, not the worker
            _log.exception("%s", request.task)
            self._forget()
            failure = AttemptFailure("crash", f"the worker failed: {type(error).__name__}: {error}")
            return Result(request.task, request.attempt, "error", time.monotonic() - begun, failure)
        finally:
            self._shown.show(None)

    def _forget(self) -> None:
        """Let go of the drivers: what they hold may have died with Playwright's own process; the next attempt has new ones."""
        for driver in self._drivers.values():
            with suppress(Exception):
                driver.close()
        self._drivers.clear()

    def _driver(self, request: Request) -> Driver:
        name = request.method.driver
        if name not in self._drivers:
            self._drivers[name] = drivers.load(request.method, self._environment, request.root)
        return self._drivers[name]

    def close(self) -> None:
        """End every browser."""
        for driver in self._drivers.values():
            driver.close()
        self._http.close()
        bounded.close()


def _read(lines: IO[bytes], requests: SimpleQueue[tuple[bytes, EarlyEnd] | None]) -> None:
    """Hand on requests, and what is for the latest of them, the only one, for its answer is awaited: its end, or a reply."""
    latest = EarlyEnd()
    for line in lines:
        if line.strip() == END:
            latest.now()
        elif line.startswith(REPLY):
            latest.replies.put(line.removeprefix(REPLY))
        else:
            latest = EarlyEnd()
            requests.put((line, latest))
    requests.put(None)


def _take(number: int, mode: str, stand_in: int) -> IO[bytes]:
    """Return the file of a standard stream, for the protocol alone; `stand_in` takes its place."""
    own = os.fdopen(os.dup(number), mode)
    os.dup2(stand_in, number)
    return own


def main() -> int:
    """Serve until stdin is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)  # what it and its browser write is evidence of a page, or a copy of one
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    nothing = os.open(os.devnull, os.O_RDONLY)
    lines, results = _take(0, "rb", nothing), _take(1, "wb", 2)
    os.close(nothing)
    requests: SimpleQueue[tuple[bytes, EarlyEnd] | None] = SimpleQueue()
    threading.Thread(target=_read, args=(lines, requests), name="requests", daemon=True).start()

    def tell(line: bytes) -> None:
        results.write(line + b"\n")
        results.flush()

    shown = StepFile(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    worker = Worker(os.environ, lambda: tell(BEGUN), shown, lambda paused: tell(PAUSED + msgspec.json.encode(paused)))
    try:
        while (asked := requests.get()) is not None:
            line, early = asked
            request = msgspec.json.decode(line.removeprefix(WARM), type=Request)
            if line.startswith(WARM):
                worker.warm(request)
            else:
                tell(msgspec.json.encode(worker.answer(request, early)))
    finally:
        worker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
