"""The step `download` of the driver `playwright`: a file within its limits, from this machine or that of a remote browser."""

from __future__ import annotations

import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from playwright.sync_api import Download
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from orchestra.runtime.driver.content import judge_file
from orchestra.runtime.driver.contract import Job, StepError, unmet
from orchestra.runtime.driver.downloading import LOOK_SECONDS, Guard
from orchestra.runtime.driver.failure import no_download
from orchestra.runtime.driver.playwright.stage import Stage, element_of
from orchestra.runtime.driver.wording import quoted
from orchestra.steps.verbs.files import file_name


def download(stage: Stage, job: Job) -> None:
    """Click the element and save the file that this downloads.

    Raises:
        StepError: it downloads nothing, or no whole file within the limits, or not what is expected.
        playwright.sync_api.Error: the element cannot be clicked.
    """
    name = file_name(job.text("as"))
    element = element_of(stage, job)
    guard = Guard(job, stage.downloads)
    limit = guard.seconds()
    clicked = False
    try:
        with stage.page.expect_download(timeout=limit * 1000) as began:
            element.click(timeout=limit * 1000)
            clicked = True
        transfer = began.value
    except PlaywrightTimeoutError:
        if not clicked:
            raise
        raise no_download(job) from None
    failure = _whole(stage, transfer, guard)
    if failure is not None:
        raise unmet(f"the download failed: {failure}", expected="a whole file", found=failure)
    path = job.keep(name, "download")
    if stage.remote:
        shutil.move(_fetch(stage, transfer, guard), path)
    else:
        transfer.save_as(path)
    if "expect" in job.args:
        judge_file(path.read_bytes(), job.args["expect"], f"the download {quoted(name)}")


def _whole(stage: Stage, download: Download, guard: Guard) -> str | None:
    """Wait for the end of a download; why it failed, or None.

    Playwright's own wait has no limit, and its synchronous form no way to do anything meanwhile.

    Raises:
        StepError: a limit is over.
    """
    failure: str | None = _guarded(stage, download, guard, download._impl_obj.failure())  # noqa: SLF001 - for this reason
    return failure


def _fetch(stage: Stage, download: Download, guard: Guard) -> Path:
    """Return the file that the server of a remote browser sends, which is within the limits.

    Raises:
        StepError: a limit is over.
    """
    file = stage.downloads / "fetched"
    try:
        _guarded(stage, download, guard, download._impl_obj.save_as(file))  # noqa: SLF001 - as for its end
    except StepError:
        file.unlink(missing_ok=True)
        raise
    if guard.look():
        file.unlink()
        raise guard.failure()
    return file


def _guarded(stage: Stage, download: Download, guard: Guard, work: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a part of a download.

    Raises:
        StepError: a limit is over.
    """
    ended = download._loop.create_task(work)  # noqa: SLF001 - as for its end
    while not guard.look() and not ended.done():
        stage.page.wait_for_timeout(LOOK_SECONDS * 1000)
    if guard.over:
        download.cancel()
        raise guard.failure()
    return ended.result()
