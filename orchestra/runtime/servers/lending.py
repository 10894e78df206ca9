"""Share a row of the health matrix between the runs of a project that are in progress at the same time.

The first run that starts a `shared` row owns it, with an exclusive lock on `.orchestra/shared/KEY.owner`. While the row is
healthy, `KEY.json` describes its process, and another run may use it, with a shared lock on `KEY.users`. The owner ends
the process when it gets that lock alone. The kernel releases the locks of a process that dies, however it died.

KEY is a digest of what the process is made of: two runs share a row only if each would start the same one.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestra import nofollow, stored
from orchestra import plan as plans
from orchestra.errors import OrchestraError
from orchestra.instances import PER_WORKER
from orchestra.ledger.disk import closed_on_error, disk_error, lock_file, replace_file
from orchestra.ledger.lock import Holder, Lock, LockedError
from orchestra.plan import Component, Plan, closure
from orchestra.runtime.build import build_of
from orchestra.runtime.servers import up
from orchestra.runtime.servers.up import UpRow

FOLDER = "shared"


def identities(components: Sequence[Component]) -> dict[str, str]:
    """Return by row what its process is made of; rows that no two runs can share are left out.

    A row that is renewed between methods, or has an instance for each worker, belongs to its run, and so does whatever
    needs one.

    Args:
        components: a health matrix in the order of the plan, in which needs come first.
    """
    known: dict[str, str] = {}
    for row in components:
        if row.between or row.per == PER_WORKER or not all(need in known for need in row.needs):
            continue
        process = [row.service, row.job, row.url, row.ready, row.identity, row.failover]
        text = plans.encode([process, {need: known[need] for need in row.needs}])
        known[row.id] = hashlib.sha256(text).hexdigest()
    return known


def lendings(root: Path, home: Path, plan: Plan, environment: Mapping[str, str], holder: Holder) -> dict[str, Lending]:
    """Return the `shared` rows of a plan, each with its lending.

    Args:
        root: the project root.
        home: the folder of all suites, `.orchestra`, absolute.
        plan: of the run.
        environment: what services inherit; two values of a variable that a row refers to make two rows.
        holder: the run.
    """
    known = identities(plan.components)
    shared: dict[str, Lending] = {}
    for row in plan.components:
        if not row.shared or row.id not in known:
            continue
        parts = closure(plan.components, [row.id])
        builds = [build_of(root, part).digest for part in parts]
        made_of = [known[row.id], builds, up.variables(root, parts, environment, FOLDER), plan.tls]
        key = hashlib.sha256(plans.encode(made_of)).hexdigest()[:32]
        shared[row.id] = Lending(home / FOLDER / key, holder)
    return shared


class Lending:
    """One shared row, for one run: its owner or its borrower, or neither yet.

    Args:
        path: of its files, without a suffix.
        holder: the run.
    """

    def __init__(self, path: Path, holder: Holder) -> None:
        self._owner, self._users, self._record = (path.with_suffix(end) for end in (".owner", ".users", ".json"))
        self._holder = holder
        self._owned: Lock | None = None
        self._borrowed = -1
        self._ends = False
        self._row: UpRow | None = None
        self._turn = threading.Lock()  # the health matrix and the end of the run are two threads

    def own(self) -> Holder | None:
        """Become the owner; return the owner if that is another run, None if it is this one.

        Raises:
            MachineError: the files cannot be made.
        """
        if self._owned is not None:
            return None
        try:
            self._owned = Lock(self._owner, self._holder)
        except LockedError as locked:
            return locked.holder or Holder(0, "unknown", "")
        with suppress(OSError):
            nofollow.unlink(self._record)  # of an owner that died
        return None

    def lend(self, row: UpRow) -> None:
        """Let other runs use the row. A disk that refuses costs only the sharing."""
        with self._turn:
            self._row = row
            self._write()

    def withdraw(self) -> None:
        """Let no further run use the row; those that use it notice by themselves if it is not healthy."""
        with self._turn:
            self._row = None
            self._unlink()

    def end(self) -> None:
        """Let no further run use the row, until `resume`."""
        with self._turn:
            self._ends = True
            self._unlink()

    def resume(self) -> None:
        """Let other runs use the row again, if it is healthy."""
        with self._turn:
            self._ends = False
            self._write()

    def _write(self) -> None:
        if self._owned is not None and self._row is not None and not self._ends:
            with suppress(OrchestraError):
                replace_file(self._record, msgspec.json.encode(self._row) + b"\n")

    def _unlink(self) -> None:
        if self._owned is not None:
            with suppress(OSError):
                nofollow.unlink(self._record)

    def used(self) -> bool:
        """Return whether another run uses the row, as far as the owner can know. Raises MachineError if the disk refuses."""
        if self._owned is None:
            return False
        users = self._open()
        with closed_on_error(users):
            alone = lock_file(users, self._users)
        os.close(users)
        return not alone

    def borrow(self) -> UpRow | None:
        """Return the row of the owner, to be used until `give_back`; None when it lends none now.

        Raises:
            MachineError: the disk refuses.
        """
        if self._lent() is None:
            return None
        self.give_back()
        users = self._open()
        with closed_on_error(users):
            free = lock_file(users, self._users, shared=True)
        row = self._lent() if free else None  # the owner may have withdrawn it meanwhile
        if row is None:
            os.close(users)
        else:
            self._borrowed = users
        return row

    def give_back(self) -> None:
        """Note that this run no longer uses the row of another. Without one nothing happens."""
        if self._borrowed >= 0:
            os.close(self._borrowed)
            self._borrowed = -1

    def close(self) -> None:
        """Give everything back."""
        self.give_back()
        self.end()
        if self._owned is not None:
            self._owned.release()
            self._owned = None

    def _open(self) -> int:
        try:
            return nofollow.open_file(self._users, os.O_RDWR | os.O_CREAT, make=True)
        except OSError as error:
            raise disk_error(error, self._users, "open") from error

    def _lent(self) -> UpRow | None:
        try:
            return stored.decode(nofollow.read(self._record), UpRow)
        except (OSError, ValueError):
            return None
