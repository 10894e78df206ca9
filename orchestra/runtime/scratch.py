"""The folder for temporary files of browsers: the user's TMPDIR, unless a browser could not start with it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from orchestra.errors import MachineError

LONGEST_BYTES = 60
"""Browsers put sockets there, and the path of a socket has 107 bytes on Linux and 103 on macOS."""

FREE_MEGABYTES = 64
_OTHERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - a fresh folder is made in it, closed to others
_MEGABYTE = 1 << 20


def fault(folder: str) -> str:
    """Return why a browser could not use a folder; empty when it can."""
    size = len(os.fsencode(folder))
    if size > LONGEST_BYTES:
        return f"its path has {size} bytes, and sockets in it may have {LONGEST_BYTES} at most"
    try:
        with tempfile.TemporaryDirectory(prefix="orchestra-", dir=folder) as own:
            (Path(own) / "try").write_bytes(b"\0" * 65536)
            state = os.statvfs(own)
    except OSError as error:
        return error.strerror or str(error)
    free = state.f_bavail * state.f_frsize // _MEGABYTE
    return f"{free} MB are free, not {FREE_MEGABYTES}" if free < FREE_MEGABYTES else ""


def environment(env: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the environment for browsers, and why its TMPDIR is not the user's; empty when it is.

    Raises:
        MachineError: no folder can be used.
    """
    own = env.get("TMPDIR") or _OTHERS[0]
    why = fault(own)
    if not why:
        return dict(env), ""
    for other in _OTHERS:
        if other != own and not fault(other):
            return {**env, "TMPDIR": other}, f"TMPDIR {own} cannot be used by browsers ({why}): they use {other}"
    tried = ", ".join(dict.fromkeys((own, *_OTHERS)))
    raise MachineError(
        f"browsers need a folder for temporary files, and {own} cannot be used: {why}",
        f"make room there, or let TMPDIR name another folder; tried were {tried}",
    )
