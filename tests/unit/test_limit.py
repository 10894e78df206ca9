"""An attempt keeps no more evidence than its test may: the largest files go first, and the record names them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger.parts import Dropped
from orchestra.plan import Method
from orchestra.plan import Test as Case
from orchestra.runtime.attempt import EvidenceFile, Result
from orchestra.runtime.attempts.limit import surplus, within_limit
from orchestra.runtime.attempts.record import missing_evidence
from tests.support.project import HEAD

sizes = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 50))


@given(sizes, st.integers(0, 200))
def test_the_rest_is_within_the_limit_and_nothing_goes_for_nothing(found, limit):
    gone = surplus(found, limit)
    kept = {path: size for path, size in found.items() if path not in gone}
    assert sum(kept.values()) <= limit
    assert all(found[path] >= max(kept.values(), default=0) for path in gone)
    if gone:
        assert sum(kept.values()) + found[gone[-1]] > limit


def case(megabytes):
    return Case("a", "", ("cli",), evidence_limit_megabytes=megabytes)


def result(*paths):
    return Result("cli:a", 1, "failed", 0.1, evidence=tuple(EvidenceFile(path, "attachment") for path in paths))


def test_what_lies_elsewhere_or_behind_a_link_is_not_touched(tmp_path):
    folder, other = tmp_path / "attempt", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "in").symlink_to(other)
    (folder / "link.bin").symlink_to(other / "far.bin")
    for file in (other / "far.bin", folder / "near.bin"):
        file.write_bytes(b"x" * 2000)
    made = result("../other/far.bin", "in/far.bin", "link.bin", "near.bin", "gone.bin")
    assert within_limit(made, case(0.0), folder) is made
    assert within_limit(made, case(0.002), folder) is made
    found = within_limit(made, case(0.001), folder)
    assert found.dropped == (Dropped(path="near.bin", bytes=2000, kind="attachment"),)
    assert [one.path for one in found.evidence] == ["../other/far.bin", "in/far.bin", "link.bin", "gone.bin"]
    assert (other / "far.bin").stat().st_size == 2000
    assert not (folder / "near.bin").exists()


@pytest.mark.parametrize("outcome, kept", [("failed", [2, 3, 4, 5, 6]), ("passed", [])])
def test_the_last_pictures_of_steps_remain_where_the_attempt_failed(tmp_path, outcome, kept):
    names = [f"steps-{number}-click.jpg" for number in range(7)]
    for name in (*names, "trace.zip"):
        (tmp_path / name).write_bytes(b"x" * 2000)
    made = Result("cli:a", 1, outcome, 0.1, evidence=tuple(EvidenceFile(name, "picture") for name in names))
    found = within_limit(made, case(0.001), tmp_path)
    assert [one.path for one in found.evidence] == [names[number] for number in kept]


def test_what_the_limit_dropped_is_not_missing(tmp_path):
    (tmp_path / "page.png").write_bytes(b"x" * 2000)
    test = case(0.001)
    found = within_limit(result("page.png"), test, tmp_path)
    assert found.evidence == ()
    assert missing_evidence(test, Method("cli", "", "playwright"), found, 0) == 0


def test_a_limit_of_nothing_is_refused(project):
    told = project.write(f"{HEAD}tests: {{a: {{evidence_limit_megabytes: 0, command: {{argv: [x]}}}}}}\n").run(
        "validate"
    )
    assert (told.code, "evidence_limit_megabytes" in told.out + told.err) == (2, True)
