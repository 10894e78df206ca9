"""The record of a run: its folder, its ledger, its state.json, and those who watch. May import `ledger` and `plan`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from orchestra.ledger.event import Event
from orchestra.ledger.log import Writer
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
        self._writer = Writer(folder / "events.jsonl", now=lambda: datetime.now(UTC), mask=mask)
        self._fold = Fold()
        self._observers = observers
        self._lock = threading.Lock()
        self._due = 0.0
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
            now = time.monotonic()
            if now >= self._due:
                write_state(self.folder / "state.json", self._fold.state())
                self._due = now + max(STATE_SECONDS, STATE_SHARE * (time.monotonic() - now))
        return event

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
            write_state(self.folder / "state.json", self._fold.state())

    def close(self) -> None:
        """Let go of the ledger and tell the observers that it is over."""
        self._writer.close()
        for observer in self._observers:
            observer.close()
