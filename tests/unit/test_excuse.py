"""Failures that do not fail a run: quarantine and known failures."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from orchestra.ledger.event import VERDICTS
from orchestra.ledger.view import view_of
from orchestra.plan import KnownFailure, Plan, Quarantine
from orchestra.plan import Test as Case
from orchestra.runtime.attempts.excuse import EXCUSABLE, excuse, excuse_blocked, lapsed, strictly
from tests.support import runs as samples

DAY = date(2026, 5, 1)
HELD = Case("a", "", ("cli",), quarantine=Quarantine("ana", "2026-05-01", "ticket 1"))
KNOWN = Case("a", "", ("cli",), known_failures=(KnownFailure("50[23]", "ticket 2"), KnownFailure("no .utton")))
STRICT = Case("a", "", ("cli",), known_failures=(KnownFailure("502", strict=True),))


@pytest.mark.parametrize("verdict", VERDICTS)
def test_only_what_a_test_did_itself_is_excused(verdict):
    said = excuse(HELD, verdict, "why", DAY)
    assert said == ("quarantine until 2026-05-01, ana: ticket 1" if verdict in EXCUSABLE else "")


def test_a_quarantine_holds_to_the_end_of_its_last_day():
    after = DAY + timedelta(days=1)
    assert excuse(HELD, "failed", "", DAY)
    assert excuse(HELD, "failed", "", after) == ""
    plan = Plan("s", "", (HELD, KNOWN), ())
    assert list(lapsed(plan, DAY)) == []
    [sentence] = lapsed(plan, after)
    assert sentence == "the quarantine of a ended on 2026-05-01: its failures count again; owner: ana"


def test_a_strict_one_must_not_pass():
    for verdict in ("passed", "flaky"):
        assert strictly(STRICT, verdict, "") == (
            "failed",
            'it passed, although it is listed under known_failures: "502": remove the entry',
        )
        assert strictly(KNOWN, verdict, "") == (verdict, "")
    assert strictly(STRICT, "failed", "502") == ("failed", "502")
    assert excuse(STRICT, *strictly(STRICT, "passed", ""), DAY) == ""


def test_what_only_excused_ones_block_is_excused():
    made = [
        samples.verdict("cli:a", "failed", excused="why"),
        samples.verdict("cli:b"),
        samples.verdict("cli:c", "failed"),
    ]
    verdicts = view_of(samples.events(made)).verdicts

    def excused(*needs, **unmet):
        return excuse_blocked("cli", Case("d", "", ("cli",), needs=needs, unmet=unmet), verdicts)

    assert excused("a", "b") == "needs cli:a, excused"
    assert excused("a", "c") == ""
    assert excused("a", "c", c="run") == "needs cli:a, excused"
    assert excused("b") == ""
