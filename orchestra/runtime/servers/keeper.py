"""The keeper of `orchestra up`: a small process that holds the health matrix of a suite while people work by hand.

    python -m orchestra.runtime.servers.keeper < order.json

It starts, watches and recovers the same way as a run does, because it is the same matrix. SIGUSR1 lets it read the
wanted rows again; SIGTERM ends everything. If it is killed itself, its reaper ends its processes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import msgspec

from orchestra.errors import EXIT_MACHINE, EXIT_OK, OrchestraError
from orchestra.ledger.lock import Holder, Lock
from orchestra.ledger.log import utc_stamp
from orchestra.plan import NO_TLS, Component, Tls
from orchestra.printing import letter
from orchestra.runtime.build import build_of
from orchestra.runtime.mask import Masks
from orchestra.runtime.processes.reaper import Reaper
from orchestra.runtime.servers import up
from orchestra.runtime.servers.matrix import Matrix
from orchestra.runtime.servers.up import Up, UpRow, Wanted


class Order(msgspec.Struct, frozen=True):
    """The request on the stdin of a keeper.

    Attributes:
        root: the project root.
        home: `.orchestra/<suite>`, absolute.
        profile: of the plan.
        components: the health matrix.
        secrets: names of variables whose values are masked.
        tls: how probes check certificates.
    """

    root: str
    home: str
    profile: str
    components: tuple[Component, ...]
    secrets: tuple[str, ...] = ()
    tls: Tls = NO_TLS


def encode(order: Order) -> bytes:
    """Return an order as a keeper reads it."""
    return msgspec.json.encode(order)


class Keeper:
    """Holds the matrix and writes its record.

    Args:
        order: what to keep.
        mark: of all that it starts.
    """

    def __init__(self, order: Order, mark: str) -> None:
        self._home = Path(order.home)
        self._root = Path(order.root)
        self._components = {component.id: component for component in order.components}
        # A signal handler may put at any moment; the lock of an Event may be held then.
        self._news = SimpleQueue[None]()
        self._done: Wanted = {}
        self._builds: dict[str, tuple[str, float]] = {}
        self.ended = False
        self.asked = True
        self._up = Up(
            keeper=os.getpid(),
            mark=mark,
            since=utc_stamp(datetime.now(UTC)),
            profile=order.profile,
            components=up.matrix_digest(order.components),
            variables=up.variables(self._root, order.components, os.environ, mark),
        )
        self._reaper = Reaper.start(mark)
        self._matrix = Matrix(
            order.components,
            root=self._root,
            folder=self._home / up.FOLDER,
            mark=mark,
            env=os.environ,
            masks=Masks(order.secrets, os.environ),
            on_event=lambda *_: None,
            wake=lambda: self._news.put(None),
            reaper=self._reaper,
            tls=order.tls,
        )

    def signalled(self, number: int, frame: object) -> None:
        """Note a signal; nothing else happens here."""
        del frame
        if number == signal.SIGUSR1:
            self.asked = True
        else:
            self.ended = True
        self._news.put(None)

    def keep(self) -> None:
        """Do what is wanted until the end is asked for."""
        try:
            while not self.ended:
                if self.asked:
                    self.asked = False
                    self._obey(up.wanted(self._home))
                self._write()
                self._news.get()
                while not self._news.empty():  # one look for all that has come
                    self._news.get()
        finally:
            self._matrix.close()
            self._reaper.close()
            with suppress(OSError):
                (self._home / up.RECORD).unlink()
            with suppress(OSError):
                (self._home / up.WANTED).unlink()

    def _obey(self, wanted: Wanted) -> None:
        """Stop the rows that are no longer wanted or wanted again, with their dependents, and start the wanted ones."""
        over = [name for name, number in self._done.items() if wanted.get(name) != number]
        self._matrix.stop(over)
        self._done = {name: number for name, number in wanted.items() if name in self._components}
        for name in self._done:
            if self._matrix.row(name).state == "idle":
                self._builds[name] = build_of(self._root, self._components[name]).digest, time.time()
        self._matrix.request(self._done)

    def _write(self) -> None:
        with suppress(OrchestraError):  # a disk that refuses costs the record; what is kept goes on
            up.write(self._home, msgspec.structs.replace(self._up, rows={name: self._row(name) for name in self._done}))

    def _row(self, name: str) -> UpRow:
        return row_of(self._matrix, name, *self._builds.get(name, ("", 0.0)), generation=self._done[name])


def row_of(matrix: Matrix, name: str, build: str, since: float, generation: int = 0) -> UpRow:
    """Return a row of a matrix as it is lent to runs.

    Args:
        matrix: that keeps it.
        name: of the row.
        build: the digest of what it was started from.
        since: when that digest was taken, seconds of the epoch.
        generation: of the wish that was last carried out.
    """
    row = up.row_of(matrix.row(name), matrix.bound(name), matrix.mark_of(name))
    return msgspec.structs.replace(row, build=build, since=since, generation=generation)


def main(arguments: Sequence[str]) -> int:
    """Keep until SIGTERM, SIGINT or SIGHUP. Exit 3 when another keeper has the suite."""
    del arguments
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    mark = f"up-{os.getpid()}-{time.time_ns():x}"
    try:
        lock = Lock(Path(order.home) / up.LOCK, Holder(os.getpid(), mark, utc_stamp(datetime.now(UTC))))
    except OrchestraError as error:
        sys.stderr.write(f"{letter(error.message, error.hint)}\n")
        return EXIT_MACHINE
    keeper = Keeper(order, mark)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, keeper.signalled)
    try:
        keeper.keep()
    finally:
        lock.release()
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
