"""An attempt ends soon after its limit, whatever hangs under a page: a short form of `python -m bench hangs`."""

from __future__ import annotations

import sys

import pytest

from bench import hangs

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="what is left is counted by marks in /proc"
)

LIMITS = ("cli: the driver is stopped", "mcp: the server is stopped")
SCRIPT = ("mcp: a script that never ends",)


# At night also where all processes serve on: test_mcp_session.py has it by day for the driver alone.
@pytest.mark.parametrize("limits", [LIMITS, pytest.param(SCRIPT, marks=pytest.mark.nightly)])
def test_an_attempt_ends_soon_after_its_limit(chromium, limits):
    endured = hangs.endure(limits, "limit", together=len(limits), patience=3.0)
    assert [one for one in endured if one.faults] == [], hangs.report(endured)


def test_a_signal_ends_a_run_whose_worker_is_stopped(chromium):
    endured = hangs.endure(("mcp: the worker is stopped",), "signal", patience=3.0)
    assert [one for one in endured if one.faults] == [], hangs.report(endured)
