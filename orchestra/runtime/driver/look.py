"""Implement `expect: {look: …}`: compare a picture of the page with the expected one, by whichever driver.

The comparison is that of Playwright's `toHaveScreenshot`, which its server offers to every client: animations stop, carets
are hidden, masks are painted, and two pictures in a row must be the same. So both methods and a suite of Playwright Test
see the same differences, and no other comparator is needed.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from playwright._impl._errors import Error

from orchestra import nofollow
from orchestra.ledger.disk import replace_file
from orchestra.runtime.driver.contract import Job, Lookup, StepError, unfit, unmet
from orchestra.runtime.driver.failure import ambiguous
from orchestra.runtime.driver.fault import read
from orchestra.runtime.driver.locators import locate
from orchestra.runtime.driver.wording import quoted, seconds_text, target_text
from orchestra.runtime.files import inside, open_plain
from orchestra.steps.look import picture_of, safe_name
from orchestra.steps.target import target_of

_OPTIONS: Final[Mapping[str, Any]] = {
    "isNot": False,
    "animations": "disabled",
    "caret": "hide",
    "scale": "css",
    "maskColor": "#FF00FF",
}
_LIMITS: Final = {"max_diff_ratio": "maxDiffPixelRatio", "threshold": "threshold"}
_SIZES = re.compile(r"Expected an image (\d+)px by (\d+)px, received (\d+)px by (\d+)px\.")
_COUNT = re.compile(r"\d+ pixels \(ratio [\d.]+ of all image pixels\) are different")
_BROKEN = "Could not decode"

ADDED: Final = "added"
CHANGED: Final = "changed"


class Shot(NamedTuple):
    """The result of a comparison, or a picture alone.

    Attributes:
        fault: why it is not as expected; empty if it is, and for a picture alone.
        actual: the picture, empty for one that is as expected.
        settled: whether two pictures in a row were the same.
    """

    fault: str = ""
    actual: bytes = b""
    diff: bytes = b""
    settled: bool = True
    log: str = ""


async def take(page: Any, job: Job, expected: bytes, seconds: float) -> Shot:
    """Compare the page with a picture, by Playwright's protocol: its Python interface has no method for it.

    Args:
        page: of Playwright, by either of its interfaces.
        job: the step.
        expected: the picture, empty to take one alone.
        seconds: the limit.

    Raises:
        playwright.async_api.Error: the page does not answer.
        StepError: several elements match the target.
    """
    options: dict[str, Any] = {**_OPTIONS, "fullPage": bool(job.args.get("full_page")) and job.step.target is None}
    if expected:
        options["expected"] = base64.b64encode(expected).decode()
    if job.step.target is not None:
        options["locator"] = _reference(locate(page, job.step.target))
    masks = [target_of(mask) for mask in job.args.get("mask", ())]
    options["mask"] = [_reference(locate(page, mask)) for mask in masks if mask is not None]
    options |= {name: float(job.args[key]) for key, name in _LIMITS.items() if key in job.args}
    channel = page._impl_obj._channel  # noqa: SLF001 - as above
    try:
        result = await channel.send_return_as_dict("expectScreenshot", lambda _: seconds * 1000, options)
    except Error as error:
        details = error._details or {}  # noqa: SLF001 - as above
        if "customErrorMessage" not in details:
            meaning = read(error.message)
            if meaning.kind == "strict":
                raise ambiguous(target_text(job.step.target), meaning.matches) from None
            raise
        log = "\n".join(line.strip() for line in details.get("log", ()))
        return Shot(
            details["customErrorMessage"],
            _bytes(details.get("actual")),
            _bytes(details.get("diff")),
            not details.get("timedOut"),
            log,
        )
    return Shot(actual=_bytes((result or {}).get("actual")))


def _reference(locator: Any) -> dict[str, Any]:
    inner = locator._impl_obj  # noqa: SLF001 - as above
    return {"frame": inner._frame._channel, "selector": inner._selector}  # noqa: SLF001 - as above


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def expect_look(job: Job, shoot: Callable[[bytes, float], Shot]) -> dict[str, str]:
    """Compare a picture, or write the expected one where the run updates it; what was written, by name.

    Args:
        job: the step.
        shoot: `take` in the loop of the page, with an expected picture and a limit.

    Raises:
        StepError: the picture is another one, does not settle, or is not there.
        UsageError: a link leads the expected picture out of the project.
    """
    name, looks = job.text("look"), job.looks
    path = f"{looks.folder}/{picture_of(name, looks.browser, sys.platform)}"
    file = inside(path, job.root)
    expected, seconds = _read(file, path), job.deadline.limit(job.own_seconds)
    shot = shoot(expected, seconds)
    if expected and _BROKEN in shot.fault and looks.updates(name):
        expected, shot = b"", shoot(b"", job.deadline.limit(job.own_seconds))
    if expected and not shot.fault:
        return {}
    if not shot.settled or not shot.actual:
        raise _not_taken(job, shot, path, seconds)
    if looks.updates(name):
        nofollow.make_folders(file.parent)
        replace_file(file, shot.actual)
        return {name: CHANGED if expected else ADDED}
    _keep(job, name, {"expected": expected, "actual": shot.actual, "diff": shot.diff})
    again = (
        f"orchestra run --update-looks={safe_name(name)}" if safe_name(name) == name else "orchestra run --update-looks"
    )
    if not expected:
        message = f"there is no picture for the look {quoted(name)}"
        hint = f"look at the picture of this attempt; {again} writes it as the expected one"
        raise unmet(message, expected=path, found="no file", hint=hint)
    raise _other(job, name, shot, f"if the page is right, {again} writes the new picture")


def _read(file: Path, path: str) -> bytes:
    try:
        with open_plain(file) as data:
            return data.readall()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise unfit(f"the picture {quoted(path)} cannot be read: {error.strerror or error}") from None


def _keep(job: Job, name: str, pictures: Mapping[str, bytes]) -> None:
    """Write the pictures into the folder of the attempt, as evidence."""
    for part, content in pictures.items():
        if content:
            job.keep(f"look-{safe_name(name)}-{part}.png", f"look_{part}").write_bytes(content)


def _other(job: Job, name: str, shot: Shot, hint: str) -> StepError:
    size, count = _SIZES.search(shot.fault), _COUNT.search(shot.fault)
    ratio = float(job.args.get("max_diff_ratio", 0))
    if size is not None:
        wide, high, now_wide, now_high = size.groups()
        message = f"the look {quoted(name)} has another size"
        found = f"{now_wide} x {now_high} pixels"
        return _logged(unmet(message, expected=f"{wide} x {high} pixels", found=found, hint=hint), shot)
    found = count.group().replace(" of all image pixels", "") if count is not None else shot.fault
    expected = f"at most {ratio:g} of all pixels different" if ratio else "no pixel different"
    return _logged(
        unmet(f"the look {quoted(name)} is another one: {found}", expected=expected, found=found, hint=hint), shot
    )


def _not_taken(job: Job, shot: Shot, path: str, seconds: float) -> StepError:
    subject = target_text(job.step.target)
    if _BROKEN in shot.fault:
        return unfit(f"{quoted(path)} is no PNG picture", hint="restore it, or write it again with --update-looks")
    if shot.actual:
        _keep(job, job.text("look"), {"actual": shot.actual})
        message = f"{subject} did not settle within {seconds_text(seconds)}: two pictures in a row were never the same"
        hint = "mask what changes, or wait for its end first"
        return _logged(
            unmet(message, expected="two equal pictures in a row", found="another picture each time", hint=hint), shot
        )
    missing = job.step.target is not None and "waiting for" in shot.log
    lookup: Lookup = "several" if "strict mode violation" in shot.log else "absent" if missing else ""
    message, found = f"no picture of {subject} within {seconds_text(seconds)}", shot.fault.partition("\n")[0]
    return _logged(unmet(message, expected=f"a picture of {subject}", found=found, lookup=lookup), shot)


def _logged(failed: StepError, shot: Shot) -> StepError:
    failed.log = shot.log
    return failed
