"""The caches of earlier runs: made by runs, made again from their ledgers, never in the way of one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.ledger import history, run_record
from orchestra.ledger.event import RunFinished
from orchestra.ledger.log import Writer
from orchestra.ledger.origin import Provenance, machine_shape
from orchestra.ledger.run_record import Attempt, Execution, LastExecution, RunRecord
from orchestra.ledger.view import View, view_of
from tests.support import runs as samples
from tests.support.events import body as body_of

FACTS = {"system": "Linux 6.1", "machine": "x86_64", "cores": 2, "memory_megabytes": 7950}


def write(home, run, made, *, finished=True, apart=0):
    """A ledger of these events, so many seconds apart, below a suite's folder."""
    folder = home / "runs" / run
    ticks = itertools.count()
    begun = datetime(2026, 1, 2, tzinfo=UTC)
    with Writer(folder / "events.jsonl", now=lambda: begun + timedelta(seconds=apart * next(ticks))) as writer:
        facts = {**FACTS, "git": {"commit": "c" * 40, "branch": "main", "dirty_files": 1}}
        writer.append(body_of(*samples.run_started(run=run, provenance=facts)))
        for kind, body in made:
            writer.append(body_of(kind, body))
        if finished:
            writer.append(RunFinished(exit_code=0, counts={}, seconds=3.0, gates={}))
            writer.seal()
    return folder


def test_a_machine_has_one_word():
    assert machine_shape(msgspec.convert(FACTS, Provenance)) == "linux-x86_64-2cpu-8gb"
    assert machine_shape(Provenance()) == "unknown-unknown-0cpu-0gb"


def test_a_record_holds_what_a_run_executed(tmp_path):
    error = {"kind": "assertion", "message": "x" * 500}
    made = [
        *samples.attempt("cli:B001", 1, "failed", error=error, retry=True, seconds=2.0),
        *samples.attempt("cli:B001", 2, seconds=1.0),
        samples.verdict("cli:B001", "flaky", attempts=2, inputs="d1", reads=True),
        *samples.attempt("cli:B002", 1, "interrupted"),
        samples.verdict("cli:B002", "interrupted"),
        samples.verdict("cli:B003", "skipped", attempts=0),
        *samples.attempt("cli:B004", 1, "failed", error=error, infra_suspect=True, retry=True),
        *samples.attempt("cli:B004", 2),
        samples.verdict("cli:B004", attempts=2),
        *samples.attempt("cli:B006"),  # without a verdict: the run was ended
    ]
    write(tmp_path, "20260102T000000Z-0001", made)
    [record], refused = history.refresh(tmp_path)
    assert refused == []
    assert (record.run, record.machine, record.commit, record.branch, record.dirty) == (
        "20260102T000000Z-0001",
        "linux-x86_64-2cpu-8gb",
        "c" * 40,
        "main",
        1,
    )
    assert (record.finished, record.exit_code, record.seconds) == (True, 0, 3.0)
    assert record.executions == {
        "cli:B001": Execution(
            "flaky",
            "",
            "d1",
            (Attempt("failed", 2.0, error["kind"]), Attempt("passed", 1.0)),
            message="x" * run_record.MESSAGE,
        ),
        "cli:B004": Execution("passed", attempts=(Attempt("passed", 1.25),)),
    }
    assert record.executions["cli:B001"].passing == 1.0


def test_a_record_holds_what_the_last_attempt_used(tmp_path):
    used = {"cpu_seconds": 0.5, "peak_rss_megabytes": 90.0}
    made = [
        *samples.attempt(
            "cli:B001", 1, "failed", error={"kind": "assertion", "message": "x"}, retry=True, resources=used
        ),
        *samples.attempt("cli:B001", 2, resources=used),
        samples.verdict("cli:B001", "flaky", attempts=2),
        *samples.attempt("cli:B002", 1, resources={**used, "tree_megabytes": 200.0}),
        samples.verdict("cli:B002"),
    ]
    write(tmp_path, "20260102T000000Z-0001", made, apart=2)
    [record], _ = history.refresh(tmp_path)
    first, last = record.executions["cli:B001"].attempts
    assert (first.held_seconds, first.cpu_seconds) == (0.0, 0.5)
    assert last.held_seconds == 2.0
    assert last.megabytes == 90.0
    assert record.executions["cli:B002"].attempts[0].megabytes == 200.0
    [shown, _] = history.plain(record, {"cli:B001"})["executions"]["cli:B001"]["attempts"]
    assert "held_seconds" not in shown
    assert shown["cpu_seconds"] == 0.5


CLEAN, DIRTY = {"commit": "c" * 40, "dirty_files": 0}, {"commit": "c" * 40, "dirty_files": 1}
PLAIN = f"{samples.PLAN.digest()} {'c' * 40}"


@pytest.mark.parametrize(
    "git, first, second, known",
    [
        (DIRTY, {}, {}, [samples.RUN, f"{samples.RUN}.1"]),
        (CLEAN, {}, {}, [PLAIN, PLAIN]),
        (DIRTY, {"inputs": "d1"}, {"inputs": "d2"}, ["d1", "d2"]),
        (CLEAN, {"inputs": "d2"}, {"inputs": "d2"}, ["d2", "d2"]),
        (CLEAN, {}, {"inputs": "d2"}, [PLAIN, "d2"]),  # as version 0.1 recorded it: no attempt tells its inputs
    ],
)
def test_an_attempt_is_known_by_its_own_inputs_over_a_resume(git, first, second, known):
    told = second.get("inputs")
    own = {} if git is CLEAN and not first and told else second
    made = [
        samples.run_started(provenance={"git": git}),
        *samples.attempt("cli:B001", 1, "failed", **first),
        samples.verdict("cli:B001", "failed"),
        ("run_resumed", {"run": samples.RUN, "rerun": ["cli:B001"], "provenance": {"git": git}}),
        *samples.attempt("cli:B001", 1, **own),
        samples.verdict("cli:B001", inputs=told, reads=bool(told)),
    ]
    record = run_record.record_of(view_of(samples.events(made)))
    assert record is not None
    found = list(record.executions["cli:B001"].by_inputs(record))
    assert [(key, one.outcome) for key, one in found] == list(zip(known, ("failed", "passed"), strict=True))


def test_the_cache_grows_by_what_it_lacks_and_outlives_the_ledgers(tmp_path):
    first = write(tmp_path, "20260102T000000Z-0001", samples.passed("cli:B001", 1.0))
    assert [one.run for one in history.refresh(tmp_path)[0]] == [first.name]
    open_run = write(tmp_path, "20260103T000000Z-0001", [], finished=False)
    assert [one.finished for one in history.refresh(tmp_path)[0]] == [True, False]
    (open_run / "events.jsonl").unlink()
    write(tmp_path, "20260103T000000Z-0001", samples.passed("cli:B001", 2.0))
    (first / "events.jsonl").unlink()
    records = history.refresh(tmp_path)[0]
    assert [(record.run, record.finished, len(record.executions)) for record in records] == [
        (first.name, True, 1),
        (open_run.name, True, 1),
    ]
    assert [one.run for one in history.refresh(tmp_path, rebuild=True)[0]] == [open_run.name]


def test_a_damaged_ledger_is_named_and_left_out(tmp_path):
    good = write(tmp_path, "20260102T000000Z-0001", samples.passed("cli:B001"))
    bad = write(tmp_path, "20260103T000000Z-0001", samples.passed("cli:B001"))
    lines = (bad / "events.jsonl").read_text().splitlines(keepends=True)
    (bad / "events.jsonl").write_text(lines[0] + "not json\n" + "".join(lines[2:]))
    records, [sentence] = history.refresh(tmp_path)
    assert [record.run for record in records] == [good.name]
    assert bad.name in sentence


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\n", b'{"orchestra":"executions","format":1}\n{"run":"x"}\n'])
def test_a_cache_of_another_form_is_made_anew(tmp_path, content):
    (tmp_path / history.EXECUTIONS).write_bytes(content)
    assert history.executions(tmp_path) == []
    write(tmp_path, "20260102T000000Z-0001", samples.passed("cli:B001"))
    assert len(history.refresh(tmp_path)[0]) == 1


def test_a_torn_line_of_the_cache_is_left_out_and_made_again(tmp_path):
    for number in (1, 2):
        write(tmp_path, f"20260102T000000Z-000{number}", samples.passed("cli:B001"))
    history.refresh(tmp_path)
    file = tmp_path / history.EXECUTIONS
    file.write_bytes(file.read_bytes()[:-20])
    assert [execution.run for execution in history.executions(tmp_path)] == ["20260102T000000Z-0001"]
    assert len(history.refresh(tmp_path)[0]) == 2


def test_the_cache_keeps_the_latest_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "KEPT_RUNS", 2)
    for name in ("c", "a", "b", "a"):
        (tmp_path / history.EXECUTIONS).write_bytes(history.with_record(tmp_path, RunRecord(name)))
    assert [execution.run for execution in history.executions(tmp_path)] == ["b", "c"]
    monkeypatch.setattr(history, "KEPT_BYTES", 1)
    (tmp_path / history.EXECUTIONS).write_bytes(history.with_record(tmp_path, RunRecord("d")))
    assert [execution.run for execution in history.executions(tmp_path)] == ["d"]


def test_shards_that_were_merged_again_count_once(tmp_path):
    for name, shards in (("a", ("1", "2")), ("c", ("2", "3")), ("b", ("3", "4")), ("d", ("5",))):
        (tmp_path / history.EXECUTIONS).write_bytes(history.with_record(tmp_path, RunRecord(name, shards=shards)))
    assert [execution.run for execution in history.executions(tmp_path)] == ["c", "d"]


def test_last_executions_come_from_the_other_cache_when_their_file_is_gone(tmp_path):
    runs = [
        RunRecord("1", executions={"cli:a": Execution("passed", inputs="d", attempts=(Attempt("passed", 1.0),))}),
        RunRecord("2", executions={"cli:b": Execution("failed", inputs="d", attempts=(Attempt("failed", 2.0),))}),
    ]
    for run in runs:
        (tmp_path / history.EXECUTIONS).write_bytes(history.with_record(tmp_path, run))
    file = tmp_path / history.LAST
    expected = {"cli:a": LastExecution(1.0, "1", "d"), "cli:b": LastExecution(2.0)}
    assert history.load(file) == expected
    file.write_bytes(history.encoded({"cli:a": LastExecution(7.0, "1", "d")}))
    assert history.load(file) == {"cli:a": LastExecution(7.0, "1", "d")}
    file.write_text('{"cli:a": {"seconds": 1.0}}')  # as the first version wrote it
    assert history.load(file) == expected


names = st.text(min_size=1, max_size=5)
runs = st.builds(
    RunRecord,
    run=names,
    machine=names,
    executions=st.dictionaries(
        names,
        st.builds(
            Execution,
            verdict=st.sampled_from(["passed", "failed", "flaky"]),
            browser=names,
            inputs=names,
            attempts=st.lists(st.builds(Attempt, st.sampled_from(["passed", "failed"]), st.floats(0, 9e9))).map(tuple),
            repeats=st.lists(st.floats(0, 9e9)).map(tuple),
            message=st.text(max_size=9),
        ),
    ),
)


@given(st.lists(runs, max_size=4, unique_by=lambda one: one.run))
def test_the_cache_gives_back_what_it_was_given(tmp_path_factory, made):
    home = tmp_path_factory.mktemp("home")
    for record in made:
        (home / history.EXECUTIONS).write_bytes(history.with_record(home, record))
    assert history.executions(home) == sorted(made, key=lambda one: one.run)


def test_a_run_of_which_not_even_the_start_is_known_has_no_record():
    assert run_record.record_of(View()) is None
