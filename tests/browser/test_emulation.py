"""`emulate`: pages see the same environment by both browser methods, and the next test sees none of it."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from orchestra.compiler.lower.emulation import laid
from scripts import devices
from tests.support.both import OPEN, failed, passed
from tests.support.paths import ROOT
from tests.support.site import page

pytestmark = pytest.mark.browser

EMULATED = {
    "device": "Pixel 7",
    "viewport": {"width": 400, "height": 700},
    "locale": "de-DE",
    "timezone": "Pacific/Apia",
    "geolocation": {"latitude": 52.5, "longitude": 13.25},
    "permissions": ["geolocation"],
    "color_scheme": "dark",
    "reduced_motion": "reduce",
    "user_agent": "by ${test.id}",
    "extra_headers": {"X-Tenant": "${test.id}"},
}
START = page("<meta name=viewport content='width=device-width'>")
SEEN = """async () => ({
  size: [innerWidth, innerHeight, devicePixelRatio],
  language: navigator.language,
  number: (1234.5).toLocaleString(),
  zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  dark: matchMedia('(prefers-color-scheme: dark)').matches,
  still: matchMedia('(prefers-reduced-motion: reduce)').matches,
  touch: navigator.maxTouchPoints > 0,
  agent: navigator.userAgent.startsWith('by ') ? navigator.userAgent : 'its own',
  tenant: (await (await fetch('/echo')).json()).tenant ?? 'none',
  place: await new Promise((done) =>
    navigator.geolocation.getCurrentPosition(({ coords }) => done([coords.latitude, coords.longitude]), (error) => done(error.code))
  ),
})"""
THERE = {
    "size": [400, 700, 2.625],
    "language": "de-DE",
    "number": "1.234,5",
    "zone": "Pacific/Apia",
    "dark": True,
    "still": True,
    "touch": True,
    "agent": "by T1",
    "tenant": "T1",
    "place": [52.5, 13.25],
}
PLAIN = {
    "size": [1280, 800, 1],
    "language": "en-US",
    "number": "1,234.5",
    "dark": False,
    "still": False,
    "touch": False,
    "agent": "its own",
    "tenant": "none",
    "place": 1,
}


def test_a_page_sees_what_its_test_emulates_and_the_next_page_does_not(both):
    seen = {"evaluate": {"script": SEEN, "equals": THERE}}
    resized = {"viewport": {"width": 300, "height": 300}}
    options = {"emulation": laid([EMULATED], {}), "opened": False}
    passed(both(START, seen, resized, {"evaluate": {"script": "innerWidth", "equals": 300}}, **options))
    again = both.again()
    passed(again(START, seen, **options))  # the same session, in its first size
    plain = SEEN.replace("  zone:", "  // zone:")
    passed(again.again()(START, {"evaluate": {"script": plain, "equals": PLAIN}}, opened=False))


def test_a_page_without_a_network_opens_nothing(both):
    failed(both(emulation=laid([{"offline": True}], {})), fault="connection")


def test_a_browser_that_refuses_an_emulation_is_no_fault_of_the_machine(both):
    lost = laid([{"timezone": "Mars/Base"}], {})
    results = [both.run(name, [OPEN], emulation=lost) for name in ("playwright", "mcp")]
    for result in failed(results, outcome="error", fault="setup"):
        assert result.failure.message == "the browser cannot emulate this page: Invalid timezone ID: Mars/Base"
    passed(both.again()())


def test_devices_are_those_of_the_locked_playwright():
    locked = re.search(r"^playwright==([^ ]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if locked is None or version("playwright") != locked[1]:
        pytest.skip("another Playwright is installed than the locked one")
    assert devices.text() == devices.FILE.read_text(encoding="utf-8"), "python -m scripts.devices updates it"
