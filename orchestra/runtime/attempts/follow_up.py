"""The follow-up of an attempt that an incident overlapped: it is held, retried or final."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from orchestra.ledger.event import Verdict
from orchestra.ledger.outcome import CAUSES, HELD_ATTEMPTS
from orchestra.plan import Retry
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.verdict import tries_again, verdict_of

FAILURES = frozenset({"failed", "timeout", "error"})


class FollowUp(NamedTuple):
    """The consequences of the end of an attempt.

    Attributes:
        suspect: it failed while an incident was open, so the failure is held and does not count.
        requeue: it is repeated for that reason.
        again: another attempt follows, for whatever reason.
        retry_cause: the entry of `retries.on` by which it follows; empty when it follows for another reason.
        retries_left: retries that remain after it; None when it follows for another reason.
    """

    suspect: bool
    requeue: bool
    again: bool
    retry_cause: str = ""
    retries_left: int | None = None


def follow_up(result: Result, retry: Retry, *, held: int, incidents: Sequence[str]) -> FollowUp:
    """Return the consequences of the end of an attempt. Pure.

    Args:
        result: of the attempt.
        retry: the test's own retries.
        held: how many attempts of the test were requeued before.
        incidents: those that overlapped this attempt.
    """
    suspect = bool(incidents) and result.outcome in FAILURES
    requeue = suspect and held < HELD_ATTEMPTS
    if requeue or result.failure is None or not tries_again(result, retry, held=held):
        return FollowUp(suspect, requeue, again=requeue)
    left = retry.max - (result.attempt - held)
    return FollowUp(suspect, requeue, again=True, retry_cause=CAUSES[result.failure.kind] or "", retries_left=left)


def final_verdict(
    result: Result, *, held: int, suspect: bool, cut: bool = False, incidents: Sequence[str] = ()
) -> tuple[Verdict, str]:
    """Return the verdict that the last attempt leads to, and the reason. Pure.

    A failure only during an outage is no evidence against the product: it is an `error`.

    Args:
        result: of the last attempt.
        held: how many attempts were requeued.
        suspect: the last attempt failed during an incident.
        cut: another attempt would have followed, but the run is being ended.
        incidents: those that overlapped any attempt of the test.
    """
    verdict, reason = verdict_of(result, held=held)
    named = f"incident{'s' * (len(incidents) > 1)} {', '.join(incidents)}"
    if suspect and cut:
        return "interrupted", f"failed during {named}, and the run ended before it could be repeated: {reason}"
    if suspect and verdict in FAILURES:
        return "error", f"failed during {named}, and again when it was repeated: {reason}"
    if verdict == "passed" and held:
        return verdict, f"an attempt that failed during {named} was repeated"
    return verdict, reason
