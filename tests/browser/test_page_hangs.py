"""An attempt ends soon after its limit, whatever hangs under a page: a short form of `python -m bench hangs`."""

from __future__ import annotations

import sys

import pytest

from bench import hangs

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="what is left is counted by marks in /proc"
)

LIMITS = ("cli: the driver is stopped", "mcp: a script that never ends", "mcp: the server is stopped")


def test_an_attempt_ends_soon_after_its_limit(chromium):
    endured = hangs.endure(LIMITS, "limit", together=3, patience=3.0)
    assert [one for one in endured if one.faults] == [], hangs.report(endured)


def test_a_signal_ends_a_run_whose_worker_is_stopped(chromium):
    endured = hangs.endure(("mcp: the worker is stopped",), "signal", patience=3.0)
    assert [one for one in endured if one.faults] == [], hangs.report(endured)
