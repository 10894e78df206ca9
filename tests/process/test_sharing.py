"""Two runs of one project that are in progress at the same time use one process for what both declare as `shared`."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import Mock

import psutil
import pytest

from orchestra.ledger.lock import Holder
from orchestra.runtime.run import sharing
from orchestra.runtime.servers import watching
from orchestra.runtime.servers.lending import Lending
from orchestra.runtime.servers.up import UpRow
from tests.support.project import SuiteProject
from tests.support.servers import until

SERVER = """
import http.server, os, sys
with open("starts", "a") as file:
    file.write(f"{os.getpid()}\\n")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
SUITE = """
orchestra: 1
suite: {suite}
methods: {{cli: {{driver: command}}}}
defaults: {{requires: [web], retries: {{max: 0}}}}
health:
  seed: {{shared: true, job: {{run: [sh, -c, "echo seed >> seeds"]}}}}
  web:
    shared: true
    needs: [seed]
    service: {{run: [python, server.py, "${{port}}"], env: {{MODE: "${{env.MODE}}"}}, port_range: 18910-18930}}
    ready: {{http: {{path: /server.py}}}}
    live: {{http: {{path: /server.py}}, every_seconds: 0.2, failures: 1}}
    recover: [restart]
tests:
  HOLDS: {{command: {{argv: [sh, -c, "touch here.{suite}; while ! test -e go.{suite}; do sleep 0.05; done"]}}}}
  LAST: {{after: [HOLDS], command: {{argv: [python, -c, "{ask}", "${{web.url}}"]}}}}
"""
ASK = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/server.py')"


class Going:
    """A run under way, with what it has printed."""

    def __init__(self, project: SuiteProject, suite: str, mode: str) -> None:
        self.project, self.suite = project, suite
        self.process = project.start("run", "--suite", suite, MODE=mode)
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self.lines.append("")
            self._news.notify_all()

    def prints(self, text: str) -> None:
        """Wait until it has printed a line with a text."""
        with self._news:
            self._news.wait_for(lambda: self.lines[-1:] == [""] or any(text in line for line in self.lines))
            assert any(text in line for line in self.lines), "".join(self.lines)

    def holds(self) -> None:
        """Wait until its first test is executed."""
        while not (self.project.root / f"here.{self.suite}").exists():
            assert self.process.poll() is None, "".join(self.lines)
            time.sleep(0.02)

    def go(self) -> None:
        """Let its first test end."""
        (self.project.root / f"go.{self.suite}").touch()

    def end(self) -> int:
        """Wait for its end; its exit code."""
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join()
            assert self.process.stdout is not None
            assert self.process.stderr is not None
            self.process.stdout.close()
            self.process.stderr.close()


@pytest.fixture
def begin(project):
    (project.root / "server.py").write_text(SERVER)
    for suite in ("a", "b"):
        project.write(SUITE.format(suite=suite, ask=ASK), f"specs/{suite}.yaml")
    project.compile()
    return lambda suite, mode="x": Going(project, suite, mode)


def starts(project):
    """The processes of servers that were started."""
    return [int(line) for line in (project.root / "starts").read_text().splitlines()]


def lives(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_the_first_run_starts_it_and_ends_it_after_the_last(project, begin):
    owner = begin("a")
    owner.holds()
    user = begin("b")
    user.holds()
    assert any("is up by run " in line for line in user.lines)
    owner.go()
    owner.prints('"seed", "web" is in use by another run')
    [server] = starts(project)
    assert lives(server)
    user.go()
    assert (user.end(), owner.end()) == (0, 0)
    assert not lives(server)
    assert (project.root / "seeds").read_text() == "seed\n"


def test_two_runs_that_start_at_once(project, begin):
    runs = [begin("a"), begin("b")]
    for run in runs:
        run.holds()
    for run in runs:
        run.go()
    assert [run.end() for run in runs] == [0, 0], [run.lines for run in runs]
    assert len(starts(project)) == 1


def test_one_with_another_environment_is_not_shared(project, begin):
    runs = [begin("a"), begin("b", "y")]
    for run in runs:
        run.holds()
        run.go()
    assert [run.end() for run in runs] == [0, 0]
    assert len(starts(project)) == 2


def test_one_that_breaks_is_started_again_once_and_both_use_it(project, begin):
    runs = [begin("a"), begin("b")]
    for run in runs:
        run.holds()
    [server] = starts(project)
    os.kill(server, signal.SIGKILL)
    for run in runs:
        run.prints("recovered")
        run.go()
    assert [run.end() for run in runs] == [0, 0], [run.lines for run in runs]
    assert len(starts(project)) == 2
    assert not any("orchestra up" in line for run in runs for line in run.lines)


@pytest.mark.parametrize("by", ["`orchestra up`", "`run --all-suites`", "run 20260102T030405Z-1a2b"])
def test_the_end_of_a_borrowed_process_names_its_starter(by):
    async def gone():
        member.standing = None

    member = SimpleNamespace(standing=UpRow(state="healthy", by=by), gone=gone)
    trouble = asyncio.run(watching._death(member))
    assert trouble.reason == f"ended while tests ran; {by} had started it"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_run_whose_owner_ends_early_starts_its_own(project, begin, end):
    owner = begin("a")
    owner.holds()
    user = begin("b")
    user.holds()
    if end is signal.SIGINT:  # in the wait for the other run
        owner.go()
        owner.prints("is in use by another run")
    owner.process.send_signal(end)
    assert owner.end() == (0 if end is signal.SIGINT else -signal.SIGKILL)
    user.prints("recovered")
    user.go()
    assert user.end() == 0, user.lines
    assert len(starts(project)) == 2


def test_a_run_that_waits_for_its_users_still_lends_them_what_they_need_again(tmp_path, monkeypatch):
    """A user whose service has failed gives it back until the owner has restarted it, which may be at the end of the owner."""
    home = tmp_path / ".orchestra" / "shared"
    owner, user = ({name: Lending(home / name, Holder(1, run, "")) for name in ("seed", "web")} for run in "ab")
    for name, lending in owner.items():
        assert lending.own() is None
        lending.lend(UpRow(state="healthy", by=name))
    assert user["seed"].borrow() is not None
    monkeypatch.setattr(sharing, "lendings", lambda *_: owner)
    run = SimpleNamespace(
        root=tmp_path, home=home, plan=None, environment={}, id="a", now=datetime.now(UTC), recorder=Mock()
    )
    settled = threading.Thread(target=sharing.Sharing(run, lambda: False).settle)
    settled.start()
    until(lambda: run.recorder.add.called, "the owner waits")
    until(user["web"].borrow, "it lends the other row")
    for lending in user.values():
        lending.give_back()
    settled.join()
    assert user["web"].borrow() is None
    for lending in (*owner.values(), *user.values()):
        lending.close()
