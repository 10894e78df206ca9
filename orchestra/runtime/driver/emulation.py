"""The browser context that every driver gives a test: size, language, permissions, and the rest of `emulate`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from playwright._impl._api_structures import ViewportSize
from playwright._impl._errors import Error

from orchestra.engines import ENGINES
from orchestra.errors import UsageError
from orchestra.plan import PLAIN_PAGE, Emulation
from orchestra.runtime.attempt import Request
from orchestra.runtime.driver.contract import unfit
from orchestra.runtime.scope import Scope

FONTS_SECONDS = 2.0
"""The time that a screenshot waits for the fonts of a page."""
FONTS_LOADED = "() => document.fonts.status === 'loaded'"

_NO_FONTS = "PW_TEST_SCREENSHOT_NO_FONTS_READY"


def prepare() -> None:
    """Keep Playwright from waiting for fonts when it takes a picture: one font that never comes would cost every picture.

    Called before Playwright's own process is started, which reads it. The drivers wait for fonts themselves, not as long.
    """
    os.environ.setdefault(_NO_FONTS, "1")


LOADED = "() => document.readyState === 'complete'"


def engine_of(page: Any) -> str:
    """Return the engine of the browser of a page."""
    browser = page.context.browser
    return "" if browser is None else str(browser.browser_type.name)


def styles(engine: str, frames: int) -> int:
    """Return how many styles Playwright puts into a page for a picture."""
    return frames if engine not in ENGINES or ENGINES[engine].styled_frames else 0


def permissions(engine: str, emulation: Emulation) -> list[str]:
    """Return the permissions that pages have without being asked."""
    return list(dict.fromkeys((*ENGINES[engine].permissions, *emulation.permissions)))


def emulation_of(request: Request) -> Emulation:
    """Return the emulation of a test by its method, with runtime variables replaced.

    Raises:
        StepError: a name has no value.
    """
    test = request.test
    emulation = test.emulation_by.get(request.method.id, test.emulation)
    scope = Scope(request.names)
    try:
        return msgspec.structs.replace(
            emulation,
            user_agent=Scope.text(scope.fill(emulation.user_agent)),
            extra_headers={name: Scope.text(scope.fill(value)) for name, value in emulation.extra_headers.items()},
        )
    except UsageError as error:
        raise unfit(f"emulate: {error.message}", hint=error.hint) from None


def size_of(emulation: Emulation) -> ViewportSize:
    """Return the size of a page, as Playwright takes it."""
    width, height = emulation.viewport
    return {"width": width, "height": height}


def context_options(emulation: Emulation, engine: str) -> dict[str, Any]:
    """Return the options of Playwright's `new_context` for an emulation, those of the browser's own values left out."""
    place = emulation.geolocation
    options: dict[str, Any] = {
        "viewport": size_of(emulation),
        "locale": emulation.locale,
        "permissions": permissions(engine, emulation),
        "offline": emulation.offline,
        "device_scale_factor": emulation.device_scale_factor,
        "has_touch": emulation.has_touch,
        "is_mobile": emulation.is_mobile,
        "user_agent": emulation.user_agent,
        "timezone_id": emulation.timezone,
        "color_scheme": emulation.color_scheme,
        "reduced_motion": emulation.reduced_motion,
        "extra_http_headers": emulation.extra_headers,
        "geolocation": None
        if place is None
        else {"latitude": place.latitude, "longitude": place.longitude, "accuracy": place.accuracy},
    }
    return {name: value for name, value in options.items() if value}


@contextmanager
def emulating(emulation: Emulation, connected: Callable[[], bool]) -> Iterator[None]:
    """Make the first page of a context in it, which is when a browser refuses a value.

    Args:
        emulation: of the context.
        connected: whether the browser lives.

    Raises:
        StepError: the browser refuses a value.
    """
    try:
        yield
    except Error as error:
        if emulation == PLAIN_PAGE or not connected():
            raise
        reason = error.message.strip().partition("\n")[0].removeprefix("BrowserContext.new_page: ")
        hint = "correct `emulate` of the test"
        raise unfit(f"the browser cannot emulate this page: {reason}", hint=hint) from None
