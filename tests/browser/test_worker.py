"""The worker as the engine starts it: a process with pipes, its protocol, its browser, and what is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec
import psutil
import pytest

from orchestra.runtime.attempt import BEGUN, Result
from orchestra.runtime.engine.spare import Spares
from orchestra.runtime.engine.workers import Workers
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.reaper import Reaper
from tests.support.nights import at_night
from tests.support.requests import request
from tests.support.servers import until
from tests.support.site import site

OPEN = {"goto": "${s.url}/steps.html"}
FINE = [OPEN, {"expect": {"css": "h1", "to": {"be": "visible"}}}]


class Worker:
    """A worker process, spoken to by lines."""

    def __init__(self, log):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestra.runtime.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )

    def send(self, asked) -> None:
        self.process.stdin.write(msgspec.json.encode(asked) + b"\n")
        self.process.stdin.flush()

    def read(self) -> Result:
        line = self.process.stdout.readline()
        if line.strip() == BEGUN:
            line = self.process.stdout.readline()
        return msgspec.json.decode(line, type=Result)

    def ask(self, asked) -> Result:
        self.send(asked)
        return self.read()

    def tree(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def launched(self) -> list[psutil.Process]:
        """What Playwright's own process has started: the browser, or a script that starts it."""
        return [found for child in psutil.Process(self.process.pid).children() for found in child.children()]

    def browsers(self) -> list[psutil.Process]:
        """The browser with all its parts."""
        return [found for one in self.launched() for found in [one, *one.children(recursive=True)]]

    def renderers(self) -> list[psutil.Process]:
        """The processes in which pages live."""
        return [one for one in self.tree() if "--type=renderer" in " ".join(one.cmdline())]


@pytest.fixture
def worker(tmp_path):
    with (tmp_path / "worker.log").open("wb") as log:
        started = Worker(log)
    yield started
    with started.process as process:
        if process.poll() is None:
            tree = started.tree()
            process.kill()
            for left in tree:
                with suppress(psutil.NoSuchProcess):
                    left.kill()


@pytest.fixture(scope="module")
def names():
    with site() as url:
        yield {"s.url": url}


def gone(tree) -> bool:
    _, alive = psutil.wait_procs(tree, timeout=30)
    return all(one.status() == psutil.STATUS_ZOMBIE for one in alive)


def test_requests_are_answered_in_order_and_the_end_of_stdin_ends_it(worker, tmp_path, names):
    for number in range(3):
        result = worker.ask(request(tmp_path, [{"http": {"GET": f"/status/20{number}", "base": "s"}}], names=names))
        assert (result.task, result.attempt, result.outcome) == ("cli:T1", 1, "passed")
    assert worker.tree() == []  # no browser for requests
    worker.process.stdin.close()
    assert worker.process.wait(30) == 0
    assert worker.process.stdout.read() == b""


def test_sigint_is_the_runs_business_and_sigterm_ends_it(worker, tmp_path, names):
    worker.ask(request(tmp_path, [{"set": {"a": 1}}]))
    worker.process.send_signal(signal.SIGINT)
    assert worker.ask(request(tmp_path, [{"set": {"a": 1}}])).outcome == "passed"
    worker.process.terminate()
    assert worker.process.wait(30) == -signal.SIGTERM


def test_a_driver_without_pages_costs_one_attempt(worker, tmp_path):
    result = worker.ask(request(tmp_path, ["reload"], driver="http"))
    assert (result.outcome, result.failure.kind) == ("error", "setup")
    assert 'the driver "http" carries out no steps' in result.failure.message, result.failure
    assert worker.ask(request(tmp_path, [{"set": {"a": 1}}])).outcome == "passed"


@pytest.mark.browser
def test_one_worker_serves_on_whatever_becomes_of_its_browser_and_leaves_nothing(worker, tmp_path, names, chromium):
    """One worker for all, as in a run: it stays warm, its browser is killed, another is asked for, and it ends."""
    asked = request(tmp_path, FINE, browser=chromium, names=names)
    first = worker.ask(asked)
    assert first.outcome == "passed", first.failure
    before = worker.launched()
    assert before
    assert worker.ask(asked).outcome == "passed"
    assert worker.launched() == before, "it stays warm"
    a_browser_killed_between_tests_is_no_failure(worker, asked)
    for victims, message in (
        ("browsers", "the browser died in this step"),
        ("renderers", "the page crashed in this step"),
    ):
        what_is_killed_in_a_test_is_a_crash(worker, tmp_path, chromium, victims, message)
        assert worker.ask(asked).outcome == "passed", victims
    another_browser_takes_the_place_of_the_first(worker, tmp_path, names, chromium)
    tree = worker.tree()
    worker.process.stdin.close()
    assert worker.process.wait(30) == 0
    assert gone(tree)


def another_browser_takes_the_place_of_the_first(worker, tmp_path, names, chromium) -> None:
    before = worker.browsers()
    other = type(chromium)(
        chromium.engine, chromium.executable, chromium.channel, (*chromium.args, "--mute-audio"), chromium.env, "", ""
    )
    assert worker.ask(request(tmp_path, FINE, browser=other, names=names)).outcome == "passed"
    assert gone(before)
    assert not set(worker.browsers()) & set(before)


def what_is_killed_in_a_test_is_a_crash(worker, tmp_path, chromium, victims, message) -> None:
    # The test itself says when it is under way: the page asks the site, and waits for an answer that never comes.
    asked = threading.Event()
    with site(on_silent=asked.set) as url:
        hangs = [OPEN, {"evaluate": "() => fetch('/silent').then(() => 1)"}]
        worker.send(request(tmp_path, hangs, browser=chromium, names={"s.url": url}, last=[{"set": {"a": 1}}]))
        assert asked.wait(60)
        for victim in getattr(worker, victims)():
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        result = worker.read()
    assert (result.outcome, result.failure.kind) == ("error", "crash"), result.failure
    assert (result.failure.message, result.failure.section, result.failure.step) == (message, "steps", 1)
    assert [(step.section, step.outcome) for step in result.steps] == [
        ("steps", "passed"),
        ("steps", "error"),
        ("finally", "passed"),
    ]


def a_browser_killed_between_tests_is_no_failure(worker, asked) -> None:
    killed = worker.browsers()
    for browser in killed:
        with suppress(psutil.NoSuchProcess):
            browser.kill()
    assert gone(killed)
    result = worker.ask(asked)
    assert result.outcome == "passed", result.failure


@pytest.mark.browser
@pytest.mark.parametrize("number", [at_night(signal.SIGTERM), signal.SIGKILL])
def test_a_worker_that_is_ended_takes_its_browser_along(worker, tmp_path, names, chromium, number):
    worker.ask(request(tmp_path, FINE, browser=chromium, names=names))
    tree = worker.tree()
    assert tree
    os.kill(worker.process.pid, number)
    worker.process.wait(30)
    assert gone(tree)


def words_of(process: psutil.Process) -> list[str]:
    """Return the command line of a process; of one that has ended, which another test left, there is none."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


# The spare worker of a method asks its driver to open; at night the one without a server, too.
@pytest.mark.parametrize("driver", [at_night("playwright"), "mcp"])
def test_a_spare_worker_has_its_browser_open_and_serves_the_next_run(driver, tmp_path, chromium):
    mark, spares, ours = f"spare-{os.getpid()}", Spares(tmp_path, tmp_path / "watched"), psutil.Process()
    reaper = Reaper.start(mark)

    def run(
        name: str, environment: dict[str, str], first: Callable[[Workers], object] = lambda _: None
    ) -> tuple[str, int]:
        """Carry out a test, and return its outcome and the process of its worker."""
        (folder := tmp_path / name).mkdir()
        made = Workers(
            environment,
            root=tmp_path,
            logs=folder,
            mark=mark,
            reaper=reaper,
            wake=lambda: None,
            masks=Masks(("TOKEN",), {"TOKEN": "a-secret-value"}),
            spares=spares,
        )
        results: list[Result] = []
        steps = [{"goto": "data:text/html,<h1>Hello</h1>"}, {"expect": {"css": "h1", "to": {"be": "visible"}}}]
        made.start(request(folder, steps, browser=chromium, driver=driver))
        [[pid]] = made.roots().values()
        until(lambda: results.extend(made.collect()) or results, "the result")
        assert "expect" in (folder / "worker-1.step").read_text(), "the last step that it has shown"
        made.close()
        assert (folder / "worker-1.log").exists()
        assert [path.name for path in folder.glob("*.step")] == []
        return results[0].outcome, pid

    def spare_processes() -> list[psutil.Process]:
        """Those whose command line can be read: it cannot while a process begins or ends."""
        return [one for one in ours.children() if str(tmp_path / "watched") in "".join(words_of(one)[-1:])]

    def spare() -> psutil.Process:
        """The spare worker, once its browser is there."""
        until(lambda: len(spare_processes()) == 1, "the spare worker")
        [process] = spare_processes()
        until(
            lambda: any("chrom" in word for one in process.children(recursive=True) for word in words_of(one)),
            "its browser",
        )
        return process

    try:
        assert run("first", dict(os.environ))[0] == "passed"
        kept = spare()
        assert run("second", dict(os.environ)) == ("passed", kept.pid)
        other = spare()
        outcome, pid = run("third", {**os.environ, "OTHER": "1"})
        assert (outcome, pid != other.pid, other.is_running()) == ("passed", True, False)
        last = spare()
    finally:
        spares.close()
        reaper.close()
    assert not last.is_running()
    assert list((tmp_path / "watched").iterdir()) == []
