"""A `command` test as a job of the loop, and what came of it."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestra import names
from orchestra.errors import MachineError, UsageError
from orchestra.ledger.case import BAD, Case, is_named
from orchestra.ledger.disk import open_log
from orchestra.plan import Command
from orchestra.runtime.attempt import PASSED_BYTES, AttemptFailure, EvidenceFile, Request, Result
from orchestra.runtime.cases.text import Mask
from orchestra.runtime.engine.reported import Stamp, lookup, reported_by
from orchestra.runtime.files import inside, matching, open_plain
from orchestra.runtime.mask import StreamMask
from orchestra.runtime.processes.command_log import settle
from orchestra.runtime.processes.commands import Finished, Job

LOG = "output.log"
COPIES = "attached"
"""The folder of an attempt for copies of attached files that lie elsewhere."""

TAIL_LINES = 20
TAIL_BYTES = 8192
KEPT = 3
"""So many cases that failed are in the message of a test; each has a row of its own."""

ATTACHED_FILES = 10_000
"""So many files a glob of `attach` may name."""

_BLOCK_BYTES = 1 << 20


def job_of(request: Request, command: Command, environment: Mapping[str, str], mask: StreamMask | None) -> Job:
    """Return the job of an attempt at a command test.

    Args:
        request: what to do.
        command: that of its test.
        environment: what the command inherits.
        mask: takes secrets out of its log.

    Raises:
        UsageError: a late name has no value, or the working folder leaves the root.
    """
    bound = request.names

    def fill(text: str) -> str:
        return names.expand(text, lambda name: lookup(bound, name))

    argv = tuple(fill(word) for word in command.argv)
    return Job(
        key=request.task,
        argv=("/bin/sh", "-c", *argv) if command.shell else argv,
        cwd=inside(fill(command.cwd), _folder(request.root)),
        env={**environment, **{key: fill(value) for key, value in command.env.items()}},
        log=Path(request.log),
        mark=request.mark,
        timeout_seconds=request.test.timeout_seconds,
        mask=mask,
    )


_folder = functools.lru_cache(maxsize=8)(Path)
"""The root of the project is the same for all attempts."""


def tail(path: Path) -> str:
    """Return the last lines of a log, for a message."""
    try:
        with open_plain(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-TAIL_LINES:])


def result_of(
    request: Request, command: Command, finished: Finished, before: Stamp | None, mask: Mask, *, growing: bool = False
) -> Result:
    """Return the result of a command: exit code, signal, time, and its report if it has one.

    Args:
        request: what was to be done.
        command: that of its test.
        finished: how it ended.
        before: its report as it was before the attempt.
        mask: takes secrets out of what its report holds.
        growing: more secrets may be known by now than when the log was written.
    """
    attached, refused = _attached(request, command)
    cases: tuple[Case, ...] = ()
    try:
        cases, failure = _judged(request, command, finished, before, mask)
    except UsageError as error:
        failure = AttemptFailure(
            "setup", error.message, pointers=_at(request), found=tail(finished.log), hint=error.hint
        )
    failure = failure or refused
    outcome = "passed" if failure is None else "failed"
    if finished.stopped:
        outcome, failure = "interrupted", None
    elif finished.timed_out:
        outcome = "timeout"
    elif failure is not None and failure.kind == "setup":
        outcome = "error"
    facts = {"left_behind": finished.left_behind} if finished.left_behind else {}
    if finished.log_error:
        facts["log_error"] = finished.log_error  # type: ignore[assignment]
    cases, files = _files_of(request, command, cases)
    attached += [file for file in files if file not in attached]
    return Result(
        task=request.task,
        attempt=request.attempt,
        outcome=outcome,  # type: ignore[arg-type]
        seconds=round(finished.seconds, 6),
        failure=failure,
        evidence=(*_log_of(request, finished, apart=outcome == "passed" and not attached and not growing), *attached),
        exit_code=finished.exit_code,
        facts=facts,
        resources=_resources(finished),
        cases=cases,
    )


def _log_of(request: Request, finished: Finished, *, apart: bool) -> tuple[EvidenceFile, ...]:
    """Return the log of a command as evidence: of one that passed without output none.

    Args:
        request: what was to be done.
        finished: how it ended.
        apart: it is left where it is, if nothing but this program has written it and it is short.
    """
    limit = request.test.evidence_limit_megabytes
    if not apart or finished.log_foreign or finished.log_bytes > min(PASSED_BYTES, limit * 1e6 or PASSED_BYTES):
        with suppress(OSError, MachineError):  # then it counts as missing evidence
            settle(finished.log, Path(request.folder) / LOG)
        return (EvidenceFile(LOG, "log", masked=not finished.log_foreign),)
    return (EvidenceFile(LOG, "log", masked=True, apart=str(finished.log)),) if finished.log_bytes else ()


def _resources(finished: Finished) -> dict[str, float]:
    """Return the resource use of the command, as far as the system reports it."""
    return {} if finished.usage is None else {k: v for k, v in finished.usage._asdict().items() if v is not None}


def _at(request: Request) -> tuple[str, ...]:
    return (f"/tests/{request.test.of or request.test.id}/command",)


def _judged(
    request: Request, command: Command, finished: Finished, before: Stamp | None, mask: Mask
) -> tuple[tuple[Case, ...], AttemptFailure | None]:
    """Return the cases of a command, and why it did not pass.

    Raises:
        UsageError: its report cannot be read, is of an earlier run, or has no case that was executed.
    """
    cut_off = _cut_off(request, command, finished)
    if command.report is None:
        return (), cut_off or _exit_failure(request, command, finished)
    try:
        reported = _paired(reported_by(request, command, finished, before, mask), command.cases)
    except UsageError:
        if cut_off is None:
            raise
        return (), cut_off
    failure = cut_off or _cases_failure(request, reported) or _exit_failure(request, command, finished, len(reported))
    return reported, failure


def _paired(cases: tuple[Case, ...], of: Mapping[str, str]) -> tuple[Case, ...]:
    """Return cases with the tests that they are compared with."""
    if not of:
        return cases
    found = (next((test for glob, test in of.items() if is_named(case.name, [glob])), "") for case in cases)
    return tuple(
        msgspec.structs.replace(case, of=test) if test else case for case, test in zip(cases, found, strict=True)
    )


def _cut_off(request: Request, command: Command, finished: Finished) -> AttemptFailure | None:
    """Return the failure of a command that did not end by itself."""
    program = command.argv[0]
    if finished.timed_out:
        limit = request.test.timeout_seconds
        message = f'"{program}" did not end within {limit:g} s and was ended with all its descendants'
        return AttemptFailure("timeout", message, pointers=_at(request), found=tail(finished.log))
    if finished.signal is not None:
        message = f'"{program}" was ended by signal {finished.signal}'
        return AttemptFailure("crash", message, pointers=_at(request), found=tail(finished.log))
    return None


def _exit_failure(request: Request, command: Command, finished: Finished, cases: int = 0) -> AttemptFailure | None:
    if finished.exit_code in command.exit_codes:
        return None
    although = f", though none of its {cases} cases failed" if cases else ""
    return AttemptFailure(
        "command",
        f'"{command.argv[0]}" ended with exit code {finished.exit_code}{although}',
        pointers=_at(request),
        expected=f"exit code {', '.join(map(str, command.exit_codes))}",
        found=tail(finished.log),
    )


def _cases_failure(request: Request, cases: Sequence[Case]) -> AttemptFailure | None:
    """Return the failure of a command of which cases failed: the first of them, and why they failed."""
    bad = [case for case in cases if case.verdict in BAD]
    if not bad:
        return None
    more = len(bad) - KEPT
    words = "; ".join(case.line for case in bad[:KEPT]) + (f" and {more} more" if more > 0 else "")
    found = "\n\n".join(text for case in bad[:KEPT] for text in (case.message, *case.more) if text)
    return AttemptFailure("command", words, pointers=_at(request), found=found)


def _files_of(
    request: Request, command: Command, cases: tuple[Case, ...]
) -> tuple[tuple[Case, ...], list[EvidenceFile]]:
    """Return the cases with the files of those that did not simply pass retained, and these files."""
    if request.test.evidence == "off" or not any(case.attachments for case in cases):
        return cases, []
    root, folder = Path(request.root), Path(request.folder)
    where = inside(names.expand(command.cwd, lambda name: lookup(request.names, name)), root)
    retained: dict[str, EvidenceFile] = {}

    def retain(written: str) -> str:
        try:
            path = inside(str(where / written), root)
        except UsageError:
            return written
        if len(retained) < ATTACHED_FILES and path.is_file():
            written = _kept(path, root.resolve(), folder.resolve())
            retained[written] = EvidenceFile(written, "attachment")
        return written

    changed = (
        case
        if case.verdict == "passed" or not case.attachments
        else msgspec.structs.replace(case, attachments=tuple(map(retain, case.attachments)))
        for case in cases
    )
    return tuple(changed), list(retained.values())


def _attached(request: Request, command: Command) -> tuple[list[EvidenceFile], AttemptFailure | None]:
    """Return the files that the command's `attach` globs name, and the failure of one that leads out of the project."""
    if not command.attach:
        return [], None
    root, folder = Path(request.root), Path(request.folder)
    at = _at(request)
    found: list[EvidenceFile] = []
    refused = None
    for glob in command.attach:
        pattern = names.expand(glob, lambda name: lookup(request.names, name))
        base, rest = (folder, os.path.relpath(pattern, folder)) if Path(pattern).is_absolute() else (root, pattern)
        for number, path in enumerate(matching(base, [rest])):
            if number == ATTACHED_FILES:
                message = f'"{glob}" of attach names more than {ATTACHED_FILES} files'
                refused = AttemptFailure("setup", message, pointers=at, hint="name fewer, or pack them into one")
                break
            try:
                inside(str(path), root)
            except UsageError as error:
                refused = AttemptFailure(
                    "setup", f"files outside the project are not attached: {error.message}", pointers=at
                )
            else:
                found.append(EvidenceFile(_kept(path, root, folder), "attachment"))
    return found, refused


def _kept(path: Path, root: Path, folder: Path) -> str:
    """Return the path of an attached file in the attempt's folder.

    One from elsewhere is copied: it is the user's, the next run of his tool writes it again, and no secret is taken out of
    it. One that cannot be read or written is not there, and counts as missing evidence.
    """
    path = Path(os.path.normpath(path))
    if path.is_relative_to(folder):
        return str(path.relative_to(folder))
    copy = f"{COPIES}/{os.path.relpath(path, root)}"
    with (
        suppress(OSError, MachineError),
        open_plain(path) as source,
        open_log(folder / copy, fresh=True) as target,
    ):
        shutil.copyfileobj(source, target, _BLOCK_BYTES)
    return copy
