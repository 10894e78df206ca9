"""One run of a suite at a time, held by the kernel for a living process."""

import os
import subprocess
import sys

import pytest

from orchestra.errors import MachineError
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


def test_a_lock_let_go_is_free_and_leaves_no_name_behind(tmp_path):
    path = tmp_path / "lock"
    assert holder_of(path) is None
    lock = Lock(path, ME)
    lock.release()
    lock.release()
    assert path.read_bytes() == b""
    assert holder_of(path) is None
    with Lock(path, ME):
        pass


def test_a_holder_that_has_not_said_its_name_still_holds(tmp_path):
    path = tmp_path / "lock"
    with Lock(path, ME):
        for content in (b"", b"{", b'{"pid": 1}', b"[1]"):
            path.write_bytes(content)
            assert holder_of(path) is None
            with pytest.raises(LockedError, match=r'^another run holds "'):
                Lock(path, ME)


def test_a_folder_that_cannot_be_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(MachineError, match=r'cannot open ".*file/lock": '):
        Lock(tmp_path / "file" / "lock", ME)
    with pytest.raises(MachineError, match=r'cannot read ".*file/lock": not a directory'):
        holder_of(tmp_path / "file" / "lock")
