"""Decide verdicts, pure: from attempts to their verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestra.errors import EXIT_FAILED, EXIT_MACHINE, EXIT_OK
from orchestra.ledger.event import Verdict, VerdictGiven
from orchestra.ledger.outcome import CAUSES, FINE, TIMEOUT_CLASS
from orchestra.plan import Retry, SpeedClass, Test
from orchestra.runtime.attempt import Result
from orchestra.runtime.select import task_name

NAMES = 3
"""So many cases are named in a reason."""


def tries_again(result: Result, retry: Retry, *, held: int = 0) -> bool:
    """Return True if another attempt follows: the cause is listed and attempts are left.

    Args:
        result: of the attempt.
        retry: of the test.
        held: how many attempts an incident overlapped; these do not count.
    """
    if result.failure is None or result.outcome in {"passed", "interrupted", "skipped"}:
        return False
    return CAUSES[result.failure.kind] in retry.on and result.attempt - held <= retry.max


def verdict_of(result: Result, *, held: int = 0) -> tuple[Verdict, str]:
    """Return the verdict that the last attempt leads to, and the reason; a pass on a retry is `flaky`, never a plain
    pass.

    Args:
        result: of the last attempt.
        held: how many attempts an incident overlapped; these do not count.
    """
    if result.outcome == "passed":
        again = [case.name for case in result.cases if case.verdict == "flaky"]
        words = [f"passed on attempt {result.attempt}"] if result.attempt - held > 1 else []
        words += [f"passed when the runner tried again: {_listed(again)}"] if again else []
        return ("flaky", "; ".join(words)) if words else ("passed", "")
    return result.outcome, result.failure.message if result.failure is not None else ""


def _listed(names: Sequence[str]) -> str:
    """Return some names and how many there are beyond them."""
    more = len(names) - NAMES
    return ", ".join(names[:NAMES]) + (f" and {more} more" if more > 0 else "")


def unmet(method: str, test: Test, verdicts: Mapping[str, VerdictGiven]) -> tuple[Verdict, str] | None:
    """Return the verdict that a test gets without running because a test that it needs did not pass, and the reason; None
    if it can run.

    A need that blocks outranks one that skips.

    Args:
        method: by which it would run.
        test: of the plan.
        verdicts: by task.
    """
    bad: dict[str, list[VerdictGiven]] = {}
    for given in needed(method, test, verdicts):
        bad.setdefault(test.unmet.get(given.test, "block"), []).append(given)
    reasons = {effect: ", ".join(f"{one.task} {one.verdict}" for one in those) for effect, those in bad.items()}
    if "block" in reasons:
        return "blocked", f"needs {reasons['block']}"
    return ("skipped", f"needs {reasons['skip']} (else: skip)") if "skip" in reasons else None


def needed(method: str, test: Test, verdicts: Mapping[str, VerdictGiven]) -> Iterator[VerdictGiven]:
    """Yield the verdicts of the tests that a test needs which did not pass."""
    for need in test.needs:
        given = verdicts.get(task_name(method, need))
        if given is not None and given.verdict not in FINE:
            yield given


def speed_class(seconds: float, verdict: Verdict, classes: Sequence[SpeedClass]) -> str | None:
    """Return the class of an executed test: half-open intervals, the bound belongs to the slower side."""
    if verdict == "timeout":
        return TIMEOUT_CLASS
    if verdict not in {"passed", "flaky", "failed"}:
        return None
    for one in classes:
        if one.below_seconds is None or seconds < one.below_seconds:
            return one.name
    return None


def exit_code(verdicts: Iterable[Verdict], *, gates_failed: bool, unhealthy: bool) -> int:
    """Return the code of a run that was not interrupted: a machine that was not fit outranks what it made of the tests."""
    if unhealthy:
        return EXIT_MACHINE
    bad = gates_failed or any(verdict not in FINE for verdict in verdicts)
    return EXIT_FAILED if bad else EXIT_OK
