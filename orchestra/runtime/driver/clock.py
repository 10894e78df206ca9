"""The clock of the pages of a test, by Playwright's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestra.runtime.driver.contract import Job, unfit
from orchestra.steps.moment import milliseconds, moment


@dataclass
class Clock:
    """The clock of one attempt: the time at which it is stopped, if it is."""

    stopped: datetime | None = None


def change_of(clock: Clock, job: Job) -> tuple[str, dict[str, Any]]:
    """Return the method of Playwright's clock that a step calls, and its arguments.

    Raises:
        StepError: its time is none, or the clock that it resumes is not stopped.
    """
    if "advance_seconds" in job.args:
        return "fast_forward", {"ticks": milliseconds(job.args["advance_seconds"])}
    if "resume" in job.args:  # Playwright's own `resume` is for another kind of stop
        if clock.stopped is None:
            raise unfit("the clock is not stopped", hint="write `clock: {fix: …}` before")
        time, clock.stopped = clock.stopped, None
        return "set_system_time", {"time": time}
    if "set" in job.args:
        clock.stopped = None
        return "install", {"time": _time(job, "set")}
    clock.stopped = _time(job, "fix")
    return "set_fixed_time", {"time": clock.stopped}


def _time(job: Job, key: str) -> datetime:
    time = moment(text := job.text(key))
    if time is None:
        raise unfit(f'"{text}" is no time with an offset', hint="write it as 2026-12-31T23:59:00Z")
    return time
