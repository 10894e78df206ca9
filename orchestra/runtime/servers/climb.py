"""The recovery of a component that failed while tests ran: one step of its `recover` after the other.

While it lasts, the components that need it are put aside: not watched, not started. `recovery` decides which step is next.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from orchestra.errors import OrchestraError
from orchestra.plan import Component, ResetStep
from orchestra.recovery import RECOVERY
from orchestra.runtime.servers.ask import ask
from orchestra.runtime.servers.board import Board
from orchestra.runtime.servers.member import Member
from orchestra.runtime.servers.recovery import Action, decide
from orchestra.runtime.servers.row import Trouble
from orchestra.runtime.servers.start import come_up, repair


class Climb:
    """Brings components of a matrix back.

    Args:
        board: the components.
        numbered: how many incidents the ids of a component count already, from earlier segments of the run.
    """

    def __init__(self, board: Board, numbered: Mapping[str, int]) -> None:
        self._board = board
        self._numbered = numbered

    async def recover(self, name: str, trouble: Trouble) -> Trouble | None:
        """Open an incident and take one step after the other; None when healthy again, else why it has failed for good."""
        member = self._board.members[name]
        member.incidents += 1
        member.incident = f"{name}-{self._numbered.get(name, 0) + member.incidents}"
        dead = await member.dead()
        self._board.publish(name, "unhealthy", trouble, dead=dead)
        aside = await self._put_aside(name)
        try:
            return await self._steps(member, trouble, aside)
        finally:
            self._resume(aside)

    async def stand_in(self, member: Member, lost: Trouble) -> Trouble | None:
        """Start the failover of a component that did not come up when tests first required it.

        No test has used it, so this is no incident, and of its `recover` only the failover is tried: all starts of the
        primary have been.

        Args:
            member: the component.
            lost: why it did not come up.

        Returns:
            Why neither came up, or None; `lost` where `recover` has no failover or nothing may be started.
        """
        if not member.may_start or not any(RECOVERY[step.kind].failover for step in member.component.recover):
            return lost
        await member.go_down()
        member.fail_over()
        second = await come_up(member, why=f"{lost.reason}; starts its failover")
        if second is None:
            return None
        await member.go_down()
        member.fail_back()
        return Trouble(f"{lost.reason}; its failover {second.reason}", second.hint)

    async def _steps(self, member: Member, trouble: Trouble, aside: Sequence[str]) -> Trouble | None:
        name, component = member.component.id, member.component
        tried: list[int] = []
        last = trouble
        while True:
            dead = await member.dead()
            action = decide(component.recover, component.retries, tried, member.ground.rand(), dead=dead)
            if action is None:
                return _failed_for_good(component, trouble, last, tried)
            tried.append(action.index)
            await member.ground.sleep(action.wait_seconds)
            member.recoveries += 1
            lost = await self._act(member, action, aside)
            if lost is None and member.reset_failed:
                lost = await self._restored(member, aside)
            if lost is None:
                self._board.publish(name, "healthy", action=action.kind)
                return None
            self._board.publish(name, "unhealthy", lost, action.kind)
            last = lost

    async def _act(self, member: Member, action: Action, aside: Sequence[str]) -> Trouble | None:
        """Take one step of the recovery; None when the component is healthy after it."""
        kind = RECOVERY[action.kind]
        if not kind.starts:
            lost = await repaired(member, action.run, action.timeout_seconds, "a repair") if kind.command else None
            return lost or await _answers(member)
        for other in reversed(aside):
            await self._board.members[other].go_down()
        had = member.port
        if kind.failover:
            await member.go_down()
            member.fail_over()
        but = {had: f"port {had} was given up"} if kind.moves and had is not None else {}
        return await come_up(member, but=but)

    # ----------------------------------------------------------------------------------------------------------- resets

    @staticmethod
    def ask_reset(member: Member, uses: int) -> None:
        """Ask for the reset of an instance after so many attempts; one that was reset after them is left as it is."""
        member.reset_for = max(member.reset_for, uses)
        member.reset_asked.set()

    async def reset(self, name: str) -> Trouble | None:
        """Restore the initial state of an instance; why it could not be restored, or None.

        An instance that is restarted is put aside like one that is recovered. A failure is an incident, in which each
        recovery step is followed by another reset: an instance that counts as recovered has been reset.
        """
        member = self._board.members[name]
        member.reset_asked.clear()
        if member.reset_for <= member.reset_uses:
            return None
        restarts = any(_restarts(step) for step in member.component.reset)
        aside = await self._put_aside(name, "is being reset") if restarts else []
        try:
            lost = await self._restored(member, aside)
            if lost is None and restarts:
                self._board.publish(name, "healthy")
        finally:
            self._resume(aside)
        self._board.nudge()
        return lost

    async def _restored(self, member: Member, aside: Sequence[str]) -> Trouble | None:
        """Take the steps of a reset; `aside` are down while the instance restarts."""
        uses, lost = member.reset_for, None
        for step in member.component.reset:
            if step.request is not None:
                within = msgspec.structs.replace(step.request, timeout_seconds=step.timeout_seconds)
                answer = await ask(member, within)
                lost = Trouble(f"could not be reset: {answer.reason}", answer.hint) if answer.reason else None
            elif step.run:
                lost = await repaired(member, step.run, step.timeout_seconds, "a reset", "reset")
            else:
                for other in reversed(aside):
                    await self._board.members[other].go_down()
                await member.go_down()
                lost = await come_up(member)
            if lost is not None:
                break
        member.reset_failed = lost is not None
        if lost is None:
            member.reset_uses = uses
        return lost

    async def take_back(self, name: str) -> Trouble | None:
        """Start the primary in place of the backup, and the backup again when it does not come up."""
        member = self._board.members[name]
        aside = await self._put_aside(name)
        try:
            for other in reversed(aside):
                await self._board.members[other].go_down()
            await member.go_down()
            member.fail_back()
            lost = await come_up(member)
            if lost is not None:
                await member.go_down()
                member.fail_over()
                member.failovers -= 1  # the same failover, which lasts on
                trouble = Trouble(f"could not be taken back: {lost.reason}", lost.hint)
                self._board.publish(name, "unhealthy", trouble, "fail_back")
                lost = await come_up(member)
            if lost is None:
                self._board.publish(name, "healthy", action="" if member.on_failover else "fail_back")
        finally:
            self._resume(aside)
        return lost

    async def _put_aside(self, name: str, why: str = "is being recovered") -> list[str]:
        """Stop to watch and to start each dependent of a component, until that is healthy again or has failed."""
        aside = [other for other in self._board.dependents(name) if not self._board.failed(other)]
        for other in aside:
            self._board.lives[other].cancel()
        await asyncio.gather(*(self._board.lives[other] for other in aside), return_exceptions=True)
        for other in aside:
            self._board.publish(other, "unhealthy", Trouble(f"waits for {name}, which {why}"))
        return aside

    def _resume(self, aside: Iterable[str]) -> None:
        for other in aside:
            # Another incident may have put it aside too, and begun it again: a component has one life at a time.
            life = self._board.lives.get(other)
            if life is not None and life.done() and not self._board.closed and not self._board.failed(other):
                self._board.begin(other)


async def repaired(
    member: Member, run: tuple[str, ...], seconds: float, noun: str, word: str = "repair"
) -> Trouble | None:
    """Run a command that the spec declares for a component; why it failed, or None.

    Args:
        member: the component.
        run: the command.
        seconds: what it may take.
        noun: what the command is, for the message about one that cannot be started.
        word: the same in the log of the component and in other messages.
    """
    try:
        return await repair(member, run, seconds, word)
    except OrchestraError as error:
        return Trouble(f"has {noun} that cannot be started: {error.message}", error.hint)


async def _answers(member: Member) -> Trouble | None:
    """Ask whether a component is healthy as it is."""
    if await member.dead():
        return Trouble("does not run")
    probes = [part.probe for part in (member.component.live, member.component.ready) if part is not None]
    for probe in probes[:1]:
        answer = await ask(member, probe)
        if answer.reason:
            return Trouble(answer.reason, answer.hint)
    return None


def _restarts(step: ResetStep) -> bool:
    return not step.run and step.request is None


def _failed_for_good(component: Component, trouble: Trouble, last: Trouble, tried: Sequence[int]) -> Trouble:
    """Return why a component has failed for good.

    Args:
        component: with its `recover`.
        trouble: of the incident.
        last: after the last step.
        tried: the index of each step.
    """
    if not component.recover:
        return Trouble(f"{trouble.reason} and has no `recover`", "declare a recovery policy: recover: [restart]")
    if not tried:
        return Trouble(f"{trouble.reason}, and no step of its `recover` restarts it", "write recover: [retry, restart]")
    steps = _counted([component.recover[index].kind for index in tried])
    # A reset fails for the same reason after each step.
    reasons = "; ".join(dict.fromkeys((trouble.reason, last.reason)))
    return Trouble(f"{reasons} and was not brought back by {steps}", last.hint)


def _counted(kinds: Sequence[str]) -> str:
    """Return the number of attempts of each kind of step, in the order of their first: `5 retries and 1 restart`."""
    parts = []
    for kind, count in Counter(kinds).items():
        noun = RECOVERY[kind].one if count == 1 else RECOVERY[kind].many
        parts.append(f"{count} {noun}")
    return " and ".join(parts)
