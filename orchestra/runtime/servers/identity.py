"""Identify who answers: the process that owns a listening socket, and whether it is the service's.

Linux shows it in /proc/net/tcp and the open files of processes; elsewhere psutil does its best. Without root, a process
of another user is unknown; its user is known.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from orchestra.runtime.processes.process import Process, tree

_LISTEN = "0A"
_COMMAND_LENGTH = 120


class Listener(NamedTuple):
    """A listening socket. `inode` is 0 and `pid` None if the system does not report it."""

    address: str
    inode: int
    uid: int | None
    pid: int | None


class Answerer(NamedTuple):
    """The process that answers at an address.

    Attributes:
        stranger: who it is, in words, when it is not the service; empty when it is.
        inodes: the sockets of the service, by which it is known again at no cost.
    """

    stranger: str
    inodes: frozenset[int]


def reachable(host: str) -> str:
    """Return the address at which something that listens on `host` is reached: every address is also the loopback."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound


def _address(host: str) -> str:
    try:
        address = socket.getaddrinfo(reachable(host), None, type=socket.SOCK_STREAM)[0][4][0]
    except OSError:
        return host
    return str(address)


def is_local(host: str) -> bool:
    """Return True if this machine itself answers at this host."""
    try:
        infos = socket.getaddrinfo(reachable(host), 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in infos[:1]:
        with socket.socket(family, kind, protocol) as trial, contextlib.suppress(OSError):
            trial.bind((address[0], 0, *address[2:]))
            return True
    return False


def _words(packed: bytes) -> str:
    """Return an address as the kernel prints it: words of 32 bits in the byte order of the machine."""
    return "".join(
        f"{int.from_bytes(packed[index : index + 4], sys.byteorder):08X}" for index in range(0, len(packed), 4)
    )


def _spellings(address: str) -> list[set[str]]:
    """Return the addresses to which a socket that answers here may be bound, most specific first, as the kernel selects
    it.
    """
    if ":" in address:
        return [{_words(socket.inet_pton(socket.AF_INET6, address.partition("%")[0]))}, {"0" * 32}]
    mapped = socket.inet_pton(socket.AF_INET6, f"::ffff:{address}")
    every = socket.inet_pton(socket.AF_INET6, "::ffff:0.0.0.0")
    return [{_words(socket.inet_aton(address)), _words(mapped)}, {"0" * 8, _words(every)}, {"0" * 32}]


def _kernel_table(port: int) -> Iterator[Listener]:
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), Path(f"/proc/net/{name}").open() as file:
            next(file, None)
            for line in file:
                words = line.split(None, 10)
                address, _, number = words[1].rpartition(":")
                if words[3] == _LISTEN and int(number, 16) == port:
                    yield Listener(address, int(words[9]), int(words[7]), None)


def _listeners(host: str, port: int) -> list[Listener]:
    """Return the sockets that answer at this address now."""
    if not Path("/proc/net/tcp").exists():
        return _listeners_elsewhere(port)
    listening = list(_kernel_table(port))
    for spelling in _spellings(_address(host)):
        exact = [listener for listener in listening if listener.address in spelling]
        if exact:
            return exact
    return []


def _listeners_elsewhere(port: int) -> list[Listener]:
    """Return the listeners as far as the system reports the user's own processes."""
    listeners = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            connections = process.net_connections(kind="tcp")
            if any(
                connection.status == psutil.CONN_LISTEN and connection.laddr[1] == port for connection in connections
            ):
                listeners.append(Listener("", 0, None, process.pid))
    return listeners


def _holders(inodes: Iterable[int], pids: Iterable[int]) -> dict[int, int]:
    """Which of these processes has each socket open, as far as we may look."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    holders: dict[int, int] = {}
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 - thousands of them on a busy machine
                with contextlib.suppress(OSError):
                    inode = wanted.get(os.readlink(f"{folder}/{name}"))  # noqa: PTH115 - as above
                    if inode is not None:
                        holders.setdefault(inode, pid)
        if len(holders) == len(wanted):
            break
    return holders


def _command(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        words = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return f"process {pid}"
    short = words if len(words) <= _COMMAND_LENGTH else f"{words[:_COMMAND_LENGTH]}…"
    return f"process {pid} ({short})"


def _in_words(listeners: Iterable[Listener]) -> str:
    listeners = list(listeners)
    inodes = [listener.inode for listener in listeners if listener.pid is None]
    pids = set(_holders(inodes, psutil.pids()).values()) if inodes else set()
    pids |= {listener.pid for listener in listeners if listener.pid is not None}
    if pids:
        return " and ".join(_command(pid) for pid in sorted(pids))
    users = sorted({listener.uid for listener in listeners if listener.uid is not None and listener.uid != os.getuid()})
    if users:
        return " and ".join(f"a process of user {_user(uid)}" for uid in users)
    return "a process that this user cannot see"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def owners(host: str, port: int) -> str:
    """Return the listeners here, in words for a message: pid and command if the system reports them, else the user."""
    return _in_words(_listeners(host, port))


def held_by(pid: int, mark: str, *, reaped: bool = False) -> list[str]:
    """Return the addresses on which a service listens, `[::1]:5173`, whichever they are; sorted.

    Args:
        pid: the leader.
        mark: of its tree.
        reaped: the number may belong to a stranger by now.
    """
    addresses: set[str] = set()
    for process in tree(pid, mark, reaped=reaped):
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr:
                    host, port = connection.laddr[:2]
                    addresses.add(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return sorted(addresses)


def answerer(process: Process, host: str, port: int, known: frozenset[int] = frozenset()) -> Answerer:
    """Return True if the service answers here itself: its process, a descendant, or a process with its mark.

    Args:
        process: the service.
        host: the address that answered.
        port: its port.
        known: sockets that an earlier call found to be the service's.
    """
    reaped = process.popen.returncode is not None
    return answerer_of(process.pid, process.mark, host, port, known=known, reaped=reaped)


def answerer_of(
    pid: int, mark: str, host: str, port: int, *, known: frozenset[int] = frozenset(), reaped: bool = False
) -> Answerer:
    """Do the same as `answerer` for a process that was started elsewhere.

    Args:
        pid: the leader.
        mark: of its tree.
        host: the address that answered.
        port: its port.
        known: sockets that an earlier call found to be the service's.
        reaped: the number may belong to a stranger by now.
    """
    listeners = _listeners(host, port)
    inodes = frozenset(listener.inode for listener in listeners)
    if inodes and 0 not in inodes and inodes <= known:
        return Answerer("", known)
    members = {process.pid for process in tree(pid, mark, reaped=reaped)}
    held = _holders((listener.inode for listener in listeners if listener.inode), members)
    foreign = [listener for listener in listeners if listener.pid not in members and held.get(listener.inode) is None]
    if listeners and not foreign:
        return Answerer("", inodes)
    return Answerer(_in_words(foreign), frozenset())
