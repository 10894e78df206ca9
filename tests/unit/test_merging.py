"""The record of shards merged into one: the same bytes in any order, nothing lost and nothing twice, and refusals by name."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import MachineError
from orchestra.ledger import plan_store
from orchestra.ledger.audit import audit
from orchestra.ledger.author import UNKNOWN
from orchestra.ledger.canonical import digest
from orchestra.ledger.event import (
    AttemptFinished,
    AttemptStarted,
    Body,
    Incident,
    Note,
    RunFinished,
    RunResumed,
    RunStarted,
    ServiceChanged,
    Sharding,
    VerdictGiven,
)
from orchestra.ledger.log import Writer
from orchestra.ledger.origin import Provenance
from orchestra.ledger.parts import Evidence, Failure, StepDone
from orchestra.ledger.reading import LedgerError, read
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.view import look
from orchestra.plan import Gate, Method, Plan
from orchestra.plan import Test as Case
from orchestra.runtime.shards.merge import MergeError, id_of, merge, sources_of
from tests.support.project import whole

few = settings(max_examples=15)
BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PICTURE = b"a picture"


def plan_of(tests: int, require: str = "pass_rate >= 0.0") -> Plan:
    return Plan(
        "work",
        "",
        tuple(Case(f"t{number}", f"Test {number}", ("cli",)) for number in range(tests)),
        (Method("cli", "", "command"),),
        gates=(Gate("after", "rate", require),),
    )


def _service(state: str, seconds: float) -> ServiceChanged:
    return ServiceChanged(
        component="backend", state=state, pid=7, port=8000, attempt=1, reason="", seconds=seconds, incident="backend-1"
    )


def _attempts(task: str, chance: random.Random) -> Iterator[Body]:
    """Yield the events of a task: it passes, fails, or passes in its second attempt."""
    of = {"task": task, "test": task.partition(":")[2], "method": "cli"}
    outcomes = chance.choice([["passed"], ["passed"], ["failed"], ["failed", "passed"]])
    for attempt, outcome in enumerate(outcomes, 1):
        folder, bad = f"attempts/{of['test']}/{attempt}", outcome == "failed"
        bound = hashlib.sha256(PICTURE).hexdigest()
        file = Evidence(path=f"{folder}/page.png", digest=bound, bytes=len(PICTURE), kind="screenshot")
        yield AttemptStarted(**of, attempt=attempt, dir=folder)
        yield AttemptFinished(
            **of,
            attempt=attempt,
            outcome=outcome,
            seconds=chance.choice([0.0, 1.0, 0.25, 0.123456]),
            error=Failure("assertion", "it is not 5 €") if bad else None,
            steps=(StepDone(index=0, verb="goto", seconds=0.1, outcome=outcome),),
            evidence=(file,) if bad else (),
            retry=bad and attempt < len(outcomes),
            incidents=("backend-1",) if bad else (),
        )
    verdict = "flaky" if len(outcomes) > 1 else outcomes[-1]
    yield VerdictGiven(
        **of,
        verdict=verdict,
        reason="" if verdict == "passed" else "it is not 5 €",
        seconds=0.25,
        attempts=len(outcomes),
        speed_class=None,
        degraded=(),
        inputs=None,
    )


def _story(plan: Plan, run: str, place: Sharding, tasks: Sequence[str], chance: random.Random) -> Iterator[Body]:
    yield RunStarted(
        run=run,
        suite=plan.suite,
        plan_digest=plan.digest(),
        source_digest=plan.source_digest,
        profile=None,
        selection=tuple(tasks),
        methods=("cli",),
        workers=2,
        argv=(),
        provenance=Provenance(),
        shard=place,
    )
    yield _service("healthy", 0.5)
    outage = Incident(component="backend", state="opened", reason="it hung", id="backend-1")
    yield outage
    yield msgspec.structs.replace(outage, state="closed", outcome="recovered", seconds=2.5)
    left = [list(_attempts(task, chance)) for task in tasks]
    counts: dict[str, int] = {}
    while left:  # two workers: the events of tasks mix
        mine = chance.choice(left[:2])
        body = mine.pop(0)
        if isinstance(body, VerdictGiven):
            counts[body.verdict] = counts.get(body.verdict, 0) + 1
            left.remove(mine)
        yield body
    yield Note(message="a remark")
    yield RunFinished(exit_code=int("failed" in counts), counts=counts, seconds=9.5, gates={"after:rate": "pending"})


def _write(folder: Path, plan: Plan, bodies: Sequence[Body], chance: random.Random, *, seal: bool = True) -> Path:
    """Write a record with times of its own, several events at one moment now and then, and the files that it binds."""
    folder.mkdir(parents=True)
    plan_store.store(folder, plan)
    moment = BEGUN

    def now() -> datetime:
        nonlocal moment
        moment += timedelta(microseconds=chance.choice([0, 1, 900_000]))
        return moment

    with Writer(folder / LEDGER, now=now) as writer:
        for body in bodies:
            for file in getattr(body, "evidence", ()):
                (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
                (folder / file.path).write_bytes(PICTURE)
            writer.append(body)
        if seal:
            writer.seal()
    return folder


def shards(
    home: Path,
    seed: int,
    number: int = 3,
    tests: int = 6,
    change: Callable[[int, list[Body]], list[Body]] = lambda _, bodies: bodies,
    open_ends: Sequence[int] = (),
    plans: Mapping[int, Plan] | None = None,
) -> list[Path]:
    """Write the records of all shards of a plan; `change` takes the events of one."""
    tasks, folders = tuple(f"cli:t{index}" for index in range(tests)), []
    for index in range(1, number + 1):
        chance, plan = random.Random(seed * 100 + index), (plans or {}).get(index, plan_of(tests))
        run = f"20260102T03040{index}Z-1a2b"
        place = Sharding(index=index, of=number, durations="none", selection=tasks)
        bodies = change(index, list(_story(plan, run, place, tasks[index - 1 :: number], chance)))
        folders.append(_write(home / "shards" / run, plan, bodies, chance, seal=index not in open_ends))
    return folders


def merged(home: Path, folders: Sequence[Path], *, incomplete: bool = False) -> Path:
    home.mkdir(parents=True)
    sources = sources_of(folders, incomplete=incomplete)
    return merge(home, sources, author=UNKNOWN, observers=lambda _plan, _folder: ()).folder


def content(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@few
@given(st.integers(0, 99), st.integers(1, 4), st.integers(0, 5), st.randoms(use_true_random=False))
def test_any_order_of_the_shards_gives_the_same_bytes(seed, number, more, chance):
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folders = shards(root, seed, number, number + more)
        mixed = chance.sample(folders, len(folders))
        assert id_of(sources_of(folders, incomplete=False)) == id_of(sources_of(mixed, incomplete=False))
        first, other = merged(root / "a", folders), merged(root / "b", mixed)
        assert content(root / "a") == content(root / "b")
        assert audit(first).damage is None
        views = [look(folder) for folder in folders]
        assert look(other).verdicts.keys() == {task for view in views for task in view.verdicts}
        for view in views:
            for task, given_there in view.verdicts.items():
                here = look(other).verdicts[task]
                assert (here.verdict, here.attempts, here.reason) == (
                    given_there.verdict,
                    given_there.attempts,
                    given_there.reason,
                )
        ended = [event for event in read(other / LEDGER) if event.type == "attempt_finished"]
        assert len(ended) == sum(len(life.attempts) for view in views for life in view.lives.values())
        assert [event.time for event in ended] == sorted(event.time for event in ended)


def test_the_events_of_a_merge_are_those_of_earlier_versions(tmp_path):
    events = read(merged(tmp_path / "home", shards(tmp_path, 7, 3, 9)) / LEDGER)
    told = [
        [event.time, event.type, whole({"type": event.type, "body": msgspec.to_builtins(event.body)})["body"]]
        for event in events
        if event.type not in BY_PLAN
    ]
    assert len(told) > 30
    assert digest(told) == GOLDEN


BY_PLAN = {"run_started", "gate", "baseline", "run_finished", "seal"}
"""Events with a digest or a metric of the plan, which has a format of its own."""

GOLDEN = "18d4a3ad8a00059001e7254e188730add8873451377ffaedb89694bae7bd93e3"
"""Of the merged events of fixed shards; it changes when the form of one of them does, and for no other reason."""


def test_a_merged_ledger_in_several_files_is_audited_and_has_the_same_events(tmp_path, monkeypatch):
    folders = shards(tmp_path, 3)
    whole = merged(tmp_path / "whole", folders)
    monkeypatch.setattr("orchestra.ledger.log.SEGMENT_BYTES", 3000)
    parts = merged(tmp_path / "parts", folders)
    assert (parts / "events-2.jsonl").is_file()
    assert audit(parts).damage is None
    bodies = [
        [event.body for event in read(folder / LEDGER) if event.type not in {"segment", "seal"}]
        for folder in (whole, parts)
    ]
    assert bodies[0] == bodies[1]


def test_shards_that_were_resumed_by_a_changed_plan_are_merged_by_that_plan(tmp_path):
    changed = plan_of(6, "pass_rate >= 0.1")

    def resumed(_: int, bodies: list[Body]) -> list[Body]:
        start = bodies[0]
        assert isinstance(start, RunStarted)
        again = RunResumed(
            run=start.run, rerun=(), plan_digest=changed.digest(), source_digest=changed.source_digest, changed=("t0",)
        )
        return [*bodies[:-1], again, bodies[-1]]

    folders = shards(tmp_path, 1, change=resumed)
    for folder in folders:
        plan_store.store(folder, changed)
    folder = merged(tmp_path / "home", folders)
    assert audit(folder).damage is None
    assert plan_store.load(folder, look(folder).segment.plan_digest) == changed


@pytest.mark.parametrize("refusal", [None, OSError(errno.EXDEV, "Invalid cross-device link")], ids=["kernel", "here"])
def test_files_of_evidence_are_copies_of_their_own(tmp_path, monkeypatch, refusal):
    def refuse(*_: object) -> int:
        assert refusal is not None
        raise refusal

    if refusal is not None:
        monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    folders = shards(tmp_path, 7, 3, 9)
    folder = merged(tmp_path / "home", folders)
    there = {
        f"shards/{index}/{name}": text for index, one in enumerate(folders, 1) for name, text in content(one).items()
    }
    here = content(folder)
    assert any(name.endswith(".png") for name in there)
    assert {name: here[name] for name in there} == there
    for one in folders:
        for file in one.rglob("*.png"):
            file.write_bytes(b"")
    assert audit(folder).damage is None


def test_nothing_is_left_of_a_merge_whose_evidence_cannot_be_read(tmp_path):
    folders = shards(tmp_path, 7, 3, 9)
    sources = sources_of(folders, incomplete=False)
    [picture, *_] = [file for folder in folders for file in folder.rglob("*.png")]
    picture.unlink()
    (home := tmp_path / "home").mkdir()
    with pytest.raises(MachineError, match="cannot copy"):
        merge(home, sources, author=UNKNOWN, observers=lambda _plan, _folder: ())
    assert content(home) == {}


# ------------------------------------------------------------------------------------------------------------ refusals


def refusal(folders: Sequence[Path], *, incomplete: bool = False) -> str:
    """Return why a merge is refused, which no order of the arguments changes."""
    reasons = set()
    for order in itertools.permutations(folders):
        with pytest.raises(MergeError) as refused:
            sources_of(order, incomplete=incomplete)
        reasons.add(str(refused.value))
    [reason] = reasons
    return reason


@few
@given(st.sets(st.integers(1, 3), min_size=1, max_size=2))
def test_missing_shards_are_refused_by_name(lost):
    with tempfile.TemporaryDirectory() as place:
        folders = shards(Path(place), 1)
        left = [folder for index, folder in enumerate(folders, 1) if index not in lost]
        assert f"no record of shard {', '.join(f'{index}/3' for index in sorted(lost))} is given" in refusal(left)
        assert len(sources_of(left, incomplete=True)) == len(left)


def test_a_double_shard_is_refused(tmp_path):
    folders = shards(tmp_path, 1)
    assert "shard 2/3 is there twice" in refusal([*folders, folders[1]])


def test_a_shard_of_another_plan_is_refused(tmp_path):
    reason = refusal(shards(tmp_path, 1, plans={2: plan_of(6, "pass_rate >= 0.5")}))
    assert "has plan" in reason
    assert "(shard 2/3" in reason


def test_a_test_in_two_shards_is_refused(tmp_path):
    def twice(index: int, bodies: list[Body]) -> list[Body]:
        start = bodies[0]
        assert isinstance(start, RunStarted)
        chance = random.Random(1)
        if index != 2:
            return bodies
        end = bodies[-1]
        assert isinstance(end, RunFinished)
        extra = list(_attempts("cli:t0", chance))
        [*_, given_there] = extra
        assert isinstance(given_there, VerdictGiven)
        counts = {**end.counts, given_there.verdict: end.counts.get(given_there.verdict, 0) + 1}
        return [
            msgspec.structs.replace(start, selection=(*start.selection, "cli:t0")),
            *bodies[1:-1],
            *extra,
            msgspec.structs.replace(end, counts=counts, exit_code=1),
        ]

    assert "cli:t0 is in two shards" in refusal(shards(tmp_path, 1, change=twice))


def test_a_chain_without_a_seal_is_refused_and_taken_when_that_is_allowed(tmp_path):
    folders = shards(tmp_path, 1, open_ends=[3])
    assert "(shard 3/3" in (reason := refusal(folders))
    assert "has no end: its chain is not sealed over a finished run" in reason
    assert audit(merged(tmp_path / "home", folders, incomplete=True)).damage is None


@few
@given(st.randoms(use_true_random=False))
def test_a_changed_byte_of_a_shard_is_refused(chance):
    with tempfile.TemporaryDirectory() as place:
        folders = shards(Path(place), 1)
        ledger = chance.choice(folders) / LEDGER
        text = bytearray(ledger.read_bytes())
        at = chance.randrange(len(text))
        text[at] ^= 1 << chance.randrange(7)
        ledger.write_bytes(text)
        with pytest.raises((LedgerError, MergeError)):
            sources_of(folders, incomplete=False)


def test_a_changed_file_of_a_merged_run_is_found(tmp_path):
    folder = merged(tmp_path / "home", shards(tmp_path, 7, 3, 9))
    [picture, *_] = sorted(folder.rglob("*.png"))
    picture.write_bytes(b"another one")
    damage = audit(folder).damage
    assert damage is not None
    assert "was changed" in damage.message
