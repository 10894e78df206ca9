"""Advice of real runs."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from orchestra.ledger import history
from orchestra.ledger.run_record import Attempt, Execution
from orchestra.report.advice.quicker import ENOUGH
from orchestra.report.rows import Report, Row
from tests.support.project import SuiteProject


def report(seconds: dict[str, float], **more) -> Report:
    rows = tuple(
        Row(task, task.partition(":")[2], "", "", task.partition(":")[0], "passed", seconds=taken, attempts=1)
        for task, taken in seconds.items()
    )
    return Report("s", "The suite", ("cli",), rows, seconds=60.0, exit_code=0, **more)


def test_a_run_gives_the_advice_that_earlier_runs_have_earned_and_gives_it_again(tmp_path):
    project = SuiteProject(tmp_path)
    project.write(SPEC).compile()
    assert project.run("run").code == 0
    home = tmp_path / ".orchestra" / "s"
    (last,) = history.executions(home)
    assert "## Advice" not in (project.folder_now() / "summary.md").read_text()
    hung = Execution("timeout", attempts=(Attempt("timeout", 120.0),))
    for at in range(ENOUGH + 1):
        run = f"20000101T0000{at:02}Z-0000"
        made = {"cli:a": hung} if at == 0 else last.executions
        (home / history.EXECUTIONS).write_bytes(
            history.with_record(home, msgspec.structs.replace(last, run=run, executions=made))
        )
    assert project.run("run").code == 0
    summary = project.folder / "summary.md"
    text = summary.read_text()
    assert "| timeout | cli:a |" in text.partition("## Advice")[2]
    summary.unlink()
    assert project.run("report").code == 0
    assert summary.read_text() == text


SPEC = """\
orchestra: 1
suite: s
methods: {cli: {driver: command}}
tests:
  a: {command: {argv: [sh, -c, "exit 0"]}}
"""


class Slow(BaseHTTPRequestHandler):
    """Answers at once, but for one path never while the test runs."""

    over = threading.Event()

    def do_GET(self):
        if self.path == "/20":
            self.over.wait()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words):
        """Says nothing."""


def test_a_run_tells_of_a_wait_at_its_line(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        values = ", ".join(f'"{one}"' for one in range(21))
        spec = WAITING.replace("VALUES", values).replace("PORT", str(server.server_port))
        project = SuiteProject(tmp_path).write(spec).compile()
        assert project.run("run").code == 1
    finally:
        Slow.over.set()
        server.shutdown()
        server.server_close()
    text = (project.folder / "summary.md").read_text().partition("## Advice")[2].replace("&#58;", ":")
    assert "| wait | http at specs/s.yaml:8:" in text
    assert "it waited 1 time in vain, 10 s each; 99 of 100 of its 20 passes" in text


WAITING = """\
orchestra: 1
suite: s
methods: {cli: {driver: playwright, workers: 2}}
tests:
  a:
    matrix: {n: [VALUES]}
    steps:
      - http: {GET: "http://127.0.0.1:PORT/${matrix.n}", within_seconds: 10}
"""
