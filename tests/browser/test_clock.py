"""`clock`: the time of the pages is that of the test by both browser methods, and the next test has the real one."""

from __future__ import annotations

import pytest

from tests.support.both import passed
from tests.support.site import page

pytestmark = pytest.mark.browser

START = page("<p id=out>waiting</p><script>setTimeout(() => out.textContent = 'an hour later', 3600000)</script>")
OUT = {"css": "#out", "within_seconds": 20}


def year(wanted: int) -> dict:
    return {"evaluate": {"script": "new Date().getUTCFullYear()", "equals": wanted}}


def test_pages_read_the_clock_of_the_test_and_the_next_test_the_real_one(both):
    passed(
        both(
            {"clock": {"set": "2030-12-31T20:00:00Z"}},
            START,
            year(2030),
            {"expect": {**OUT, "to": {"have_text": "waiting"}}},
            {"clock": {"advance_seconds": 4 * 3600 + 1.0}},
            {"expect": {**OUT, "to": {"have_text": "an hour later"}}},
            {"wait": {"css": "#out", "within_seconds": 20}},
            year(2031),
            {"clock": {"fix": "2040-01-01T01:00:00+02:00"}},
            {"evaluate": {"script": "new Date().toISOString()", "equals": "2039-12-31T23:00:00.000Z"}},
            {"clock": {"set": "2045-05-05T00:00:00Z"}},
            year(2045),
            {"clock": {"fix": "2039-12-31T23:00:00Z"}},
            {"clock": {"resume": True}},
            {"evaluate": {"script": "Date.now()", "save": "then"}},
            {
                "evaluate": {
                    "script": "Date.now() > ${saved.then} && new Date().getUTCFullYear() === 2039",
                    "equals": True,
                    "within_seconds": 20,
                }
            },
            opened=False,
        )
    )
    real = "Math.abs(Date.now() - performance.timeOrigin - performance.now()) < 60000 && new Date().getUTCFullYear() < 2039"
    passed(both.again()(START, {"evaluate": {"script": real, "equals": True}}, opened=False))
