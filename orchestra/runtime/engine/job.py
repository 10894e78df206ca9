"""A `command` test as a job of the loop, and what came of it. May import `attempt`, `commands`, `files`, `junit`, `mask`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchestra import names
from orchestra.errors import MachineError, UsageError
from orchestra.ledger.disk import open_log
from orchestra.plan import Command
from orchestra.runtime.attempt import AttemptFailure, EvidenceFile, Request, Result
from orchestra.runtime.engine.junit import JunitError, Reported, junit_failures
from orchestra.runtime.files import inside, matching, open_plain
from orchestra.runtime.mask import StreamMask
from orchestra.runtime.processes.commands import Finished, Job

LOG = "output.log"
COPIES = "attached"
"""The folder of an attempt for copies of attached files that lie elsewhere."""

TAIL_LINES = 20
TAIL_BYTES = 8192
ATTACHED_FILES = 10_000
"""So many files a glob of `attach` may name."""

_BLOCK_BYTES = 1 << 20


def lookup(bound: Mapping[str, str], name: str) -> str:
    """The value of a late name.

    Raises:
        UsageError: it has none here, for instance an environment variable that is not set.
    """
    if name in bound:
        return bound[name]
    if name.startswith("env."):
        raise UsageError(f"the environment variable {name[4:]} is not set, and the spec uses ${{{name}}}", "set it")
    raise UsageError(f"${{{name}}} has no value here")


def job_of(request: Request, command: Command, environment: Mapping[str, str], mask: StreamMask | None) -> Job:
    """The job of an attempt at a command test.

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
        cwd=inside(fill(command.cwd), Path(request.root)),
        env={**environment, **{key: fill(value) for key, value in command.env.items()}},
        log=Path(request.folder) / LOG,
        mark=request.mark,
        timeout_seconds=request.test.timeout_seconds,
        mask=mask,
    )


def tail(path: Path) -> str:
    """The last lines of a log, for a message."""
    try:
        with open_plain(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-TAIL_LINES:])


def result_of(request: Request, command: Command, finished: Finished) -> Result:
    """What came of a command: exit code, signal, time, and its JUnit file if it has one."""
    attached, refused = _attached(request, command)
    failure = _failure(request, command, finished) or refused
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
    return Result(
        task=request.task,
        attempt=request.attempt,
        outcome=outcome,  # type: ignore[arg-type]
        seconds=finished.seconds,
        failure=failure,
        evidence=(EvidenceFile(LOG, "log", masked=not finished.log_foreign), *attached),
        exit_code=finished.exit_code,
        facts=facts,
        resources=_resources(finished),
    )


def _resources(finished: Finished) -> dict[str, float]:
    """What the command used, as far as the system says it."""
    return {} if finished.usage is None else {k: v for k, v in finished.usage._asdict().items() if v is not None}


def _failure(request: Request, command: Command, finished: Finished) -> AttemptFailure | None:
    if not command.junit and finished.exit_code in command.exit_codes and not finished.timed_out:
        return None  # the usual case: nothing needs to be read
    at = (f"/tests/{request.test.of or request.test.id}/command",)
    found = tail(finished.log)
    program = command.argv[0]
    if finished.timed_out:
        limit = request.test.timeout_seconds
        return AttemptFailure(
            "timeout",
            f'"{program}" did not end within {limit:g} s and was ended with all it started',
            pointers=at,
            found=found,
        )
    if finished.signal is not None:
        return AttemptFailure("crash", f'"{program}" was ended by signal {finished.signal}', pointers=at, found=found)
    try:
        reported = _reported(request, command, finished)
    except UsageError as error:
        return AttemptFailure("setup", error.message, pointers=at, found=found, hint=error.hint)
    if reported is not None and reported.count:
        more = reported.count - len(reported.first)
        words = "; ".join(reported.first) + (f" and {more} more" if more else "")
        return AttemptFailure("command", words, pointers=at, found=found)
    if finished.exit_code not in command.exit_codes:
        allowed = ", ".join(map(str, command.exit_codes))
        return AttemptFailure(
            "command",
            f'"{program}" ended with exit code {finished.exit_code}',
            pointers=at,
            expected=f"exit code {allowed}",
            found=found,
        )
    return None


def _reported(request: Request, command: Command, finished: Finished) -> Reported | None:
    """Return the failures that the command's JUnit file reports; None when there is no file.

    Raises:
        UsageError: its path leads out of the project, it is no XML or beyond a limit, or it is missing though the command
            ended well.
    """
    if not command.junit:
        return None
    path = inside(names.expand(command.junit, lambda name: lookup(request.names, name)), Path(request.root))
    try:
        found = junit_failures(path)
    except JunitError as error:
        raise UsageError(f'the JUnit file "{path.name}" {error}') from error
    if found is None and finished.exit_code in command.exit_codes:
        raise UsageError(f'"{command.argv[0]}" wrote no JUnit file "{path.name}"')
    return found


def _attached(request: Request, command: Command) -> tuple[list[EvidenceFile], AttemptFailure | None]:
    """Return the files that the command's `attach` globs name, and the failure of one that leads out of the project."""
    root, folder = Path(request.root), Path(request.folder)
    at = (f"/tests/{request.test.of or request.test.id}/command",)
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
                    "setup", f"nothing out of the project is attached: {error.message}", pointers=at
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
