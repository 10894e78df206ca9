"""A run that is killed anywhere goes on: nothing shown is lost, nothing passed runs twice, and the report is the same."""

from __future__ import annotations

import pytest

from bench.crash import crash

MORE = [pytest.param(6, seed, marks=pytest.mark.nightly) for seed in (2, 3, 4, 5)]
"""Kills at other points of the ledger, which are other places in the code."""


@pytest.mark.parametrize("kills, seed", [(3, 1), *MORE])
def test_kills_at_seeded_points_lose_and_repeat_nothing(tmp_path, kills, seed):
    outcome = crash(tmp_path / "project", kills, seed)
    assert outcome.kills >= kills
    assert outcome.faults() == 0, outcome


@pytest.mark.parametrize("kills, seed", [(2, 5), *MORE[:2]])
def test_a_power_cut_loses_no_more_than_what_was_not_shown(tmp_path, kills, seed):
    outcome = crash(tmp_path / "project", kills, seed, power_cut=True)
    assert outcome.kills >= kills
    assert outcome.faults() == 0, outcome
