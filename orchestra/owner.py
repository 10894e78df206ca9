"""The key of a user on a machine. A MAC by this key proves that orchestra wrote a text for this user on this machine.

A pull request can bring a record, a cache or a stamp. It cannot bring this key, which lies in the user's state folder,
outside of the checkout. Without a key (no home, a read-only home, a home inside the checkout) no MAC is valid: every test
runs, and every output is compared again.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from orchestra import checkout, nofollow

MAC_LENGTH = 32
"""Hexadecimal digits: 128 bits."""

_BYTES = 32


def state_folder(environment: Mapping[str, str]) -> str:
    """Return the folder of orchestra's state of a user, empty when there is none."""
    folder = environment.get("XDG_STATE_HOME", "")
    if not os.path.isabs(folder):  # noqa: PTH117 - pathlib costs a start, here and below
        home = os.path.expanduser("~") if environment.get("HOME") != "" else ""  # noqa: PTH111
        is_there = os.path.isabs(home) and os.path.isdir(home)  # noqa: PTH112, PTH117
        folder = os.path.join(home, ".local", "state") if is_there else ""  # noqa: PTH118
    return os.path.join(folder, "orchestra") if folder else ""  # noqa: PTH118


def key(root: str | os.PathLike[str], environment: Mapping[str, str]) -> bytes:
    """Return the user's key, made when it is first asked for; empty when there is none to be had.

    Args:
        root: the project root: a key that lies in its checkout may have come with it, and is none.
        environment: of the process.
    """
    folder = state_folder(environment)
    if not folder or checkout.brings(folder, root):
        return b""
    file = os.path.join(folder, "record.key")  # noqa: PTH118
    try:
        return _read(file) or _made(folder, file)
    except OSError:
        return b""


def mac(secret: bytes, text: str) -> str:
    """Return the MAC of a text, `MAC_LENGTH` hexadecimal digits."""
    return hmac.digest(secret, text.encode(), "sha256").hex()[:MAC_LENGTH]


def is_own(secret: bytes, text: str, given: str) -> bool:
    """Return whether a MAC is the user's for a text; never without a key."""
    return bool(secret) and hmac.compare_digest(mac(secret, text), given)


def _read(file: str) -> bytes:
    """Return the key in a file, empty when there is no file. Raises OSError for one that others may read or have made."""
    try:
        handle = nofollow.open_file(file, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    with os.fdopen(handle, "rb") as stream:
        status = os.fstat(handle)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise PermissionError("other users can access the key of records")
        found = stream.read(_BYTES + 1)
    if len(found) != _BYTES:
        raise OSError("the key of records is damaged")
    return found


def _made(folder: str, file: str) -> bytes:
    """Make the key, in one step; where another process was quicker, return its key."""
    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
    staged = f"{file}.{os.getpid()}"
    nofollow.unlink(staged)  # of a process with the same number that was killed
    handle = nofollow.open_file(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(os.urandom(_BYTES))
            stream.flush()
            os.fsync(handle)
        with suppress(FileExistsError):
            _name(staged, file)
    finally:
        nofollow.unlink(staged)
    return _read(file)


def _name(staged: str, file: str) -> None:
    """Give a file its name. Raises FileExistsError when another process was quicker."""
    try:
        os.link(staged, file)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.replace(staged, file)  # noqa: PTH105
