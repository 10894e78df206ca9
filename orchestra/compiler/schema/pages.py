"""The mappings of what pages see and of what their errors do, key by key: those of tests, groups, methods and the suite."""

from __future__ import annotations

from typing import Annotated, Literal, Required, TypedDict

from orchestra.compiler.schema.key import ID, PLAN, Key
from orchestra.layers import Level


class ErrorsSpec(TypedDict, total=False):
    """The effect of errors outside assertions: `fail`, `warn` or `ignore` (docs/errors.md)."""

    page_errors: Annotated[Level, Key("exceptions in a page that no script caught", "fail", default=PLAN)]
    console_errors: Annotated[Level, Key("messages of `console.error`", "fail", default=PLAN)]
    failed_requests: Annotated[
        Level,
        Key("requests of a page without a response, or with a status of 400 or above", "ignore", default=PLAN),
    ]
    http_5xx: Annotated[
        Level, Key("responses of the tested app to a page with a status of 500 or above", "fail", default=PLAN)
    ]
    open_dialogs: Annotated[Level, Key("dialogs of a page without a `dialog` step", "fail", default=PLAN)]
    service_logs: Annotated[
        Level, Key("log lines that match `log_patterns`, written during the test", "fail", default=PLAN)
    ]
    a11y: Annotated[
        Level, Key("accessibility rules that a page violates after its load (axe-core)", "fail", default=PLAN)
    ]
    allow: Annotated[
        list[str],
        Key(
            "regular expressions: an error whose text matches one is ignored; added to those of the outer levels",
            ["ResizeObserver loop"],
        ),
    ]
    log_patterns: Annotated[
        dict[str, list[str]],
        Key(
            "for each component, the regular expressions of the error lines in its log",
            {"backend": ["\\bERROR\\b"]},
            names=ID,
        ),
    ]


ERRORS_KEY = Key("the effect of errors outside assertions (docs/errors.md)", {"page_errors": "fail"})


class ViewportSpec(TypedDict):
    """The size of a page in CSS pixels."""

    width: Annotated[int, Key("its width", 390, minimum=1)]
    height: Annotated[int, Key("its height", 844, minimum=1)]


class GeolocationSpec(TypedDict, total=False):
    """A place on the earth."""

    latitude: Required[Annotated[float, Key("degrees north, from -90 to 90", 52.52)]]
    longitude: Required[Annotated[float, Key("degrees east, from -180 to 180", 13.405)]]
    accuracy: Annotated[float, Key("metres", 100, minimum=0, default=PLAN)]


class EmulateSpec(TypedDict, total=False):
    """The environment that pages see. The nearest place wins, key by key: test, group, method, defaults."""

    device: Annotated[
        str,
        Key(
            "a device by Playwright's name: its viewport, density, touch, mobile layout and user agent, which other keys of"
            " the same or a nearer place replace. It does not choose the browser",
            "iPhone 14",
        ),
    ]
    viewport: Annotated[ViewportSpec, Key("the size of a page (default: 1280 by 800)", {"width": 390, "height": 844})]
    locale: Annotated[str, Key("the language and region of the browser", "de-DE", default=PLAN)]
    timezone: Annotated[str, Key("the time zone (default: the machine's)", "Europe/Berlin")]
    geolocation: Annotated[
        GeolocationSpec,
        Key("the place that a page with the permission `geolocation` gets", {"latitude": 52.52, "longitude": 13.405}),
    ]
    permissions: Annotated[
        list[str], Key("permissions that pages have, besides those for the clipboard in Chromium", ["geolocation"])
    ]
    color_scheme: Annotated[
        Literal["light", "dark", "no-preference"], Key("the preferred colors (default: `light`)", "dark")
    ]
    reduced_motion: Annotated[
        Literal["reduce", "no-preference"], Key("the preference for less motion (default: none)", "reduce")
    ]
    offline: Annotated[bool, Key("pages have no network", True, default=PLAN)]
    user_agent: Annotated[str, Key("the name that the browser gives itself", "orchestra")]
    extra_headers: Annotated[
        dict[str, str],
        Key(
            "headers of every request of a page, added to those of the wider places; not of `http` steps",
            {"X-Tenant": "acme"},
            min_items=1,
        ),
    ]


EMULATE_KEY = Key(
    "the environment that pages see (docs/emulation.md)", {"device": "iPhone 14", "locale": "de-DE"}, min_items=1
)
