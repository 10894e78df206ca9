"""The verbs of the driver `playwright`, one small function each; Playwright does the waiting.

A module of one table: its length is that of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Download, FileChooser, Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from orchestra.page_script import FILE_INPUT, evaluation
from orchestra.runtime.driver.content import judge_file, judge_outcome
from orchestra.runtime.driver.contract import ACTION_SECONDS, CHOOSER_SECONDS, Job, text_of, unfit, unmet
from orchestra.runtime.driver.dialogs import Answer
from orchestra.runtime.driver.downloading import LOOK_SECONDS, Guard
from orchestra.runtime.driver.failure import no_chooser, no_download
from orchestra.runtime.driver.fault import read
from orchestra.runtime.driver.playwright_expect import expect_element, expect_page
from orchestra.runtime.driver.playwright_watch import PageWatch
from orchestra.runtime.driver.wording import quoted, seconds_text, target_text
from orchestra.runtime.files import inside
from orchestra.steps import conditions, file_name
from orchestra.targets import Target, python_calls, target_of

_SLICE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Stage:
    """Where verbs act: the page, the ear on it, and the folder into which its browser downloads."""

    page: Page
    watch: PageWatch
    downloads: Path


def limit_of(job: Job) -> float | None:
    """What a step may take by its own limits; None when it has none but the test's."""
    if job.step.verb == "evaluate":
        return None
    own = float(job.args.get("within_seconds", ACTION_SECONDS))
    asked = [*job.args.get("page", {}).values(), job.args.get("to", {})]
    each = [len(wanted) if name == "have_attribute" else 1 for one in asked for name, wanted, _ in conditions(one)]
    return own * max(1, sum(each))


def locate(page: Page, target: Target) -> Locator:
    """The locator of a target."""
    found: Any = page
    for call in python_calls(target):
        found = getattr(found, call.method)(*call.args, **call.kwargs)
    return found  # type: ignore[no-any-return]


def _element(stage: Stage, job: Job) -> Locator:
    if job.step.target is None:
        raise unfit(f"{job.step.verb} needs a target")
    return locate(stage.page, job.step.target)


def _ms(job: Job, own: float = ACTION_SECONDS) -> float:
    """What a call may take, in milliseconds. Never 0, which Playwright takes for no limit."""
    return max(1.0, job.deadline.limit(own) * 1000)


def _own(job: Job) -> float:
    return float(job.args["within_seconds"])


def _goto(stage: Stage, job: Job) -> None:
    stage.page.goto(job.text("url"), timeout=_ms(job))


def _click(stage: Stage, job: Job) -> None:
    args = job.args
    options = {"click_count": args["count"], "button": args["button"], "modifiers": args["modifiers"]}
    _element(stage, job).click(**options, timeout=_ms(job))


def _fill(stage: Stage, job: Job) -> None:
    _element(stage, job).fill(job.text("value"), timeout=_ms(job))


def _press(stage: Stage, job: Job) -> None:
    if job.step.target is None:
        stage.page.keyboard.press(job.text("key"))
    else:
        _element(stage, job).press(job.text("key"), timeout=_ms(job))


def _select(stage: Stage, job: Job) -> None:
    _element(stage, job).select_option([text_of(one) for one in job.args["value"]], timeout=_ms(job))


def _check(stage: Stage, job: Job) -> None:
    _element(stage, job).check(timeout=_ms(job))


def _uncheck(stage: Stage, job: Job) -> None:
    _element(stage, job).uncheck(timeout=_ms(job))


def _hover(stage: Stage, job: Job) -> None:
    _element(stage, job).hover(timeout=_ms(job))


def _upload(stage: Stage, job: Job) -> None:
    paths = [inside(text_of(one), job.root, job.folder) for one in job.args["files"]]
    for path, said in zip(paths, job.args["files"], strict=True):
        if not path.is_file():
            raise unfit(
                f"the file to upload {quoted(said)} is not there", hint="paths are relative to the project root"
            )
    element = _element(stage, job)
    if element.evaluate(FILE_INPUT, timeout=_ms(job)):
        element.set_input_files(paths, timeout=_ms(job))
        return
    _chooser_of(stage, job, element).set_files(paths, timeout=_ms(job))


def _chooser_of(stage: Stage, job: Job, element: Locator) -> FileChooser:
    """Click an element and return the file chooser that it opens.

    Raises:
        StepError: it opens none.
    """
    opened: list[FileChooser] = []

    def keep(chooser: FileChooser) -> None:
        opened.append(chooser)

    stage.page.on("filechooser", keep)
    try:
        element.click(timeout=_ms(job))
        if opened:
            return opened[0]
        with suppress(PlaywrightTimeoutError):
            return stage.page.wait_for_event("filechooser", timeout=_ms(job, CHOOSER_SECONDS))
        raise no_chooser(job)
    finally:
        stage.page.remove_listener("filechooser", keep)


def _expect(stage: Stage, job: Job) -> None:
    if "page" in job.args:
        expect_page(job, stage.page)
    if job.step.target is not None:
        expect_element(job, _element(stage, job))


def _wait(stage: Stage, job: Job) -> None:
    target = _element(stage, job)
    state = job.args["be"]
    marker = target_of(job.args.get("unless", {}))
    try:
        if marker is not None:
            _race(stage, job, target, marker)
        target.wait_for(state=state, timeout=_ms(job, _own(job)))
    except PlaywrightTimeoutError as error:
        meaning = read(error.message)
        subject, found = target_text(job.step.target), meaning.found or "no element"
        message = f"waited {seconds_text(job.allowed(_own(job)))} for {subject} to be {state}"
        raise unmet(message, expected=f"{subject} {state}", found=found) from None


def _race(stage: Stage, job: Job, target: Locator, marker: Target) -> None:
    """Wait until the target is as wished or the marker of failure is visible, whichever comes first.

    Raises:
        StepError: the marker came first.
    """
    page, state = stage.page, job.args["be"]
    sign = locate(page, marker).filter(visible=True)
    if _has_frame(job.step.target) or _has_frame(marker):
        _race_in_slices(job, target, sign)
    elif state == "visible":
        target.filter(visible=True).or_(sign).first.wait_for(state="visible", timeout=_ms(job, _own(job)))
    else:  # the root of a page in which nothing visible matches, or the sign
        gone = page.locator(":root").filter(has_not=target.filter(visible=True))
        gone.or_(sign).first.wait_for(state="attached", timeout=_ms(job, _own(job)))
    if sign.count():
        shown = sign.first.text_content(timeout=1000) or ""
        message = f"{target_text(marker)} came before {target_text(job.step.target)} was {state}"
        raise unmet(message, expected=f"{target_text(job.step.target)} {state}", found=quoted(" ".join(shown.split())))


def _has_frame(target: Target | None) -> bool:
    return target is not None and (target.frame is not None or _has_frame(target.within))


def _race_in_slices(job: Job, target: Locator, sign: Locator) -> None:
    """The race where Playwright cannot join the two, because one is in a frame: wait for the target, look at the sign."""
    end = job.deadline.clock() + job.deadline.limit(_own(job))
    while not sign.count():
        left = end - job.deadline.clock()
        try:
            target.wait_for(state=job.args["be"], timeout=max(1.0, min(_SLICE_SECONDS, left) * 1000))
        except PlaywrightTimeoutError:
            if left <= _SLICE_SECONDS:
                raise
        else:
            return


def _evaluate(stage: Stage, job: Job) -> None:
    args = job.args
    script = evaluation(job.text("script"))
    on_page = job.step.target is None
    outcome = stage.page.evaluate(script) if on_page else _element(stage, job).evaluate(script, timeout=_ms(job))
    value = judge_outcome(outcome, args)
    if "save" in args:
        job.scope.save(args["save"], value)


def _screenshot(stage: Stage, job: Job) -> None:
    name = f"{file_name(job.text('as'))}.png"
    if job.step.target is None:
        whole = bool(job.args["full_page"])
        stage.page.screenshot(path=job.folder / name, scale="css", full_page=whole, timeout=_ms(job))
    else:
        _element(stage, job).screenshot(path=job.folder / name, scale="css", timeout=_ms(job))
    job.keep(name, "screenshot")


def _download(stage: Stage, job: Job) -> None:
    name = file_name(job.text("as"))
    element = _element(stage, job)
    guard = Guard(job, stage.downloads)
    limit = guard.seconds()
    clicked = False
    try:
        with stage.page.expect_download(timeout=limit * 1000) as began:
            element.click(timeout=limit * 1000)
            clicked = True
        download = began.value
    except PlaywrightTimeoutError:
        if not clicked:
            raise
        raise no_download(job) from None
    failure = _whole(stage, download, guard)
    if failure is not None:
        raise unmet(f"the download failed: {failure}", expected="a whole file", found=failure)
    path = job.keep(name, "download")
    download.save_as(path)
    if "expect" in job.args:
        judge_file(path.read_bytes(), job.args["expect"], f"the download {quoted(name)}")


def _whole(stage: Stage, download: Download, guard: Guard) -> str | None:
    """Wait for the end of a download; why it failed, or None.

    Playwright's own wait has no limit, and its synchronous form no way to do anything meanwhile.

    Raises:
        StepError: a limit is over.
    """
    ended = download._loop.create_task(download._impl_obj.failure())  # noqa: SLF001 - as above
    while not guard.look() and not ended.done():
        stage.page.wait_for_timeout(LOOK_SECONDS * 1000)
    if guard.over:
        download.cancel()
        raise guard.failure()
    failure: str | None = ended.result()
    return failure


def _dialog(stage: Stage, job: Job) -> None:
    text = job.text("text") if "text" in job.args else None
    stage.watch.dialogs.answers.append(Answer(job.args["accept"], text))


def _viewport(stage: Stage, job: Job) -> None:
    stage.page.set_viewport_size({"width": job.args["width"], "height": job.args["height"]})


def _back(stage: Stage, job: Job) -> None:
    stage.page.go_back(timeout=_ms(job))


def _reload(stage: Stage, job: Job) -> None:
    stage.page.reload(timeout=_ms(job))


VERBS: dict[str, Callable[[Stage, Job], None]] = {
    "goto": _goto,
    "click": _click,
    "fill": _fill,
    "press": _press,
    "select": _select,
    "check": _check,
    "uncheck": _uncheck,
    "hover": _hover,
    "upload": _upload,
    "expect": _expect,
    "wait": _wait,
    "evaluate": _evaluate,
    "screenshot": _screenshot,
    "download": _download,
    "dialog": _dialog,
    "viewport": _viewport,
    "back": _back,
    "reload": _reload,
}
