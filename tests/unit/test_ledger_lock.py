"""One run of a suite at a time, held by the kernel for a living process."""

import os

import pytest

from orchestra.errors import MachineError
from orchestra.ledger.lock import Holder, Lock, LockedError, holder_of

ME = Holder(os.getpid(), "20260102T030405Z-00aa", "2026-01-02T03:04:05.000006Z")


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
