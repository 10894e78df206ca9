"""Which attempts an outage overtakes: as decisions over rows, names and a clock that are told."""

from __future__ import annotations

import msgspec
import pytest

from orchestra.plan import Command
from orchestra.plan import Test as Case
from orchestra.runtime.attempt import AttemptFailure, Result
from orchestra.runtime.attempts.overtaken import GRACE_SECONDS, UNKNOWN_SECONDS, Overtaken, used
from orchestra.runtime.servers.row import Row
from orchestra.steps.step import Step

TASK = "cli:a"
ASKS = Case("a", "a", ("cli",), requires=("front",), command=Command(("curl", "${back.url}")))
PASSED = Result(TASK, 1, "passed", 1.0)
FAILED = Result(TASK, 1, "failed", 1.0, AttemptFailure("command", "exit code 1"))
ENDED = Result(TASK, 1, "interrupted", 1.0)


class Ground:
    """Two components, one of which needs the other, as a test would see them."""

    def __init__(self, test: Case = ASKS, seconds: float | None = None) -> None:
        self.now = 100.0
        self.rows = {name: Row(name, "healthy", attempts=1) for name in ("back", "front")}
        self.names = {
            "back.url": "http://h:1",
            "back.host": "h",
            "back.port": "1",
            "back.name": "x",
            "front.url": "http://h:9",
        }
        self.overtaken = Overtaken(self.rows.__getitem__, lambda _: self.names, lambda: self.now)
        self.overtaken.began(TASK, test, ("back", "front"), seconds)

    def become(self, name: str, state: str, **more: object) -> None:
        self.rows[name] = Row(name, state, **{"attempts": self.rows[name].attempts, **more})

    def overdue(self) -> list[str]:
        return list(self.overtaken.overdue())


@pytest.mark.parametrize(
    "test, names",
    [
        (ASKS, {"back.url", "front.url"}),
        (msgspec.structs.replace(ASKS, command=Command(("echo", "${back.name}"))), {"back.name", "front.url"}),
        (
            Case("a", "a", ("cli",), steps=(Step("http", args={"base": "back", "url": "/"}),)),
            {"back.url", "back.host", "back.port"},
        ),
        (Case("a", "a", ("cli",), command=Command(("true",))), set()),
    ],
)
def test_a_test_uses_the_addresses_that_it_requires_itself_and_what_its_text_names(test, names):
    assert set(used(test, ("back", "front"), Ground().names)) == names


@pytest.mark.parametrize("result", [PASSED, FAILED, ENDED], ids=lambda result: result.outcome)
def test_an_attempt_whose_server_moved_is_ended_and_counts_for_nothing(result):
    ground = Ground()
    assert (ground.overdue(), ground.overtaken.wait_seconds()) == ([], None)
    ground.become("back", "unhealthy")
    del ground.names["back.url"]  # it is being started
    assert ground.overdue() == []
    ground.names["back.url"] = "http://h:2"
    assert ground.overdue() == [TASK]
    assert ground.overdue() == [], "it is ended once"
    void = ground.overtaken.ended(result)
    assert (void.outcome, void.failure.kind) == ("error", "connection")
    assert void.failure.message.startswith("back moved while it ran: ${back.url} was http://h:1 and is http://h:2; it ")
    assert ground.overtaken.ended(result) is result, "it is known no more"


@pytest.mark.parametrize("seconds, grace", [(None, UNKNOWN_SECONDS), (0.1, GRACE_SECONDS), (50.0, 50.0)])
def test_an_attempt_under_a_restart_has_as_long_as_usual_once_all_is_well_again(seconds, grace):
    ground = Ground(seconds=seconds)
    ground.become("back", "unhealthy")
    ground.become("back", "healthy", attempts=2)
    ground.become("front", "unhealthy")
    assert ground.overdue() == []
    ground.now += 1000
    assert ground.overdue() == [], "front is not well yet"
    ground.become("front", "healthy", attempts=2)
    assert (ground.overdue(), ground.overtaken.wait_seconds()) == ([], grace)
    ground.now += grace - 0.5
    assert (ground.overdue(), ground.overtaken.wait_seconds()) == ([], 0.5)
    ground.now += 0.5
    assert (ground.overdue(), ground.overtaken.wait_seconds()) == ([TASK], None)
    void = ground.overtaken.ended(ENDED)
    assert void.failure.message.startswith(
        f"back and front were started again under it, and {grace:.0f} s later it had not"
    )


def test_what_ends_by_itself_in_that_time_keeps_its_result_and_a_second_outage_begins_it_again():
    ground = Ground()
    ground.become("back", "healthy", attempts=2)
    assert ground.overdue() == []
    ground.become("back", "unhealthy")
    assert (ground.overdue(), ground.overtaken.wait_seconds()) == ([], None)
    assert ground.overtaken.ended(FAILED) is FAILED
    assert ground.overtaken.ended(PASSED) is PASSED


def test_an_attempt_is_ended_when_what_it_requires_is_given_up_and_a_pass_in_that_moment_is_a_pass():
    ground = Ground()
    ground.become("back", "failed", reason="was not brought back")
    assert ground.overdue() == [TASK]
    assert ground.overtaken.ended(PASSED) is PASSED
    ground = Ground()
    ground.become("back", "failed", reason="was not brought back")
    assert ground.overdue() == [TASK]
    assert ground.overtaken.ended(ENDED).failure.message.startswith(
        "back, which it requires, was not brought back; it was"
    )


def test_what_requires_nothing_is_left_alone():
    ground = Ground()
    ground.overtaken.began("cli:b", ASKS, (), None)
    assert ground.overtaken.ended(Result("cli:b", 1, "passed", 1.0)).outcome == "passed"
