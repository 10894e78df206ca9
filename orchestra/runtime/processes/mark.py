"""Marks: words in the environment by which the processes of a run are found again, wherever they went. Imports psutil.

Marks nest: `run/attempt` is carried by the processes of one attempt, and `run` finds all of them. The variable keeps
the marks of an outer run, so that the outer run finds what the inner one starts.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping

import psutil

TREE = "ORCHESTRA_TREE"
"""The variable that carries the marks, outermost first, separated by a space."""

KTHREADD = 2 if sys.platform.startswith("linux") else -1
"""The parent of the threads of the kernel, which have no environment."""

_BLANK_SECONDS = (0.005, 0.01, 0.02)


def marked(env: Mapping[str, str], mark: str) -> dict[str, str]:
    """Return a copy of `env` that carries `mark` after the marks of outer runs; ValueError when it has white space."""
    if not mark or mark.split() != [mark]:
        raise ValueError(f"a mark is one word: {mark!r}")
    # A run inside a run may hand down a clean environment; the outer run must still find what the inner one starts.
    outer = env.get(TREE) or os.environ.get(TREE, "")
    return {**env, TREE: f"{outer} {mark}".strip()}


def carries(value: str, mark: str) -> bool:
    """Return True if a value of `TREE` holds `mark` or a mark below it."""
    return any(word == mark or word.startswith(f"{mark}/") for word in value.split())


def _marks(pid: int) -> str | None:
    """Return the value of `TREE` in a process's environment; None when the environment is blank or cannot be read.

    It is blank for good in kernel threads and after `env -i`, and for an instant in every process that calls exec.
    """
    try:
        if not sys.platform.startswith("linux"):
            return psutil.Process(pid).environ().get(TREE, "")
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - a third of the cost of Path
            block = file.read()
    except (OSError, psutil.Error):
        return None
    name = f"{TREE}=".encode()
    values = (entry[len(name) :].decode(errors="replace") for entry in block.split(b"\0") if entry.startswith(name))
    return next(values, "") if block else None


def marks_of(pids: Iterable[int]) -> dict[int, str]:
    """Return the marks of each process, asked again for a few milliseconds where the environment is blank."""
    found: dict[int, str] = {}
    blank = set(pids)
    for pause in _BLANK_SECONDS:
        read = {pid: marks for pid in blank if (marks := _marks(pid)) is not None}
        found |= read
        blank = {pid for pid in blank - set(read) if _may_be_read(pid)}
        if not blank:
            break
        time.sleep(pause)
    return found


def _may_be_read(pid: int) -> bool:
    """Return True if the marks of a process may be readable in a moment.

    They never are of a zombie, of a thread of the kernel, and, but for root, of a process of another user.
    """
    user = os.geteuid()
    try:
        process = psutil.Process(pid)
        if user and process.uids().effective != user:
            return False
        return process.status() != psutil.STATUS_ZOMBIE and KTHREADD not in {pid, process.ppid()}
    except psutil.Error:
        return False
