"""A lock that another process holds."""

import os
import subprocess
import sys

import pytest

from orchestra.ledger.lock import Holder, Lock, LockedError, holder_of
from tests.support.paths import ROOT

ME = Holder(os.getpid(), "20260102T030405Z-00aa", "2026-01-02T03:04:05.000006Z")

HOLD = """
import os, sys
from pathlib import Path
from orchestra.ledger.lock import Holder, Lock
Lock(Path(sys.argv[1]), Holder(os.getpid(), "20260102T030405Z-beef", "2026-01-02T03:04:05.000006Z"))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_who_holds_the_lock_and_gets_it_after_a_kill(tmp_path):
    path = tmp_path / "market" / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LockedError) as caught:
            Lock(path, ME)
        assert caught.value.message == (
            f'run 20260102T030405Z-beef (process {other.pid}, since 2026-01-02T03:04:05.000006Z) holds "{path}"'
        )
        assert caught.value.exit_code == 3
        assert holder_of(path) == caught.value.holder == Holder(other.pid, "20260102T030405Z-beef", ME.since)
    finally:
        other.kill()
        other.communicate()
    assert holder_of(path) is None
    with Lock(path, ME):
        assert holder_of(path) == ME
