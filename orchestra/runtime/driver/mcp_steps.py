"""A step of the method `mcp`: its tool calls, asked again while the answer may still change. May import `contract`, `calls`.

What Playwright's own library does by itself is done here around the tools: waiting for an element to exist, repeating
a question until it holds, answering dialogs. The wording of failures is that of the driver `playwright`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from orchestra.calls import ToolCall, mcp_calls
from orchestra.runtime.driver.content import judge_file
from orchestra.runtime.driver.contract import ACTION_SECONDS, Effort, Job, StepError, unfit, unmet
from orchestra.runtime.driver.mcp_client import CallOverError
from orchestra.runtime.driver.mcp_result import Answer
from orchestra.runtime.driver.playwright_expect import _unmet as condition_failure
from orchestra.runtime.driver.playwright_expect import ambiguous
from orchestra.runtime.driver.playwright_fault import Said
from orchestra.runtime.driver.playwright_verbs import failure_of, judge_value
from orchestra.runtime.driver.playwright_watch import Answer as DialogAnswer
from orchestra.runtime.driver.wording import condition_text, quoted, seconds_text, target_text
from orchestra.runtime.scope import inside
from orchestra.steps import conditions, file_name
from orchestra.targets import js_locator, target_of

FIRST_PAUSE_SECONDS = 0.01
LAST_PAUSE_SECONDS = 0.1
ONCE_SECONDS = 1.0
"""A question is asked once at least, and given this long for it, however short its own limit is."""

CHOOSER_SECONDS = 2.0
LOAD_CAP_SECONDS = 4.5
"""The server waits five seconds for the load event and then goes on without it; what took longer is looked at again."""

MARGIN_SECONDS = 3.0
"""What a call may take beyond the limit that the server itself keeps."""


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
    """How the next dialogs are answered, and those that nobody asked for."""

    answers: deque[DialogAnswer] = field(default_factory=deque)
    unexpected: list[str] = field(default_factory=list)


class Steps:
    """Carries out the steps of one attempt.

    Args:
        caller: sends tool calls.
        poll_seconds: the longest single wait.
        dialogs: shared by the steps of the attempt.
        clock: monotonic seconds.
        sleep: waits.
    """

    def __init__(
        self,
        caller: Caller,
        poll_seconds: float,
        dialogs: Dialogs,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._caller = caller
        self._poll_seconds = poll_seconds
        self._dialogs = dialogs
        self._clock = clock
        self._sleep = sleep
        self.tally = Tally()
        self._handlers: dict[str, Callable[[Job], None]] = {
            "goto": self._goto,
            "back": self._move,
            "reload": self._move,
            "upload": self._upload,
            "evaluate": self._evaluate,
            "screenshot": self._screenshot,
            "download": self._download,
            "dialog": self._dialog,
            "expect": self._expect,
            "wait": self._wait,
        }

    def do(self, job: Job) -> None:
        """Carry out a step.

        Raises:
            StepError: it failed.
            ServerLostError: the server is gone or does not answer.
        """
        self.tally = Tally()
        handler = self._handlers.get(job.step.verb)
        if handler is not None:
            handler(job)
        else:
            for call in self._calls(job):
                self._act(job, call)

    def _calls(self, job: Job, **changed: Any) -> tuple[ToolCall, ...]:
        step = msgspec.structs.replace(job.step, args={**job.args, **changed}) if changed else job.step
        return mcp_calls(step, self._poll_seconds, f"{job.folder}/")

    # -------------------------------------------------------------------------------------------------------- sending

    def _send(self, call: ToolCall, seconds: float) -> Answer:
        """Send a call; dialogs and file choosers that are in its way are answered, and it is sent again."""
        end = self._clock() + seconds
        while True:
            self.tally.calls += 1
            answer = self._caller(call.tool, call.arguments, max(0.001, end - self._clock()))
            wanted = call.tool == "browser_evaluate" and answer.modal == "chooser" and not answer.failed
            if not answer.modal or wanted:
                return answer
            self._answer(answer, end)
            if not answer.refused:
                return answer
            if end - self._clock() <= 0:
                raise CallOverError("the page opened one dialog after the other")

    def _answer(self, answer: Answer, end: float) -> None:
        """Answer what is open, as the spec says or else by dismissing it, until nothing is."""
        while answer.modal and end - self._clock() > 0:
            if answer.modal == "chooser":
                tool, arguments = "browser_file_upload", {}
            else:
                tool, arguments = "browser_handle_dialog", self._next_answer(answer.modal_text)
            self.tally.calls += 1
            answer = self._caller(tool, arguments, max(0.001, end - self._clock()))

    def _next_answer(self, shown: str) -> dict[str, Any]:
        if not self._dialogs.answers:
            self._dialogs.unexpected.append(shown.partition(": can be handled")[0][:200])
            return {"accept": False}
        wished = self._dialogs.answers.popleft()
        text = {} if wished.text is None else {"promptText": wished.text}
        return {"accept": wished.accept, **text}

    def _pauses(self) -> Iterator[float]:
        pause = FIRST_PAUSE_SECONDS
        while True:
            yield pause
            pause = min(pause * 2, LAST_PAUSE_SECONDS)

    # --------------------------------------------------------------------------------------------------------- acting

    def _act(self, job: Job, call: ToolCall, own: float = ACTION_SECONDS) -> Answer:
        """Do it, again while its element does not exist or is not fit for it.

        Raises:
            StepError: it cannot be done in its time.
        """
        end = self._clock() + job.deadline.limit(own)
        for pause in self._pauses():
            try:
                answer = self._send(call, end - self._clock())
            except CallOverError:
                raise failure_of(job, Said("blocked", "it was not done in time")) from None
            if not answer.failed or answer.performed:
                return answer
            said = answer.said()
            left = end - self._clock()
            if left <= 0 or not (answer.absent or (said.kind in ("absent", "blocked") and job.step.target)):
                raise failure_of(job, said)
            self.tally.polls += 1
            self._sleep(min(pause, left))
        raise AssertionError("pauses do not end")

    def _goto(self, job: Job) -> None:
        parts = urlsplit(job.text("url"))
        if not parts.scheme or (parts.scheme in {"http", "https"} and not parts.netloc):
            # The server would make an address of it.
            raise failure_of(job, Said("spec", "Cannot navigate to invalid URL"))
        begun = self._clock()
        (call,) = self._calls(job)
        try:
            answer = self._send(call, job.deadline.limit(ACTION_SECONDS + MARGIN_SECONDS))
        except CallOverError:
            raise failure_of(job, Said("absent")) from None
        if answer.failed:
            raise failure_of(job, answer.said())
        if self._clock() - begun > LOAD_CAP_SECONDS:
            self._loaded(job, begun + ACTION_SECONDS)

    def _loaded(self, job: Job, until: float) -> None:
        """Wait for the load event of a slow page."""
        end = min(until, self._clock() + job.deadline.left())
        call = ToolCall("browser_evaluate", {"function": "() => document.readyState"})
        for pause in self._pauses():
            try:
                answer = self._send(call, max(ONCE_SECONDS, end - self._clock()))
            except CallOverError:
                raise failure_of(job, Said("absent")) from None
            if answer.value() == "complete":
                return
            if end - self._clock() <= 0:
                raise failure_of(job, Said("absent"))
            self.tally.polls += 1
            self._sleep(pause)

    def _move(self, job: Job) -> None:
        """`back` and `reload`: what is not there is not waited for."""
        (call,) = self._calls(job)
        try:
            answer = self._send(call, job.deadline.limit(ACTION_SECONDS + MARGIN_SECONDS))
        except CallOverError:
            raise failure_of(job, Said("absent")) from None
        if answer.failed:
            raise failure_of(job, answer.said())

    def _upload(self, job: Job) -> None:
        paths = [inside(job_text, job.root, job.folder) for job_text in map(_text, job.args["files"])]
        for path, said in zip(paths, job.args["files"], strict=True):
            if not path.is_file():
                hint = "paths are relative to the project root"
                raise unfit(f"the file to upload {quoted(said)} is not there", hint=hint)
        opened, chosen = self._calls(job, files=[str(path) for path in paths])
        self._act(job, opened)
        end = self._clock() + job.deadline.limit(CHOOSER_SECONDS)
        for pause in self._pauses():  # the chooser may be told a moment after the click
            answer = self._send(chosen, job.deadline.limit())
            if not answer.failed:
                return
            if end - self._clock() <= 0 or "related modal state" not in answer.error:
                break
            self._sleep(pause)
        found = "no file chooser opened"
        raise unmet(f"upload to {target_text(job.step.target)} is not possible: {found}", found=found)

    def _evaluate(self, job: Job) -> None:
        (call,) = self._calls(job)
        own = ACTION_SECONDS if job.step.target is not None else job.deadline.left()
        answer = self._act(job, call, max(own, job.deadline.left()))
        judged = {"equals", "below", "save"} & job.args.keys()
        if judged and not answer.has_value:
            message = "the script opened a dialog, and over MCP its result is lost then"
            raise unfit(message, hint="open the dialog by a click, or judge the page in a step of its own")
        value = answer.value()
        judge_value(value, job.args)
        if "save" in job.args:
            job.scope.save(job.args["save"], value)

    def _screenshot(self, job: Job) -> None:
        (call,) = self._calls(job)
        self._act(job, call)
        job.keep(f"{file_name(job.text('as'))}.png", "screenshot")

    def _download(self, job: Job) -> None:
        name, own = file_name(job.text("as")), float(job.args["within_seconds"])
        limit = job.deadline.limit(own)
        (call,) = self._calls(job, within_seconds=limit)
        late = unmet(
            f"no download began within {seconds_text(job.allowed(own))} of the click on {target_text(job.step.target)}",
            expected="a download",
            found="none",
        )
        try:
            answer = self._send(call, job.deadline.limit(own + MARGIN_SECONDS))
        except CallOverError:
            raise late from None
        if answer.failed:
            if 'waiting for event "download"' in answer.error and "locator resolved to" not in answer.error:
                raise self._no_download(job, late)
            if "download.saveAs" in answer.error:
                why = answer.said().found
                raise unmet(f"the download failed: {why}", expected="a whole file", found=why)
            raise failure_of(job, answer.said())
        path = job.keep(name, "download")
        if "expect" in job.args:
            judge_file(path.read_bytes(), job.args["expect"], f"the download {quoted(name)}")

    def _no_download(self, job: Job, late: StepError) -> StepError:
        """Which of two limits of the same length it was: that of the click or that of the download."""
        target = job.step.target
        if target is None:
            return late
        look = ToolCall("browser_evaluate", {"target": js_locator(target), "function": "() => true"})
        answer = self._send(look, ONCE_SECONDS)
        return failure_of(job, answer.said()) if answer.failed else late

    def _dialog(self, job: Job) -> None:
        text = job.text("text") if "text" in job.args else None
        self._dialogs.answers.append(DialogAnswer(job.args["accept"], text))

    # --------------------------------------------------------------------------------------------------------- asking

    def _expect(self, job: Job) -> None:
        asked = [
            (f"the page's {part}", condition_text(name, wanted, negated=negated))
            for part, wanted_of in job.args.get("page", {}).items()
            for name, wanted, negated in conditions(wanted_of)
        ]
        asked += [
            (target_text(job.step.target), condition_text(name, wanted, negated=negated))
            for name, wanted, negated in conditions(job.args.get("to", {}))
        ]
        for call, (subject, phrase) in zip(self._calls(job), asked, strict=True):
            self._ask(job, call, subject, phrase)

    def _ask(self, job: Job, call: ToolCall, subject: str, phrase: str) -> None:
        """Ask until the answer is as wished.

        Raises:
            StepError: it is not, in the time of the condition.
        """
        own = float(job.args["within_seconds"])
        end = self._clock() + job.deadline.limit(own)
        last, negative = Said("unmet"), None
        for pause in self._pauses():
            try:
                answer = self._send(call, max(end - self._clock(), min(ONCE_SECONDS, job.deadline.limit(own))))
            except CallOverError:
                raise condition_failure(subject, phrase, job.allowed(own), last) from None
            now = self._clock()
            value = answer.value() if answer.has_value else None
            if (answer.absent and call.absent_ok) or (isinstance(value, dict) and value.get("ok")):
                self.tally.lag_seconds = None if negative is None else now - negative
                return
            negative = now
            last = _seen(answer, value, last)
            if now >= end or last.kind not in ("unmet", "absent", "blocked"):
                raise condition_failure(subject, phrase, job.allowed(own), last)
            self.tally.polls += 1
            self._sleep(min(pause, end - now))

    def _wait(self, job: Job) -> None:
        own = float(job.args["within_seconds"])
        end = self._clock() + job.deadline.limit(own)
        found = "no element"
        while True:
            left = end - self._clock()
            (call,) = self._calls(job, within_seconds=max(0.001, left))
            try:
                answer = self._send(call, max(0.001, min(left, self._poll_seconds)) + MARGIN_SECONDS)
            except CallOverError:
                break
            self.tally.polls += 1
            value = answer.value() if answer.has_value else None
            if isinstance(value, dict):
                if value["ok"]:
                    self.tally.lag_seconds = _lag(value)
                    return
                self._judge_reason(job, value)
            elif answer.failed and not answer.moved_on:
                said = answer.said()
                if said.kind not in ("absent", "blocked"):
                    raise failure_of(job, said)
                found = said.found or found
            if self._clock() >= end:
                break
        subject, state = target_text(job.step.target), job.args["be"]
        message = f"waited {seconds_text(job.allowed(own))} for {subject} to be {state}"
        raise unmet(message, expected=f"{subject} {state}", found=found)

    def _judge_reason(self, job: Job, value: dict[str, Any]) -> None:
        """What a wait that did not end well says.

        Raises:
            StepError: waiting longer is of no use.
        """
        subject, state = target_text(job.step.target), job.args["be"]
        if value.get("reason") == "strict":
            raise ambiguous(subject, int(value.get("found", 2)))
        if value.get("reason") != "unless":
            return
        marker = target_of(job.args["unless"])
        if marker is None:
            raise AssertionError("only a marker ends a wait so")
        shown = f"{js_locator(marker)}.filter({{ visible: true }}).first()"
        look = ToolCall("browser_evaluate", {"target": shown, "function": "(element) => element.textContent"})
        text = str(self._send(look, ONCE_SECONDS).value() or "")
        message = f"{target_text(marker)} came before {subject} was {state}"
        raise unmet(message, expected=f"{subject} {state}", found=quoted(" ".join(text.split())))


def _seen(answer: Answer, value: Any, last: Said) -> Said:
    """What a question that did not hold has shown."""
    if isinstance(value, dict):
        found = value.get("found")
        if found is None:
            return Said("absent")
        return Said("unmet", found if isinstance(found, str) else quoted(found))
    if answer.failed and not answer.moved_on:
        return answer.said()
    return last


def _lag(value: dict[str, Any]) -> float | None:
    """How long the answer was under way since the page saw it, by the clock of this machine; None when it does not say."""
    at = value.get("at")
    return None if at is None else max(0.0, time.time() - at / 1000)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else quoted(value)
