"""The record of a run: nothing that waits for the disk is shown before it is there, and one fsync serves many."""

from __future__ import annotations

import errno
import threading

import pytest

from orchestra.errors import MachineError
from orchestra.ledger import log
from orchestra.ledger.event import GroupCompleted, Note
from orchestra.ledger.view import View
from orchestra.runtime.run.recorder import Recorder

DAY = 86400.0


class Disk:
    """Stands before the real fsync: it can be held, counted, and made to refuse."""

    def __init__(self, real):
        self.real = real
        self.begun = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.count = 0
        self.refuses = False

    def __call__(self, descriptor):
        self.count += 1
        self.begun.set()
        assert self.free.wait(60)
        if self.refuses:
            raise OSError(errno.EIO, "Input/output error")
        self.real(descriptor)


class Seen:
    def __init__(self):
        self.kinds = []
        self.closed = False

    def see(self, event, view):
        assert view.seq >= event.seq
        self.kinds.append(event.type)

    def close(self, view):
        self.closed = True


@pytest.fixture
def disk(monkeypatch):
    standing = Disk(log.sync_file)
    monkeypatch.setattr(log, "sync_file", standing)
    return standing


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
def recorder(tmp_path, disk, seen):
    made = Recorder(tmp_path, None, View(), [seen])
    yield made
    disk.free.set()
    if not disk.refuses:
        made.close()


def completed(recorder, group="g"):
    return recorder.add(GroupCompleted(method="cli", group=group), later=True)


def test_what_waits_is_shown_when_it_is_on_the_disk_and_not_before(recorder, disk, seen):
    woken = threading.Event()
    disk.free.clear()
    event = completed(recorder)
    assert recorder.commit(woken.set, at_once=True) is None
    assert disk.begun.wait(60)
    assert recorder.settled() < event.seq
    recorder.add(Note(message="goes on meanwhile"))
    assert seen.kinds == ["note"]
    disk.free.set()
    assert woken.wait(60)
    assert recorder.settled() >= event.seq
    assert seen.kinds == ["note", "group_completed"]


def test_what_comes_while_the_disk_is_busy_shares_the_next_fsync(recorder, disk, seen):
    woken = threading.Semaphore(0)
    disk.free.clear()
    completed(recorder)
    recorder.commit(woken.release, at_once=True)
    assert disk.begun.wait(60)
    last = [
        completed(recorder, f"g{number}")
        for number in range(100)
        if recorder.commit(woken.release, at_once=True) is None
    ][-1]
    disk.free.set()
    while recorder.settled() < last.seq:
        assert woken.acquire(timeout=60)
    assert seen.kinds == ["group_completed"] * 101
    assert disk.count <= 3


def test_an_fsync_is_put_off_while_nothing_waits_for_it(recorder, disk, monkeypatch):
    monkeypatch.setattr("orchestra.runtime.run.recorder.COMMIT_SECONDS", DAY)
    woken = threading.Event()
    assert recorder.commit(woken.set, at_once=True) is None, "there is nothing to commit"
    completed(recorder)
    left = recorder.commit(woken.set, at_once=False)
    assert left is not None
    assert 0 < left <= DAY
    assert disk.count == 0
    recorder.commit(woken.set, at_once=True)
    assert woken.wait(60)
    assert recorder.commit(woken.set, at_once=False) is None, "it was asked for already"


def test_a_disk_that_refuses_is_told_and_nothing_is_shown(recorder, disk, seen):
    disk.refuses = True
    woken = threading.Event()
    completed(recorder)
    recorder.commit(woken.set, at_once=True)
    assert woken.wait(60)
    with pytest.raises(MachineError, match="cannot sync"):
        recorder.settled()
    with pytest.raises(MachineError, match="cannot sync"):
        recorder.sync()
    assert seen.kinds == []


def test_the_seal_leaves_nothing_waiting(recorder, seen):
    completed(recorder)
    recorder.seal()
    assert seen.kinds == ["group_completed"]
