"""Sends the tool calls of a step, and answers the dialogs that stand in their way. May import `calls`, `contract`, `mcp_client`.

One `Sender` serves an attempt; what a step costs is counted here.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from orchestra.calls import ToolCall, mcp_calls
from orchestra.runtime.driver.contract import Effort, Job
from orchestra.runtime.driver.downloading import Guard
from orchestra.runtime.driver.mcp_client import CallOverError
from orchestra.runtime.driver.mcp_result import Answer
from orchestra.runtime.driver.playwright_watch import Answer as DialogAnswer

FIRST_PAUSE_SECONDS = 0.01
LAST_PAUSE_SECONDS = 0.1
TOLD_LETTERS = 220

_DIALOG = re.compile(r'^\["(\w+)" dialog with message "(.*)"\]', re.DOTALL)


def dialog_text(kind: str, message: str) -> str:
    """A dialog in the server's words."""
    return f'["{kind}" dialog with message "{message}"]'


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
    """What a step has cost so far."""

    calls: int = 0
    polls: int = 0
    lag_seconds: float | None = None

    def effort(self) -> Effort:
        """As it is recorded."""
        return Effort(self.calls, self.polls, self.lag_seconds)


@dataclass
class Dialogs:
    """How the next dialogs are answered, and those that nobody asked for; `mask` takes secrets out before they are cut."""

    mask: Callable[[str], str] = str
    answers: deque[DialogAnswer] = field(default_factory=deque)
    unexpected: list[str] = field(default_factory=list)

    def next_answer(self, shown: str) -> dict[str, Any]:
        """The arguments of `browser_handle_dialog` for a dialog; one that was not asked for is dismissed."""
        if not self.answers:
            said = _DIALOG.match(shown)
            told = self.mask(shown) if said is None else f"{said[1]}: {self.mask(said[2])}"
            self.unexpected.append(told[:TOLD_LETTERS])
            return {"accept": False}
        wished = self.answers.popleft()
        text = {} if wished.text is None else {"promptText": wished.text}
        return {"accept": wished.accept, **text}


@dataclass
class Sender:
    """Sends calls for one attempt.

    Attributes:
        caller: sends one.
        poll_seconds: the longest single wait.
        guard: has the download of a step end with its limits.
        dialogs: those of the attempt.
        clock: monotonic seconds.
        sleep: waits.
        tally: what the step has cost so far.
    """

    caller: Caller
    poll_seconds: float
    guard: Callable[[Job], Guard]
    dialogs: Dialogs = field(default_factory=Dialogs)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    tally: Tally = field(default_factory=Tally)

    def calls(self, job: Job, **changed: Any) -> tuple[ToolCall, ...]:
        """The calls of a step, some of its arguments changed."""
        step = msgspec.structs.replace(job.step, args={**job.args, **changed}) if changed else job.step
        return mcp_calls(step, self.poll_seconds, f"{job.folder}/")

    def send(self, call: ToolCall, seconds: float) -> Answer:
        """Send a call. Dialogs and file choosers in its way are answered, and what they kept from being done is sent again.

        Raises:
            CallOverError: it took longer than `seconds`.
            ServerLostError: the server is gone or does not answer.
        """
        end = self.clock() + seconds
        while True:
            self.tally.calls += 1
            answer = self.caller(call.tool, call.arguments, max(0.001, end - self.clock()))
            wanted = call.tool == "browser_evaluate" and answer.modal == "chooser" and not answer.failed
            if wanted or not (answer.modal or answer.refused):
                return answer
            self._answer(answer, end)
            if not answer.refused:
                return answer
            if end - self.clock() <= 0:
                raise CallOverError("the page opened one dialog after the other")

    def _answer(self, answer: Answer, end: float) -> None:
        """Answer what is open, until nothing is."""
        while answer.modal and end - self.clock() > 0:
            if answer.modal == "chooser":
                tool, arguments = "browser_file_upload", {}
            else:
                tool, arguments = "browser_handle_dialog", self.dialogs.next_answer(answer.modal_text)
            self.tally.calls += 1
            answer = self.caller(tool, arguments, max(0.001, end - self.clock()))

    def pauses(self) -> Iterator[float]:
        """Seconds between two tries, without end."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            yield pause
            pause = min(pause * 2, LAST_PAUSE_SECONDS)
