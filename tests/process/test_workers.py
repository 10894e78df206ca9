"""The engine's side of a worker: one that reads nothing or does not start holds up nobody."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from playwright._impl._driver import compute_driver_executable

from orchestra.runtime import interpreter
from orchestra.runtime.attempt import BEGUN, most_seconds
from orchestra.runtime.engine import spare
from orchestra.runtime.engine.outbox import Outbox
from orchestra.runtime.engine.workers import KILL_SECONDS, START_SECONDS, Workers
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.reaper import Reaper
from tests.support.requests import request
from tests.support.servers import until

IDLE = "import time; time.sleep(1000)"
BEGINS = f"import sys, time; sys.stdin.readline(); print({BEGUN.decode()!r}, flush=True); time.sleep(1000)"


@pytest.fixture
def clock():
    return Clock()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(tmp_path, clock, monkeypatch):
    """Workers whose program is `program`."""
    reaper = Reaper.start(f"workers-{os.getpid()}")
    made = Workers(
        os.environ,
        root=tmp_path,
        logs=tmp_path / "logs",
        mark=f"workers-{os.getpid()}",
        reaper=reaper,
        wake=lambda: None,
        masks=Masks((), {}),
        clock=clock,
    )
    yield made
    made.close()
    reaper.close()


def program(monkeypatch, code: str) -> None:
    monkeypatch.setattr(interpreter, "own", lambda _: [sys.executable, "-c", code])


def test_a_worker_that_does_not_start_is_ended(engine, clock, monkeypatch, tmp_path):
    program(monkeypatch, IDLE)
    engine.start(request(tmp_path, [{"set": {"a": 1}}], timeout_seconds=5))
    assert engine.due() == START_SECONDS
    clock.now = START_SECONDS - 1
    assert engine.collect() == []
    clock.now = START_SECONDS
    [result] = engine.collect()
    assert (result.outcome, result.failure.kind) == ("error", "crash")
    assert result.failure.message == "the worker and its browser did not start within 120 s, and were ended"
    assert engine.due() is None


def test_the_time_of_an_attempt_begins_when_its_page_is_there(engine, clock, monkeypatch, tmp_path):
    program(monkeypatch, BEGINS)
    asked = request(tmp_path, [{"set": {"a": 1}}], timeout_seconds=5, last=[{"set": {"b": 1}}])
    engine.start(asked)
    until(lambda: engine.collect() or engine.due() != START_SECONDS, "the line")
    assert most_seconds(asked.test) == 5 + 5 + 10
    assert engine.due() == most_seconds(asked.test) - KILL_SECONDS
    clock.now = engine.due()
    [result] = engine.collect()
    assert (result.outcome, result.failure.message) == (
        "timeout",
        "the worker did not answer within 18 s and was ended with its browser",
    )


def test_what_a_worker_does_not_read_is_waited_for_by_nobody():
    code = "import sys, time; time.sleep(1); print(len(sys.stdin.buffer.readline()), sys.stdin.readline().strip())"
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        outbox = Outbox(process.stdin)
        outbox.send(b"x" * 5_000_000 + b"\n")
        outbox.send(b"end\n")
        assert process.poll() is None, "it has read nothing yet"
        assert process.stdout.readline() == b"5000001 end\n"
        outbox.close()


def test_no_spare_worker_writes_over_a_link_out_of_the_records(tmp_path, monkeypatch):
    program(monkeypatch, IDLE)
    home, outside, kind = tmp_path / ".orchestra" / "s" / "watched", tmp_path / "outside", ("cli", "")
    for folder in (outside, home.parent):
        folder.mkdir(parents=True)
    home.symlink_to(outside)
    spares = spare.Spares(tmp_path, home)
    spares.prepare(kind, os.environ, request(tmp_path, [{"set": {"a": 1}}]))
    assert spares.take(kind, os.environ) is None
    assert list(outside.iterdir()) == []
    home.unlink()
    spares.prepare(kind, os.environ, request(tmp_path, [{"set": {"a": 1}}]))
    assert [path.name for path in home.iterdir()] == ["spare-2.step"]
    spares.close()
    assert list(home.iterdir()) == []


def test_what_is_sent_to_nobody_is_an_error():
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE) as process:
        process.wait()
        outbox = Outbox(process.stdin)
        with pytest.raises(BrokenPipeError):
            outbox.send(b"x")
        outbox.close()
        outbox.close()


@pytest.mark.parametrize(
    "given, options",
    [
        ("", "--max-old-space-size=1024 --max-semi-space-size=16"),
        ("--trace-warnings", "--trace-warnings --max-old-space-size=1024 --max-semi-space-size=16"),
        ("--max-old-space-size=4096", "--max-old-space-size=4096 --max-semi-space-size=16"),
        ("--max_semi_space_size=64", "--max_semi_space_size=64 --max-old-space-size=1024"),
        ("--max_old_space_size=4096 --max-semi-space-size=64", None),
    ],
)
def test_node_has_limits_except_those_that_the_user_has_set(given, options):
    assert spare._heap({"NODE_OPTIONS": given} if given else {}).get("NODE_OPTIONS") == options


def test_node_takes_its_limits():
    node, _ = compute_driver_executable()
    argv = [node, "-p", "require('v8').getHeapStatistics().heap_size_limit / 2 ** 20"]
    environment = {**os.environ, **spare._heap({})}
    found = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert found.stderr == ""
    new = 3 * spare.YOUNG_MEGABYTES  # both halves, and as much for large objects
    assert float(found.stdout) == spare.HEAP_MEGABYTES + new
