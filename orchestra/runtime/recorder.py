"""The record of a run: its folder, its ledger, its state.json, and those who watch. May import `ledger` and `plan`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from orchestra.errors import OrchestraError
from orchestra.ledger.event import Event
from orchestra.ledger.log import Writer
from orchestra.ledger.runs import LEDGER, STATE
from orchestra.ledger.state import Fold, State, write_state

STATE_SECONDS = 0.1
"""state.json is written at most ten times a second; the ledger is the truth, this is for those who look."""

STATE_SHARE = 20
"""And so seldom that it takes a twentieth of the time: that of ten thousand tests has two megabytes."""


class Observer(Protocol):
    """Somebody who is shown each event once it is written (a verdict: once it is on the disk)."""

    def see(self, event: Event) -> None:
        """One event."""

    def close(self) -> None:
        """The run is over and sealed."""


class Recorder:
    """Appends events, folds them into the state, and tells the observers. Safe to call from several threads.

    Args:
        folder: the run's own folder, absolute.
        mask: takes secrets out of every text; None where there are none.
        observers: told in order.
    """

    def __init__(self, folder: Path, mask: Callable[[str], str] | None, observers: Sequence[Observer] = ()) -> None:
        self.folder = folder
        self._fold = Fold()  # of a run that goes on it begins with what the ledger holds
        self._writer = Writer(folder / LEDGER, now=lambda: datetime.now(UTC), mask=mask, seen=self._fold.add)
        self._observers = observers
        self._lock = threading.Lock()
        self._due = 0.0
        self._late: threading.Timer | None = None
        self._unsynced: list[Event] = []

    def add(self, kind: str, body: Mapping[str, Any], *, later: bool = False) -> Event:
        """Append an event. One that is for `later` is shown to the observers by the next `sync`.

        Raises:
            MachineError: the disk refuses; the ledger ends in its last whole line.
        """
        with self._lock:
            event = self._writer.append(kind, body)
            self._fold.add(event)
            if later:
                self._unsynced.append(event)
            else:
                for observer in self._observers:
                    observer.see(event)
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
        write_state(self.folder / STATE, self._fold.state())
        now = time.monotonic()
        self._due = now + max(STATE_SECONDS, STATE_SHARE * (now - begun))

    def _write_late(self) -> None:
        with self._lock:
            if self._late is None:
                return  # closed meanwhile
            self._late = None
            with suppress(OrchestraError):  # the next event, or the end of the run, tells what the disk has against it
                self._write_state()

    def sync(self) -> None:
        """Bring what was appended to the disk, once for all, and show the events that waited for it."""
        with self._lock:
            waiting, self._unsynced = self._unsynced, []
            if not waiting:
                return
            self._writer.sync()
            for event in waiting:
                for observer in self._observers:
                    observer.see(event)

    def state(self) -> State:
        """The state as of now."""
        with self._lock:
            return self._fold.state()

    def seal(self) -> None:
        """Close a run that ended by itself: everything on the disk, the seal last, then state.json."""
        self.sync()
        with self._lock:
            event = self._writer.seal()
            self._fold.add(event)
            self._write_state()

    def close(self) -> None:
        """Let go of the ledger and tell the observers that it is over."""
        with self._lock:
            late, self._late = self._late, None
        if late is not None:
            late.cancel()
        self._writer.close()
        for observer in self._observers:
            observer.close()
