"""Folders of processes that Dask serves: removed with their process, or by the next one."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from orchestra.errors import MachineError
from orchestra.runtime.nodes import scratch as module
from orchestra.runtime.nodes.scratch import PREFIX, reclaim, scratch


@pytest.fixture
def top(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path.resolve()


def test_a_folder_goes_with_its_process(top):
    with scratch() as folder:
        (folder / "file").touch()
        assert folder.parent == top
        assert folder.name.startswith(PREFIX)
        with scratch() as second:
            assert second != folder
        assert (folder / "file").exists(), "its process lives"
    assert list(top.iterdir()) == []


def test_the_next_process_removes_what_a_killed_one_has_left(top):
    (top / f"{PREFIX}killed" / "dask").mkdir(parents=True)
    (top / "another").mkdir()
    (top / f"{PREFIX}file").touch()
    (top / f"{PREFIX}link").symlink_to(top / "another")
    with scratch():
        assert not (top / f"{PREFIX}killed").exists()
    assert sorted(path.name for path in top.iterdir()) == ["another", f"{PREFIX}file", f"{PREFIX}link"]


def test_a_folder_of_another_user_stays(top, monkeypatch):
    (top / f"{PREFIX}theirs").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: top.stat().st_uid + 1)
    reclaim(top)
    assert (top / f"{PREFIX}theirs").exists()


def test_a_folder_that_another_process_looks_at_first_is_not_used(top, monkeypatch):
    """One is locked by a process that is about to remove it, one is removed already; the third is taken."""
    made, held = [], []
    make = tempfile.mkdtemp

    def mkdtemp(**words: object) -> str:
        made.append(make(**words))
        if len(made) == 1:
            held.append(os.open(made[0], os.O_RDONLY))
            fcntl.flock(held[0], fcntl.LOCK_EX)
        elif len(made) == 2:
            Path(made[1]).rmdir()
        return made[-1]

    monkeypatch.setattr(module.tempfile, "mkdtemp", mkdtemp)
    with scratch() as folder:
        assert str(folder) == made[2]
    os.close(held[0])


def test_a_disk_that_refuses_is_an_error(top, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(top / "missing"))
    with pytest.raises(MachineError, match=r"cannot write \".*\": no such file or directory"), scratch():
        pass
    monkeypatch.setattr(tempfile, "tempdir", str(top))

    def no_locks(_file: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", no_locks)
    with pytest.raises(MachineError, match="no locks available"), scratch():
        pass
