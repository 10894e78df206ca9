"""The clock of an attempt's deadlines."""

from __future__ import annotations

import msgspec

from orchestra.runtime.attempt import held_seconds
from orchestra.runtime.driver.contract import Deadline
from orchestra.runtime.early_end import EarlyEnd
from tests.support.requests import request


def test_the_clock_does_not_run_while_an_attempt_is_held():
    now = iter([100.0, 130.0, 130.0, 131.0])
    early = EarlyEnd(now.__next__)
    early.hold(0.0)  # thirty seconds by that clock
    assert (early.held, early.clock(), early.clock()) == (30.0, 100.0, 101.0)


def test_a_hold_ends_with_its_attempt():
    early = EarlyEnd()
    deadline = Deadline(early.clock() + 60, early.clock)
    early.now()
    early.hold(3600.0)
    assert deadline.over()


def test_an_attempt_is_held_before_each_step_on_a_page(tmp_path):
    asked = request(tmp_path, [{"goto": "/"}, {"set": {"a": 1}}, "reload"], before=[{"goto": "/"}], last=["back"])
    assert held_seconds(asked) == 0.0
    assert held_seconds(msgspec.structs.replace(asked, slow_seconds=0.5)) == 2.0


def test_an_attempt_that_waits_for_a_reply_is_woken_by_its_end():
    early, rested = EarlyEnd(), []

    def rest() -> None:
        rested.append(1)
        if len(rested) == 2:
            early.replies.put(b"{}")
        if len(rested) == 3:
            early.now()

    assert [early.reply(rest), early.reply(rest)] == [b"{}", b""]
