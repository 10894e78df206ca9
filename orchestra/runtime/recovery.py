"""Decisions about health, as pure folds: thresholds, waits between tries, and the next rung of the ladder.

May import `plan`. Nothing here reads a clock or rolls dice: what is random comes in as a number from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.plan import Backoff, Rung

_EAGER_POLLS = 40
_POLL_SECONDS, _POLL_FACTOR, _POLL_CEILING = 0.05, 1.5, 1.0


def wait_seconds(backoff: Backoff, tries: int, rand: float) -> float:
    """The wait before the next try, after `tries` failed ones: initial * factor^(tries-1), capped, spread by ± jitter.

    Args:
        backoff: the component's.
        tries: how many have failed, from 1.
        rand: a number from 0 to 1.
    """
    plain = backoff.initial_seconds
    for _ in range(tries - 1):  # not `**`: a thousand tries would overflow before the ceiling is asked
        plain *= backoff.factor
        if plain >= backoff.max_seconds:
            break
    return min(plain, backoff.max_seconds) * max(0.0, 1.0 + backoff.jitter * (2.0 * rand - 1.0))


def poll_seconds(asked: int) -> float:
    """The pause after `asked` probes of a component that starts: short for two seconds, then longer, one second at most."""
    pause = _POLL_SECONDS
    for _ in range(max(0, asked - _EAGER_POLLS)):
        pause *= _POLL_FACTOR
        if pause >= _POLL_CEILING:
            break
    return min(pause, _POLL_CEILING)


@dataclass(frozen=True, slots=True)
class Watch:
    """What the last probes said: passes and misses in a row (one of them is 0), and whether it counts as healthy."""

    passes: int = 0
    misses: int = 0
    healthy: bool = False


def step(watch: Watch, *, passed: bool, successes: int, failures: int) -> Watch:
    """The watch after one more probe. It turns healthy after `successes` passes, unhealthy after `failures` misses."""
    if passed:
        passes = watch.passes + 1
        return Watch(passes, 0, watch.healthy or passes >= successes)
    misses = watch.misses + 1
    return Watch(0, misses, watch.healthy and misses < failures)


@dataclass(frozen=True, slots=True)
class Action:
    """What to do next about an incident.

    Attributes:
        rung: its index in the ladder.
        kind: `retry`, `restart`, `run`, `port` or `failover`.
        run: the repair command of a rung of kind `run`.
        attempt: from 1; which try of this rung.
        wait_seconds: to wait before it.
    """

    rung: int
    kind: str
    run: tuple[str, ...]
    attempt: int
    wait_seconds: float


def allowed(rung: Rung, backoff: Backoff) -> int:
    """How often a rung may be tried in one incident. A start has its own tries, so the rungs that start have one."""
    return backoff.max if rung.kind == "retry" else 1


def decide(ladder: Sequence[Rung], backoff: Backoff, tried: Sequence[int], rand: float) -> Action | None:
    """The next action, or None when the ladder is at its end.

    Args:
        ladder: the component's, in order.
        backoff: waits of the rung `retry`.
        tried: the index of the rung of each action so far; all of them failed.
        rand: a number from 0 to 1, for the spread of the wait.
    """
    first = max(tried, default=0)
    for index in range(first, len(ladder)):
        rung, done = ladder[index], tried.count(index)
        if done < allowed(rung, backoff):
            wait = wait_seconds(backoff, done + 1, rand) if rung.kind == "retry" else 0.0
            return Action(index, rung.kind, rung.run, done + 1, wait)
    return None
