"""Nothing is left behind, whatever ended a run: counted exactly, by a process that is the subreaper of all of it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from tests.support.nights import at_night
from tests.support.project import environment

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a subreaper is a thing of Linux"),
]

FORKS = (
    "import os, sys, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        os.closerange(0, 3); time.sleep(600)\n"
    "    os._exit(0)\n"
)
HANG = "() => { while (true) {} }"

SPEC = """orchestra: 1
suite: s
methods: {cli: {driver: playwright, workers: 1}}
health:
  web:
    service: {run: [python, -m, http.server, "${port}"], port: %(ports)s}
    ready: {http: {path: /}}
defaults: {requires: [web], retries: {max: 0}}
tests:
  forks: {command: {argv: [python, -c, %(forks)s]}}
  page:
    after: [forks]
    steps: [{goto: "${web.url}/"}, {expect: {role: heading, to: {contain: Directory}}}]
  last:
    after: [page]
    timeout_seconds: %(timeout)s
    steps:
      - goto: "${web.url}/"
      - http: {GET: "/marker?", base: web, status: [200, 404]}
      - %(step)s
"""

STEPS = {
    "pass": "reload",
    "fail": "{expect: {text: no such text, within_seconds: 0.5, to: {be: visible}}}",
    "hung page": "{evaluate: {script: " + json.dumps(HANG) + "}}",
    "long": "{wait: {text: no such text, within_seconds: 500}}",
}


@pytest.mark.parametrize(
    "what, how, code",
    [
        at_night("pass", "wait", 0),  # these two end as the next
        at_night("fail", "wait", 1),
        ("hung page", "wait", 1),
        ("long", "INT", 130),
        at_night("long", "TERM", 143),  # ends as by INT
        ("long", "KILL", -9),
        at_night("long", "worker", 1),  # test_worker.py kills a worker by day, with its driver and its browser
    ],
)
def test_nothing_is_left_of_a_run(project, chromium, what, how, code):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    spec = SPEC % {
        "ports": port,
        "forks": json.dumps(FORKS),
        "timeout": 3 if what == "hung page" else 600,
        "step": STEPS[what],
    }
    # The run says by its ledger how far it is; the folder of the last attempt appears when it begins.
    project.write(spec).compile()
    marker = project.root / "marker"
    watcher = (
        "import pathlib, sys, time\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "while not list(root.glob('.orchestra/s/runs/*/attempts/cli/last/1')): time.sleep(0.02)\n"
        "time.sleep(1.0)\n"  # into the step: a moment later or earlier changes nothing that is asserted
        "(root / 'marker').touch()\n"
    )
    watching = None
    if how != "wait":
        watching = subprocess.Popen([sys.executable, "-c", watcher, str(project.root)])
    argv = [sys.executable, "-m", "tests.support.subreaper", how, str(marker), "--", sys.executable, "-m", "orchestra"]
    root = str(pytest.importorskip("orchestra").__path__[0]).rpartition("/")[0]
    done = subprocess.run(
        [*argv, "-C", str(project.root), "run"],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if watching is not None:
        watching.wait()
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["code"] == code, told["err"]
    assert told["left"] == []
    if how != "KILL":
        assert told["at_once"] == [], "a run that ends by itself has ended everything before"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
