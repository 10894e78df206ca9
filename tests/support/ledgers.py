"""Ledgers written event by event, damaged on purpose, and written where a disk is small."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from orchestra.ledger.canonical import canonical
from orchestra.ledger.chain import GENESIS
from orchestra.ledger.event import Note
from orchestra.ledger.reading import Damage, LedgerError, Tail
from tests.support.paths import ROOT

START = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


class Clock:
    """Goes one second a call, or where it is told to."""

    def __init__(self):
        self.moment = START - timedelta(seconds=1)

    def __call__(self):
        self.moment += timedelta(seconds=1)
        return self.moment


def note(text):
    return Note(message=text)


def verify(path):
    """Return the first damage of a ledger that nobody writes, or None. Half a line at its end is damage, too."""
    tail = Tail(path, strict=True)
    try:
        for _ in tail.poll():
            pass
    except LedgerError as error:
        return error.damage
    return Damage(path, tail.tip.seq + 1, f"truncated last line ({tail.torn} bytes)") if tail.torn else None


def relinked(path, seq, change):
    """The ledger with `change` applied to one event and the chain made whole again, as another program would write it."""
    prev, lines = GENESIS, []
    for line in path.read_bytes().splitlines():
        data = json.loads(line)
        if data["seq"] == seq:
            change(data)
        data["prev"] = prev
        del data["hash"]
        prev = data["hash"] = hashlib.sha256(canonical(data)).hexdigest()
        lines.append(canonical(data))
    path.write_bytes(b"\n".join(lines) + b"\n")


def python(script, *arguments, wrap=()):
    return subprocess.run(
        [*wrap, sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def own_mounts():
    """The words that give a program a mount table of its own, or None where the system allows none."""
    words = ["unshare", "--mount", "--map-root-user"]
    try:
        done = subprocess.run([*words, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True)
    except FileNotFoundError:
        return None
    return words if done.returncode == 0 else None
