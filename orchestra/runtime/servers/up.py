"""Define the record of the servers that `orchestra up` keeps running.

A keeper (`orchestra.runtime.servers.keeper`) holds `.orchestra/<suite>/up.lock` as long as it lives, and writes
`up.json` after each change; `up.wanted.json` holds the wanted rows. The lock is the proof of life, so the record of a
machine that went down is never trusted.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec
import psutil

from orchestra import nofollow, owner, stored
from orchestra import plan as plans
from orchestra.ledger.disk import disk_error, replace_file
from orchestra.ledger.lock import holder_of
from orchestra.plan import Component
from orchestra.probes.table import PROBES
from orchestra.runtime.processes.process import alive, tree
from orchestra.runtime.servers.row import Row

FORMAT = 1
RECORD, LOCK, WANTED, FOLDER = "up.json", "up.lock", "up.wanted.json", "up"


class UpRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row that is kept.

    Attributes:
        state, reason, hint, pid, port, url, attempts, seconds, degraded, identity: as in the health matrix.
        begun: when its process started, seconds of the epoch, so that the number alone proves nothing.
        mark: the tree mark of its process.
        bound: the names that it binds: `url`, `host`, `port`, groups of log probes.
        build: digest of what it was started from.
        since: when that digest was taken, seconds of the epoch.
        generation: of the wish that was last carried out.
        by: what keeps it, in words.
    """

    state: str
    reason: str = ""
    hint: str = ""
    pid: int | None = None
    port: int | None = None
    url: str = ""
    attempts: int = 0
    seconds: float = 0.0
    degraded: str = ""
    identity: str = "own"
    begun: float = 0.0
    mark: str = ""
    bound: dict[str, str] = {}
    build: str = ""
    since: float = 0.0
    generation: int = 0
    by: str = "`orchestra up`"


class Up(msgspec.Struct, frozen=True):
    """The rows of a keeper.

    Attributes:
        format: of this record.
        keeper: its process.
        mark: of everything that it started.
        since: UTC.
        profile: of the plan.
        components: digest of the health matrix that it was given.
        variables: of each variable that the matrix refers to a MAC by the user's key, which lies elsewhere.
        rows: by id.
    """

    keeper: int
    mark: str
    since: str
    profile: str
    components: str
    variables: dict[str, str] = {}
    rows: dict[str, UpRow] = {}
    format: int = FORMAT


Wanted: TypeAlias = dict[str, int]
"""The rows to keep, each with its generation: a higher one than was carried out means a new start."""


def read(home: Path) -> Up | None:
    """Return the record of the keeper of a suite; None when none lives.

    Args:
        home: `.orchestra/<suite>`.
    """
    holder = holder_of(home / LOCK)
    if holder is None:
        return None
    try:
        up = stored.decode(nofollow.read(home / RECORD), Up)
    except (OSError, ValueError):
        return None
    return up if up.format == FORMAT and up.keeper == holder.pid else None


def write(home: Path, up: Up) -> None:
    """Replace the record. Raises MachineError when the disk refuses."""
    replace_file(home / RECORD, msgspec.json.format(msgspec.json.encode(up), indent=1) + b"\n")


def wanted(home: Path) -> Wanted:
    """Return the wanted rows; empty if there is no file."""
    try:
        return stored.decode(nofollow.read(home / WANTED), Wanted)
    except (OSError, ValueError):
        return {}


def want(home: Path, rows: Wanted) -> None:
    """Write the wanted rows. Raises MachineError if the disk refuses."""
    try:
        nofollow.make_folders(home)
    except OSError as error:
        raise disk_error(error, home, "write") from error
    replace_file(home / WANTED, msgspec.json.encode(rows) + b"\n")


def matrix_digest(components: Sequence[Component]) -> str:
    """Return the digest of a health matrix as it is planned."""
    return hashlib.sha256(plans.encode(list(components))).hexdigest()


def variables(root: Path, components: Sequence[Component], environment: Mapping[str, str], mark: str) -> dict[str, str]:
    """Return a MAC of each environment variable that the matrix refers to, or asks about; never the value.

    Without the user's key no value can be guessed. Without a key, each variable counts as changed. Inherited variables
    are not compared, because no two shells have the same environment.
    """
    text = plans.encode(list(components)).decode()
    named = set(re.findall(r"\$\{env\.(\w+)\}", text)) | {
        str(one.probe.args[key])
        for row in components
        for one in (row.ready, row.live)
        if one is not None and one.probe.kind in PROBES
        for key in PROBES[one.probe.kind].holding("variable")
    }
    key = owner.key(root, environment) or os.urandom(32)
    return {
        name: owner.mac(key, f"{mark} {name}={environment[name]!r}") for name in sorted(named) if name in environment
    }


def row_of(row: Row, bound: Mapping[str, str], mark: str) -> UpRow:
    """Return a row of a health matrix as it is lent to runs.

    Args:
        row: of the matrix.
        bound: the names that it binds.
        mark: the tree mark of its process; empty when it has none.
    """
    return UpRow(
        state=row.state,
        reason=row.reason,
        hint=row.hint,
        pid=row.pid,
        port=row.port,
        url=row.url,
        attempts=row.attempts,
        seconds=row.seconds,
        degraded=row.degraded,
        identity=row.identity,
        begun=_begun(row.pid),
        mark=mark,
        bound=dict(bound),
    )


def _begun(pid: int | None) -> float:
    try:
        return float(psutil.Process(pid).create_time()) if pid is not None else 0.0
    except psutil.Error:
        return 0.0


def lives(row: UpRow) -> bool:
    """Return True if the process of a row runs, or else something of its tree: a service may fork away."""
    return bool(living(row))


def living(row: UpRow) -> list[psutil.Process]:
    """Return the process of a row, if it runs, else what lives of its tree."""
    if row.pid is None:
        return []
    try:
        leader = psutil.Process(row.pid)
        if abs(leader.create_time() - row.begun) < 1.0 and alive(leader):
            return [leader]
    except psutil.Error:
        pass
    return [one for one in tree(row.pid, row.mark, reaped=True) if alive(one)]
