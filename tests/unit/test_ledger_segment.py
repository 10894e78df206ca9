"""A long ledger in several files: read as one, bound together, whole after a crash at any step of the change of files."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestra.ledger.log as log_module
from orchestra.errors import MachineError
from orchestra.ledger.canonical import canonical
from orchestra.ledger.disk import file_digest
from orchestra.ledger.log import Writer
from orchestra.ledger.reading import LedgerError, Tail, read
from orchestra.ledger.segment import segment_path, segments
from tests.support.ledgers import Clock, note, relinked, verify

SMALL = 900


def filled(path: Path, count: int = 12, size: int = SMALL) -> Path:
    with Writer(path, now=Clock(), segment_bytes=size) as writer:
        for number in range(count):
            writer.append(note(f"number {number}"))
        writer.seal()
    return path


def said(path: Path) -> list[str]:
    return [event.body.message for event in read(path) if event.type == "note"]


def test_a_full_file_is_followed_by_one_that_binds_it(tmp_path):
    path = filled(tmp_path / "events.jsonl")
    files = list(segments(path))
    assert [file.name for file in files][:3] == ["events.jsonl", "events-2.jsonl", "events-3.jsonl"]
    for before, file in itertools.pairwise(files):
        first = json.loads(file.read_bytes().splitlines()[0])
        digest, size = file_digest(before)
        assert SMALL <= size < SMALL + 400
        assert (first["type"], first["body"]["file"]) == ("segment", before.name)
        assert (first["body"]["digest"], first["body"]["bytes"]) == (digest, size)
        assert (first["body"]["events"], first["body"]["head"]) == (first["seq"] - 1, first["prev"])
    events = list(read(path))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert said(path) == [f"number {number}" for number in range(12)]
    assert events[-1].type == "seal"
    assert verify(path) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(1, 2000),
    parts=st.lists(st.lists(st.integers(0, 400), max_size=5), max_size=4),
    seals=st.booleans(),
)
def test_however_short_the_files_the_same_is_read(tmp_path_factory, size, parts, seals):
    path = tmp_path_factory.mktemp("ledger") / "events.jsonl"
    told = []
    for part in parts:
        with Writer(path, now=Clock(), segment_bytes=size) as writer:
            for length in part:
                told.append("x" * length)
                writer.append(note(told[-1]))
            if seals:
                writer.seal()
    assert verify(path) is None if path.exists() else not parts
    assert said(path) == told if parts else True


def test_a_reader_follows_a_growing_ledger_from_file_to_file(tmp_path):
    path = tmp_path / "events.jsonl"
    seen, told = [], []
    with Writer(path, now=Clock(), segment_bytes=SMALL) as writer:
        tail = Tail(path)
        for number in range(20):
            told.append(writer.append(note(f"number {number}")))
            seen += tail.poll()
            assert tail.path == segment_path(path, writer.tip.segment)
            assert tail.tip == writer.tip
    assert [event for event in seen if event.type == "note"] == told
    assert [event.seq for event in seen] == list(range(1, writer.tip.seq + 1))


def test_every_change_of_one_byte_is_found_in_each_file(tmp_path):
    path, dice = filled(tmp_path / "events.jsonl"), random.Random(3)
    for file in segments(path):
        whole = file.read_bytes()
        for _ in range(60):
            changed = bytearray(whole)
            place = dice.randrange(len(whole))
            changed[place] ^= dice.randrange(1, 256)
            file.write_bytes(changed)
            finding = verify(path)
            line = whole[:place].count(b"\n") + 1
            assert finding is not None, (file, place)
            assert (finding.path, finding.line) == (file, line), finding
        file.write_bytes(whole)
    assert verify(path) is None


def test_what_is_missing_of_several_files_is_found(tmp_path):
    path = filled(tmp_path / "events.jsonl")
    first, second, third, fourth, *_ = segments(path)
    for file, place, text in (
        (second, first, "events-2.jsonl is missing, though events-3.jsonl is there"),
        (third, second, "events-3.jsonl is missing, though events-4.jsonl is there"),
    ):
        kept = file.rename(tmp_path / "kept")
        finding = verify(path)
        assert finding is not None
        assert (finding.path, text in finding.message) == (place, True), finding
        with pytest.raises(LedgerError, match="is missing"):
            Writer(path, now=Clock())
        kept.rename(file)
    whole = first.read_bytes()
    first.write_bytes(whole[:-5])
    with pytest.raises(
        LedgerError, match=r"events\.jsonl:\d+: truncated last line \(\d+ bytes\), but events-2\.jsonl follows"
    ):
        list(read(path))
    first.write_bytes(whole[: whole[:-1].rindex(b"\n") + 1])
    finding = verify(path)
    assert finding is not None
    assert (finding.path, finding.line) == (second, 1)
    first.write_bytes(whole)
    swapped = third.read_bytes()
    third.write_bytes(fourth.read_bytes())
    fourth.write_bytes(swapped)
    finding = verify(path)
    assert finding is not None
    assert (finding.path, finding.line) == (third, 1)


def test_a_file_that_binds_another_is_found_by_an_auditor(tmp_path):
    path = filled(tmp_path / "events.jsonl", 4)
    for change, text in (
        (lambda data: data["body"].update(digest="0" * 64), "it binds the file before with digest"),
        (lambda data: data["body"].update(bytes=1), 'it binds the file before with bytes "1"'),
    ):
        second = segment_path(path, 2)
        whole = second.read_bytes()
        first = json.loads(whole.splitlines()[0])
        relinked_from(second, first["seq"], first["prev"], change)
        assert list(read(path))
        finding = verify(path)
        assert finding is not None
        assert (finding.path, finding.line, text in finding.message) == (second, 1, True), finding
        second.write_bytes(whole)
    body = json.loads(second.read_bytes().splitlines()[0])["body"]
    relinked(path, 2, lambda data: data.update(type="segment", body=body))
    finding = verify(path)
    assert finding is not None
    assert "is in the middle" in finding.message


def relinked_from(file: Path, seq: int, prev: str, change) -> None:
    """As `relinked`, of a further file."""
    lines = []
    for line in file.read_bytes().splitlines():
        data = json.loads(line)
        if data["seq"] == seq:
            change(data)
        data["prev"] = prev
        del data["hash"]
        prev = data["hash"] = hashlib.sha256(canonical(data)).hexdigest()
        lines.append(canonical(data))
    file.write_bytes(b"\n".join(lines) + b"\n")


class Killed(BaseException):
    """The process is no more."""


class Crash:
    """Ends everything at a numbered system call, and knows what had reached the disk by then.

    A write that is cut off leaves its first half. After a power cut a file has what was synced and a part of what was not,
    and a file that was made is there for sure only when its folder was synced.
    """

    def __init__(self, at: int, monkeypatch) -> None:
        self.left = at
        self.synced: dict[str, int] = {}
        self.named: set[str] = set()
        real = {name: getattr(os, name) for name in ("open", "write", "ftruncate", "fsync")}

        def wrapped(name):
            def call(*arguments, **named):
                self.left -= 1
                if self.left < 0:
                    if name == "write":
                        real["write"](arguments[0], arguments[1][: len(arguments[1]) // 2])
                    raise Killed
                if name == "fsync":
                    self._reached(arguments[0])
                return real[name](*arguments, **named)

            return call

        for name in real:
            monkeypatch.setattr(os, name, wrapped(name))

    def _reached(self, descriptor: int) -> None:
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        if file.is_dir():
            self.named |= {str(one) for one in file.iterdir()}
        else:
            self.synced[str(file)] = file.stat().st_size

    def cut_power(self, folder: Path, dice: random.Random) -> None:
        for file in sorted(folder.iterdir()):
            if str(file) not in self.named and dice.randrange(2):
                file.unlink()
                continue
            size = file.stat().st_size
            os.truncate(file, dice.randint(self.synced.get(str(file), 0), size))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc which file was synced")
@pytest.mark.parametrize("power_cut", [False, True])
def test_a_crash_at_each_step_of_a_change_of_files_leaves_old_or_new(tmp_path, monkeypatch, power_cut):
    dice = random.Random(5)
    ended = False
    for step in itertools.count():
        if ended:
            break
        path = tmp_path / str(step) / "events.jsonl"
        path.parent.mkdir()
        told: list[str] = []
        writer = Writer(path, now=Clock(), segment_bytes=SMALL)
        with monkeypatch.context() as patch:
            crash = Crash(step, patch)
            crash.named.add(str(path))
            try:
                for number in range(8):
                    writer.append(note(f"number {number}"), sync=number % 2 == 0)
                    told = [f"number {one}" for one in range(number + 1)] if number % 2 == 0 else told
                ended = True
            except Killed:
                pass
        writer._let_go()  # as the end of the process would
        if power_cut:
            crash.cut_power(path.parent, dice)
        assert said(path)[: len(told)] == told, step
        with Writer(path, now=Clock(), segment_bytes=SMALL) as again:
            again.append(note("goes on"))
            again.seal()
        assert [one for one in said(path) if one.startswith("number")][: len(told)] == told, step
        assert "goes on" in said(path)
        assert verify(path) is None, step
    assert step > 20
    assert len(list(segments(path))) > 3


def test_an_end_within_the_first_line_of_a_further_file_is_mended_there_alone(tmp_path):
    path = filled(tmp_path / "events.jsonl", 4)
    second = segment_path(path, 2)
    assert len(list(segments(path))) == 2
    whole, before = second.read_bytes(), path.read_bytes()
    for end in (0, 1, 40, whole.index(b"\n")):
        second.write_bytes(whole[:end])
        assert len(list(read(path))) == before.count(b"\n")
        with Writer(path, now=Clock(), segment_bytes=SMALL) as writer:
            writer.append(note("goes on"))
        kinds = [event.type for event in read(path)][before.count(b"\n") :]
        assert kinds == (["segment", "note", "note"] if end else ["segment", "note"])
        assert path.read_bytes() == before
        assert verify(path) is None


def test_a_signal_in_the_middle_of_a_change_of_files_costs_nothing(tmp_path, monkeypatch):
    path, real = tmp_path / "events.jsonl", log_module._write_all
    writer = Writer(path, now=Clock(), segment_bytes=SMALL)

    def interrupted(file, line):
        if b'"type":"segment"' in line:
            monkeypatch.setattr(log_module, "_write_all", real)
            real(file, line[: len(line) // 2])
            raise KeyboardInterrupt
        real(file, line)

    monkeypatch.setattr(log_module, "_write_all", interrupted)
    told = 0
    for number in range(8):
        try:
            writer.append(note(f"number {number}"))
        except KeyboardInterrupt:
            told += 1
    writer.close()
    assert told == 1
    assert len(said(path)) == 7
    assert verify(path) is None


def test_a_file_that_cannot_be_made_is_said_and_the_record_goes_on_when_it_can(tmp_path):
    path = tmp_path / "events.jsonl"
    with Writer(path, now=Clock(), segment_bytes=SMALL) as writer:
        segment_path(path, 2).mkdir()
        while writer.tip.end < SMALL:
            writer.append(note("fills it"))
        with pytest.raises(MachineError, match=r'cannot open ".*events-2\.jsonl": is a directory'):
            writer.append(note("has no room"))
        segment_path(path, 2).rmdir()
        writer.append(note("goes on"))
    assert said(path)[-1] == "goes on"
    assert verify(path) is None
