"""The verbs of the driver `mcp`, one small function each. May import `mcp_send`, `mcp_ask`, `contract`, `content`, `wording`.

What Playwright's own library does by itself is done here around the tools: an element that does not exist yet is tried
again, a load event that takes long is waited for. The wording of failures is that of the driver `playwright`.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from orchestra.calls import ToolCall
from orchestra.runtime.driver.content import judge_file
from orchestra.runtime.driver.contract import ACTION_SECONDS, Job, StepError, text_of, unfit, unmet
from orchestra.runtime.driver.mcp_ask import MARGIN_SECONDS, ONCE_SECONDS, expect, wait
from orchestra.runtime.driver.mcp_client import CallOverError
from orchestra.runtime.driver.mcp_result import Answer
from orchestra.runtime.driver.mcp_send import Sender
from orchestra.runtime.driver.playwright_fault import Said
from orchestra.runtime.driver.playwright_verbs import failure_of, judge_value, no_download
from orchestra.runtime.driver.playwright_watch import Answer as DialogAnswer
from orchestra.runtime.driver.wording import quoted, target_text
from orchestra.runtime.files import inside
from orchestra.steps import file_name
from orchestra.targets import js_locator

CHOOSER_SECONDS = 2.0
LOAD_CAP_SECONDS = 4.5
"""The server waits five seconds for the load event and then goes on without it; what took longer is looked at again."""


def _act(sender: Sender, job: Job, call: ToolCall, own: float = ACTION_SECONDS) -> Answer:
    """Do it, again while its element does not exist or is not fit for it.

    Raises:
        StepError: it cannot be done in its time.
        ServerLostError: the server is gone or does not answer.
    """
    end = sender.clock() + job.deadline.limit(own)
    last = Said("blocked", "it was not done in time")
    for pause in sender.pauses():
        try:
            answer = sender.send(call, end - sender.clock())
        except CallOverError:
            break
        if not answer.failed or answer.performed:
            return answer
        last, left = answer.said(), end - sender.clock()
        again = answer.absent or (last.kind in {"absent", "blocked"} and job.step.target is not None)
        if left <= 0 or not again:
            break
        sender.tally.polls += 1
        sender.sleep(min(pause, left))
    raise failure_of(job, last)


def _each(sender: Sender, job: Job) -> None:
    """What is one action, or several in a row."""
    for call in sender.calls(job):
        _act(sender, job, call)


def _move(sender: Sender, job: Job) -> None:
    """`goto`, `back`, `reload`: as they are; what cannot be opened is not tried again."""
    (call,) = sender.calls(job)
    try:
        answer = sender.send(call, job.deadline.limit(ACTION_SECONDS + MARGIN_SECONDS))
    except CallOverError:
        raise failure_of(job, Said("absent")) from None
    if answer.failed:
        raise failure_of(job, answer.said())


def _goto(sender: Sender, job: Job) -> None:
    parts = urlsplit(job.text("url"))
    if not parts.scheme or (parts.scheme in {"http", "https"} and not parts.netloc):
        raise failure_of(job, Said("spec", "Cannot navigate to invalid URL"))  # the server would make an address of it
    begun = sender.clock()
    _move(sender, job)
    if sender.clock() - begun > LOAD_CAP_SECONDS:
        _loaded(sender, job, begun + job.allowed(ACTION_SECONDS))


def _loaded(sender: Sender, job: Job, end: float) -> None:
    """Wait for the load event of a slow page."""
    call = ToolCall("browser_evaluate", {"function": "() => document.readyState"})
    for pause in sender.pauses():
        try:
            answer = sender.send(call, max(ONCE_SECONDS, end - sender.clock()))
        except CallOverError:
            break
        if answer.value() == "complete":
            return
        if end - sender.clock() <= 0:
            break
        sender.tally.polls += 1
        sender.sleep(pause)
    raise failure_of(job, Said("absent"))


def _upload(sender: Sender, job: Job) -> None:
    paths = [inside(text_of(one), job.root, job.folder) for one in job.args["files"]]
    for path, said in zip(paths, job.args["files"], strict=True):
        if not path.is_file():
            hint = "paths are relative to the project root"
            raise unfit(f"the file to upload {quoted(said)} is not there", hint=hint)
    opens, chooses = sender.calls(job, files=[str(path) for path in paths])
    _act(sender, job, opens)
    end = sender.clock() + job.deadline.limit(CHOOSER_SECONDS)
    found = "no file chooser opened"
    for pause in sender.pauses():  # the chooser may be told a moment after the click
        try:
            answer = sender.send(chooses, job.deadline.limit())
        except CallOverError:
            break
        if not answer.failed:
            return
        if "related modal state" not in answer.error:
            found = answer.said().found
            break
        if sender.clock() >= end:
            break
        sender.sleep(pause)
    raise unmet(f"upload of {target_text(job.step.target)} is not possible: {found}", found=found)


def _evaluate(sender: Sender, job: Job) -> None:
    (call,) = sender.calls(job)
    answer = _act(sender, job, call, job.deadline.left())
    if not answer.has_value and {"equals", "below", "save"} & job.args.keys():
        message = "the script opened a dialog, and over MCP its result is lost then"
        raise unfit(message, hint="open the dialog by a click, or judge the page in a step of its own")
    value = answer.value()
    judge_value(value, job.args)
    if "save" in job.args:
        job.scope.save(job.args["save"], value)


def _screenshot(sender: Sender, job: Job) -> None:
    _each(sender, job)
    job.keep(f"{file_name(job.text('as'))}.png", "screenshot")


def _download(sender: Sender, job: Job) -> None:
    name, guard = file_name(job.text("as")), sender.guard(job)
    (call,) = sender.calls(job, within_seconds=guard.seconds())
    try:
        answer = sender.send(call, guard.seconds() + MARGIN_SECONDS)
    except CallOverError:
        raise (guard.failure() if guard.began else no_download(job)) from None
    if guard.over:
        raise guard.failure()
    if answer.failed:
        raise _download_failure(sender, job, answer)
    path = job.keep(name, "download")
    if "expect" in job.args:
        judge_file(path.read_bytes(), job.args["expect"], f"the download {quoted(name)}")


def _download_failure(sender: Sender, job: Job, answer: Answer) -> StepError:
    said = answer.said()
    if "download.saveAs" in answer.error:
        return unmet(f"the download failed: {said.found}", expected="a whole file", found=said.found)
    if 'event "download"' not in answer.error or job.step.target is None:
        return failure_of(job, said)
    # The limits of click and download end together: only the page knows which of them it was.
    look = ToolCall("browser_evaluate", {"target": js_locator(job.step.target), "function": "() => true"})
    there = sender.send(look, ONCE_SECONDS)
    return failure_of(job, there.said()) if there.failed else no_download(job)


def _dialog(sender: Sender, job: Job) -> None:
    text = job.text("text") if "text" in job.args else None
    sender.dialogs.answers.append(DialogAnswer(job.args["accept"], text))


VERBS: dict[str, Callable[[Sender, Job], None]] = {
    "goto": _goto,
    "click": _each,
    "fill": _each,
    "press": _each,
    "select": _each,
    "check": _each,
    "uncheck": _each,
    "hover": _each,
    "upload": _upload,
    "expect": expect,
    "wait": wait,
    "evaluate": _evaluate,
    "screenshot": _screenshot,
    "download": _download,
    "dialog": _dialog,
    "viewport": _each,
    "back": _move,
    "reload": _move,
}
