"""Ports: the first free one of a range, reserved without a race between two runs of one user.

A port counts as free if it has no listener and no reservation. A reservation is an exclusive lock (flock) on a small
file named after the port, held during the life of the service; the kernel releases it when the run dies in any way. The
files remain: to remove one that another run is about to lock would be a race.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestra.errors import MachineError
from orchestra.ledger.disk import closed_on_error, lock_file
from orchestra.runtime.servers import identity

# The same folder for every run of a user: TMPDIR and XDG_RUNTIME_DIR may differ between two of them.
_SHARED = Path("/tmp")  # noqa: S108 - the folder in it is proven ours, closed to others, and holds only locks
_CONNECT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Port:
    """A port that is ours until `release`."""

    number: int
    lock: int

    def release(self) -> None:
        """Let others have it."""
        with contextlib.suppress(OSError):
            os.close(self.lock)


@dataclass(frozen=True, slots=True)
class Taken:
    """No port was free: why, port by port, in order, and whether another run of this user has one of them."""

    reasons: tuple[str, ...]
    ours: bool = False


def locks_folder(uid: int) -> Path:
    """Return the folder of this user's reservations, made when it is not there.

    Raises:
        MachineError: it cannot be created, or belongs to another user.
    """
    folder = _SHARED / f"orchestra-ports-{uid}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise MachineError(f"ports cannot be reserved in {folder}: {error.strerror}", "make it writable") from error
    if found.st_uid != uid or folder.is_symlink():
        raise MachineError(f"ports cannot be reserved: {folder} belongs to another user", "have it removed")
    return folder


def reserve(host: str, ports: tuple[int, int], *, but: Mapping[int, str], folder: Path) -> Port | Taken:
    """Return the first free port of an inclusive range.

    Args:
        host: the address on which the service will listen.
        ports: the lowest and the highest.
        but: ports not to be taken, with the reason.
        folder: where reservations are kept, see `locks_folder`.

    Raises:
        MachineError: the host is not an address of this machine, or the folder refuses.
    """
    reasons, ours = [], False
    for number in range(ports[0], ports[1] + 1):
        if number in but:
            reasons.append(but[number])
            continue
        lock = _lock(folder / f"{number}.lock")
        if lock is None:
            ours = True
            reasons.append(f"port {number} is reserved by another run of yours{_holder(folder / f'{number}.lock')}")
            continue
        reason = busy(host, number)
        if not reason:
            return Port(number, lock)
        os.close(lock)
        reasons.append(reason)
    return Taken(tuple(reasons), ours)


def _lock(path: Path) -> int | None:
    """Return the locked file, or None when another holds it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise MachineError(
            f"ports cannot be reserved in {path.parent}: {error.strerror}", "make it writable"
        ) from error
    with closed_on_error(file):
        mine = lock_file(file, path)
    if not mine:
        os.close(file)
        return None
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return file


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        word = path.read_text().strip()
        return f" (process {word})" if word else ""
    return ""


def busy(host: str, number: int) -> str:
    """Return the reason why no one can listen here now, with the listener; empty if the port is free.

    Raises:
        MachineError: the host is not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise MachineError(f"the host {host!r} has no address ({error})", "write an address of this machine") from error
    with socket.socket(family, kind, protocol) as trial:
        # As servers do: connections of a former service that are still closing do not take a port.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise MachineError(
                    f"the host {host!r} is not an address of this machine", "write 127.0.0.1 or one that is"
                ) from error
            if error.errno == errno.EACCES:
                return f"this user cannot use port {number}"
            return f"port {number} is held by {identity.owners(host, number)}"
    # BSD lets a socket bind in addition to one that listens on every address.
    with socket.socket(family, kind, protocol) as caller:
        caller.settimeout(_CONNECT_SECONDS)
        if caller.connect_ex((identity.reachable(host), *address[1:])) == 0:
            return f"port {number} is held by {identity.owners(host, number)}"
    return ""
