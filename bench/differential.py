"""Both browser methods, and plain Playwright as the third, on programs that are generated: all are to do the same.

    python -m bench.differential [--minutes N] [--seed N] [--examples N]

A program is a page of widgets and a few steps (`tests.support.programs`). Each method carries it out as in a run; then
the page's state is compared: fields, events, texts, focus. A difference counts when it comes three times in a row. It
is made as small as hypothesis can and printed as a page and steps. The same seed gives the same programs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from playwright.sync_api import sync_playwright

from bench.measure import table
from orchestra.plan import Method
from orchestra.runtime import driver as drivers
from orchestra.runtime.attempt import Result
from orchestra.runtime.browsers.finder import Browser, find
from orchestra.runtime.driver.http import Http
from orchestra.runtime.driver.sections import carry_out
from tests.support.plain import Plain
from tests.support.programs import STATE, Program, programs
from tests.support.requests import request

ROUNDS = 3
METHODS = ("playwright", "mcp")
PLAIN = "plain"
SETTLE_MS = 250
BATCH = 50
_OTHER = b"<!doctype html><title>Other</title><p>other</p>"


class _Handler(BaseHTTPRequestHandler):
    """Serve the page of the program under way, and take the state that each method leaves."""

    def __init__(self, board: Board, *args: Any) -> None:
        self._board = board
        super().__init__(*args)

    def do_GET(self) -> None:
        pages = {"/other": _OTHER, "/file": b"kept", "/favicon.ico": b""}
        body = pages.get(self.path, self._board.page.encode())
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        self._board.states[self.path.rpartition("/")[2]] = self.rfile.read(length).decode()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Board:
    """The state of the site, and its requests by method."""

    page: str = ""
    states: dict[str, str] = field(default_factory=dict)


@contextmanager
def served() -> Iterator[tuple[str, Board]]:
    """Serve a board at an address."""
    board = Board()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, board))
    server.daemon_threads = True
    thread = Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", board
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def last_script(address: str, name: str) -> str:
    """Return the script that sends the state of the page, once what it does late is done."""
    sends = f"fetch('{address}/state/{name}', {{method: 'POST', mode: 'no-cors', body: JSON.stringify(({STATE})())}})"
    settles = f"await new Promise((done) => setTimeout(done, {SETTLE_MS}))"
    return f"async () => {{ {settles}; if (location.protocol === 'http:') await {sends} }}"


@dataclass(frozen=True)
class Outcome:
    """The result of a program by one method: the failed step, its failure, and the state of the page."""

    step: int | None
    fault: str
    state: str
    message: str = field(default="", compare=False)

    def against(self, other: Outcome) -> bool:
        """Return whether plain Playwright and a method did the same; it has no kinds of faults."""
        return (self.step, self.state) == (other.step, other.state)


class Trio:
    """The three, warm. `differs` carries out a program by each."""

    def __init__(
        self, folder: Path, browser: Browser, playwright: Any, address: str, board: Board, end: float = math.inf
    ) -> None:
        self._end = end
        self._folder, self._browser, self._address, self._board = folder, browser, address, board
        self._warm = {name: (drivers.load(Method(name, "", name), os.environ, folder), Http()) for name in METHODS}
        self._plain = Plain(playwright, browser, dict(os.environ))
        self._threads = {name: ThreadPoolExecutor(1) for name in METHODS}
        self._count = 0
        self._known: dict[str, str] = {}
        self.tally: Counter[str] = Counter()
        self.passing: list[str] = []
        self.verbs: Counter[str] = Counter()

    def _folder_of(self, name: str) -> Path:
        folder = self._folder / f"{self._count}-{name}"
        folder.mkdir()
        for file in ("a.txt", "b.txt"):
            (folder / file).write_text(file, encoding="utf-8")
        return folder

    def _carry_out(self, name: str, program: Program) -> Result:
        said = [{"goto": f"{self._address}/other"}, {"goto": f"{self._address}/"}, *program.steps]
        last = [{"evaluate": last_script(self._address, name)}]
        asked = request(self._folder_of(name), said, browser=self._browser, driver=name, last=last)
        return carry_out(asked, *self._warm[name])

    def outcomes(self, program: Program) -> dict[str, Outcome]:
        """Carry out a program by each of the three, at once."""
        self._count += 1
        self._board.page, self._board.states = program.page(), {}
        begun = {name: self._threads[name].submit(self._carry_out, name, program) for name in METHODS}
        steps, last = program.steps, last_script(self._address, PLAIN)
        step, message = self._plain.run(self._folder_of(PLAIN), self._address, steps, last)
        made = {PLAIN: Outcome(step, "", self._board.states.get(PLAIN, ""), message)}
        for name in METHODS:
            result = begun[name].result()
            failure = result.failure
            at = None
            if failure is not None:
                at = failure.step - 2 if failure.section == "steps" and failure.step is not None else -1
            fault = "" if failure is None else f"{result.outcome} {failure.kind}"
            text = "" if failure is None else failure.message
            made[name] = Outcome(at, fault, self._board.states.get(name, ""), text)
        return made

    def differs(self, program: Program) -> str:
        """Return how they differ, `ROUNDS` times in a row; empty when they do not. A program is carried out once."""
        key = repr(program)
        if key not in self._known:
            self._known[key] = "" if time.monotonic() > self._end else self._differs(program)
        return self._known[key]

    def _differs(self, program: Program) -> str:
        self.tally["programs"] += 1
        self.tally["steps"] += len(program.steps)
        self.verbs.update(verb for step in program.steps for verb in step)
        difference = ""
        for _ in range(ROUNDS):
            made = self.outcomes(program)
            ours, theirs, plain = (made[name] for name in (*METHODS, PLAIN))
            if ours == theirs and ours.against(plain):
                if difference:
                    self.tally["differences that did not come again"] += 1
                    self.passing.append(described(program, difference))
                self.tally["programs in which a step failed"] += ours.step is not None
                return ""
            difference = "\n".join(f"{name:>10}: {outcome}" for name, outcome in made.items())
        self.tally["programs that differ, made smaller or not"] += 1
        return difference

    def close(self) -> None:
        """End browsers, server and threads."""
        self._plain.close()
        for name, (warm, http) in self._warm.items():
            self._threads[name].submit(warm.close).result()
            self._threads[name].shutdown()
            http.close()


@contextmanager
def trio(browser: Browser, end: float = math.inf) -> Iterator[Trio]:
    """Start the three; after the time `end` they carry out nothing more."""
    with tempfile.TemporaryDirectory() as folder, served() as (address, board), sync_playwright() as playwright:
        three = Trio(Path(folder), browser, playwright, address, board, end)
        try:
            yield three
        finally:
            three.close()


def described(program: Program, difference: str) -> str:
    """Return a program and its outcomes as text."""
    return f"{program.body}\n{json.dumps(program.steps, ensure_ascii=False)}\n{difference}"


class DifferenceError(AssertionError):
    """A program by which the three differ."""


def search(three: Trio, examples: int, number: int | None = None) -> None:
    """Carry out so many programs.

    Args:
        three: what carries them out.
        examples: how many.
        number: the seed; the same programs each time without one.

    Raises:
        DifferenceError: with the smallest program by which they differ.
    """

    def compare(program: Program) -> None:
        difference = three.differs(program)
        if difference:
            raise DifferenceError(described(program, difference))

    checked = given(programs())(compare)
    if number is not None:
        checked = seed(number)(checked)
    settings(
        max_examples=examples,
        derandomize=number is None,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )(checked)()


def main(words: list[str]) -> int:
    """Search until the time is over; 1 when a difference was seen."""
    parser = argparse.ArgumentParser(prog="python -m bench.differential", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=BATCH, help="programs of a seed, before the next")
    options = parser.parse_args(words)
    browser = find("chromium", os.environ)
    if not isinstance(browser, Browser):
        print(browser.text(), file=sys.stderr)
        return 3
    end, number, seen = time.monotonic() + options.minutes * 60, options.seed, 0
    with trio(browser, end) as three:
        while time.monotonic() < end:
            try:
                search(three, options.examples, number)
            except DifferenceError as difference:
                seen += 1
                print(f"seed {number}: {difference}\n", flush=True)
            for text in three.passing:
                print(f"seed {number}, did not come again: {text}\n", flush=True)
            three.passing.clear()
            print(f"after seed {number}: {dict(three.tally)}", file=sys.stderr, flush=True)
            number += 1
        rows = [(name, str(count)) for name, count in sorted(three.tally.items())]
        rows.append(("differences, each the smallest of its seed", str(seen)))
        print(table("Differential fuzzing", ("figure", "count"), rows))
        print(table("Steps by verb", ("verb", "count"), [(verb, str(n)) for verb, n in three.verbs.most_common()]))
    return min(seen, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
