"""A port that another run of the same user holds is refused with its process, or awaited as long as the spec lets it."""

from __future__ import annotations

import shutil
import socket
import time

from tests.support.project import SuiteProject

SPEC = """
orchestra: 1
suite: s
methods: {{cli: {{driver: command}}}}
health:
  web: {{service: {{run: [python, -m, http.server, "${{port}}", --bind, 127.0.0.1], port: {port}{more}}}, retries: {{max: 0}}}}
tests:
  HOLDS: {{requires: [web], command: {{argv: [sh, -c, "touch here; while ! test -e go; do sleep 0.1; done"]}}}}
  USES: {{requires: [web], command: {{argv: ["true"]}}}}
"""


def test_a_port_of_a_run_of_ours_is_awaited_where_the_spec_says_so(project, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    project.write(SPEC.format(port=port, more="")).compile()
    other = SuiteProject(shutil.copytree(project.root, tmp_path / "other"))
    holds = project.start("run", "HOLDS")
    while not (project.root / "here").exists():
        assert holds.poll() is None, holds.communicate()
        time.sleep(0.05)

    refused = other.run("run", "USES")
    assert refused.code == 3
    assert (
        f"found no free port in {port}: port {port} is reserved by another run of yours (process {holds.pid})"
        in refused.err
    )

    other.write(SPEC.format(port=port, more=", port_wait_seconds: 600")).compile()
    waits = other.start("run", "USES")
    assert waits.stderr is not None
    seen = ""
    while f"waits up to 600 s: port {port} is reserved" not in seen:
        line = waits.stderr.readline()
        assert line, seen
        seen += line
    (project.root / "go").touch()
    assert holds.wait() == 0, holds.communicate()
    assert waits.wait() == 0, seen + waits.communicate()[1]
    for process in (holds, waits):
        process.communicate()

    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        refused = other.run("run", "USES")
    assert (refused.code, "waits up to" in refused.err) == (3, False)
