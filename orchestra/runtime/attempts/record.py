"""Results as ledger events, and where an attempt's files lie."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from orchestra.ledger.event import AttemptFinished, Repeated
from orchestra.ledger.evidence_file import evidence_digest
from orchestra.ledger.parts import Evidence, Failure
from orchestra.ledger.view import View
from orchestra.plan import Method, Test
from orchestra.runtime.attempt import AttemptFailure, Result, drives_browser
from orchestra.runtime.attempts.follow_up import FollowUp
from orchestra.runtime.attempts.page_figures import network_of
from orchestra.runtime.files import open_plain

_BLOCK_BYTES = 1 << 20
_UNSAFE = re.compile(r"[^\w.\-\[\],=+@ ]")


def folder_of(task: str, attempt: int, segment: int = 0) -> str:
    """Return the folder of an attempt, relative to the run's; each segment of a resumed run has folders of its own.

    Every character that an id or a matrix may have is kept, so that no two tests share a folder; another one would be
    against the rules of specs, and becomes `_`.
    """
    method, _, test = task.partition(":")
    folder = f"attempts/{method}/{_UNSAFE.sub('_', test)}/{attempt}"
    return f"{folder}-resume{segment}" if segment else folder


@functools.lru_cache(maxsize=8)
def _resolved(folder: Path) -> Path:
    """Return the real path of a run's folder: asked for each file of the run, and the same for all."""
    return folder.resolve()


def evidence_of(folder: Path, run: Path, path: str, kind: str) -> Evidence | None:
    """Return a file of an attempt with its digest, None when it is not there, or is a link to a file outside of the run."""
    if os.sep not in path and (plain := _plain_file(f"{folder}/{path}")) is not None:
        where = str(folder).removeprefix(f"{run}/")
        return Evidence(path=f"{where}/{path}", digest=plain[0], bytes=plain[1], kind=kind)
    real, base = Path(os.path.realpath(folder / path)), _resolved(run)
    if not real.is_relative_to(base):  # no reader of the record would open it
        return None
    try:
        with open_plain(real) as data:
            found, size = _digest(data.fileno())
    except OSError:
        return None
    return Evidence(path=os.path.relpath(real, base), digest=found, bytes=size, kind=kind)


def kept(result: Result, folder: Path, run: Path) -> tuple[Evidence, ...]:
    """Return the files of an attempt in its folder, with their digests; those that are not there are left out."""
    pairs = ((file, evidence_of(folder, run, file.path, file.kind)) for file in result.evidence)
    return tuple(
        msgspec.structs.replace(bound, marks=file.marks) if file.marks else bound
        for file, bound in pairs
        if bound is not None
    )


def _plain_file(path: str) -> tuple[str, int] | None:
    """Digest and size of a file, None when it is not there or no plain one.

    An evidence file is nearly always in the folder of its attempt: to resolve its real path would take a system call
    for each folder above it.
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


def attempt_finished(
    test: Test,
    method: str,
    result: Result,
    evidence: tuple[Evidence, ...],
    *,
    where: str,
    follow_up: FollowUp,
    retry: bool,
    incidents: tuple[str, ...],
    inputs: str,
    names: Mapping[str, str],
    disturbed: str,
) -> AttemptFinished:
    """Return the event of an attempt that ended.

    Args:
        test: of the plan.
        method: its id.
        result: what came of the attempt.
        evidence: that was kept of it.
        where: the place of the failure in the spec.
        follow_up: what follows from it.
        retry: whether another attempt follows.
        incidents: those that overlapped it.
        inputs: digest of what the test reads; empty where it does not declare that.
        names: runtime variables with their values; `backend.url` identifies the component of a host.
        disturbed: why its duration is compared with none; empty when nothing disturbed it.
    """
    failure = result.failure
    return AttemptFinished(
        task=result.task,
        test=test.id,
        method=method,
        attempt=result.attempt,
        outcome=result.outcome,
        seconds=result.seconds,
        error=None if failure is None else _recorded(failure, where),
        steps=result.steps,
        evidence=evidence,
        retry=retry,
        retry_cause=follow_up.retry_cause if retry else "",
        retries_left=follow_up.retries_left if retry else None,
        dropped=result.dropped,
        infra_suspect=follow_up.suspect,
        incidents=incidents,
        exit_code=result.exit_code,
        cases=result.cases,
        resources=result.resources,
        findings=result.findings,
        inputs=inputs,
        network=network_of(result, names),
        died=result.died if result.session is None else (),
        disturbed=disturbed,
        facts=result.facts,
        node=result.node,
    )


def _recorded(failure: AttemptFailure, where: str) -> Failure:
    return Failure(
        failure.kind,
        failure.message,
        failure.step,
        where or None,
        failure.expected or None,
        failure.found or None,
        failure.hint or None,
        failure.section,
        failure.log or None,
    )


def missing_evidence(test: Test, method: Method, result: Result, kept: int) -> int:
    """Return how much evidence of an attempt is missing: files that cannot be read, or all of what a page failed with."""
    if result.outcome == "failed" and not result.evidence and not result.dropped:
        return int(drives_browser(test, method) and test.evidence != "off")
    return len(result.evidence) - kept


def evidence_gone(folder: Path, view: View) -> int:
    """Return how many files of a run's evidence are no longer there, or of another size, when it closes.

    That a file was there when its attempt ended is no proof that it is there when people read the report: a later test, a
    service or a clean-up may have taken it. Its digest is the matter of `audit`, but that of a part is looked at in a run that
    was resumed: a power cut may have taken it, and the file is as long as it was (`PassedOutput.take_over`).
    """
    sizes: dict[str, int] = {}
    gone, resumed = 0, len(view.segments) > 1
    for one in all_evidence(view):
        if one.path not in sizes:
            sizes[one.path] = _size(folder / one.path)
        size = sizes[one.path]
        if one.offset is None:
            gone += size != one.bytes
        else:
            gone += size < one.offset + one.bytes or (resumed and _part_digest(folder, one) != one.digest)
    return gone


def _part_digest(folder: Path, one: Evidence) -> str:
    try:
        return evidence_digest(folder, one)[0]
    except OSError:
        return ""


def all_evidence(view: View) -> Iterator[Evidence]:
    """Yield all evidence that the attempts of a run bind, those that were taken back, too."""
    for life in (*view.lives.values(), *(life for some in view.earlier_lives.values() for life in some)):
        for seen in life.attempts:
            yield from seen.body.evidence


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1


def repeated(
    test: Test, method: str, result: Result, evidence: tuple[Evidence, ...], folder: str, disturbed: str
) -> Repeated:
    """Return the event of a repeat, of which only the duration counts. `folder` is relative to the run's."""
    return Repeated(
        task=result.task,
        test=test.id,
        method=method,
        number=int(folder.rpartition("-")[2]),
        dir=folder,
        outcome=result.outcome,
        seconds=result.seconds,
        evidence=evidence,
        dropped=result.dropped,
        disturbed=disturbed,
    )
