"""The output of commands that passed lies in one file of the run: appended, bound by its digest, and read as a part of it."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from orchestra.errors import MachineError
from orchestra.ledger import log
from orchestra.ledger.event import Note
from orchestra.ledger.evidence_file import at_place, evidence_digest, open_evidence
from orchestra.ledger.log import Writer
from orchestra.ledger.parts import Evidence
from orchestra.ledger.view import view_of
from orchestra.runtime.attempt import PASSED_BYTES, EvidenceFile, Result
from orchestra.runtime.attempts import passed
from orchestra.runtime.attempts.passed import FILE, PassedOutput
from orchestra.runtime.attempts.record import evidence_gone
from orchestra.runtime.processes.command_log import settle
from tests.support import runs


def logged(output: PassedOutput, folder: str, content: bytes, **changes) -> Result:
    """A result whose log lies apart."""
    log = output.log_of(folder)
    Path(log).write_bytes(content)
    one = EvidenceFile("output.log", "log", masked=True, apart=log)
    return Result("cli:a", 1, changes.pop("outcome", "passed"), 0.1, evidence=(one,), **{"exit_code": 0} | changes)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / ".orchestra/s/runs/one"
    folder.mkdir(parents=True)
    return folder


def kept(run, *contents: bytes, output: PassedOutput | None = None) -> list[Evidence]:
    output = output or PassedOutput(run)
    found = []
    for number, content in enumerate(contents):
        folder = f"attempts/cli/a/{number}"
        found += output.kept(logged(output, folder, content), run / folder)
    output.close()
    return found


def test_what_passed_is_one_file_and_each_part_is_read_as_it_was(run):
    contents = [b"one\n", b"no end of line", b"\xff\x00", b"==> cli:a, attempt 1 <==\n"]
    parts = kept(run, *contents)
    assert [path.name for path in run.rglob("*") if path.is_file()] == ["passed.log"]
    for one, content in zip(parts, contents, strict=True):
        assert (one.path, one.kind, one.bytes) == (FILE, "log", len(content))
        assert (
            evidence_digest(run, one)
            == (one.digest, len(content))
            == (hashlib.sha256(content).hexdigest(), len(content))
        )
        with open_evidence(run, one) as file:
            assert file.read() == content
            assert (file.seek(0, os.SEEK_END), file.seek(1), file.seek(0, os.SEEK_CUR)) == (len(content), 1, 1)
            assert file.read(2) == content[1:3]
        with open_evidence(run, at_place(run, one.place)) as file:
            assert file.read() == content
    head = "==> cli:a, attempt 1 <==\n"
    assert (run / FILE).read_bytes().startswith(f"{head}one\n{head}no end of line\n{head}".encode())


def test_a_run_that_goes_on_appends_to_what_is_there(run):
    [first] = kept(run, b"first")
    with (run / FILE).open("ab") as file:
        file.write(b"of an attempt that no event names")
    [second] = kept(run, b"second")
    assert [evidence_digest(run, one)[1] for one in (first, second)] == [5, 6]
    assert evidence_digest(run, first)[0] == first.digest
    assert evidence_digest(run, second)[0] == second.digest


def test_a_part_that_was_changed_or_cut_off_is_not_what_was_recorded(run):
    first, second = kept(run, b"first", b"second")
    content = (run / FILE).read_bytes()
    (run / FILE).write_bytes(content.replace(b"first", b"firsT"))
    assert evidence_digest(run, first)[0] != first.digest
    assert evidence_digest(run, second)[0] == second.digest
    (run / FILE).write_bytes(content[:-1])
    assert evidence_digest(run, second)[1] == 5
    (run / FILE).write_bytes(content[:3])
    assert evidence_digest(run, second)[1] == 0
    with open_evidence(run, second) as file:
        assert file.seek(0, os.SEEK_END) == 0
    (run / FILE).unlink()
    with pytest.raises(OSError):
        evidence_digest(run, first)


@pytest.mark.parametrize(
    "changes", [{"outcome": "failed"}, {"exit_code": None}, {"content": b"x" * (PASSED_BYTES + 1)}, {"pipe": True}]
)
def test_a_log_that_did_not_pass_or_is_long_or_no_file_goes_to_its_folder(run, changes):
    output, pipe = PassedOutput(run), changes.pop("pipe", False)
    result = logged(output, "attempts/cli/a/1", changes.pop("content", b"said"), **changes)
    if pipe:
        Path(result.evidence[0].apart).unlink()
        os.mkfifo(result.evidence[0].apart)
    found = output.kept(result, run / "attempts/cli/a/1")
    assert [one.place for one in found] == ([] if pipe else ["attempts/cli/a/1/output.log"])
    assert not (run / FILE).exists()
    assert os.path.lexists(run / "attempts/cli/a/1/output.log")
    output.close()


def test_a_log_with_other_files_goes_to_their_folder(run):
    output, folder = PassedOutput(run), run / "attempts/cli/a/1"
    result = logged(output, "attempts/cli/a/1", b"said")
    folder.mkdir(parents=True)
    (folder / "more.txt").write_bytes(b"more")
    more = Result(
        "cli:a", 1, "passed", 0.1, evidence=(*result.evidence, EvidenceFile("more.txt", "attachment")), exit_code=0
    )
    assert [one.place for one in output.kept(more, folder)] == [
        "attempts/cli/a/1/output.log",
        "attempts/cli/a/1/more.txt",
    ]


def test_a_disk_that_refuses_to_append_costs_no_log(run):
    output, folder = PassedOutput(run), run / "attempts/cli/a/1"
    result = logged(output, "attempts/cli/a/1", b"said")
    (run / FILE).mkdir()
    assert [one.place for one in output.kept(result, folder)] == ["attempts/cli/a/1/output.log"]
    assert (folder / "output.log").read_bytes() == b"said"


def test_a_link_out_of_the_run_in_the_place_of_a_log_makes_it_missing(run, tmp_path):
    """A command can replace its log while it runs; a record of the file behind it would be one that no audit accepts."""
    (tmp_path / "secret").write_text("outside")
    output = PassedOutput(run)
    result = logged(output, "attempts/cli/a/1", b"x")
    Path(result.evidence[0].apart).unlink()
    Path(result.evidence[0].apart).symlink_to(tmp_path / "secret")
    assert output.kept(result, run / "attempts/cli/a/1") == ()


def test_a_folder_in_the_place_of_a_log_makes_it_missing(run):
    output, folder = PassedOutput(run), run / "attempts/cli/a/1"
    (folder / "output.log" / "more").mkdir(parents=True)
    assert output.kept(logged(output, "attempts/cli/a/1", b"said", outcome="failed"), folder) == ()


@pytest.mark.parametrize("left", [False, True])
def test_the_folder_of_a_pass_remains_where_something_is_in_it(run, left):
    output, folder = PassedOutput(run), run / "attempts/cli/a/1"
    folder.mkdir(parents=True)
    if left:
        (folder / "left.txt").write_bytes(b"")
    assert output.kept(Result("cli:a", 1, "passed", 0.1, exit_code=0), folder) == ()
    assert (folder.exists(), folder.parent.exists()) == (left, left)


def test_the_log_of_a_running_command_has_a_name_of_its_own(run):
    output = PassedOutput(run)
    long = "x" * 300
    folders = [
        f"attempts/{method}/{test}/{number}"
        for method in ("cli", "c")
        for test in ("a", "li~a", long)
        for number in (1, 2)
    ]
    logs = {output.log_of(folder) for folder in folders}
    assert len(logs) == len(folders)
    assert all(len(Path(log).name) < 255 and Path(log).parent == run / "output" for log in logs)
    assert output.log_of("attempts/cli/B010[s,l]/1-resume2") == str(run / "output/cli~B010[s,l]~1-resume2.log")


def test_a_silent_command_that_failed_has_an_empty_log(run):
    settle(run / "output/none.log", run / "attempts/cli/a/1/output.log")
    assert (run / "attempts/cli/a/1/output.log").read_bytes() == b""


def test_a_file_whose_name_looks_like_a_part_is_that_file(run):
    (run / "shot@1+2").write_bytes(b"abc")
    assert at_place(run, "shot@1+2").offset is None
    assert at_place(run, "shot@1+9").offset == 1


def test_a_part_counts_as_gone_when_its_file_is_shorter(run):
    parts = [msgspec.to_builtins(one) for one in kept(run, b"first", b"second")]
    made = [
        runs.run_started(),
        *runs.attempt("cli:B001", evidence=parts[:1]),
        *runs.attempt("cli:B002", evidence=parts[1:]),
    ]
    view = view_of(runs.events(made))
    gone = [evidence_gone(run, view)]
    os.truncate(run / FILE, parts[1]["offset"])
    gone.append(evidence_gone(run, view))
    (run / FILE).unlink()
    gone.append(evidence_gone(run, view))
    assert gone == [0, 1, 2]


def test_output_reaches_the_disk_before_the_event_that_binds_it(run, monkeypatch):
    done = []
    monkeypatch.setattr(passed, "sync_file", lambda _file: done.append("output"))
    monkeypatch.setattr(log, "sync_file", lambda _file: done.append("events"))
    output = PassedOutput(run)
    with Writer(run / "events.jsonl", now=lambda: datetime.now(UTC), before_sync=output.sync) as writer:
        output.kept(logged(output, "attempts/cli/a/1", b"said"), run / "attempts/cli/a/1")
        writer.append(Note(kind="n", message="binds it"))
        writer.sync()
        writer.append(Note(kind="n", message="binds nothing"))
        writer.sync()
        assert done == ["output", "events", "events"]
        output.close()


def test_a_disk_that_refuses_output_does_not_sync_the_events_either(run, monkeypatch):
    output = PassedOutput(run)
    output.kept(logged(output, "attempts/cli/a/1", b"said"), run / "attempts/cli/a/1")
    with monkeypatch.context() as refusing:
        refusing.setattr(passed, "sync_file", lambda _file: os.fsync(-1))
        with pytest.raises(MachineError, match=r'cannot sync ".*passed\.log"'):
            output.sync()
    output.close()


def test_parts_that_a_power_cut_took_are_lost_and_stay_so(run):
    parts = kept(run, b"one\n", b"two\n", b"three\n")
    bound = [*parts, Evidence(path="shot.png", digest="", bytes=9, kind="screenshot")]
    assert PassedOutput(run).take_over(bound) == 0
    size = (run / FILE).stat().st_size
    os.truncate(run / FILE, size - 1)
    assert PassedOutput(run).take_over(bound) == 1
    assert (run / FILE).stat().st_size == size, "later output does not take their place"
    [more] = kept(run, b"more\n")
    assert evidence_digest(run, more)[0] == more.digest
    assert [evidence_digest(run, one)[0] == one.digest for one in parts] == [True, True, False]
    (run / FILE).unlink()
    assert PassedOutput(run).take_over(bound) == 3
    (run / FILE).unlink()
    (run / FILE).mkdir()
    with pytest.raises(MachineError, match="cannot write"):
        PassedOutput(run).take_over(bound)
