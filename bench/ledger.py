"""The ledger against what it is made of: bare writes, json.loads, an empty Python; and against kills, cuts and flips.

    python -m bench ledger

Appends and bare writes take turns on one disk, each line made durable before the next. The fold reads a file of events,
verifies each line against the chain, and folds it; json.loads only parses the same lines.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from bench.crash import crash
from bench.measure import ORCHESTRA, PASS, Case, Figure, alternate, figures, ratio, table, timings
from orchestra.ledger import plan_store
from orchestra.ledger.audit import audit
from orchestra.ledger.disk import sync_file
from orchestra.ledger.event import AttemptFinished, AttemptStarted, Body, Logs, RunFinished, RunStarted, VerdictGiven
from orchestra.ledger.lock import Holder, Lock
from orchestra.ledger.log import Writer
from orchestra.ledger.origin import Provenance
from orchestra.ledger.parts import Evidence, StepDone
from orchestra.ledger.quick import STATE
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.segment import segments
from orchestra.ledger.state import state_of, write_state
from orchestra.ledger.view import View, look
from orchestra.plan import Method, Plan, Test

RUN = "20260102T030405Z-1a2b"
_NOW = datetime(2026, 1, 2, tzinfo=UTC)

FLIPPED_SEGMENT = 8000
"""Bytes of a file of the ledger in which bytes are changed: it has several."""


def plan_of(tests: int) -> Plan:
    """Return a plan of commands."""
    return Plan(
        suite="work",
        title="",
        tests=tuple(Test(f"t{number}", f"Test number {number}", ("cli",)) for number in range(tests)),
        methods=(Method("cli", "", "command"),),
    )


def verdict(number: int) -> VerdictGiven:
    """Return a verdict."""
    return VerdictGiven(
        **_of(number),
        verdict="passed",
        reason="",
        seconds=0.25,
        attempts=1,
        speed_class="good",
        degraded=(),
        inputs=hashlib.sha256(str(number).encode()).hexdigest(),
    )


def _of(number: int) -> dict[str, str]:
    return {"task": f"cli:t{number}", "test": f"t{number}", "method": "cli"}


def _attempt(number: int, evidence: tuple[Evidence, ...]) -> AttemptFinished:
    return AttemptFinished(
        **_of(number),
        attempt=1,
        outcome="passed",
        seconds=0.25,
        error=None,
        steps=(StepDone(index=0, verb="goto", seconds=0.1, outcome="passed"),),
        evidence=evidence,
        retry=False,
        exit_code=0,
    )


def story(plan: Plan, done: int, evidence: Mapping[int, Evidence], logs: tuple[Evidence, ...]) -> Iterator[Body]:
    """Yield the events of a run whose first tests have passed."""
    yield RunStarted(
        run=RUN,
        suite="work",
        plan_digest=plan.digest(),
        source_digest="",
        profile=None,
        selection=tuple(f"cli:{test.id}" for test in plan.tests),
        methods=("cli",),
        workers=2,
        argv=("orchestra", "run"),
        provenance=Provenance(),
    )
    for number in range(done):
        yield AttemptStarted(**_of(number), attempt=1, dir=f"attempts/cli/t{number}/1")
        yield _attempt(number, (evidence[number],) if number in evidence else ())
        yield verdict(number)
    if logs:
        yield Logs(files=logs, open=())
    if done == len(plan.tests):
        yield RunFinished(exit_code=0, counts={"passed": done}, seconds=9.5, gates={})


def record(
    folder: Path,
    plan: Plan,
    done: int,
    evidence: Mapping[int, Evidence] | None = None,
    logs: tuple[Evidence, ...] = (),
    segment_bytes: int | None = None,
) -> None:
    """Write the ledger of such a run, and its state; sealed when all tests have passed."""
    folder.mkdir(parents=True)
    plan_store.store(folder, plan)
    view = View()
    with Writer(folder / LEDGER, now=lambda: _NOW, segment_bytes=segment_bytes) as writer:
        for body in story(plan, done, evidence or {}, logs):
            view.see(writer.append(body))
        if done == len(plan.tests):
            view.see(writer.seal())
    write_state(folder / STATE, state_of(view))


def appends(count: int) -> Figure:
    """Verdicts made durable one by one, against bare writes of as many bytes made durable one by one, in turns."""
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as scratch:
        file = os.open(Path(scratch) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with Writer(Path(scratch) / LEDGER, now=lambda: datetime.now(UTC)) as writer:
            for number in range(count):
                end = writer.tip.end
                begun = time.perf_counter()
                writer.append(verdict(number), sync=True)
                ours.append(time.perf_counter() - begun)
                line = b"x" * (writer.tip.end - end)
                begun = time.perf_counter()
                os.write(file, line)
                sync_file(file)
                bare.append(time.perf_counter() - begun)
        os.close(file)
    rate = statistics.median(bare) / statistics.median(ours)
    return Figure("append + fsync a verdict, x rate of bare write + fsync", rate, rate, 0.8, at_least=True)


def folding(events: int) -> list[Figure]:
    """Return the fold of a long ledger, and the same with reading and verifying, against json.loads."""
    tests = events // 3
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / RUN
        record(folder, plan_of(tests), tests)
        begun, cpu = time.perf_counter(), time.process_time()
        for file in segments(folder / LEDGER):
            with file.open("rb") as lines:
                for line in lines:
                    json.loads(line)
        floor, floor_cpu = time.perf_counter() - begun, time.process_time() - cpu
        begun, cpu = time.perf_counter(), time.process_time()
        look(folder)
        ours, ours_cpu = time.perf_counter() - begun, time.process_time() - cpu
    return [Figure(f"read, verify and fold {events:,} events, x json.loads", ours / floor, ours_cpu / floor_cpu, 3)]


def status(tests: int, rounds: int) -> str:
    """`orchestra status` on a run under way, against a Python that does nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "pyproject.toml").write_text("[tool.orchestra]\n")
        home = root / ".orchestra" / "work"
        record(home / "runs" / RUN, plan_of(tests), tests // 2)
        (home / "plan.json").write_text("{}")
        with Lock(home / "lock", Holder(os.getpid(), RUN, "2026-01-02T00:00:00.000000Z")):
            taken = alternate(
                {"python -c pass": Case(PASS, root), "orchestra status": Case([*ORCHESTRA, "status"], root)}, rounds
            )
    found = ratio(f"status, {tests:,} tests, x python -c pass", taken["orchestra status"], taken["python -c pass"], 6)
    return "\n".join(
        [timings(f"`orchestra status` on a run of {tests:,} tests", taken), figures("Status: ratio", [found])]
    )


def _log(path: str, content: bytes) -> Evidence:
    return Evidence(path=path, digest=hashlib.sha256(content).hexdigest(), bytes=len(content), kind="log")


def flips(count: int, seed: int) -> int:
    """Return how many of so many random changes of one byte, in the files of ledger, evidence and logs, an audit finds."""
    dice, found = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / RUN
        evidence = {}
        logs = []
        for name in ("services/web.log", "workers/worker-1.log"):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content := dice.randbytes(2000))
            logs.append(_log(name, content))
        for number in range(0, 20, 5):
            file = folder / f"attempts/cli/t{number}/1/output.log"
            file.parent.mkdir(parents=True)
            file.write_bytes(content := dice.randbytes(2000))
            evidence[number] = _log(str(file.relative_to(folder)), content)
        kept = folder.rename(Path(scratch) / "kept")
        record(folder, plan_of(20), 20, evidence, tuple(logs), FLIPPED_SEGMENT)
        for name in ("attempts", "services", "workers"):
            (kept / name).rename(folder / name)
        ledgers = list(segments(folder / LEDGER))
        files = [*ledgers, *sorted(folder.glob("*/**/*.log"))]
        whole = {file: file.read_bytes() for file in files}
        if audit(folder).damage is not None:
            return 0
        sizes = [len(whole[file]) for file in files]
        for _ in range(count):
            [file] = dice.choices(files, sizes)
            changed = bytearray(whole[file])
            changed[dice.randrange(len(changed))] ^= dice.randrange(1, 256)
            file.write_bytes(changed)
            found += audit(folder).damage is not None
            file.write_bytes(whole[file])
    return found


def crashes(kills: int, cuts: int) -> str:
    """Return the table of kills and power cuts; three projects at a time, for a run mostly waits."""
    half = kills // 2
    jobs = [(kills - half, 2026, False), (half, 2027, False), (cuts, 2028, True)]
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(len(jobs)) as pool:
        first, second, cut = pool.map(
            lambda job: crash(Path(scratch) / str(job[1]), job[0], job[1], power_cut=job[2]), jobs
        )
    rows = [
        (
            name,
            *(
                str(sum(getattr(one, what) for one in found))
                for what in ("kills", "lost", "doubled", "broken", "other", "cuts", "unsaid")
            ),
        )
        for name, found in (("SIGKILL", (first, second)), ("power cut", (cut,)))
    ]
    heads = (
        "end of a run",
        "hits",
        "verdicts lost",
        "passed tests run again",
        "chains broken",
        "other reports",
        "output lost that was not shown",
        "and not named",
    )
    return table("Runs that were ended, then resumed", heads, rows)


def run(
    appended: int = 1000,
    folded: int = 1_000_000,
    tests: int = 10_000,
    flipped: int = 10_000,
    kills: int = 300,
    cuts: int = 100,
    rounds: int = 5,
) -> str:
    """Return the tables."""
    found = [appends(appended), *folding(folded)]
    bits = table("Changes of one byte", ("changed", "found"), [(f"{flipped:,}", f"{flips(flipped, 2026):,}")])
    return "\n".join([figures("Ledger: ratios", found), status(tests, rounds), bits, crashes(kills, cuts)])
