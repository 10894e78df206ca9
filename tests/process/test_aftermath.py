"""What is done with the files of an attempt before it is recorded: next to the loop of the run, and never lost."""

from __future__ import annotations

import threading

import pytest

from orchestra.plan import Errors
from orchestra.plan import Test as Case
from orchestra.runtime.attempt import EvidenceFile, Result
from orchestra.runtime.attempts.aftermath import LITTLE_BYTES, Aftermath, Work
from orchestra.runtime.mask import Masks

SECRET = "eW91IGZvdW5kIG1l"
TEST = Case("a", "", ("cli",), evidence_limit_megabytes=100.0)


@pytest.fixture
def done():
    return threading.Event()


def aftermath(folder, done, masks, test=TEST, begun=None) -> Aftermath:
    work = Work(test, "cli", folder.parent, folder, begun or {})
    return Aftermath(lambda _: work, masks, lambda: None, done.set)


def result(*names: str) -> Result:
    return Result("cli:a", 1, "passed", 1.0, evidence=tuple(EvidenceFile(name, "log") for name in names))


class Held(Masks):
    """Masks of which no other thread cleans a folder before `released` is set."""

    released: threading.Event

    def clean(self, *args):
        if threading.current_thread() is not threading.main_thread():
            assert self.released.wait(60)
        return super().clean(*args)


@pytest.mark.parametrize(
    "name, size, at_once",
    [("output.log", 100, True), ("output.log", LITTLE_BYTES + 1, False), ("more.zip", 100, False)],
)
def test_what_may_take_long_is_done_by_a_thread(tmp_path, done, name, size, at_once):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / name).write_bytes(SECRET.encode() + b"\n" * size)
    masks = Held(("TOKEN",), {"TOKEN": SECRET})
    masks.released = threading.Event()
    owner = aftermath(folder, done, masks)
    ended = owner.sift([result(name)])
    assert bool(ended) is at_once
    if not at_once:
        masks.released.set()
        assert done.wait(60)
        ended = owner.sift([])
    assert [one.error for one in ended] == [None]
    assert SECRET.encode() not in (folder / name).read_bytes()
    assert owner.sift([]) == []


def test_a_disk_that_refuses_is_told_with_its_attempt(tmp_path, done):
    class Refused(Masks):
        def clean(self, *_):
            raise OSError(28, "No space left on device")

    folder = tmp_path / "a"
    folder.mkdir()
    owner = aftermath(folder, done, Refused(("TOKEN",), {"TOKEN": SECRET}))
    first, second = result(), Result("cli:b", 1, "passed", 1.0)
    ended = owner.sift([first, second])
    assert [(one.result.task, one.error.strerror) for one in ended] == [
        ("cli:a", "No space left on device"),
        ("cli:b", "No space left on device"),
    ]


def test_a_run_that_ends_waits_for_no_pattern(tmp_path, done):
    log = tmp_path / "services" / "shop.log"
    log.parent.mkdir()
    log.write_text("10:00:00.000 " + "a" * 60 + "!\n")
    test = Case("a", "", ("cli",), errors=Errors(service_logs="fail", log_patterns={"shop": ("(a+)+b$",) * 20}))
    owner = aftermath(tmp_path / "attempt", done, Masks((), {}), test, {"shop": (0, 0)})
    assert owner.sift([result()]) == []
    assert owner.sift([], ending=True) == []
    assert done.wait(60)
    [ended] = owner.sift([])
    assert ended.result.outcome == "interrupted"
