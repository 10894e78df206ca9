"""The folder for temporary files of workers and browsers: below the user's TMPDIR, unless a browser could not start there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from orchestra.errors import MachineError

LONGEST_BYTES = 40
"""A socket has a path of 104 bytes at most on macOS; those of Playwright take 60 below this folder."""

FREE_MEGABYTES = 64
_OTHERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - a fresh folder is made in it, closed to others
_MEGABYTE = 1 << 20


def fault(folder: str) -> str:
    """Return why nothing can be kept in a folder; empty when it can."""
    try:
        with tempfile.TemporaryDirectory(prefix="orchestra-", dir=folder) as own:
            (Path(own) / "try").write_bytes(b"\0" * 65536)
            state = os.statvfs(own)
    except OSError as error:
        return error.strerror or str(error)
    free = state.f_bavail * state.f_frsize // _MEGABYTE
    return f"{free} MB are free, not {FREE_MEGABYTES}" if free < FREE_MEGABYTES else ""


def environment(env: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the environment for browsers, and why they cannot use the user's TMPDIR; empty when they can.

    One that is merely too long is replaced without a word.

    Raises:
        MachineError: no folder can be used.
    """
    own = env.get("TMPDIR") or _OTHERS[0]
    why = fault(own)
    if not why and len(os.fsencode(own)) <= LONGEST_BYTES:
        return dict(env), ""
    for other in _OTHERS:
        if other != own and not fault(other):
            said = f"TMPDIR {own} cannot be used by browsers ({why}): they use {other}" if why else ""
            return {**env, "TMPDIR": other}, said
    tried = ", ".join(dict.fromkeys((own, *_OTHERS)))
    why = why or f"its path has {len(os.fsencode(own))} bytes, of which sockets in it leave {LONGEST_BYTES}"
    raise MachineError(
        f"browsers need a folder for temporary files, and {own} cannot be used: {why}",
        f"make room there, or set TMPDIR to another folder; tried: {tried}",
    )


def make(env: Mapping[str, str]) -> Path:
    """Make a private folder for temporary files of a worker: profiles, sockets and snapshots hold what pages show.

    Raises:
        MachineError: no folder can be used.
    """
    folder = environment(env)[0].get("TMPDIR") or _OTHERS[0]
    return Path(tempfile.mkdtemp(prefix="orchestra-", dir=folder))
