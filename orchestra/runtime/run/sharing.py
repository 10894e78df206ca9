"""The components that a run shares with other runs of the project, from its start to its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from orchestra.ledger.event import Note
from orchestra.ledger.lock import Holder
from orchestra.ledger.log import utc_stamp
from orchestra.runtime.run.opening import Run
from orchestra.runtime.servers.lending import lendings

_LOOK_SECONDS = 0.2


class Sharing:
    """The shared components of a run.

    Args:
        run: that is open.
        over: whether the end of the run is not to be put off.
    """

    def __init__(self, run: Run, over: Callable[[], bool]) -> None:
        self._run, self._over = run, over
        holder = Holder(os.getpid(), run.id, utc_stamp(run.now))
        self.lendings = lendings(run.root, run.home.parent, run.plan, run.environment, holder)

    def settle(self) -> None:
        """Wait until no other run uses what this one has lent, and lend nothing more.

        While one row is in use, all are lent: a service may have failed under its users, who wait for the new one.
        """
        noted: list[str] = []
        while used := self._used_at_end():
            for lending in self.lendings.values():
                lending.resume()
            if used != noted:
                noted = used
                listed = ", ".join(f'"{name}"' for name in used)
                message = f"{listed} is in use by another run, and ends after it; Ctrl-C ends it now"
                self._run.recorder.add(Note(kind="shared", message=message))
                self._run.recorder.sync()
            time.sleep(_LOOK_SECONDS)

    def _used_at_end(self) -> list[str]:
        """Lend nothing more, and return what is in use; nothing if the end is not to be put off."""
        for lending in self.lendings.values():
            lending.end()
        return [] if self._over() else [name for name, lending in self.lendings.items() if lending.used()]

    def close(self) -> None:
        """Give back what was borrowed, and own nothing more."""
        for lending in self.lendings.values():
            lending.close()
