"""git, asked within a time: one that hangs, or a helper of its that holds its output open, costs that time and no more."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from orchestra import checkout

SECONDS = 10.0
"""For a question about the work tree, which a large one on a slow disk answers in two."""

_NO_BARE = ("-c", "safe.bareRepository=explicit")
"""A folder with the files of a bare repository is one to git, and its `config` names programs. A pull request can bring it."""

_OF_OTHERS = frozenset({"GIT_INDEX_FILE", "GIT_WORK_TREE"})
"""A hook of git has these; they are about the commit that it runs for."""


class Asked(NamedTuple):
    """The end of a git command. `code` is None if it did not start or did not end in time, and `err` has the reason."""

    code: int | None
    out: bytes
    err: str


def ask(
    folder: Path,
    words: Sequence[str],
    *,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    seconds: float | None = None,
    interactive: bool = False,
) -> Asked:
    """Run git in a folder; when the time is over it is ended, with the processes of its group.

    Args:
        folder: of the work tree.
        words: the arguments.
        given: its stdin.
        env: variables on top of the environment.
        seconds: how long it may take; None for `SECONDS`.
        interactive: it may ask at the terminal, for a passphrase, so it stays in the session of the terminal.
    """
    program = checkout.program("git", os.environ.get("PATH", os.defpath), folder)
    if program is None:
        return Asked(None, b"", "git cannot be started: it is not on PATH outside the project")
    seconds = SECONDS if seconds is None else seconds
    environment = checkout.environment(os.environ, folder)
    own = {name: value for name, value in environment.items() if name not in _OF_OTHERS}
    try:
        process = subprocess.Popen(
            [program, *_NO_BARE, *words],
            cwd=folder,
            env={
                **own,
                "GIT_OPTIONAL_LOCKS": "0",
                "LC_ALL": "C",
                **({} if interactive else {"GIT_TERMINAL_PROMPT": "0"}),
                **(env or {}),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=not interactive,
        )
    except OSError as error:
        return Asked(None, b"", f"git cannot be started: {error.strerror}")
    try:
        out, err = process.communicate(given, timeout=seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.kill(process.pid, signal.SIGKILL) if interactive else os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdin, process.stdout, process.stderr):  # not read to their ends: a helper may hold them
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()
        return Asked(None, b"", f"git did not answer within {seconds:g} s")
    return Asked(process.returncode, out, err.decode(errors="replace"))


def refusal(folder: Path) -> str:
    """Return why git gives no answer about a work tree that is there, and what to do; empty when it gives one.

    A checkout of another user (in a container, for root) is one that git does not trust, as its settings name programs.
    """
    asked = ask(folder, ["rev-parse", "--show-toplevel"])
    return untrusted(asked.err, folder) if asked.code else ""


def untrusted(error: str, folder: Path) -> str:
    """Return the message of git about a work tree of another user; empty for another error."""
    if "dubious ownership" not in error:
        return ""
    tree = checkout.top(folder)
    return f'the work tree "{tree}" belongs to another user, and git refuses it: git config --global --add safe.directory {tree}'


def text(folder: Path, *words: str) -> str | None:
    """Return what git prints; None when it is not there, refuses, or gives no answer in time."""
    asked = ask(folder, words)
    return asked.out.decode(errors="surrogateescape") if asked.code == 0 else None
