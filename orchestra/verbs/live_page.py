"""`orchestra run --open`: the page of a run that is under way, from a process of its own that ends with this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from orchestra.ledger.event import Event
from orchestra.ledger.view import Observer, View
from orchestra.plan import Plan
from orchestra.report import watch
from orchestra.runtime import interpreter
from orchestra.verbs.group import warn

_SIGNALLED = 128
"""Exit codes from here on are those of a run that a signal ended."""

NICE = 10
"""The priority of the server, lower than that of the run."""

WITH_STDIN = "--with-stdin"
"""The word by which a run asks `orchestra open` to end when its standard input ends: however the run ends, no server stays."""


class LivePage:
    """Serves the page from the first event of a run on. An observer."""

    def __init__(self) -> None:
        self._root = self._folder = Path()
        self._server: subprocess.Popen[bytes] | None = None

    def observers(self, root: Path, plan: Plan, folder: Path, *, brief: bool | None) -> Sequence[Observer]:
        """Return the observers of a run, and this one."""
        self._root, self._folder = root, folder
        return (self, *watch.observers(root, plan, folder, brief=brief))

    def see(self, event: Event, view: View) -> None:
        """Start the server: with the first event the run has a record."""
        del event, view
        if self._server is None:
            words = ["open", self._folder.name, "--suite", self._folder.parent.parent.name, WITH_STDIN]
            self._server = subprocess.Popen(
                [*interpreter.own("orchestra"), *words],
                cwd=self._root,
                env=os.environ,
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
            with suppress(OSError):  # the tests come first: it has what they leave
                os.setpriority(os.PRIO_PROCESS, self._server.pid, NICE)

    def close(self, view: View) -> None:
        """Do nothing: the page shows the end of the run."""

    def end(self, code: int) -> None:
        """End the server; before a person at a terminal only with Ctrl-C, unless that has ended the run."""
        if self._server is None:
            return
        if sys.stderr.isatty() and code < _SIGNALLED and self._server.poll() is None:
            warn("hint: the page stays until Ctrl-C")
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with suppress(KeyboardInterrupt):
                self._server.wait()
        self._server.communicate()
