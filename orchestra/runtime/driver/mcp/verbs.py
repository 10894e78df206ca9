"""The verbs of the driver `mcp`, one small function each.

The waits of Playwright's own library are implemented here around the tools: a missing element is retried, a slow load
event is awaited. The wording of failures is that of the driver `playwright`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from playwright.async_api import Page

from orchestra.runtime.driver.clock import change_of
from orchestra.runtime.driver.content import judge_file, judge_outcome, until_it_holds
from orchestra.runtime.driver.contract import CHOOSER_SECONDS, Job, StepError, of_target, text_of, unfit, unmet
from orchestra.runtime.driver.dialogs import answer_of
from orchestra.runtime.driver.downloading import Guard
from orchestra.runtime.driver.failure import failure_of, kept_by_dialog, no_chooser, no_download, unready
from orchestra.runtime.driver.fault import Meaning
from orchestra.runtime.driver.har import har_of
from orchestra.runtime.driver.mcp.ask import MARGIN_SECONDS, expect, wait
from orchestra.runtime.driver.mcp.client import CallOverError
from orchestra.runtime.driver.mcp.result import Answer
from orchestra.runtime.driver.mcp.send import Sender
from orchestra.runtime.driver.mocking import mock_of
from orchestra.runtime.driver.pages import LOOK_SECONDS, acted, gone, main_stays, needs_no_page, none_opened, taken
from orchestra.runtime.driver.wording import quoted
from orchestra.runtime.files import inside
from orchestra.steps.page_script import OUTCOME
from orchestra.steps.tool_call import ToolCall
from orchestra.steps.verbs.files import chooser_calls, file_name
from orchestra.steps.verbs.keyboard import TYPED
from orchestra.steps.vocabulary import VERBS as STEPS
from orchestra.steps.vocabulary import argument

SERVER_SECONDS = 6.0
"""The time that an action can continue in the server: its own limit (`mcp_flags`) and a little more."""


def _act(
    sender: Sender, job: Job, call: ToolCall, *, call_seconds: float | None = None, chooser: bool = False
) -> Answer:
    """Do it, again while its element does not exist or is not fit for it: not as long while the page waits for nothing.

    Args:
        sender: sends it.
        job: the step.
        call: what to send.
        call_seconds: how long one call may take, where that is not the limit of the step.
        chooser: whether a file chooser is what the call is to open.

    Raises:
        StepError: it cannot be done in its time.
        ServerLostError: the server is gone or does not answer.
    """
    start = sender.clock()
    end, idle = start + job.deadline.limit(job.own_seconds), start + job.idle_seconds
    last = late = Meaning("blocked", "it was not done in time")
    for pause in sender.pauses():
        sender.acted = False
        if sender.page.lost() and not needs_no_page(job):
            break  # the server would act on another page
        begun, moves, ends = time.time(), sender.page.moves, sender.page.ends
        try:
            answer = sender.send(call, call_seconds or end - sender.clock(), chooser=chooser)
        except CallOverError:
            if last is late and call_seconds is None and not job.deadline.over():
                last = sender.page.reason(job)
            break
        last, left = answer.meaning(), end - sender.clock()
        sender.begun = begun
        sender.acted = call.tool != "browser_evaluate" and not answer.absent and acted(job.step.verb, answer.error)
        if answer.clicked:
            return _loading(sender, job, answer, ends, left)
        if not answer.failed and not sender.interrupted:
            return answer
        # Cut short by a dialog, or given up by the server while the press was on its way: it must not come twice.
        if (sender.acted or not answer.failed) and _done(sender, call, begun, moves, left):
            return answer
        again = not answer.failed or answer.absent or (last.kind in _WAITED and job.step.target is not None)
        if left <= 0 or not again:
            break
        if sender.clock() >= idle and sender.page.idle:
            raise failure_of(job, last, job.idle_seconds)
        sender.tally.polls += 1
        sender.sleep(min(pause, left))
    raise failure_of(job, last)


Until: TypeAlias = Literal["load", "domcontentloaded", "complete", "commit"]

_WAITED = ("absent", "blocked")


def _loading(sender: Sender, job: Job, answer: Answer, ends: int, left: float) -> Answer:
    """Wait for the document that a click has asked for, as Playwright's own click does; a load that failed ends the wait.

    Raises:
        StepError: it does not come in time.
    """
    if not sender.page.ended(ends, left):
        raise failure_of(job, answer.meaning())
    return answer


def _done(sender: Sender, call: ToolCall, begun: float, moves: int, left: float) -> bool:
    """Return True if a call that was cut short has done its action.

    A dialog that opens while a click waits for its element ends the call as if the click were made. The click goes on
    in the server, which gives it up after its own limit; only then can it be sent once more without a second click.
    The server also gives up a click whose press a busy page has not answered yet; the page is asked when it is free again.
    """
    if call.tool != "browser_click":
        return sender.interrupted
    end = sender.clock() + min(left, SERVER_SECONDS)
    for pause in sender.pauses():
        if sender.page.dialog is not None:  # of the second of two clicks: nothing goes on before it is answered
            sender.send(ToolCall("browser_evaluate", {"function": "() => true"}), SERVER_SECONDS)
        if sender.page.moves != moves or sender.page.pressed(begun):
            return True
        if sender.clock() >= end:
            sender.pending = left < SERVER_SECONDS
            return False
        sender.sleep(pause)
    raise AssertionError("pauses have no end")


def _each(sender: Sender, job: Job) -> None:
    """Do one action, or several in a row."""
    for call in sender.calls(job):
        _act(sender, job, call)


def _fitting(sender: Sender, job: Job) -> None:
    """Do one action, or several in a row; a script reports why its element is not fit, and is run until it is.

    Raises:
        StepError: it is not fit in the time of the step.
    """
    start = sender.clock()
    for call in sender.calls(job):
        for pause in sender.pauses():
            reason = _act(sender, job, call).value()
            if call.tool != "browser_evaluate" or not isinstance(reason, str) or not reason:
                break
            failure = unready(job, reason, sender.clock() - start, waits=not sender.page.idle)
            if failure is not None:
                raise failure
            sender.sleep(pause)


def _move(sender: Sender, job: Job) -> None:
    """Carry out `goto`, `back`, `reload`: a page that cannot be opened is not asked for again."""
    (call,) = sender.calls(job)
    page = sender.page
    moves, asked, stayed = page.moves, page.dialogs.asked, page.dialogs.stayed
    end = sender.clock() + job.deadline.limit(job.own_seconds)
    while True:
        try:
            answer = sender.send(call, end - sender.clock())
        except CallOverError:
            failed = kept_by_dialog(job) if page.dialogs.stayed > stayed else failure_of(job, Meaning("absent"))
            raise failed from None
        if answer.failed:
            raise failure_of(job, answer.meaning())
        if page.dialogs.stayed > stayed:
            raise kept_by_dialog(job)
        if not sender.interrupted:
            break
        # A dialog that was open already keeps the server from opening the page; `beforeunload` only puts it off.
        if page.dialogs.asked > asked or page.moves != moves:
            _arrive(sender, job, moves, end - sender.clock())
            break
    if page.moves == moves:
        page.catch_up()
    _load(sender, job, end)


def _arrive(sender: Sender, job: Job, moves: int, left: float) -> None:
    """Wait until the page is left, which a dialog has put off.

    Raises:
        StepError: it is not, in time.
    """
    reason = sender.page.moved(moves, left)
    if reason is None or reason:
        raise failure_of(job, Meaning("connection", reason) if reason else Meaning("absent"))


_LOOK_SECONDS = 0.25
"""The longest time in which a dialog holds up the load of a page before it is answered."""

_UNTIL: dict[str, Until] = {"back": "complete", "reload": "load"}
"""The state of the page that a step waits for which has no key for it."""


def _load(sender: Sender, job: Job, end: float) -> None:
    """Wait for the state of the page that the step asks for: the server waits five seconds for it and goes on without it.

    A dialog that opens meanwhile holds the document up, and no call is there to report it.

    Raises:
        StepError: it does not come in time.
    """
    until: Until = _UNTIL[job.step.verb] if job.step.verb in _UNTIL else argument(job.step, "until")
    if until == "commit":
        return
    while not sender.page.loaded(until, min(_LOOK_SECONDS, left := end - sender.clock())):
        if left <= 0:
            raise failure_of(job, Meaning("absent"))
        try:
            sender.answer_dialog(left)
        except CallOverError:
            raise failure_of(job, Meaning("absent")) from None


def _goto(sender: Sender, job: Job) -> None:
    parts = urlsplit(job.text("url"))
    if not parts.scheme or (parts.scheme in {"http", "https"} and not parts.netloc):
        raise failure_of(
            job, Meaning("spec", "Cannot navigate to invalid URL")
        )  # the server would make an address of it
    _move(sender, job)


def _keys(sender: Sender, job: Job) -> None:
    """Carry out `type` and `press`: typing that a dialog has cut short goes on in the server, to its end."""
    _fitting(sender, job)
    while sender.interrupted:
        _act(sender, job, TYPED)


def _drag(sender: Sender, job: Job) -> None:
    looks, drags = sender.calls(job)
    _act(sender, of_target(job, "onto"), looks)
    _act(sender, job, drags)


def _upload(sender: Sender, job: Job) -> None:
    paths = [inside(text_of(path), job.root, job.folder) for path in job.args["files"]]
    for path, said in zip(paths, job.args["files"], strict=True):
        if not path.is_file():
            hint = "paths are relative to the project root"
            raise unfit(f"the file to upload {quoted(said)} is not there", hint=hint)
    names = [str(path) for path in paths]
    if job.args.get("drop"):
        (drops,) = sender.calls(job, files=names)
        _act(sender, job, drops)
        return
    asks, sets = sender.calls(job, files=names)
    if _act(sender, job, asks).value() is True:
        _act(sender, job, sets)
        return
    opens, chooses = chooser_calls(msgspec.structs.replace(job.step, args={**job.args, "files": names}))
    _act(sender, job, opens, chooser=True)
    end = sender.clock() + job.deadline.limit(CHOOSER_SECONDS)
    for pause in sender.pauses():  # the chooser may open a moment after the click
        answer = sender.send(chooses, job.deadline.limit(job.own_seconds))
        if not answer.failed:
            return
        if not answer.needless:
            raise failure_of(job, answer.meaning())
        if sender.clock() >= end:
            raise no_chooser(job)
        sender.sleep(pause)


def _evaluate(sender: Sender, job: Job) -> None:
    value = until_it_holds(job, lambda trial: _result(sender, trial), sender.sleep)
    if "save" in job.args:
        job.scope.save(job.args["save"], value)


def _result(sender: Sender, job: Job) -> Any:
    """Return the value of a script, run once, after checking it."""
    (call,) = sender.calls(job)
    answer = _act(sender, job, call, call_seconds=job.deadline.left())
    while sender.interrupted:  # by a dialog: the script goes on when it is answered
        again = ToolCall(call.tool, {**call.arguments, "function": OUTCOME})
        answer = _act(sender, job, again, call_seconds=job.deadline.left())
    outcome = answer.value()
    if not isinstance(outcome, dict):
        raise unmet("evaluate failed: the page was left before the script was at its end", found="another page")
    return judge_outcome(outcome, job.args)


def _screenshot(sender: Sender, job: Job) -> None:
    sender.page.fonts()
    _each(sender, job)
    job.keep(f"{file_name(job.text('as'))}.png", "screenshot")


def _download(sender: Sender, job: Job) -> None:
    name, guard = file_name(job.text("as")), sender.page.guard(job)
    (call,) = sender.calls(job, within_seconds=guard.seconds())
    try:
        answer = sender.send(call, guard.seconds() + MARGIN_SECONDS)
    except CallOverError:
        raise (guard.failure() if guard.began else no_download(job)) from None
    whole = _interrupted(sender, job, guard) if sender.interrupted else None
    if guard.over:
        raise guard.failure()
    if answer.failed and whole is None:
        raise _download_failure(job, answer)
    path = job.keep(name, "download")
    if whole is not None:
        shutil.copyfile(whole, path.with_name(f".{name}"))
        path.with_name(f".{name}").replace(path)
    if "expect" in job.args:
        judge_file((whole or path).read_bytes(), job.args["expect"], f"the download {quoted(name)}")


def _interrupted(sender: Sender, job: Job, guard: Guard) -> Path | None:
    """Wait for the end of a download whose call a dialog has cut short; the file, or None when a limit is over.

    The server continues the call, and its result is lost: our browser sees the same download.

    Raises:
        StepError: nothing is downloaded, or not the whole.
    """
    for pause in sender.pauses():
        if guard.ended():
            break
        if sender.page.dialog is not None:  # the next one: it is answered before anything else is done
            sender.send(ToolCall("browser_evaluate", {"function": "() => true"}), guard.left() + MARGIN_SECONDS)
        sender.sleep(pause)
    if guard.failed and not guard.over:
        raise unmet(f"the download failed: {guard.failed}", expected="a whole file", found=guard.failed)
    if guard.file is None and not guard.over:
        if not guard.began:
            raise no_download(job)
        guard.over = "time"
    return guard.file


def _download_failure(job: Job, answer: Answer) -> StepError:
    meaning = answer.meaning()
    if "download.saveAs" in answer.error:
        return unmet(f"the download failed: {meaning.found}", expected="a whole file", found=meaning.found)
    return no_download(job) if 'event "download"' in answer.error else failure_of(job, meaning)


def select(sender: Sender, job: Job, page: Page) -> None:
    """Continue on a page. The server may know a page that has just opened a moment later than we do.

    Raises:
        StepError: it is closed, or the server does not find it.
        ServerLostError: the server is gone or does not answer.
    """
    end = sender.clock() + job.deadline.limit(SERVER_SECONDS)
    for pause in sender.pauses():
        tabs = sender.page.tabs()
        if page not in tabs:
            raise gone(sender.page.pages.name_of(page))
        call = ToolCall("browser_tabs", {"action": "select", "index": tabs.index(page)})
        answer = sender.send(call, max(0.001, end - sender.clock()))
        if not answer.failed:
            break
        if sender.clock() >= end:
            raise failure_of(job, answer.meaning())
        sender.sleep(pause)
    sender.page.show(page)


def _page(sender: Sender, job: Job) -> None:
    pages = sender.page.pages
    if "name" in job.args:
        select(sender, job, pages.page(job.text("name")))
        return
    name = job.text("as")
    if name in pages.named and not pages.named[name].is_closed():
        raise taken(name)
    end = sender.clock() + job.deadline.limit(job.own_seconds)
    while (fresh := pages.opened(sender.page.tabs(), job)) is None:
        if sender.clock() >= end:
            raise none_opened(job)
        sender.sleep(LOOK_SECONDS)
    pages.named[name] = fresh
    select(sender, job, fresh)


def _close_page(sender: Sender, job: Job) -> None:
    pages = sender.page.pages
    page = pages.page(job.text("name")) if "name" in job.args else pages.current
    if page is pages.main:
        raise main_stays()
    if page is pages.current:
        select(sender, job, pages.main)
    tabs = sender.page.tabs()
    if page in tabs:
        (call,) = sender.calls(job, index=tabs.index(page))
        _act(sender, job, call)
    end = sender.clock() + job.deadline.limit(SERVER_SECONDS)
    while not page.is_closed() and sender.clock() < end:  # its event comes by another connection
        sender.sleep(LOOK_SECONDS)


def _dialog(sender: Sender, job: Job) -> None:
    sender.page.dialogs.answers.append(answer_of(job))


def _clock(sender: Sender, job: Job) -> None:
    sender.page.set_clock(*change_of(sender.page.clock, job))


def _mock(sender: Sender, job: Job) -> None:
    sender.page.mock(mock_of(job))


def _har(sender: Sender, job: Job) -> None:
    sender.page.replay(har_of(job))


_OWN: dict[str, Callable[[Sender, Job], None]] = {
    "goto": _goto,
    "type": _keys,
    "press": _keys,
    "drag": _drag,
    "scroll": _fitting,
    "focus": _fitting,
    "upload": _upload,
    "expect": expect,
    "wait": wait,
    "evaluate": _evaluate,
    "screenshot": _screenshot,
    "download": _download,
    "dialog": _dialog,
    "clock": _clock,
    "mock": _mock,
    "har": _har,
    "page": _page,
    "close_page": _close_page,
    "back": _move,
    "reload": _move,
}

VERBS: dict[str, Callable[[Sender, Job], None]] = {
    verb.name: _OWN.get(verb.name, _each) for verb in STEPS.values() if verb.browser
}
"""A step without an action of its own is its tool calls, one after the other."""
