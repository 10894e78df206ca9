"""Results as bodies of ledger events, and where an attempt's files lie. May import `attempt`, `plan` and hashlib."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Any

from orchestra.plan import Test
from orchestra.runtime.attempt import Result, needs_browser
from orchestra.runtime.files import open_plain

_BLOCK_BYTES = 1 << 20
_UNSAFE = re.compile(r"[^\w.\-\[\],=+@ ]")


def folder_of(task: str, attempt: int, segment: int = 0) -> str:
    """The folder of an attempt, relative to the run's; each segment of a resumed run has folders of its own.

    Every character that an id or a matrix may have is kept, so that no two tests share a folder; another one would be
    against the rules of specs, and becomes `_`.
    """
    method, _, test = task.partition(":")
    folder = f"attempts/{method}/{_UNSAFE.sub('_', test)}/{attempt}"
    return f"{folder}-resume{segment}" if segment else folder


@functools.lru_cache(maxsize=8)
def _resolved(folder: Path) -> Path:
    """The real path of a run's folder: asked for each file of the run, and the same for all."""
    return folder.resolve()


def evidence_body(folder: Path, run: Path, path: str, kind: str) -> dict[str, Any] | None:
    """A file of an attempt with its digest, None when it is not there."""
    if os.sep not in path and (plain := _plain_file(f"{folder}/{path}")) is not None:
        where = str(folder).removeprefix(f"{run}/")
        return {"path": f"{where}/{path}", "digest": plain[0], "bytes": plain[1], "kind": kind}
    file = folder / path
    try:
        with open_plain(file) as data:
            found, size = _digest(data.fileno())
    except OSError:
        return None
    real, base = file.resolve(), _resolved(run)
    return {"path": os.path.relpath(real, base), "digest": found, "bytes": size, "kind": kind}


def _plain_file(path: str) -> tuple[str, int] | None:
    """Digest and size of a file, None when it is not there or no plain one.

    What an attempt keeps is nearly always one in its own folder: to ask for its real path would take a system call for
    each folder above it.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _digest(file) if stat.S_ISREG(os.fstat(file).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(file)


def _digest(file: int) -> tuple[str, int]:
    """SHA-256 and size of an open file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    while block := os.read(file, _BLOCK_BYTES):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def attempt_body(
    test: Test, method: str, result: Result, run: Path, folder: Path, *, where: str, retry: bool
) -> dict[str, Any]:
    """The body of `attempt_finished`.

    Args:
        test: of the plan.
        method: its id.
        result: what came of the attempt.
        run: the run's folder.
        folder: the attempt's, below it.
        where: the place of the failure in the spec.
        retry: whether another attempt follows.
    """
    failure = result.failure
    evidence = [evidence_body(folder, run, one.path, one.kind) for one in result.evidence]
    return {
        "task": result.task,
        "test": test.id,
        "method": method,
        "attempt": result.attempt,
        "outcome": result.outcome,
        "seconds": result.seconds,
        "error": None
        if failure is None
        else {
            "kind": failure.fault,
            "message": failure.message,
            "step": failure.step,
            "at": where or None,
            "expected": failure.expected or None,
            "found": failure.found or None,
            "hint": failure.hint or None,
        },
        "steps": [
            {"index": step.index, "verb": step.verb, "seconds": step.seconds, "outcome": step.outcome}
            | ({"calls": step.calls} if step.calls else {})
            | ({"polls": step.polls} if step.polls else {})
            | ({"lag_seconds": step.lag_seconds} if step.lag_seconds is not None else {})
            for step in result.steps
        ],
        "evidence": [one for one in evidence if one is not None],
        "retry": retry,
        "exit_code": result.exit_code,
        "facts": {name: value for name, value in result.facts.items() if name != "session"},
        **({"resources": result.resources} if result.resources else {}),
    } | _dropped(result)


def missing_evidence(test: Test, result: Result, kept: int) -> int:
    """How much evidence of an attempt is missing: files that cannot be read, or all of what a page failed with."""
    if result.outcome == "failed" and not result.evidence and not result.dropped:
        return int(needs_browser(test) and test.evidence != "off")
    return len(result.evidence) - kept


def repeat_body(test: Test, method: str, result: Result, run: Path, folder: str) -> dict[str, Any]:
    """The body of `repeat`, a run of a test that only its duration is of interest of. `folder` is relative to `run`."""
    evidence = [evidence_body(run / folder, run, one.path, one.kind) for one in result.evidence]
    return {
        "task": result.task,
        "test": test.id,
        "method": method,
        "number": int(folder.rpartition("-")[2]),
        "dir": folder,
        "outcome": result.outcome,
        "seconds": result.seconds,
        "evidence": [one for one in evidence if one is not None],
    } | _dropped(result)


def _dropped(result: Result) -> dict[str, Any]:
    found = [
        {"path": one.path, "bytes": one.bytes, "kind": one.kind} | ({"reason": one.reason} if one.reason else {})
        for one in result.dropped
    ]
    return {"dropped": found} if found else {}
