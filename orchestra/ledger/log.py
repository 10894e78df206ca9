"""The append-only record of a run, `events.jsonl`: one writer, any number of readers.

Longer than other modules because what is written and how it is read again
after a crash are read together.

After a crash the file ends in a whole line or in half of one. Half a line is cut on the next open, and that is itself
recorded. Any other difference from what was written is reported by line and never repaired. A long ledger goes on in
further files (`segment`); to all but these two classes it is one.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec

from orchestra import nofollow, owner
from orchestra.errors import MachineError
from orchestra.ledger.author import UNKNOWN, Author
from orchestra.ledger.chain import BrokenLineError, Tip, hash_of, link, mac_of, strict_fault, unlink
from orchestra.ledger.disk import closed_on_error, disk_error, lock_file, sync_file, sync_folder
from orchestra.ledger.event import Body, Event, Note, Seal
from orchestra.ledger.segment import SEGMENT_BYTES, segment_body, segment_fault, segment_path, segments, stray

_BLOCK_BYTES = 1 << 16
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND


class Damage(NamedTuple):
    """The first wrong line of a ledger."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class LedgerError(MachineError):
    """A ledger is damaged; `damage` names the first wrong line. It is never repaired silently."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(str(damage), "the file was changed after it was written: restore it, or start a new run")
        self.damage = damage


def utc_stamp(moment: datetime) -> str:
    """UTC in ISO 8601 with microseconds and `Z`. Raises ValueError for a time without a zone."""
    if moment.tzinfo is not UTC:
        moment = _utc(moment)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


SECOND: Final = "%Y%m%dT%H%M%SZ"
"""The first part of a run id."""

_MOST: Final = 0xFFFF


def run_id(now: datetime, token: str, newest: str = "") -> str:
    """Return the id of a new run: `YYYYMMDDTHHMMSSZ-` and four hexadecimal digits. Ids sort in the order of the runs.

    Args:
        now: with a zone.
        token: four hexadecimal digits, by chance.
        newest: the greatest id that the suite has. The new one is greater: also in the same second, and when the clock
            was set back.

    Raises:
        ValueError: the token is another one.
    """
    if not re.fullmatch("[0-9a-f]{4}", token):
        raise ValueError(f'the token of a run id is four hexadecimal digits, not "{token}"')
    made = f"{_utc(now):{SECOND}}-{token}"
    if made > newest:
        return made
    second, _, last = newest.partition("-")
    number = int(last, 16) + 1 + int(token[:2], 16)
    if number <= _MOST:
        return f"{second}-{number:04x}"
    return f"{datetime.strptime(second, SECOND).replace(tzinfo=UTC) + timedelta(seconds=1):{SECOND}}-{token}"


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"the time {moment} has no zone")
    return moment.astimezone(UTC)


class Tail:
    """Reads a ledger from its start, and on as it grows. Verifies every line.

    Attributes:
        path: the file that it reads: the first, or the further one that it has come to.
        tip: the last whole event read.
        text: its line as it was written, with the line feed.
        torn: the number of bytes after it at the last poll: a truncated line, being written or left by a crash.
    """

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        self.path = path
        self.tip = Tip()
        self.text = b""
        self.torn = 0
        self._first = path
        self._before = 0
        self._strict = strict

    @property
    def line(self) -> int:
        """The number of the last whole line in its file, from 1."""
        return self.tip.seq - self._before

    def poll(self) -> Iterator[Event]:
        """Yield the whole events that this reader has not given yet.

        Raises:
            LedgerError: a line is damaged, or a file of several is missing.
            MachineError: the file cannot be read.
        """
        try:
            yield from self._files()
        except OSError as error:
            raise disk_error(error, self.path, "read") from error
        except BrokenLineError as error:
            raise LedgerError(Damage(self.path, self.line + 1, str(error))) from error

    def _files(self) -> Iterator[Event]:
        """As `poll`, file by file."""
        yield from self._rest()
        while (following := segment_path(self._first, self.tip.segment + 1)).exists():
            yield from self._rest()  # what was written between the look at this file and the making of the next
            if self.torn:
                raise BrokenLineError(f"truncated last line ({self.torn} bytes), but {following.name} follows")
            self._before = self.tip.seq
            self.path = following
            self.tip = self.tip._replace(end=0, segment=self.tip.segment + 1)
            yield from self._rest()
        if (lost := stray(self._first, self.tip.segment)) is not None:
            raise BrokenLineError(f"{following.name} is missing, though {lost.name} is there")

    def _rest(self) -> Iterator[Event]:
        """Yield the whole events of the file that was come to."""
        check = _strictly if self._strict else _plainly
        self.torn = 0
        with nofollow.open_read(self.path) as stream:
            stream.seek(self.tip.end)
            for raw in stream:
                if raw[-1:] != b"\n":
                    self.torn = len(raw)
                    return
                event = check(raw[:-1], self.tip)
                if not self.tip.end and (fault := self._opening_fault(event)):
                    raise BrokenLineError(fault)
                end = self.tip.end + len(raw)
                self.tip = Tip(event.seq, event.hash, event.time, end, self.tip.segment, event.mac)
                self.text = raw
                yield event

    def _opening_fault(self, event: Event) -> str | None:
        if self.tip.segment == 1:
            return None
        if event.type == "segment" and not self._strict:
            return None  # the chain goes on; to hash the whole file before is for an auditor
        return segment_fault(self._first, event, self.tip)


def _plainly(line: bytes, before: Tip) -> Event:
    return unlink(line, before.seq + 1, before.hash)


def _strictly(line: bytes, before: Tip) -> Event:
    event = _plainly(line, before)
    if fault := strict_fault(line, event, before):
        raise BrokenLineError(fault)
    return event


def read(path: Path) -> Iterator[Event]:
    """Yield all whole events of a ledger, verified; half a line at its end is passed over. Raises as `Tail.poll`."""
    return Tail(path).poll()


def last_mark(path: Path) -> tuple[str, str]:
    """Return the hash and the MAC in the last whole line of a ledger, both empty where there is none.

    The line is not verified: callers that act on it read the ledger, too.

    Raises:
        MachineError: the file cannot be read.
    """
    line = b""
    for file in reversed(list(segments(path))):  # a crash may leave the last one without a whole line
        try:
            line = _last_line(file)
        except OSError as error:
            raise disk_error(error, file, "read") from error
        if line:
            break
    return hash_of(line), mac_of(line)


def _last_line(file: Path) -> bytes:
    """Return the last whole line of a file without its line feed, empty where there is none."""
    block, found = _BLOCK_BYTES, b""
    with nofollow.open_read(file) as stream:
        size = stream.seek(0, os.SEEK_END)
        while found.count(b"\n") < 2 and len(found) < size:  # the line feed before the line, and its own
            stream.seek(max(0, size - block))
            found = stream.read()
            block *= 2
    return found[: max(0, found.rfind(b"\n"))].rpartition(b"\n")[2]


class Writer:
    """The one writer of a ledger. A second writer, in any process, is refused.

    Safe to call from several threads, not from a signal handler: the thread that it interrupts may hold the lock.

    Args:
        path: `events.jsonl`; made with its folders if absent, verified and continued if present.
        now: the clock, with a zone.
        mask: applied to the free text of each event before it is written, to keep secrets out (`free_text`).
        seen: called with each event that the file holds already, and with the one that reports a torn end.
        author: who writes it.
        segment_bytes: a file of this size or more is followed by another one; None for `SEGMENT_BYTES`.

    Raises:
        LedgerError: the file is damaged elsewhere than in a torn last line.
        MachineError: the file cannot be made, read or written, or another process writes it.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime],
        mask: Callable[[str], str] | None = None,
        seen: Callable[[Event], object] | None = None,
        author: Author = UNKNOWN,
        segment_bytes: int | None = None,
    ) -> None:
        self.path = path
        self._now = now
        self._mask = mask
        self._author = author
        self._limit = SEGMENT_BYTES if segment_bytes is None else segment_bytes
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._failed: MachineError | None = None
        self._dirty = False
        self._tip = Tip()
        self._synced = 0
        self._files = {1: _open(path)}  # by segment; the lock on the first is that on the ledger
        try:
            self._recover(seen or (lambda _event: None))
        except BaseException:
            self._let_go()
            raise

    @property
    def tip(self) -> Tip:
        """The last event written."""
        return self._tip

    def append(self, body: Body, *, sync: bool = False) -> Event:
        """Write one event as one line and return it; with `sync`, return when it is on the disk.

        Raises:
            MachineError: the disk refuses; the file ends in the last whole line, and a later append may succeed.
            ValueError, TypeError: the body has no JSON, or is none of the catalogue; nothing is written.
        """
        with self._lock:
            self._make_room()
            event = self._put(body)
        if sync:
            self.sync()
        return event

    def sync(self) -> int:
        """Return when all that was appended is on the disk, with the number of its last event.

        Callers that arrive together share one fsync; appending goes on meanwhile.

        Raises:
            MachineError: the disk refuses. Its content is then unknown, so this writer takes no more.
        """
        with self._sync_lock:
            return self._sync()

    def seal(self, rules: Mapping[str, bool] | None = None, rules_version: int | None = None) -> Event:
        """Close what was written so far, durably. Raises as `append`.

        Args:
            rules: each integrity rule, held or not; None without a check.
            rules_version: of what they ask for.
        """
        with self._lock:
            self._make_room()
            body = Seal(events=self._tip.seq, head=self._tip.hash, rules=rules or {}, rules_version=rules_version)
            if self._author.sign is not None:
                body = msgspec.structs.replace(body, **self._author.sign(msgspec.to_builtins(body)))
            event = self._put(body)
        self.sync()
        return event

    def close(self) -> None:
        """Sync and let go of the file. A second call does nothing. Raises as `sync`."""
        if not self._files:
            return
        if self._dirty:
            self._cut()
        try:
            self.sync()
        finally:
            self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recover(self, seen: Callable[[Event], object]) -> None:
        """Verify the existing lines and remove a truncated last line; the next event reports that."""
        tail = Tail(self.path)
        for event in tail.poll():
            seen(event)
        self._tip = tail.tip
        own = owner.is_own(self._author.secret, self._tip.hash, self._tip.mac)
        if self._tip.seq and not own and not self._author.trust:
            self._author = self._author._replace(secret=b"")
        if self._tip.segment > 1:
            self._files[self._tip.segment] = _open_next(tail.path)
        if tail.torn:
            self._dirty = True
            message = f"a truncated last line of {tail.torn} bytes was removed from the ledger"
            note = Note(message=message, kind="torn", data={"bytes": tail.torn, "line": tail.line + 1})
            seen(self.append(note, sync=True))

    def _make_room(self) -> None:
        """Go on in the next file when this one is full, and begin it if that is still to be done after a crash.

        The content of the file before is on disk before the next one is created. `_tip` alone commits the step: if it
        fails, or a signal handler raises in it, the next append takes it.
        """
        if self._failed:
            raise self._failed
        if self._tip.end >= self._limit:
            number = self._tip.segment + 1
            with self._sync_lock:
                self._sync()
            if number not in self._files:
                self._files[number] = _open_next(segment_path(self.path, number))
            self._dirty = True  # of an attempt that failed something may be left in it
            self._tip = self._tip._replace(end=0, segment=number)
        if not self._tip.end and self._tip.segment > 1:
            try:
                body = segment_body(self.path, self._tip)
            except OSError as error:
                raise disk_error(error, self.path, "read") from error
            self._put(body)

    def _put(self, body: Body) -> Event:
        event, line = link(self._tip, utc_stamp(self._now()), body, self._mask, self._author.secret)
        file = self._files[self._tip.segment]
        # A signal handler may raise between any two lines here. `_dirty` outlives that: the next append cuts first.
        try:
            if self._dirty:
                os.ftruncate(file, self._tip.end)
            self._dirty = True
            _write_all(file, line)
        except OSError as error:
            self._cut()
            raise disk_error(error, self.path, "write") from error
        self._tip = Tip(event.seq, event.hash, event.time, self._tip.end + len(line), self._tip.segment)
        self._dirty = False
        return event

    def _sync(self) -> int:
        """As `sync`; its lock is held, so the file is that of the tip."""
        tip = self._tip
        if tip.seq == self._synced:
            return tip.seq
        if self._failed:
            raise self._failed
        try:
            sync_file(self._files[tip.segment])
        except OSError as error:
            # The kernel may drop the pages and report success next time: only a fresh read can detect that.
            self._failed = disk_error(error, self.path, "sync")
            raise self._failed from error
        self._synced = tip.seq
        return tip.seq

    def _cut(self) -> None:
        try:
            os.ftruncate(self._files[self._tip.segment], self._tip.end)
        except OSError:
            return  # stays dirty: cut by the next append, or by the next open
        self._dirty = False

    def _let_go(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])


def _open(path: Path) -> int:
    try:
        file = nofollow.open_file(path, _APPEND, make=True)
    except OSError as error:
        raise disk_error(error, path, "open") from error
    with closed_on_error(file):
        if not lock_file(file, path):
            raise MachineError(f'another process writes "{path}"', "wait for that run to end, or end it")
        try:
            sync_folder(path.parent)
        except OSError as error:
            raise disk_error(error, path, "open") from error
    return file


def _open_next(path: Path) -> int:
    """Return a further file of a ledger that this process has locked; its name is on the disk."""
    try:
        file = nofollow.open_file(path, _APPEND)
        try:
            sync_folder(path.parent)
        except OSError:
            os.close(file)
            raise
    except OSError as error:
        raise disk_error(error, path, "open") from error
    return file


def _write_all(file: int, line: bytes) -> None:
    written = os.write(file, line)
    while written < len(line):
        written += os.write(file, memoryview(line)[written:])
