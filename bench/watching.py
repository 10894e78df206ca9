"""`orchestra run --watch`: from a save to the first step, against a compile and the start of a context.

python -m bench watching

The first step opens a page, and its server notes when it is asked for it. In turn with each save `orchestra compile` of a suite
that has the same change is timed, and a context with a page in a browser that is warm.
"""

from __future__ import annotations

import os
import pty
import select
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue

from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import sync_playwright

from bench.measure import ORCHESTRA, BenchmarkError, environment, table
from orchestra.runtime.browsers.finder import Browser, find, launch_options

LIMIT = 1.5
_PATIENCE_SECONDS = 120.0

PERSON_SECONDS = 1.0
"""The time from the end of a run to the next save: no person saves in the same moment, and the spare worker opens its browser."""

_SPEC = """\
orchestra: 1
suite: watched
methods: {{cli: {{driver: playwright, workers: 1}}}}
tests:
  first: {{title: Change {number}, steps: [goto: "{url}", expect: {{text: Page, to: {{be: visible}}}}]}}
"""


@contextmanager
def _asked() -> Iterator[tuple[str, Queue[float]]]:
    """Serve a page, and note when it is asked for."""
    times: Queue[float] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                times.put(time.perf_counter())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<title>Page</title><p>Page")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", times
    finally:
        server.shutdown()
        server.server_close()


class _Watched:
    """A run that watches the files of a project, in a terminal."""

    def __init__(self, root: Path) -> None:
        self._master, slave = pty.openpty()
        argv = [*ORCHESTRA, "run", "--watch", "--force"]
        env = environment({"TERM": "dumb"})
        self._process = subprocess.Popen(argv, cwd=root, env=env, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self._shown = b""

    def ready(self, number: int) -> None:
        """Wait until it has run a change, and waits for the next: a spec that is read half written is a mistake meanwhile."""
        due = time.monotonic() + _PATIENCE_SECONDS
        while b"q quit" not in self._shown.partition(f"Change {number} ".encode())[2]:
            if not select.select([self._master], [], [], max(0.0, due - time.monotonic()))[0]:
                raise BenchmarkError(f"`orchestra run --watch` printed {self._shown.decode(errors='replace')}")
            self._shown += os.read(self._master, 65536)
        self._shown = b""

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            os.write(self._master, b"q")
            self._process.wait(timeout=_PATIENCE_SECONDS)
        os.close(self._master)


def _project(root: Path, url: str) -> Path:
    (root / "specs").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[tool.orchestra]\n")
    _save(root, url, 0)
    subprocess.run([*ORCHESTRA, "compile"], cwd=root, env=environment({}), capture_output=True, check=True)
    return root


def _save(root: Path, url: str, number: int) -> None:
    (root / "specs" / "watched.yaml").write_text(_SPEC.format(url=url, number=number))


def _answer(times: Queue[float]) -> float:
    try:
        return times.get(timeout=_PATIENCE_SECONDS)
    except Empty:
        raise BenchmarkError("the first step did not come") from None


def run(rounds: int = 15) -> str:
    """Return the table and the ratio."""
    found = find("chromium", os.environ)
    if not isinstance(found, Browser):
        raise BenchmarkError(found.text())
    with _asked() as (url, times), tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        watched, other = _project(Path(folder) / "watched", url), _project(Path(folder) / "other", url)
        browser = playwright.chromium.launch(**launch_options(found, os.environ))
        shown = _Watched(watched)
        taken: dict[str, list[float]] = {"from a save to the first step": [], "orchestra compile": [], "a context": []}
        try:
            shown.ready(0)
            _answer(times)
            for number in range(1, rounds + 2):
                row = (_from_save(shown, watched, url, times, number), _compile(other, url, number), _context(browser))
                if number > 1:  # the first round fills caches
                    for name, seconds in zip(taken, row, strict=True):
                        taken[name].append(seconds)
        finally:
            shown.close()
    medians = {name: statistics.median(row) for name, row in taken.items()}
    rows = [(name, f"{1000 * seconds:.0f}") for name, seconds in medians.items()]
    save, compiled, context = medians.values()
    times_base = save / (compiled + context)
    held = "held" if times_base <= LIMIT else "MISSED"
    figure = ("from a save to the first step, x compile and context", f"{times_base:.2f}", f"<= {LIMIT:g}", held)
    return "\n".join((table("Watch", ("time", "ms"), rows), table("Watch", ("figure", "wall", "limit", ""), [figure])))


def _from_save(shown: _Watched, root: Path, url: str, times: Queue[float], number: int) -> float:
    time.sleep(PERSON_SECONDS)
    begun = time.perf_counter()
    _save(root, url, number)
    seconds = _answer(times) - begun
    shown.ready(number)
    return seconds


def _compile(root: Path, url: str, number: int) -> float:
    _save(root, url, number)
    begun = time.perf_counter()
    subprocess.run([*ORCHESTRA, "compile"], cwd=root, env=environment({}), capture_output=True, check=True)
    return time.perf_counter() - begun


def _context(browser: PlaywrightBrowser) -> float:
    begun = time.perf_counter()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.new_page()
    seconds = time.perf_counter() - begun
    context.close()
    return seconds
