"""The output of commands that passed, one after the other in a single file of the run.

A folder and a file of its own for each costs more than most of these commands, and a run of a thousand tests leaves
thousands of entries that someone has to remove. A failed attempt keeps its folder.

While a command runs, its log is a file next to that one; a crash leaves it there. When the attempt has passed, its output is
appended, the log removed, and the event of the attempt names the part. A crash in between leaves bytes that no event names.
The bytes reach the disk before the event is synced: `sync` is called by the thread that syncs the ledger. A power cut between
the two can leave an event that was never shown without its bytes; `take_over` notes it when the run is resumed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger.disk import disk_error, sync_file, sync_folder
from orchestra.ledger.parts import Evidence
from orchestra.runtime.attempt import PASSED_BYTES, EvidenceFile, Result
from orchestra.runtime.attempts.record import kept
from orchestra.runtime.processes.command_log import settle

FOLDER: Final = "output"
FILE: Final = f"{FOLDER}/passed.log"

_ENDING: Final = ".log"
_NAME_BYTES: Final = 200
"""A longer name of an attempt is cut, and gets a digest."""


class PassedOutput:
    """One thread owns it; any thread may call `sync`.

    Args:
        run: the run's folder, absolute.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._file = -1
        self._unsynced = self._placed = False
        self._syncing = threading.Lock()
        self._made = False
        self._ends_a_line = True

    def log_of(self, folder: str) -> str:
        """Return the path of the log of a command while it runs; its folder exists.

        Args:
            folder: of the attempt, relative to the run's.

        Raises:
            MachineError: the disk refuses.
        """
        if not self._made:
            try:
                nofollow.make_folders(self._run / FOLDER)
            except OSError as error:
                raise disk_error(error, self._run / FOLDER, "write") from error
            self._made = True
        return f"{self._run}/{FOLDER}/{_name(folder)}{_ENDING}"

    def kept(self, result: Result, folder: Path) -> tuple[Evidence, ...]:
        """Return the evidence of an attempt that has ended, bound by its digests.

        Args:
            result: of the attempt.
            folder: the attempt's, absolute.
        """
        apart = next((one for one in result.evidence if one.apart), None)
        passed = result.outcome == "passed" and result.exit_code is not None
        if passed and not result.evidence:
            _remove_empty(folder)
        if apart is None:
            return kept(result, folder, self._run)
        if passed and len(result.evidence) == 1:
            with suppress(OSError):  # then it is kept as a file of its own, or counts as missing
                part = self._appended(apart, f"{result.task}, attempt {result.attempt}")
                _remove_empty(folder)
                return (part,)
        with suppress(OSError, MachineError):
            settle(Path(apart.apart), folder / apart.path)
        return kept(result, folder, self._run)

    def take_over(self, parts: Iterable[Evidence]) -> int:
        """Return how many parts that earlier segments have bound a power cut took: the file ends before them.

        It is made as long as it was, so that no later output takes their place and looks like a changed one.

        Args:
            parts: all that the record binds; those of other files do not count.

        Raises:
            MachineError: the disk refuses.
        """
        ends = [one.offset + one.bytes for one in parts if one.path == FILE and one.offset is not None]
        path = self._run / FILE
        try:
            size = path.stat().st_size if nofollow.is_file(path) else 0
            lost = sum(end > size for end in ends)
            if lost:
                file = nofollow.open_file(path, os.O_WRONLY | os.O_CREAT, make=True)
                try:
                    os.ftruncate(file, max(ends))
                finally:
                    os.close(file)
        except OSError as error:
            raise disk_error(error, path, "write") from error
        return lost

    def sync(self) -> None:
        """Bring what was appended to the disk. Raises MachineError."""
        with self._syncing:
            if not self._unsynced:
                return
            self._unsynced = False  # before the sync: what is appended from now on is synced the next time
            try:
                sync_file(self._file)
                if not self._placed:
                    sync_folder(self._run / FOLDER)
                    sync_folder(self._run)
                    self._placed = True
            except OSError as error:
                self._unsynced = True
                raise disk_error(error, self._run / FILE, "sync") from error

    def close(self) -> None:
        """Bring the file to the disk and let go of it. Raises MachineError."""
        try:
            self.sync()
        finally:
            with self._syncing:
                file, self._file = self._file, -1
                if file >= 0:
                    os.close(file)

    def _appended(self, one: EvidenceFile, title: str) -> Evidence:
        """Append a log to the file, remove it, and return where it is now."""
        content = _content(one.apart)
        if self._file < 0:
            self._file = nofollow.open_file(self._run / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, make=True)
            self._ends_a_line = False  # of an earlier segment of the run
        size = os.fstat(self._file).st_size
        head = f"{'' if self._ends_a_line or not size else chr(10)}==> {title} <==\n".encode(errors="replace")
        try:
            _write_all(self._file, head + content)
        except OSError:
            os.ftruncate(self._file, size)
            raise
        self._unsynced = True
        self._ends_a_line = content.endswith(b"\n")
        Path(one.apart).unlink()
        digest = hashlib.sha256(content).hexdigest()
        return Evidence(path=FILE, digest=digest, bytes=len(content), kind=one.kind, offset=size + len(head))


def _name(folder: str) -> str:
    """Return the name of the log of an attempt while it runs. No test and no method has `~` in its name."""
    name = folder.partition("/")[2].replace("/", "~")
    if len(name.encode(errors="replace")) <= _NAME_BYTES:
        return name
    return f"{name[: _NAME_BYTES // 4]}~{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:16]}"


def _content(log: str) -> bytes:
    """Return the whole content of a log. Raises OSError; also for a log that is too long, or no regular file."""
    file = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as stream:
        size = os.fstat(file).st_size
        if not stat.S_ISREG(os.fstat(file).st_mode) or size > PASSED_BYTES:
            raise OSError(errno.EFBIG, "it is too long", log)
        return stream.read(size)


def _remove_empty(folder: Path) -> None:
    """Remove the folder of an attempt, and that of its test, if they are there and nothing is in them."""
    if not os.path.lexists(folder):
        return
    for path in (folder, folder.parent):
        try:
            with nofollow.parent(path) as (above, name):
                os.rmdir(name, dir_fd=above)
        except OSError:
            return


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
