"""An attempt ends soon after its limit, whatever hangs under a page: a short form of `python -m bench hangs`."""

from __future__ import annotations

import sys

import pytest

from bench import hangs
from tests.support.nights import at_night

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="what is left is counted by marks in /proc"
)

DAY = ("cli: the driver is stopped",)
NIGHT = ("mcp: the server is stopped", "mcp: a script that never ends")


# At night also by the other method, whose server hangs by day in test_mcp_session.py, as does a script.
@pytest.mark.parametrize("limits", [DAY, at_night(NIGHT[:1]), at_night(NIGHT[1:])])
def test_an_attempt_ends_soon_after_its_limit(chromium, limits):
    endured = hangs.endure(limits, "limit", together=len(limits), patience=3.0)
    assert [one for one in endured if one.faults] == [], hangs.report(endured)


def test_a_signal_ends_a_run_whose_worker_is_stopped(chromium):
    endured = hangs.endure(("mcp: the worker is stopped",), "signal", patience=3.0)
    assert [one for one in endured if one.faults] == [], hangs.report(endured)
