"""An audit finds each lie that a ledger could tell, at its line, and each changed byte of ledger and evidence."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestra.ledger import integrity, plan_store
from orchestra.ledger.audit import audit
from orchestra.ledger.log import Writer
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.view import look
from orchestra.plan import Method, Plan
from orchestra.plan import Test as Case
from tests.support.events import body as body_of

PLAN = Plan(
    suite="s",
    title="",
    tests=(Case("a", "", ("cli",)), Case("b", "", ("cli",))),
    methods=(Method("cli", "", "command"),),
    source_digest="sha256:1",
)
TASKS = ["cli:a", "cli:b"]


def start(**more):
    body = {
        "run": "r",
        "suite": "s",
        "plan_digest": PLAN.digest(),
        "source_digest": PLAN.source_digest,
        "profile": None,
        "selection": TASKS,
        "methods": ["cli"],
        "workers": 1,
        "argv": [],
        "provenance": {},
    }
    return "run_started", body | more


def of(task):
    return {"task": task, "test": task[4:], "method": "cli"}


def begin(task="cli:a", attempt=1):
    return "attempt_started", {**of(task), "attempt": attempt, "dir": f"attempts/{task}/{attempt}"}


def end(task="cli:a", attempt=1, outcome="passed", **more):
    body = {"attempt": attempt, "outcome": outcome, "seconds": 0.1, "error": None, "steps": [], "evidence": []}
    return "attempt_finished", {**of(task), **body, "retry": False, **more}


def verdict(task="cli:a", word="passed", attempts=1):
    body = {"verdict": word, "reason": "", "seconds": 0.1, "attempts": attempts, "speed_class": None, "degraded": []}
    return "verdict", {**of(task), **body, "inputs": None}


def finish(code=0, **counts):
    return "run_finished", {"exit_code": code, "counts": counts or {"passed": 2}, "seconds": 1.0, "gates": {}}


DONE = {"verdict": "failed", "speed_class": None, "seconds": 0.1, "attempts": 1}


def ran(task):
    return [begin(task), end(task), verdict(task)]


GOOD = [start(), *ran("cli:a"), *ran("cli:b"), finish()]
RESUMED = ("run_resumed", {"run": "r", "rerun": ["cli:a"]})


def write(folder: Path, story, *, seal=True) -> Path:
    folder.mkdir(exist_ok=True)
    plan_store.store(folder, PLAN)
    with Writer(folder / LEDGER, now=lambda: datetime(2026, 1, 1, tzinfo=UTC)) as writer:
        for kind, body in story:
            writer.append(body_of(kind, body))
        if seal:
            writer.seal()
    return folder


def test_a_good_run_is_found_good(tmp_path):
    found = audit(write(tmp_path, GOOD))
    assert (found.damage, found.events, found.verdicts, found.ended) == (None, 9, 2, True)


@pytest.mark.parametrize(
    "story, line, said",
    [
        ([begin()], 1, 'the first event of a run is "run_started", and not "attempt_started"'),
        ([start(), start()], 2, "the run has begun already"),
        ([start(selection=["cli:a", "cli:a"])], 1, "it selects a task twice"),
        ([start(), verdict()], 2, "but 0 have ended"),
        ([start(), verdict(attempts=0)], 2, 'cli:a is "passed" without an execution'),
        ([start(), verdict("cli:x", "skipped", 0)], 2, "cli:x was not selected"),
        ([start(), begin(attempt=2)], 2, "it is attempt 2 of cli:a, and the next one is 1"),
        ([start(), begin(), begin()], 3, "attempt 1 of cli:a has not ended"),
        ([start(), end()], 2, "attempt 1 of cli:a ends without having started"),
        ([start(), begin(), end(seconds=-1.0)], 3, "took -1 seconds"),
        ([start(), begin(), verdict()], 3, "but 0 have ended"),
        ([start(), begin(), end(outcome="failed"), verdict()], 4, 'but its last attempt ended as "failed"'),
        ([start(), begin(), end(), verdict(word="failed")], 4, 'its last attempt ended as "passed"'),
        ([start(), begin(), end(), verdict(word="flaky")], 4, 'passed on attempt 1: that is not "flaky"'),
        (
            [start(), begin(), end(outcome="failed"), begin(attempt=2), end(attempt=2), verdict(attempts=2)],
            6,
            "that is not",
        ),
        ([start(), begin(), end(), verdict(attempts=3)], 4, "after 3 attempts, but 1 have ended"),
        ([start(), verdict(word="unchanged")], 2, 'cli:a is "unchanged", but has 1 attempts'),
        ([start(), verdict(word="blocked", attempts=2)], 2, 'cli:a is "blocked" after 2 attempts'),
        ([start(), *ran("cli:a"), verdict()], 5, 'cli:a has its final verdict already: "passed"'),
        ([start(), *ran("cli:a"), begin()], 5, "cli:a has its final verdict already"),
        ([start(), *ran("cli:a"), finish()], 5, "the run ends, but cli:b has no verdict (1 in all)"),
        ([*GOOD[:-1], finish(passed=1)], 8, "it counts 1 passed, and the verdicts are 2 passed"),
        ([start(), *ran("cli:a"), verdict("cli:b", "blocked", 0), finish(passed=1, blocked=1)], 6, "exit code 0"),
        ([start(), *ran("cli:a"), ("run_resumed", {"run": "r", "rerun": ["cli:x"]})], 5, "cli:x was not selected"),
        ([start(plan_digest="sha256:" + "0" * 64)], 1, "the plan of the run cannot be read"),
        ([start(source_digest="sha256:2")], 1, "it was compiled from sha256:2"),
        (
            [start(), ("rolled_back", {"to_seq": 9, "reopened": [], "restored": {}, "baseline": None})],
            2,
            "not before it",
        ),
    ],
)
def test_a_story_that_cannot_be_is_found_at_its_line(tmp_path, story, line, said):
    damage = audit(write(tmp_path, story)).damage
    assert damage is not None
    assert (damage.line, said in damage.message) == (line, True), damage


@pytest.mark.parametrize(
    "story, said",
    [
        ([start(), *ran("cli:a")], "the run has no end: cli:b has no verdict (1 in all)"),
        (GOOD[:-1], "the run has no end: the seal is missing"),
        (GOOD, "the run has no end: the seal is missing"),
    ],
)
def test_a_missing_end_is_found_unless_the_run_goes_on(tmp_path, story, said):
    folder = write(tmp_path, story, seal=False)
    damage = audit(folder).damage
    assert damage is not None
    assert (damage.line, damage.message) == (len(story) + 1, said)
    assert audit(folder, going=True).damage is None


def test_lines_cut_from_the_end_are_found(tmp_path):
    whole = (write(tmp_path, GOOD) / LEDGER).read_bytes().splitlines(keepends=True)
    for count in range(len(whole)):
        (tmp_path / LEDGER).write_bytes(b"".join(whole[:count]))
        assert audit(tmp_path).damage is not None, count


def test_a_resumed_and_a_rolled_back_run_are_found_good(tmp_path):
    again = [*GOOD, RESUMED, *ran("cli:a"), finish()]
    assert audit(write(tmp_path / "1", again)).damage is None
    suspect = end(outcome="failed", infra_suspect=True)
    held = [start(), begin(), suspect, begin(attempt=2), end(attempt=2), verdict(attempts=2), *ran("cli:b"), finish()]
    assert audit(write(tmp_path / "0", held)).damage is None
    cut = [start(), begin(), RESUMED, *ran("cli:a"), *ran("cli:b"), finish()]
    assert audit(write(tmp_path / "2", cut)).damage is None
    back = ("rolled_back", {"to_seq": 4, "reopened": ["cli:b"], "restored": {}, "baseline": None})
    assert audit(write(tmp_path / "3", [*GOOD, back, RESUMED, *ran("cli:a"), *ran("cli:b"), finish()])).damage is None
    false = ("rolled_back", {**back[1], "restored": {"cli:a": DONE}})
    damage = audit(write(tmp_path / "4", [*GOOD, false])).damage
    assert damage is not None
    assert 'it restores "failed" for cli:a, which it did not have at event 4' in damage.message


def evidence(folder: Path, content: bytes) -> dict:
    file = folder / "attempts" / "log.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return {"path": "attempts/log.txt", "digest": digest, "bytes": len(content), "kind": "log"}


def test_evidence_is_compared_with_its_digest(tmp_path):
    kept = evidence(tmp_path, b"well done")
    folder = write(tmp_path, [start(), begin(), end(evidence=[kept]), verdict(), *ran("cli:b"), finish()])
    assert audit(folder).files == 1
    assert audit(folder).damage is None
    (tmp_path / "attempts/log.txt").write_bytes(b"well donE")
    damage = audit(folder).damage
    assert damage is not None
    assert (damage.line, 'the evidence "attempts/log.txt" was changed' in damage.message) == (3, True)
    (tmp_path / "attempts/log.txt").unlink()
    damage = audit(folder).damage
    assert damage is not None
    assert "No such file" in damage.message


def log_of(folder: Path, name: str, content: bytes) -> dict:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return {"path": name, "digest": hashlib.sha256(content).hexdigest(), "bytes": len(content), "kind": "log"}


def test_whole_logs_are_compared_as_they_were_bound_last(tmp_path):
    first = log_of(tmp_path, "services/web.log", b"up")
    bound = ("logs", {"files": [first], "open": ["services/other.log"]})
    folder = write(tmp_path, [*GOOD[:-1], bound, GOOD[-1]])
    assert (audit(folder).damage, audit(folder).files) == (None, 1)
    log_of(tmp_path, "services/web.log", b"uP")
    damage = audit(folder).damage
    assert damage is not None
    assert (damage.line, 'the evidence "services/web.log" was changed' in damage.message) == (8, True)
    assert audit(folder, going=True).damage is None, "a run under way writes them on"
    again = ("logs", {"files": [log_of(tmp_path, "services/web.log", b"up and on")], "open": []})
    more = [*GOOD[:-1], bound, GOOD[-1], RESUMED, *ran("cli:a"), again, finish()]
    assert audit(write(tmp_path / "more", [])).damage is not None
    (tmp_path / LEDGER).unlink()
    assert audit(write(tmp_path, more)).damage is None


def sealed(folder: Path, story, **more) -> Path:
    write(folder, story, seal=False)
    with Writer(folder / LEDGER, now=lambda: datetime(2026, 1, 1, tzinfo=UTC)) as writer:
        writer.seal(**more)
    return folder


def test_a_seal_that_says_of_the_rules_what_the_events_do_not_is_found(tmp_path):
    facts = integrity.Facts(PLAN, look(write(tmp_path / "good", GOOD)))
    said = {"rules": integrity.sealed(facts), "rules_version": integrity.VERSION}
    assert set(said["rules"]) == set(integrity.RULES)
    assert not said["rules"]["plan_fresh"]
    assert audit(sealed(tmp_path / "same", GOOD, **said)).damage is None
    for rule, held in said["rules"].items():
        false = {**said, "rules": {**said["rules"], rule: not held}}
        damage = audit(sealed(tmp_path / rule, GOOD, **false)).damage
        assert damage is not None
        assert (damage.line, f'the rule "{rule}"' in damage.message) == (9, True), damage
        assert audit(sealed(tmp_path / f"{rule}-newer", GOOD, **{**false, "rules_version": 99})).damage is None
    newer = {**said, "rules": {**said["rules"], "of_tomorrow": True}}
    assert audit(sealed(tmp_path / "newer", GOOD, **newer)).damage is None


def test_every_change_of_one_byte_is_found(tmp_path):
    dice = random.Random(11)
    kept = evidence(tmp_path, dice.randbytes(3000))
    log = log_of(tmp_path, "services/web.log", dice.randbytes(3000))
    bound = ("logs", {"files": [log], "open": []})
    folder = write(tmp_path, [start(), begin(), end(evidence=[kept]), verdict(), *ran("cli:b"), bound, finish()])
    files = [folder / LEDGER, folder / kept["path"], folder / log["path"]]
    for _ in range(400):
        file = dice.choice(files)
        whole = file.read_bytes()
        place = dice.randrange(len(whole))
        changed = bytearray(whole)
        changed[place] ^= dice.randrange(1, 256)
        file.write_bytes(changed)
        assert audit(folder).damage is not None, (file, place)
        file.write_bytes(whole)
    assert audit(folder).damage is None


def test_the_kept_plan_is_held_to_its_digest(tmp_path):
    folder = write(tmp_path, GOOD)
    [file] = folder.glob("plan-*.json")
    for old, new in ((b'"id":"a"', b'"id":"z"'), (b"sha256:1", b"sha256:2")):
        whole = file.read_bytes()
        assert old in whole
        file.write_bytes(whole.replace(old, new))
        assert audit(folder).damage is not None
        file.write_bytes(whole)
