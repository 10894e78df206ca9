"""Decide about health, as pure folds: thresholds, waits between tries, and the next recovery step.

Nothing here reads a clock or rolls dice: what is random comes in as a number from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import structs

from orchestra.plan import Backoff, Component, RecoveryStep, Service
from orchestra.recovery import RECOVERY

_END_SECONDS = 5.0
_SETTLED_SECONDS = 1.0
_EAGER_POLLS = 40
_POLL_SECONDS, _POLL_FACTOR, _POLL_CEILING = 0.05, 1.5, 1.0


def wait_seconds(backoff: Backoff, tries: int, rand: float) -> float:
    """Return the wait before the next try, after `tries` failed ones: initial * factor^(tries-1), capped, spread by ±
    jitter.

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
    """Return the pause after `asked` probes of a component that starts: short for two seconds, then longer, one second
    at most.
    """
    pause = _POLL_SECONDS
    for _ in range(max(0, asked - _EAGER_POLLS)):
        pause *= _POLL_FACTOR
        if pause >= _POLL_CEILING:
            break
    return min(pause, _POLL_CEILING)


@dataclass(frozen=True, slots=True)
class Watch:
    """The last probes: passes and misses in a row (one of them is 0), and whether it counts as healthy."""

    passes: int = 0
    misses: int = 0
    healthy: bool = False


def step(watch: Watch, *, passed: bool, successes: int, failures: int) -> Watch:
    """Return the watch after one more probe. It turns healthy after `successes` passes, unhealthy after `failures`
    misses.
    """
    if passed:
        passes = watch.passes + 1
        return Watch(passes, 0, watch.healthy or passes >= successes)
    misses = watch.misses + 1
    return Watch(0, misses, watch.healthy and misses < failures)


@dataclass(frozen=True, slots=True)
class Action:
    """The next action of an incident.

    Attributes:
        index: that of its step in the recovery policy.
        kind: a row of `orchestra.recovery`.
        run: the command of a step that has one.
        timeout_seconds: what the repair may take.
        attempt: the try of this step, from 1.
        wait_seconds: to wait before it.
    """

    index: int
    kind: str
    run: tuple[str, ...]
    timeout_seconds: float
    attempt: int
    wait_seconds: float


def allowed(step: RecoveryStep, backoff: Backoff) -> int:
    """Return the number of tries of a recovery step in one incident. A start has its own tries, so the steps that start
    have one.
    """
    return backoff.max if RECOVERY[step.kind].repeats else 1


def decide(
    policy: Sequence[RecoveryStep], backoff: Backoff, tried: Sequence[int], rand: float, *, dead: bool = False
) -> Action | None:
    """Return the next action, or None if the recovery policy is exhausted.

    Args:
        policy: the component's recovery steps, in order.
        backoff: waits of a step that repeats.
        tried: the index of the step of each action so far; all of them failed.
        rand: a number from 0 to 1, for the spread of the wait.
        dead: its process has ended, so that to ask once more cannot help: a step that repeats is passed over.
    """
    first = max(tried, default=0)
    for index in range(first, len(policy)):
        step, done = policy[index], tried.count(index)
        repeats = RECOVERY[step.kind].repeats
        if done < allowed(step, backoff) and not (dead and repeats):
            wait = wait_seconds(backoff, done + 1, rand) if repeats else 0.0
            return Action(index, step.kind, step.run, step.timeout_seconds, done + 1, wait)
    return None


def waits_seconds(backoff: Backoff) -> float:
    """Return all waits of a back-off together, at most."""
    return sum(wait_seconds(backoff, number, 1.0) for number in range(1, backoff.max + 1))


def once_bound_seconds(component: Component) -> float:
    """Return how long one start takes at most to be ready or to be given up."""
    within = component.ready.within_seconds if component.ready is not None else _SETTLED_SECONDS
    if component.job is not None:
        return component.job.timeout_seconds + (within if component.ready is not None else 0.0)
    return within


def start_bound_seconds(component: Component) -> float:
    """Return how long a component takes at most to come up or to be given up: every start, every wait, every port of
    its range, and the wait for a port or a shared component of another run.

    A start lasts `within_seconds`; one that dies is tried `retries.max` times more, and a port with another listener is
    skipped. The former process has its grace, and five seconds for KILL.
    """
    within = once_bound_seconds(component)
    shared = within if component.shared else 0.0
    if component.job is not None:
        return shared + within + _END_SECONDS
    if component.service is None:
        return within
    service = component.service
    low, high = service.ports or (0, 0)
    starts = component.retries.max + 1 + (high - low)
    waits = shared + waits_seconds(component.retries) + service.port_wait_seconds
    return starts * (within + _grace(service)) + waits


def first_bound_seconds(component: Component) -> float:
    """Return how long a component takes at most until tests can use it or it is given up: its failover has its starts, too."""
    instead = component.failover if any(RECOVERY[step.kind].failover for step in component.recover) else None
    if instead is None:
        return start_bound_seconds(component)
    return sum(start_bound_seconds(structs.replace(component, service=one)) for one in (component.service, instead))


def _grace(service: Service | None) -> float:
    return _END_SECONDS + (service.grace_seconds if service is not None else 0.0)


def reset_seconds(component: Component) -> float:
    """Return how long the reset of an instance takes at most."""
    total = 0.0
    for step in component.reset:
        restarts = not step.run and step.request is None
        total += start_bound_seconds(component) if restarts else step.timeout_seconds + _END_SECONDS
    return total


def bound_seconds(
    component: Component, dependents: Sequence[Component] = (), *, dead: bool = False, reset: bool = False
) -> float:
    """Return the bound of a recovery: the whole policy, and the ends of dependents before it.

    Args:
        component: with its recovery policy.
        dependents: what is put aside; their own starts come after, each with its own bound.
        dead: its process has ended: a step that repeats is passed over.
        reset: it could not be reset, which is tried again after each step.
    """
    asked = max(
        (one.probe.timeout_seconds for one in (component.live, component.ready) if one is not None), default=0.0
    )
    ends = sum(_grace(dependent.service) for dependent in dependents if dependent.service is not None)
    total = 0.0
    for step in component.recover:
        kind = RECOVERY[step.kind]
        if kind.repeats and dead:
            continue
        total += waits_seconds(component.retries) if kind.repeats else 0.0
        total += step.timeout_seconds + _END_SECONDS if kind.command else 0.0
        total += ends + start_bound_seconds(component) if kind.starts else asked * allowed(step, component.retries)
        total += reset_seconds(component) * allowed(step, component.retries) if reset else 0.0
    return total
