"""The verbs of the driver `playwright`, one small function each; Playwright does the waiting.

A module of one table: its length is that of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from playwright.sync_api import Error, FileChooser, Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from orchestra.runtime.driver.accessibility import AUDIT, expect_accessible, source
from orchestra.runtime.driver.clock import change_of
from orchestra.runtime.driver.content import judge_outcome, until_it_holds
from orchestra.runtime.driver.contract import CHOOSER_SECONDS, Job, of_target, text_of, unfit, unmet
from orchestra.runtime.driver.dialogs import answer_of
from orchestra.runtime.driver.emulation import LOADED
from orchestra.runtime.driver.failure import NOTHING, failure_of, lookup_of, no_chooser
from orchestra.runtime.driver.fault import read
from orchestra.runtime.driver.har import har_of
from orchestra.runtime.driver.locators import locate
from orchestra.runtime.driver.look import expect_look, take
from orchestra.runtime.driver.mocking import expect_requests, mock_of
from orchestra.runtime.driver.pages import LOOK_SECONDS as PAGE_LOOK_SECONDS
from orchestra.runtime.driver.pages import main_stays, none_opened, taken
from orchestra.runtime.driver.playwright.downloads import download
from orchestra.runtime.driver.playwright.expect import expect_element, expect_page
from orchestra.runtime.driver.playwright.stage import Stage, element_of, milliseconds_of, patiently, until_fit
from orchestra.runtime.driver.wording import quoted, seconds_text, target_text
from orchestra.runtime.files import inside
from orchestra.steps.moment import milliseconds
from orchestra.steps.page_script import FILE_INPUT, evaluation, focusing, scrolling
from orchestra.steps.target import Target, target_of
from orchestra.steps.url_glob import url_pattern
from orchestra.steps.verb import Verb
from orchestra.steps.verbs.files import file_name
from orchestra.steps.verbs.keyboard import no_key
from orchestra.steps.verbs.script import is_repeated
from orchestra.steps.vocabulary import VERBS as STEPS
from orchestra.steps.vocabulary import required_fields

_SLICE_SECONDS = 0.25


def _goto(stage: Stage, job: Job) -> None:
    stage.page.goto(job.text("url"), timeout=milliseconds_of(job), wait_until=job.args["until"])


def _click(stage: Stage, job: Job) -> None:
    args = job.args
    options = {"click_count": args["count"], "button": args["button"], "modifiers": args["modifiers"]}
    if "position" in args:
        options["position"] = args["position"]
    patiently(stage, job, lambda ms: element_of(stage, job).click(**options, timeout=ms))


def _type(stage: Stage, job: Job) -> None:
    _typed(stage, job, job.text("value"))


def _typed(stage: Stage, job: Job, text: str) -> None:
    """Focus the element and type: in two calls, so that a second try of the first types nothing twice."""
    if job.step.target is not None or job.step.verb == "type":
        until_fit(stage, job, focusing(job.step.verb))
    stage.page.keyboard.type(text)


def _press(stage: Stage, job: Job) -> None:
    if no_key(job.text("key")):
        _typed(stage, job, job.text("key"))
    elif job.step.target is None:
        stage.page.keyboard.press(job.text("key"))
    else:
        until_fit(stage, job, focusing("press"))
        patiently(stage, job, lambda ms: element_of(stage, job).press(job.text("key"), timeout=ms))


def _drag(stage: Stage, job: Job) -> None:
    other = of_target(job, "onto")
    onto = element_of(stage, other)
    try:
        patiently(stage, other, lambda ms: onto.wait_for(state="attached", timeout=ms))
    except Error as error:
        raise failure_of(other, read(error.message)) from None
    patiently(stage, job, lambda ms: element_of(stage, job).drag_to(onto, timeout=ms))


def _scroll(stage: Stage, job: Job) -> None:
    if "to" not in job.args:
        patiently(stage, job, lambda ms: element_of(stage, job).scroll_into_view_if_needed(timeout=ms))
        return
    until_fit(stage, job, scrolling(job.args["to"]))


def _focus(stage: Stage, job: Job) -> None:
    until_fit(stage, job, focusing("focus"))


def _upload(stage: Stage, job: Job) -> None:
    paths = [inside(text_of(path), job.root, job.folder) for path in job.args["files"]]
    for path, said in zip(paths, job.args["files"], strict=True):
        if not path.is_file():
            raise unfit(
                f"the file to upload {quoted(said)} is not there", hint="paths are relative to the project root"
            )
    element = element_of(stage, job)
    if job.args.get("drop"):
        files: Any = [str(path) for path in paths]
        patiently(stage, job, lambda ms: element.drop({"files": files}, timeout=ms))
        return
    if patiently(stage, job, lambda ms: element.evaluate(FILE_INPUT, timeout=ms)):
        element.set_input_files(paths, timeout=milliseconds_of(job))
        return
    _chooser_of(stage, job, element).set_files(paths, timeout=milliseconds_of(job))


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
        patiently(stage, job, lambda ms: element.click(timeout=ms))
        if opened:
            return opened[0]
        with suppress(PlaywrightTimeoutError):
            return stage.page.wait_for_event("filechooser", timeout=milliseconds_of(job, CHOOSER_SECONDS))
        raise no_chooser(job)
    finally:
        stage.page.remove_listener("filechooser", keep)


def _clock(stage: Stage, job: Job) -> None:
    method, given = change_of(stage.watch.clock, job)
    getattr(stage.pages.main.context.clock, method)(**given)


def _mock(stage: Stage, job: Job) -> None:
    mock, mocks, context = mock_of(job), stage.watch.mocks, stage.pages.main.context
    mocks.add(mock)

    def pause(milliseconds: int) -> None:
        with suppress(Error):
            stage.pages.main.wait_for_timeout(milliseconds)

    context.route(url_pattern(mock.url), mocks.route(mock, pause))


def _har(stage: Stage, job: Job) -> None:
    har, watch = har_of(job), stage.watch
    watch.mocks.replay(har)
    stage.pages.main.context.route(url_pattern(har.url), watch.mocks.har_route(har, watch.mask))


def audit(page: Page, given: list[Any]) -> Any:
    """Return the accessibility rules that a page violates. Raises Error: it does not answer."""
    for frame in page.frames:
        frame.evaluate(source())
    return page.evaluate(AUDIT, given)


def _expect(stage: Stage, job: Job) -> None:
    if "request" in job.args:
        page = stage.page
        expect_requests(job, lambda: stage.watch.requests, lambda seconds: page.wait_for_timeout(seconds * 1000))
    if "a11y" in job.args:
        page = stage.page
        expect_accessible(job, partial(audit, page), lambda seconds: page.wait_for_timeout(seconds * 1000))
    if "page" in job.args:
        expect_page(job, stage.page)
    if "look" in job.args:
        page = stage.page
        with stage.picturing():
            stage.watch.looks |= expect_look(job, lambda *given: page._sync(take(page, job, *given)))  # noqa: SLF001
    elif job.step.target is not None:
        expect_element(job, element_of(stage, job))


def _wait(stage: Stage, job: Job) -> None:
    target = element_of(stage, job)
    state = job.args["be"]
    marker = target_of(job.args.get("unless", {}))
    try:
        if marker is not None:
            _race(stage, job, target, marker)
        target.wait_for(state=state, timeout=milliseconds_of(job))
    except PlaywrightTimeoutError as error:
        meaning = read(error.message)
        subject, found = target_text(job.step.target), meaning.found or NOTHING
        message = f"waited {seconds_text(job.allowed())} for {subject} to be {state}"
        raise unmet(message, expected=f"{subject} {state}", found=found, lookup=lookup_of(found)) from None


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
        target.filter(visible=True).or_(sign).first.wait_for(state="visible", timeout=milliseconds_of(job))
    else:  # the root of a page in which nothing visible matches, or the sign
        gone = page.locator(":root").filter(has_not=target.filter(visible=True))
        gone.or_(sign).first.wait_for(state="attached", timeout=milliseconds_of(job))
    if sign.count():
        shown = sign.first.text_content(timeout=1000) or ""
        message = f"{target_text(marker)} came before {target_text(job.step.target)} was {state}"
        raise unmet(message, expected=f"{target_text(job.step.target)} {state}", found=quoted(" ".join(shown.split())))


def _has_frame(target: Target | None) -> bool:
    return target is not None and (target.frame is not None or _has_frame(target.within))


def _race_in_slices(job: Job, target: Locator, sign: Locator) -> None:
    """Race both where Playwright cannot join them, because one is in a frame: wait for the target, check the marker."""
    end = job.deadline.clock() + job.deadline.limit(job.own_seconds)
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

    def ask(trial: Job) -> Any:
        script = evaluation(job.text("script"), milliseconds(trial.own_seconds) if is_repeated(args) else None)
        try:
            if trial.step.target is None:
                return judge_outcome(stage.page.evaluate(script), args)
            return judge_outcome(
                patiently(stage, trial, lambda ms: element_of(stage, trial).evaluate(script, timeout=ms)), args
            )
        except Error as error:
            meaning = read(error.message)
            if meaning.kind == "other":  # the page was left meanwhile
                raise failure_of(job, meaning) from None
            raise

    value = until_it_holds(job, ask, lambda seconds: stage.page.wait_for_timeout(seconds * 1000))
    if "save" in args:
        job.scope.save(args["save"], value)


def _screenshot(stage: Stage, job: Job) -> None:
    name = f"{file_name(job.text('as'))}.png"
    picture: dict[str, Any] = {"path": job.folder / name, "scale": "css", "caret": "initial"}
    if job.step.target is None:
        whole = bool(job.args["full_page"])
        with stage.picturing():
            stage.page.screenshot(**picture, full_page=whole, timeout=milliseconds_of(job))
    else:
        with stage.picturing():
            patiently(stage, job, lambda ms: element_of(stage, job).screenshot(**picture, timeout=ms))
    job.keep(name, "screenshot")


def _dialog(stage: Stage, job: Job) -> None:
    stage.watch.dialogs.answers.append(answer_of(job))


def _page(stage: Stage, job: Job) -> None:
    if "name" in job.args:
        stage.show(stage.pages.page(job.text("name")))
        return
    name, pages = job.text("as"), stage.pages
    if name in pages.named and not pages.named[name].is_closed():
        raise taken(name)
    end = job.deadline.clock() + job.deadline.limit(job.own_seconds)
    while (fresh := pages.opened(pages.main.context.pages, job)) is None:
        if job.deadline.clock() >= end:
            raise none_opened(job)
        pages.main.wait_for_timeout(PAGE_LOOK_SECONDS * 1000)
    pages.named[name] = fresh
    stage.show(fresh)


def _close_page(stage: Stage, job: Job) -> None:
    pages = stage.pages
    page = pages.page(job.text("name")) if "name" in job.args else pages.current
    if page is pages.main:
        raise main_stays()
    if page is pages.current:
        stage.show(pages.main)
    page.close()


def _viewport(stage: Stage, job: Job) -> None:
    stage.page.set_viewport_size({"width": job.args["width"], "height": job.args["height"]})


def _back(stage: Stage, job: Job) -> None:
    begun = job.deadline.clock()
    stage.page.go_back(timeout=milliseconds_of(job), wait_until="commit")
    # A page that comes out of the browser's own store has loaded long ago: no load event follows.
    left = job.own_seconds - (job.deadline.clock() - begun)
    stage.page.wait_for_function(LOADED, timeout=milliseconds_of(job, left))


def _reload(stage: Stage, job: Job) -> None:
    stage.page.reload(timeout=milliseconds_of(job))


_OWN: dict[str, Callable[[Stage, Job], None]] = {
    "goto": _goto,
    "click": _click,
    "type": _type,
    "press": _press,
    "drag": _drag,
    "scroll": _scroll,
    "focus": _focus,
    "upload": _upload,
    "expect": _expect,
    "wait": _wait,
    "evaluate": _evaluate,
    "screenshot": _screenshot,
    "download": download,
    "dialog": _dialog,
    "page": _page,
    "close_page": _close_page,
    "clock": _clock,
    "mock": _mock,
    "har": _har,
    "viewport": _viewport,
    "back": _back,
    "reload": _reload,
}


def _method(verb: Verb) -> Callable[[Stage, Job], None]:
    """Return the action of a step that is one method of its element.

    Raises:
        LookupError: the verb has neither a method nor an action here.
    """
    if not verb.method:
        raise LookupError(f'the step "{verb.name}" has neither a `method` nor an action in {__name__}')

    def action(stage: Stage, job: Job) -> None:
        values = (job.args[field] for field in required_fields(verb))
        given = [[text_of(item) for item in value] if isinstance(value, list) else text_of(value) for value in values]
        patiently(stage, job, lambda ms: getattr(element_of(stage, job), verb.method)(*given, timeout=ms))

    return action


VERBS: dict[str, Callable[[Stage, Job], None]] = {
    verb.name: _OWN[verb.name] if verb.name in _OWN else _method(verb) for verb in STEPS.values() if verb.browser
}
