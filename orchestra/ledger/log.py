"""The append-only record of a run, `events.jsonl`: its writer, and the ids and times of a run. `reading` has its readers.

After a crash the file ends in a whole line or in half of one. Half a line is cut on the next open, and that is itself
recorded. Any other difference from what was written is reported by line and never repaired. A long ledger goes on in
further files (`segment`); to all but these two classes it is one.
"""

from __future__ import annotations

import itertools
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from orchestra import nofollow, owner
from orchestra.errors import MachineError
from orchestra.ledger.author import UNKNOWN, Author
from orchestra.ledger.chain import Tip, link
from orchestra.ledger.disk import closed_on_error, disk_error, lock_file, sync_file, sync_folder
from orchestra.ledger.event import Body, Event, Note, Seal
from orchestra.ledger.reading import Tail
from orchestra.ledger.segment import SEGMENT_BYTES, segment_body, segment_path

_BLOCK_BYTES: Final = 1 << 18
"""So much `append_all` writes at a time."""

_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND


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
        before_sync: brings to the disk what events bind, called before each sync of the events; its MachineError is that of
            the sync.

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
        before_sync: Callable[[], object] = lambda: None,
    ) -> None:
        self.path = path
        self._now = now
        self._mask = mask
        self._author = author
        self._limit = SEGMENT_BYTES if segment_bytes is None else segment_bytes
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._before_sync = before_sync
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

    def append_all(self, timed: Iterable[tuple[str, Body]], seen: Callable[[Event], object]) -> None:
        """Write events that have their times already, many at a time.

        Args:
            timed: time and body of each. A time is as `utc_stamp` gives it; it becomes that of the event before it if that
                one is later.
            seen: called with each event, in order, when it is in the file.

        Raises:
            MachineError, ValueError, TypeError: as of `append`; `seen` was called with all that the file holds.
        """
        ahead = iter(timed)
        for first in ahead:
            with self._lock:
                self._make_room(first[0])
                block = self._put_block(itertools.chain([first], ahead))
            for event in block:
                seen(event)

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

    def _make_room(self, time: str = "") -> None:
        """Go on in the next file when this one is full, and begin it if that is still to be done after a crash.

        `time` is that of the event that follows; the clock has it where it is empty.

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
            self._put(body, time)

    def _put(self, body: Body, time: str = "") -> Event:
        event, line = link(self._tip, time or utc_stamp(self._now()), body, self._mask, self._author.secret)
        self._write(line, _after(self._tip, event, line))
        return event

    def _put_block(self, timed: Iterator[tuple[str, Body]]) -> list[Event]:
        """Write the first events, up to the size of a block or the end of the file, and return them."""
        tip, events, lines = self._tip, [], []
        end = min(self._limit, tip.end + _BLOCK_BYTES)
        for time, body in timed:
            event, line = link(tip, time, body, self._mask, self._author.secret)
            events.append(event)
            lines.append(line)
            tip = _after(tip, event, line)
            if tip.end >= end:
                break
        self._write(b"".join(lines), tip)
        return events

    def _write(self, text: bytes, tip: Tip) -> None:
        """Write whole lines, the last of which is that of `tip`."""
        file = self._files[self._tip.segment]
        # A signal handler may raise between any two lines here. `_dirty` outlives that: the next append cuts first.
        try:
            if self._dirty:
                os.ftruncate(file, self._tip.end)
            self._dirty = True
            _write_all(file, text)
        except OSError as error:
            self._cut()
            raise disk_error(error, self.path, "write") from error
        self._tip = tip
        self._dirty = False

    def _sync(self) -> int:
        """As `sync`; its lock is held, so the file is that of the tip."""
        tip = self._tip
        if tip.seq == self._synced:
            return tip.seq
        if self._failed:
            raise self._failed
        self._before_sync()
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


def _after(tip: Tip, event: Event, line: bytes) -> Tip:
    return Tip(event.seq, event.hash, event.time, tip.end + len(line), tip.segment)


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
