"""Implement `orchestra up` and `orchestra down`: start, instruct and end the keeper of a suite, and wait for it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestra import nofollow
from orchestra.draw import duration
from orchestra.errors import MachineError, UsageError
from orchestra.ledger.disk import open_log
from orchestra.ledger.lock import holder_of
from orchestra.plan import Plan, closure
from orchestra.runtime import interpreter
from orchestra.runtime.inherited import Inherited
from orchestra.runtime.servers import up
from orchestra.runtime.servers.keeper import Order, encode
from orchestra.runtime.servers.survey import SETTLED, bound_of

_POLL_SECONDS = 0.05
_MARGIN_SECONDS = 30.0
_END_SECONDS = 20.0
_TAIL_SECONDS = 0.5
_TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class Keeping:
    """The servers of a suite that stay up.

    Attributes:
        root: the project root.
        home: `.orchestra/<suite>`, absolute.
        plan: the suite.
        inherits: the environment of services and probes.
        announce: called before each wait, with what is awaited and the bound of the wait.
        report: called with each change of a row, as text that is not escaped.
    """

    root: Path
    home: Path
    plan: Plan
    inherits: Inherited
    announce: Callable[[str, float], None]
    report: Callable[[str], None]

    # ---------------------------------------------------------------------------------------------------------- up

    def bring_up(self, names: Sequence[str], *, restart: bool) -> bool:
        """Start rows with what they need, leave them running, and wait; return whether all was carried out in time.

        Args:
            names: the rows.
            restart: start those again that are up.

        Raises:
            UsageError: another health matrix is up, and `restart` is not set.
            MachineError: the keeper does not start or end.
        """
        rows = closure(self.plan.components, names)
        running = up.read(self.home)
        if running is not None and not self._same_matrix(running):
            if not restart:
                message = "the running servers were started from another health matrix"
                raise UsageError(message, "`orchestra up --restart` restarts it; `orchestra down` ends it")
            self._end()
            running = None
        wanted = up.wanted(self.home) if running is not None else {}
        before = running.rows if running is not None else {}
        for row in rows:
            again = (restart and row.id in names) or (row.id in before and before[row.id].state == "failed")
            wanted[row.id] = wanted.get(row.id, 0) + (again or row.id not in wanted)
        up.want(self.home, wanted)
        if running is None:
            self._start()
        else:
            os.kill(running.keeper, signal.SIGUSR1)
        # The dependents of a row are restarted with it.
        awaited = closure(self.plan.components, list(wanted)) if restart else rows
        bound = bound_of(awaited) + _MARGIN_SECONDS
        self.announce(f"bringing up {', '.join(row.id for row in awaited)}", bound)
        return self._carried_out({row.id: wanted[row.id] for row in awaited}, bound)

    def _same_matrix(self, kept: up.Up) -> bool:
        return kept.components == up.matrix_digest(self.plan.components) and kept.profile == self.plan.profile

    def _start(self) -> None:
        """Start a keeper and wait until it has the suite. Raises MachineError when it ends at once."""
        order = Order(
            str(self.root),
            str(self.home),
            self.plan.profile,
            self.plan.components,
            self.inherits.secrets,
            self.plan.tls,
        )
        log = self.home / up.FOLDER / "keeper.log"
        with open_log(log, fresh=True) as out:
            keeper = subprocess.Popen(
                interpreter.own("orchestra.runtime.servers.keeper"),
                cwd=self.root,
                env=self.inherits.environment,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        if keeper.stdin is not None:
            with suppress(BrokenPipeError), keeper.stdin:
                keeper.stdin.write(encode(order))
        deadline = time.monotonic() + _MARGIN_SECONDS
        while up.read(self.home) is None:
            if keeper.poll() is not None or time.monotonic() > deadline:
                output = nofollow.read(log).decode(errors="replace").strip()
                raise MachineError(f"the keeper did not start: {output[-500:]}", f"its output is in {log}")
            time.sleep(_POLL_SECONDS)
        keeper.returncode = 0  # it outlives this process on purpose: no warning about it

    def _carried_out(self, wanted: Mapping[str, int], seconds: float) -> bool:
        """Wait until the keeper has carried out what is wanted; False when it is gone or its time is over."""
        deadline = time.monotonic() + seconds
        reported: dict[str, str] = {}
        while time.monotonic() < deadline:
            now = up.read(self.home)
            if now is None:
                return False
            rows = {name: row for name in wanted if (row := now.rows.get(name)) is not None}
            for name, row in rows.items():
                text = "  ".join(part for part in (name, row.state, row.url, row.reason) if part)
                if reported.get(name) != text and row.state != "idle":
                    reported[name] = text
                    self.report(text)
            if len(rows) == len(wanted) and all(
                row.generation == wanted[name] and row.state in SETTLED for name, row in rows.items()
            ):
                return True
            time.sleep(_POLL_SECONDS)
        return False

    # -------------------------------------------------------------------------------------------------------- down

    def take_down(self, kept: up.Up, names: Sequence[str]) -> None:
        """End rows and what needs them, and wait; end the keeper too when no service is left.

        Args:
            kept: the record of the keeper.
            names: the rows; none means all.

        Raises:
            MachineError: they do not end within their bound.
        """
        over = self._with_dependents(names) if names else set(kept.rows)
        rest = {name: number for name, number in up.wanted(self.home).items() if name not in over}
        services = [row.service for row in self.plan.components if row.service is not None and row.id in rest]
        if not services:
            self._end()
            return
        up.want(self.home, rest)
        os.kill(kept.keeper, signal.SIGUSR1)
        grace = sum(row.service.grace_seconds for row in self.plan.components if row.service is not None)
        bound = grace + _MARGIN_SECONDS
        self.announce(f"ending {', '.join(sorted(over & set(kept.rows)))}", bound)
        deadline = time.monotonic() + bound
        while (now := up.read(self.home)) is not None and over & set(now.rows):
            if time.monotonic() > deadline:
                raise MachineError(f"they did not end within {duration(bound)}", "`orchestra down` ends everything")
            time.sleep(_POLL_SECONDS)

    def _with_dependents(self, names: Iterable[str]) -> set[str]:
        reached = set(names)
        size = 0
        while size != len(reached):
            size = len(reached)
            reached |= {row.id for row in self.plan.components if reached & set(row.needs)}
        return reached

    def _end(self) -> None:
        """End the keeper and wait for it: it ends each service with its grace, one after the other.

        Raises:
            MachineError: it did not end within its bound; its reaper ends what is left when it is killed.
        """
        kept = up.read(self.home)
        holder = holder_of(self.home / up.LOCK)
        if holder is None:
            return
        bound = _MARGIN_SECONDS + _END_SECONDS * (len(kept.rows) if kept is not None else 1)
        self.announce("ending everything", bound)
        os.kill(holder.pid, signal.SIGTERM)
        deadline = time.monotonic() + bound
        while holder_of(self.home / up.LOCK) is not None:
            if time.monotonic() > deadline:
                message = f"the keeper (process {holder.pid}) did not end within {duration(bound)}"
                raise MachineError(message, f"kill {holder.pid}; its servers are ended after it")
            time.sleep(_POLL_SECONDS)


def tail(home: Path, names: Sequence[str], *, follow: bool) -> Iterator[list[tuple[str, str]]]:
    """Yield the last lines of the log of each row, then, to follow them, what is added.

    Args:
        home: `.orchestra/<suite>`.
        names: the rows.
        follow: never end.
    """
    files = {name: home / up.FOLDER / "services" / f"{name}.log" for name in names}
    places: dict[str, int] = {}
    while True:
        fresh: list[tuple[str, str]] = []
        for name, file in files.items():
            try:
                data = nofollow.read(file)
            except OSError:
                continue
            place = places.get(name)
            added = data if place is None or place > len(data) else data[place:]
            places[name] = len(data)
            lines = added.decode(errors="replace").splitlines()
            fresh += [(name, line) for line in (lines[-_TAIL_LINES:] if place is None else lines)]
        yield fresh
        if not follow:
            return
        time.sleep(_TAIL_SECONDS)
