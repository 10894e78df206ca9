"""Rules about the step `clock`."""

from __future__ import annotations

from collections.abc import Iterator

from orchestra.compiler.lower import resolve
from orchestra.compiler.rules.context import Context, Problem, rule
from orchestra.compiler.rules.drivers import Casting
from orchestra.diagnostic import Edit
from orchestra.steps.moment import moment


@rule
def clock_time(context: Context) -> Iterator[Problem]:
    """`set` or `fix` of `clock` is no time, or has no offset, so that it would be another time on another machine.

    Times are those of ISO 8601: `2026-12-31T23:59:00Z`, `2026-12-31T23:59:00+01:00`.
    """
    for step in context.steps("clock"):
        for key in ("set", "fix"):
            text = step.body.get(key)
            if text is not None and "${" not in text and moment(text) is None:
                place = context.place(step.path("clock", key))
                edits = (Edit(text, f"{text}Z"),) if moment(f"{text}Z") is not None else ()
                hint = "write it as 2026-12-31T23:59:00Z"
                yield Problem(place, f'"{text}" is no time with an offset', hint, edits=edits)


@rule
def clock_session(context: Context) -> Iterator[Problem]:
    """A test with the step `clock` runs by a method whose tests share a page.

    A browser does not give up a clock, so the next test begins with a new browser, without the cookies and the storage
    that `reset: page` and `reset: none` hand over.
    """
    if not context.steps("clock"):
        return
    casting = Casting(context)
    for test_id, test in context.spec["tests"].items():
        verbs = (
            verb for steps in resolve.sections(context.spec, test) for verb, _ in resolve.all_steps(context.spec, steps)
        )
        if "clock" not in verbs:
            continue
        for method in casting.methods_of(test):
            reset = context.methods[method].get("session", {}).get("reset", "storage")
            if "session" in casting.driver_of(method).keys and reset != "storage":
                message = f'"{test_id}" has the step "clock", and tests of the method "{method}" share a page by reset: {reset}'
                hint = "write reset: storage, or name other methods in its `methods`"
                yield Problem(context.place(("tests", test_id), key=True), message, hint)


RULES = (clock_time, clock_session)
