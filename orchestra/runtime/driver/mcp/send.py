"""Send the tool calls of a step, and answer the dialogs that are in their way.

One `Sender` serves an attempt; the cost of a step is counted here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from orchestra.runtime.driver.contract import Effort, Job
from orchestra.runtime.driver.mcp.client import CallOverError
from orchestra.runtime.driver.mcp.page import PageView
from orchestra.runtime.driver.mcp.result import Answer
from orchestra.steps.tool_call import ToolCall
from orchestra.steps.vocabulary import mcp_calls

FIRST_PAUSE_SECONDS = 0.01
LAST_PAUSE_SECONDS = 0.1


class Caller(Protocol):
    """Sends a tool call and gives its answer."""

    def __call__(self, tool: str, arguments: dict[str, Any], seconds: float) -> Answer:
        """Send it.

        Raises:
            CallOverError: it took longer than `seconds`.
            ServerLostError: the server is gone or does not answer.
        """


@dataclass
class Tally:
    """The cost of a step so far."""

    calls: int = 0
    polls: int = 0
    lag_seconds: float | None = None

    def effort(self) -> Effort:
        """Return it as it is recorded."""
        return Effort(self.calls, self.polls, self.lag_seconds)


@dataclass
class Sender:
    """Sends calls for one attempt.

    Attributes:
        caller: sends one.
        page: the page, as the owner of its browser sees it.
        poll_seconds: the longest single wait.
        clock: monotonic seconds.
        sleep: waits.
        tally: the cost of the step so far.
        interrupted: whether the last call was cut short by a dialog: its action may not be done, its value is lost.
        acted: whether the last action had begun when its page was closed.
        pending: whether a click that was cut short may still be made: the server has not given it up yet.
        begun: when the last action was sent, in seconds since 1970.
    """

    caller: Caller
    page: PageView
    poll_seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    tally: Tally = field(default_factory=Tally)
    interrupted: bool = False
    acted: bool = False
    pending: bool = False
    begun: float = 0.0

    def calls(self, job: Job, **changed: Any) -> tuple[ToolCall, ...]:
        """Return the calls of a step, some of its arguments changed."""
        step = msgspec.structs.replace(job.step, args={**job.args, **changed}) if changed else job.step
        return mcp_calls(step, self.poll_seconds, f"{job.folder}/")

    def send(self, call: ToolCall, seconds: float, *, chooser: bool = False) -> Answer:
        """Send a call. Dialogs and file choosers in its way are answered, and what they kept from being done is sent again.

        Args:
            call: what to send.
            seconds: how long all of it may take.
            chooser: whether a file chooser is what the call is to open.

        Raises:
            CallOverError: it took longer than `seconds`.
            ServerLostError: the server is gone or does not answer.
        """
        end = self.clock() + seconds
        self.interrupted = False
        while True:
            self.tally.calls += 1
            answer = self.caller(call.tool, call.arguments, max(0.001, end - self.clock()))
            wanted = chooser and answer.modal == "chooser" and not answer.failed
            if wanted or not (answer.modal or answer.refused):
                return answer
            self.interrupted = not answer.refused
            self._answer(answer, end)
            if self.interrupted:
                return answer
            if end - self.clock() <= 0:
                raise CallOverError("the page opened one dialog after the other")

    def _answer(self, answer: Answer, end: float) -> None:
        """Answer what is open, until nothing is."""
        while answer.modal and end - self.clock() > 0:
            if answer.modal == "chooser":
                tool, arguments = "browser_file_upload", {}
            else:
                tool, arguments = "browser_handle_dialog", self.page.dialog_answer()
            self.tally.calls += 1
            answer = self.caller(tool, arguments, max(0.001, end - self.clock()))

    def answer_dialog(self, seconds: float) -> None:
        """Answer a dialog that opened while nothing was sent."""
        if self.page.dialog is not None:
            self.tally.calls += 1
            self.caller("browser_handle_dialog", self.page.dialog_answer(), max(0.001, seconds))

    def pauses(self) -> Iterator[float]:
        """Yield the seconds between two tries, without end."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            yield pause
            pause = min(pause * 2, LAST_PAUSE_SECONDS)
