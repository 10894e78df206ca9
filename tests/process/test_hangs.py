"""A run that is told to end ends, whatever hangs: a short form of `python -m bench hangs`, which has the times that are promised.

The limits here are three times those, for a machine that is busy with other tests.
"""

from __future__ import annotations

import shutil
import sys

import pytest

from bench import hangs

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="what is left is counted by marks in /proc"
)

PATIENCE = 3.0
SIGNALS = (
    "a reader that does not read",
    "pipes in the place of files",
    "the reaper is stopped",
    "git",
    "patterns in a log",
)


def test_a_signal_is_heard_and_the_run_ends():
    endured = hangs.endure(SIGNALS, "signal", together=3, patience=PATIENCE)
    assert [one for one in endured if one.faults] == [], hangs.report(endured)


@pytest.mark.nightly  # test_process.py ends by day what does not want to end; here a run ends it
def test_an_attempt_ends_soon_after_its_limit():
    endured = hangs.endure(("a command that ignores SIGTERM, and so do its children",), "limit", patience=PATIENCE)
    assert [one for one in endured if one.faults] == [], hangs.report(endured)


@pytest.mark.skipif(shutil.which("cc") is None, reason="a resolver that hangs is compiled")
def test_a_name_that_is_not_resolved_holds_up_nothing():
    endured = hangs.endure(("names that are not resolved, of a probe",), "signal", patience=PATIENCE)
    endured += hangs.endure(("names that are not resolved, of a step",), "limit", patience=PATIENCE)
    assert [one for one in endured if one.faults] == [], hangs.report(endured)


def test_each_can_be_asked_for_by_its_name():
    assert set(hangs.BOUNDED) < set(hangs.BY_NAME)
    assert len(hangs.BY_NAME) == len(hangs.HANGS)
