"""A run that is killed anywhere goes on: nothing shown is lost, nothing passed runs twice, and the report is the same."""

from __future__ import annotations

import pytest

from bench.crash import crash


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in (3, 4))])
def test_kills_at_seeded_points_lose_and_repeat_nothing(tmp_path, seed):
    """Twelve kills, and as many at other points each night."""
    outcome = crash(tmp_path / "project", 6, seed)
    assert outcome.kills >= 6
    assert outcome.faults() == 0, outcome


def test_a_power_cut_loses_no_more_than_what_was_not_shown(tmp_path):
    outcome = crash(tmp_path / "project", 6, 5, power_cut=True)
    assert outcome.kills >= 6
    assert outcome.faults() == 0, outcome
