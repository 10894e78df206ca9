"""What services wrote during an attempt is its evidence: the part of their logs between its start and its end."""

from __future__ import annotations

import pytest

from orchestra.plan import Test as Case
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.window import LIMIT_BYTES, marks, wants_evidence, with_services

FAILED = Result("cli:a", 1, "failed", 0.1)


def case(evidence="on_failure"):
    return Case("a", "", ("cli",), evidence=evidence)


@pytest.fixture
def log(tmp_path):
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "api.log").write_bytes(b"before\n")
    return tmp_path / "services" / "api.log"


def kept(tmp_path, begun, *, result=FAILED, test=None):
    if not wants_evidence(test or case(), result):
        return {}
    found = with_services(result, tmp_path, tmp_path / "attempt", begun)
    return {one.path: (tmp_path / "attempt" / one.path).read_bytes() for one in found.evidence}


def test_what_came_between_is_kept(tmp_path, log):
    begun = marks(tmp_path, ["api", "silent"])
    with log.open("ab") as file:
        file.write(b"during\n")
    assert kept(tmp_path, begun) == {"services/api.log": b"during\n"}


def test_nothing_new_is_no_file(tmp_path, log):
    assert kept(tmp_path, marks(tmp_path, ["api"])) == {}


def test_a_log_that_began_anew_is_kept_from_both_halves(tmp_path, log):
    begun = marks(tmp_path, ["api"])
    with log.open("ab") as file:
        file.write(b"old half\n")
    log.rename(log.with_name("api.log.1"))
    log.write_bytes(b"new half\n")
    assert kept(tmp_path, begun) == {"services/api.log": b"old half\nnew half\n"}


def test_the_end_of_a_long_window_is_kept(tmp_path, log):
    begun = marks(tmp_path, ["api"])
    with log.open("ab") as file:
        file.write(b"x" * LIMIT_BYTES + b"the end")
    [text] = kept(tmp_path, begun).values()
    assert (len(text), text[-7:]) == (LIMIT_BYTES, b"the end")


@pytest.mark.parametrize(
    "evidence, outcome, there",
    [
        ("on_failure", "passed", False),
        ("always", "passed", True),
        ("off", "failed", False),
        ("on_failure", "error", True),
    ],
)
def test_the_spec_says_when(tmp_path, log, evidence, outcome, there):
    begun = marks(tmp_path, ["api"])
    with log.open("ab") as file:
        file.write(b"during\n")
    result = Result("cli:a", 1, outcome, 0.1)
    assert bool(kept(tmp_path, begun, result=result, test=case(evidence))) is there
