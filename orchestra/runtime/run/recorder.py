"""The record of a run: its folder, its ledger, its state.json, and those who watch.

An fsync takes as long as hundreds of events, so a thread of its own makes them: what comes while one is under way shares
the next. Nothing that waits for the disk is shown or given away before it is there.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from orchestra.errors import OrchestraError
from orchestra.ledger.author import UNKNOWN, Author
from orchestra.ledger.event import Body, Event
from orchestra.ledger.log import Writer
from orchestra.ledger.quick import STATE
from orchestra.ledger.reports import reports_of
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.state import state_of, write_state
from orchestra.ledger.view import Observer, View
from orchestra.pause import pause_seconds

STATE_SECONDS = 0.1
"""state.json is written at most ten times a second; the ledger is the truth, this is for those who look."""

STATE_SHARE = 50
"""And so seldom that it takes a fiftieth of the time: that of ten thousand tests has two megabytes."""

STATE_MOST_SECONDS = 10.0
"""But not more seldom than this."""

COMMIT_SECONDS = 0.05
"""The time that a verdict may wait for others before it is synced to disk, while nothing waits for it."""


T = TypeVar("T")


@runtime_checkable
class Publisher(Protocol):
    """An observer that writes files of the report when it is closed."""

    written: Sequence[Path]


class Recorder:
    """Appends events, lets the view see them, and shows both to the observers. Safe to call from several threads.

    Args:
        folder: the run's own folder, absolute.
        mask: takes secrets out of free text; None where there are none.
        view: of the run; one that goes on begins with what the ledger holds.
        observers: called in order.
        author, before_sync: as of `Writer`.
    """

    def __init__(
        self,
        folder: Path,
        mask: Callable[[str], str] | None,
        view: View,
        observers: Sequence[Observer] = (),
        *,
        author: Author = UNKNOWN,
        before_sync: Callable[[], object] = lambda: None,
    ) -> None:
        self.folder = folder
        self.view = view
        self._observers = observers
        self._writer = Writer(
            folder / LEDGER,
            now=lambda: datetime.now(UTC),
            mask=mask,
            seen=view.see,
            author=author,
            before_sync=before_sync,
        )
        self._lock = threading.Lock()
        self._due = 0.0
        self._late: threading.Timer | None = None
        self._waiting: deque[Event] = deque()
        self._asked = 0
        self._oldest = 0.0
        self._sealed = False
        self._syncer = _Syncer(self._writer)

    def add(self, body: Body, *, later: bool = False) -> Event:
        """Append an event. One that is for `later` is shown to the observers once it is on the disk.

        Raises:
            MachineError: the disk refuses; the ledger ends in its last whole line.
        """
        with self._lock:
            event = self._writer.append(body)
            self.view.see(event)
            if later:
                if not self._waiting or self._waiting[-1].seq <= self._asked:
                    self._oldest = time.monotonic()
                self._waiting.append(event)
            else:
                self._show(event)
            rest = self._due - time.monotonic()
            if rest <= 0:
                self._write_state()
            elif self._late is None:  # nothing may follow for long: who looks meanwhile shall see this event
                self._late = threading.Timer(rest, self._write_late)
                self._late.daemon = True
                self._late.start()
        return event

    def _write_state(self) -> None:
        begun = time.monotonic()
        write_state(self.folder / STATE, state_of(self.view))
        now = time.monotonic()
        self._due = now + pause_seconds(now - begun, parts=STATE_SHARE, least=STATE_SECONDS, most=STATE_MOST_SECONDS)

    def _write_late(self) -> None:
        with self._lock:
            if self._late is None:
                return  # closed meanwhile
            self._late = None
            with suppress(OrchestraError):  # the next event, or the end of the run, reports the error of the disk
                self._write_state()

    def commit(self, wake: Callable[[], None], *, at_once: bool) -> float | None:
        """Have the events that wait brought to the disk; `wake` is called, in a thread, when they are.

        Returns without waiting: None when it was asked for, else the seconds after which to call again.

        Args:
            wake: as above.
            at_once: something is held up until then; otherwise verdicts of `COMMIT_SECONDS` share an fsync.
        """
        if not self._waiting or self._waiting[-1].seq <= self._asked:
            return None
        left = self._oldest + COMMIT_SECONDS - time.monotonic()
        if left > 0 and not at_once:
            return left
        self._asked = self._waiting[-1].seq
        self._syncer.ask(wake)
        return None

    def settled(self) -> int:
        """Return the number of the last event that is on the disk for sure. Those that waited for it have been shown.

        Raises:
            MachineError: the disk refuses to take the record.
        """
        reached = self._syncer.reached()
        if self._waiting:
            with self._lock:
                while self._waiting and self._waiting[0].seq <= reached:
                    self._show(self._waiting.popleft())
        return reached

    def sync(self) -> None:
        """Bring what was appended to the disk, and show the events that waited for it. Raises as `settled`."""
        if self._waiting:
            self._writer.sync()
            with self._lock:
                while self._waiting:
                    self._show(self._waiting.popleft())

    def _show(self, event: Event) -> None:
        for observer in self._observers:
            observer.see(event, self.view)

    def read(self, of: Callable[[View], T]) -> T:
        """Return the result of a function of the view, while no other thread adds an event to it."""
        with self._lock:
            return of(self.view)

    def seal(self, rules: Mapping[str, bool] | None = None, rules_version: int | None = None) -> None:
        """Close a run that ended by itself: everything on the disk, the seal last, then state.json.

        Args: as of `Writer.seal`.
        """
        self.sync()
        with self._lock:
            self.view.see(self._writer.seal(rules, rules_version))
            self._write_state()
            self._sealed = True

    def close(self) -> None:
        """Close the ledger and notify the observers."""
        with self._lock:
            late, self._late = self._late, None
        if late is not None:
            late.cancel()
        self._syncer.close()
        try:
            for observer in self._observers:
                observer.close(self.view)
            self._bind_reports()
        finally:
            self._writer.close()

    def _bind_reports(self) -> None:
        """Bind the files that the observers wrote of a run that was sealed, and seal it again."""
        files = [file for observer in self._observers if isinstance(observer, Publisher) for file in observer.written]
        if files and self._sealed:
            with self._lock:
                self.view.see(self._writer.append(reports_of(self.folder, files)))
                self.view.see(self._writer.seal())
                self._write_state()


class _Syncer:
    """A thread that brings a ledger to the disk when asked."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._pending = False
        self._reached = 0
        self._fault: OrchestraError | None = None
        self._thread: threading.Thread | None = None

    def ask(self, wake: Callable[[], None]) -> None:
        """Sync what was appended up to now, and call `wake`. Asked twice before it begins, it does so once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="sync", daemon=True)
            self._thread.start()
        if not self._pending:
            self._pending = True
            self._asked.put(wake)

    def reached(self) -> int:
        """Return the number of the last event on the disk. Raises the MachineError of a disk that refused."""
        if self._fault is not None:
            raise self._fault
        return self._reached

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (wake := self._asked.get()) is not None:
            self._pending = False  # before the sync looks how far the ledger is: who asks from now on is served again
            try:
                self._reached = self._writer.sync()
            except OrchestraError as error:
                self._fault = error
            wake()
