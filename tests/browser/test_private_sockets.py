"""Sockets and files of Playwright lie in a folder that only the user may enter, and are gone with its worker."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

SPEC = """orchestra: 1
suite: s
methods: {mcp: {driver: mcp}}
health:
  look: {service: {run: [python, look.py]}, ready: {log: {match: looking}}}
  web:
    needs: [look]
    service: {run: [python, -m, http.server, "${port}", --bind, 127.0.0.1], port_range: 8700-8799}
    ready: {http: {path: /}}
defaults: {requires: [web], retries: {max: 0}}
tests:
  one: {steps: [{goto: "${web.url}/"}, {expect: {role: heading, to: {be: visible}}}]}
"""

LOOK = """import json, os, stat, time
top, seen = os.environ["TMPDIR"], set()
print("looking", flush=True)
while True:
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found = os.lstat(path)
                first = os.path.relpath(path, top).split("/")[0]
                mode = stat.S_IMODE(os.lstat(os.path.join(top, first)).st_mode)
            except OSError:
                continue
            if stat.S_ISSOCK(found.st_mode) and path not in seen:
                seen.add(path)
                print("SEEN", json.dumps([first, mode, stat.S_IMODE(found.st_mode)]), flush=True)
    time.sleep(0.02)
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files with a path so short that sockets fit into it."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="o-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("umask", [0o000, pytest.param(0o022, marks=pytest.mark.nightly)])  # a stricter one
def test_a_socket_of_playwright_is_in_a_private_folder(project, chromium, temporary, umask):
    (project.root / "look.py").write_text(LOOK)
    project.write(SPEC).compile()
    before = os.umask(umask)
    try:
        done = project.run("run", TMPDIR=str(temporary))
    finally:
        os.umask(before)
    assert done.code == 0, done.err
    lines = (project.folder / "services/look.log").read_text().splitlines()
    seen = [json.loads(line.partition("SEEN ")[2]) for line in lines if "SEEN " in line]
    assert seen, "the control: the server is reached by a socket below TMPDIR"
    for first, mode, own in seen:
        assert first.startswith("orchestra-")
        assert (mode, own & 0o077) == (0o700, 0), stat.filemode(own)
    assert list(temporary.iterdir()) == []
