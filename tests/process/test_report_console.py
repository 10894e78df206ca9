"""A run's display is live at a terminal only: a real process at a pseudo-terminal and at a pipe."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.terminal import Terminal

CHOICE = """
import sys
from pathlib import Path
from orchestra.ledger.view import View
from orchestra.report import watch
from tests.support import runs as samples
watchers = watch.observers(Path(sys.argv[1]), samples.PLAN, Path(sys.argv[1]))
Path(sys.argv[2]).write_text(type(watchers[1]).__name__)
for watcher in watchers:
    watcher.close(View())
print("data")
"""


@pytest.mark.parametrize(
    "tty, variables, name",
    [
        (True, {"TERM": "xterm"}, "Screen"),
        (True, {"TERM": "dumb"}, "Plain"),
        (True, {}, "Plain"),
        (True, {"TERM": "xterm", "CI": "true"}, "Plain"),
        (False, {"TERM": "xterm", "FORCE_COLOR": "1"}, "Plain"),
    ],
)
def test_the_display_is_live_only_for_a_person_at_a_terminal(tmp_path, root, tty, variables, name):
    terminal = Terminal()
    kept = {key: value for key, value in os.environ.items() if key not in {"TERM", "CI", "FORCE_COLOR", "NO_COLOR"}}
    done = subprocess.run(
        [sys.executable, "-c", CHOICE, str(tmp_path), str(tmp_path / "name")],
        cwd=root,
        env=kept | variables | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=terminal.out if tty else subprocess.PIPE,
        check=True,
    )
    shown = terminal.text() if tty else (terminal.text(), done.stderr.decode())[1]
    assert (tmp_path / "name").read_text() == name
    assert done.stdout == b"data\n"
    assert "none: the run did not finish" in shown
    assert name == "Screen" or "\x1b" not in shown
