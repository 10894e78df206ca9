"""The log: what is written is read, what was changed is found, what the disk refuses is said."""

import errno
import hashlib
import json
import os
import random
import threading
from datetime import UTC, datetime, timedelta, timezone

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestra.ledger.log as log_module
from orchestra.errors import MachineError
from orchestra.ledger.canonical import canonical
from orchestra.ledger.chain import GENESIS
from orchestra.ledger.event import GateJudged, Note, RunResumed, Seal, Unknown
from orchestra.ledger.log import Writer, run_id, utc_stamp
from orchestra.ledger.reading import LedgerError, Tail, read
from orchestra.ledger.segment import segments
from orchestra.ledger.versions import event_schema
from tests.support.ledgers import START, Clock, note, relinked, verify


def filled(path, count=5):
    with Writer(path, now=Clock()) as writer:
        for number in range(count):
            writer.append(note(f"number {number}"))
    return path


def test_a_line_is_the_canonical_json_of_its_event_and_the_hash_covers_all_else(tmp_path):
    path = tmp_path / "runs" / "one" / "events.jsonl"
    with Writer(path, now=Clock()) as writer:
        first = writer.append(note("émile 😊"))
        second = writer.append(
            GateJudged(
                phase="after",
                name="g",
                result="passed",
                expression="a < 1.0",
                values={"a": 0.5, "b": 1e-9},
                message="",
            )
        )
    lines = path.read_bytes().splitlines()
    assert len(lines) == 2
    for line, event in zip(lines, [first, second], strict=True):
        data = json.loads(line)
        assert data == msgspec.to_builtins(event)
        assert canonical(data) == line
        told = data.pop("hash")
        assert hashlib.sha256(canonical(data)).hexdigest() == told
    assert (first.seq, first.prev, first.time) == (1, GENESIS, "2026-01-02T03:04:05.000006Z")
    assert (second.seq, second.prev) == (2, first.hash)
    assert list(read(path)) == [first, second]
    assert verify(path) is None


plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(), st.dictionaries(st.text(), plain, max_size=3), st.booleans()), max_size=6))
def test_whatever_is_written_is_read_back_over_several_openings(tmp_path, notes):
    path = tmp_path / "events.jsonl"
    path.unlink(missing_ok=True)
    judge = jsonschema.Draft202012Validator(event_schema())
    written, writer = [], Writer(path, now=Clock())
    for message, data, reopen in notes:
        if reopen:
            writer.close()
            writer = Writer(path, now=Clock())
        written.append(writer.append(Note(message=message, data=data)))
    writer.close()
    assert list(read(path)) == written
    assert verify(path) is None
    assert [event.seq for event in written] == list(range(1, len(written) + 1))
    for line in path.read_bytes().splitlines():
        judge.validate(json.loads(line))


def test_half_a_surrogate_pair_from_a_page_does_not_stop_the_record(tmp_path):
    with Writer(tmp_path / "events.jsonl", now=Clock()) as writer:
        event = writer.append(note("before \udc80 after"))
    assert event.body == note("before \ufffd after")
    assert list(read(tmp_path / "events.jsonl")) == [event]


def test_a_mask_keeps_a_secret_out_of_free_text(tmp_path):
    path = tmp_path / "events.jsonl"
    with Writer(path, now=Clock(), mask=lambda text: text.replace("hunter2", "***")) as writer:
        writer.append(Note(message="said hunter2", kind="hunter2", data={"hunter2": ["hunter2"]}))
    assert next(read(path)).body == Note(message="said ***", kind="hunter2", data={"hunter2": ["***"]})


@pytest.mark.parametrize(
    "body", [Unknown({"a": 1}), Note(message="x", data={"a": float("nan")}), Note(message=object())]
)
def test_a_wrong_body_is_refused_and_nothing_is_written(tmp_path, body):
    path = tmp_path / "events.jsonl"
    with Writer(path, now=Clock()) as writer:
        with pytest.raises((ValueError, TypeError)):
            writer.append(body)
        assert path.read_bytes() == b""
        writer.append(note("goes on"))
    assert verify(path) is None


def test_every_change_of_one_byte_is_found_in_a_small_ledger(tmp_path):
    path = filled(tmp_path / "events.jsonl", 2)
    whole = path.read_bytes()
    border = whole.index(b"\n")
    for place in range(len(whole)):
        for flip in (0x01, 0x20, 0x80, whole[place] ^ 0x0A):  # the last one makes a line feed of any byte
            if not flip:
                continue
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            damage = verify(path)
            assert damage is not None, (place, flip)
            assert damage.line == (1 if place <= border else 2)


def test_random_changes_of_one_byte_are_found_at_their_line(tmp_path):
    path = filled(tmp_path / "events.jsonl", 50)
    whole, dice = path.read_bytes(), random.Random(6)
    for _ in range(300):
        place = dice.randrange(len(whole))
        other = dice.choice([value for value in range(256) if value != whole[place]])
        path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
        damage = verify(path)
        assert damage is not None
        assert damage.line == whole.count(b"\n", 0, place) + 1


def test_lines_taken_out_or_swapped_are_found(tmp_path):
    path = filled(tmp_path / "events.jsonl", 4)
    one, two, three, four = path.read_bytes().splitlines(keepends=True)
    for lines, line in [
        ((one, three, four), 2),
        ((one, three, two, four), 2),
        ((two, three, four), 1),
        ((one, two, two, three), 3),
    ]:
        path.write_bytes(b"".join(lines))
        assert verify(path).line == line
        with pytest.raises(LedgerError):
            list(read(path))


def test_a_damaged_line_is_named_and_the_ledger_is_not_opened_for_writing(tmp_path):
    path = filled(tmp_path / "events.jsonl", 4)
    damaged = path.read_bytes().replace(b"number 1", b"number 7")
    path.write_bytes(damaged)
    events = read(path)
    assert next(events).body == note("number 0")
    with pytest.raises(
        LedgerError, match=r"events\.jsonl:2: its content has the hash [0-9a-f]{12}…, but it states "
    ) as caught:
        next(events)
    assert caught.value.damage == verify(path)
    assert caught.value.exit_code == 3
    with pytest.raises(LedgerError):
        Writer(path, now=Clock())
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "line, message",
    [
        (b"", "it is not an event: it has no hash"),
        (b"{}", "it is not an event: it has no hash"),
        (
            b'{"a":1,"hash":"%s"' % hashlib.sha256(b'{"a":1').hexdigest().encode(),
            "it is not an event: Input data was truncated",
        ),
        (
            b'{"a":1,"hash":"%s"}' % hashlib.sha256(b'{"a":1}').hexdigest().encode(),
            "it is not an event: Object missing required field",
        ),
        (b'["a","hash":"%s"]' % hashlib.sha256(b'["a"]').hexdigest().encode(), "it is not an event: Expected `object`"),
    ],
)
def test_a_line_of_another_program_is_not_an_event(tmp_path, line, message):
    path = tmp_path / "events.jsonl"
    path.write_bytes(line + b"\n")
    assert verify(path).message.startswith(message)


def test_an_auditor_minds_time_going_back_odd_json_and_a_false_seal(tmp_path):
    path = filled(tmp_path / "events.jsonl", 3)
    relinked(path, 3, lambda data: data.update(time="2026-01-01T00:00:00.000000Z"))
    assert verify(path).line == 3
    assert "before that of the event before it" in verify(path).message
    assert len(list(read(path))) == 3

    path = filled(tmp_path / "numbers.jsonl", 3)
    relinked(path, 2, lambda data: data.update(seq=7))
    assert verify(path) == (path, 2, "it is number 7, but its place is 2")

    path = tmp_path / "sealed.jsonl"
    with Writer(path, now=Clock()) as writer:
        writer.append(note("x"))
        writer.seal()
    assert verify(path) is None
    relinked(path, 2, lambda data: data["body"].update(events=2))
    assert verify(path) == (path, 2, "it seals 2 events, but 1 precede it")

    path = filled(tmp_path / "spaced.jsonl", 1)
    data = json.loads(path.read_bytes())
    del data["hash"]
    text = json.dumps(data, sort_keys=True).replace(', "prev"', ',"prev"').encode()
    cut = text.index(b',"prev"')
    told = b',"hash":"' + hashlib.sha256(text).hexdigest().encode() + b'"'
    path.write_bytes(text[:cut] + told + text[cut:] + b"\n")
    assert len(list(read(path))) == 1
    assert verify(path) == (path, 1, "it is not in canonical JSON (RFC 8785)")


@pytest.mark.parametrize(
    "body, fault",
    [
        ('{"data":{"a":1e-9,"b":0.5},"kind":"x","message":"é"}', None),
        ('{"data":{},"kind":"","message":"with its defaults, as others may write them"}', None),
        ('{"message":"a field of a newer version","more":[1]}', None),
        ('{"message":"x","data":{}}', "odd"),
        ('{"data":{"a":1.0},"message":"x"}', "odd"),
        ('{"data":{"a":0.50},"message":"x"}', "odd"),
        (r'{"message":"\u0061"}', "odd"),
        ('{"message":"x" }', "odd"),
        ('{"message":"x","message":"x"}', "odd"),
        ('{"data":{"a":-0},"message":"x"}', "odd"),
    ],
)
def test_an_auditor_takes_canonical_lines_whoever_wrote_them_and_no_others(tmp_path, body, fault):
    path = tmp_path / "events.jsonl"
    front = f'{{"body":{body}'
    back = f',"prev":"{GENESIS}","seq":1,"time":"2026-01-02T03:04:05.000006Z","type":"note","v":1}}'
    told = hashlib.sha256((front + back).encode()).hexdigest()
    path.write_bytes(f'{front},"hash":"{told}"{back}\n'.encode())
    assert len(list(read(path))) == 1
    assert verify(path) == (fault and (path, 1, "it is not in canonical JSON (RFC 8785)"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.tuples(st.integers(0, 5), st.text(max_size=40)), max_size=20),
    size=st.integers(1, 4000),
    block=st.integers(1, 2000),
)
def test_events_written_many_at_a_time_are_those_written_one_by_one(tmp_path, monkeypatch, texts, size, block):
    monkeypatch.setattr(log_module, "_BLOCK_BYTES", block)
    timed = [(utc_stamp(START + timedelta(seconds=second)), note(text)) for second, text in texts]
    files = []
    for name in ("one", "many"):
        path, clock, seen = tmp_path / f"{name}.jsonl", [START], []
        with Writer(path, now=lambda clock=clock: clock[0], segment_bytes=size) as writer:
            if name == "many":
                writer.append_all(iter(timed), seen.append)
            for (second, _), (_, body) in zip(texts, timed, strict=True) if name == "one" else ():
                clock[0] = START + timedelta(seconds=second)
                seen.append(writer.append(body))
        assert [event for event in read(path) if event.type != "segment"] == seen
        files.append([file.read_bytes().replace(b"many", b"one") for file in segments(path)])
        for file in list(segments(path)):
            file.unlink()
    assert [len(text) for text in files[0]] == [len(text) for text in files[1]]
    assert files[0][0] == files[1][0]


def test_a_body_without_json_ends_a_block_before_it(tmp_path):
    path, seen = tmp_path / "events.jsonl", []
    stamp = utc_stamp(START)
    with Writer(path, now=Clock()) as writer:
        with pytest.raises(TypeError):
            writer.append_all([(stamp, note("a")), (stamp, Unknown({})), (stamp, note("b"))], seen.append)
        assert seen == list(read(path))
        writer.append(note("goes on"))
    assert verify(path) is None


def test_a_clock_set_back_does_not_turn_the_record_back(tmp_path):
    clock = Clock()
    with Writer(tmp_path / "events.jsonl", now=clock) as writer:
        first = writer.append(note("a"))
        clock.moment -= timedelta(hours=1)
        assert writer.append(note("b")).time == first.time
    assert verify(tmp_path / "events.jsonl") is None


def test_half_a_line_is_cut_at_every_length_and_that_is_recorded(tmp_path):
    path = filled(tmp_path / "events.jsonl", 3)
    whole = path.read_bytes()
    border = whole.rindex(b"\n", 0, -1) + 1
    for end in range(border + 1, len(whole)):
        path.write_bytes(whole[:end])
        tail = Tail(path)
        assert len(list(tail.poll())) == 2
        assert tail.torn == end - border
        assert verify(path) == (path, 3, f"truncated last line ({end - border} bytes)")
        with Writer(path, now=Clock()) as writer:
            writer.append(note("goes on"))
        _first, second, cut, more = read(path)
        assert cut.body == Note(
            message=f"a truncated last line of {end - border} bytes was removed from the ledger",
            kind="torn",
            data={"bytes": end - border, "line": 3},
        )
        assert (cut.seq, cut.prev, more.seq) == (3, second.hash, 4)
        assert verify(path) is None


def test_a_ledger_of_half_a_line_only_starts_again_at_one(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"body":\x00\x00')
    with Writer(path, now=Clock()):
        pass
    (event,) = read(path)
    assert (event.seq, event.body.kind) == (1, "torn")


def test_a_seal_counts_and_a_run_may_go_on_behind_it(tmp_path):
    path = tmp_path / "events.jsonl"
    with Writer(path, now=Clock()) as writer:
        last = writer.append(note("x"))
        assert writer.seal().body == Seal(events=1, head=last.hash)
    with Writer(path, now=Clock()) as writer:
        writer.append(RunResumed(run="r", rerun=()))
        assert writer.seal().body.events == 3
    assert verify(path) is None


def test_a_reader_follows_a_growing_ledger_and_takes_no_half_line(tmp_path):
    path = filled(tmp_path / "events.jsonl", 3)
    whole = path.read_bytes()
    tail, seen = Tail(path), []
    for end in range(0, len(whole) + 1, 7):
        path.write_bytes(whole[:end])
        seen += tail.poll()
    path.write_bytes(whole)
    seen += tail.poll()
    assert [event.seq for event in seen] == [1, 2, 3]
    assert list(tail.poll()) == []
    assert tail.tip.end == len(whole)


def test_threads_share_a_writer(tmp_path):
    path = tmp_path / "events.jsonl"
    with Writer(path, now=Clock()) as writer:

        def write(name):
            for number in range(50):
                writer.append(note(f"{name}:{number}"), sync=number % 10 == 0)

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    messages = [event.body.message for event in read(path)]
    assert verify(path) is None
    for name in "abcd":
        assert [text for text in messages if text.startswith(name)] == [f"{name}:{number}" for number in range(50)]


def test_verdicts_that_arrive_together_share_one_sync(tmp_path, monkeypatch):
    calls = []
    with Writer(tmp_path / "events.jsonl", now=Clock()) as writer:
        monkeypatch.setattr(log_module, "sync_file", lambda file: calls.append(os.fsync(file)))
        for _ in range(3):
            writer.append(note("x"))
        writer.sync()
        writer.sync()
    assert len(calls) == 1


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "events.jsonl"
    with Writer(path, now=Clock()), pytest.raises(MachineError, match=r'another process writes ".*events\.jsonl"'):
        Writer(path, now=Clock())
    Writer(path, now=Clock()).close()


def test_a_signal_in_the_middle_of_a_line_leaves_no_half_line_in_the_chain(tmp_path, monkeypatch):
    path, real = filled(tmp_path / "events.jsonl", 1), log_module._write_all

    def interrupted(file, line):
        real(file, line[: len(line) // 2])
        raise KeyboardInterrupt

    writer = Writer(path, now=Clock())
    monkeypatch.setattr(log_module, "_write_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.append(note("interrupted"))
    monkeypatch.setattr(log_module, "_write_all", real)
    writer.append(note("next"))
    monkeypatch.setattr(log_module, "_write_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.append(note("interrupted"))
    writer.close()
    writer.close()
    assert [event.body.message for event in read(path)] == ["number 0", "next"]
    assert verify(path) is None


def test_after_a_failed_sync_the_writer_takes_no_more(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    writer = Writer(path, now=Clock())

    def refuse(_file):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(log_module, "sync_file", refuse)
    with pytest.raises(MachineError, match=r'cannot sync ".*events\.jsonl": input/output error'):
        writer.append(note("x"), sync=True)
    monkeypatch.undo()
    with pytest.raises(MachineError, match="cannot sync"):
        writer.append(note("y"))
    with pytest.raises(MachineError, match="cannot sync"):
        writer.close()
    Writer(path, now=Clock()).close()
    assert verify(path) is None


def test_a_file_that_cannot_be_opened_or_read_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(MachineError, match=r'cannot open ".*file/events\.jsonl": (not a directory|file exists)'):
        Writer(tmp_path / "file" / "events.jsonl", now=Clock())
    with pytest.raises(MachineError, match=r'cannot read ".*none\.jsonl": no such file or directory'):
        list(read(tmp_path / "none.jsonl"))
    with pytest.raises(MachineError, match=r'cannot read ".*none\.jsonl": no such file or directory'):
        verify(tmp_path / "none.jsonl")


NEWEST = "20260630T230203Z-"


@pytest.mark.parametrize(
    "newest, token, made",
    [
        ("", "0a1f", f"{NEWEST}0a1f"),
        ("20260630T230202Z-ffff", "0a1f", f"{NEWEST}0a1f"),
        (f"{NEWEST}0a1e", "0a1f", f"{NEWEST}0a1f"),
        (f"{NEWEST}0a1f", "0a1f", f"{NEWEST}0a2a"),
        (f"{NEWEST}fff5", "0a1f", "20260630T230204Z-0a1f"),
        (f"{NEWEST}fff4", "0a1f", f"{NEWEST}ffff"),
        ("20301231T235959Z-ff00", "ff00", "20310101T000000Z-ff00"),
    ],
    ids=["first", "a second later", "by chance", "same second", "no room", "last room", "clock set back"],
)
def test_run_ids_sort_in_the_order_of_runs(newest, token, made):
    assert run_id(datetime(2026, 6, 30, 23, 2, 3, tzinfo=UTC), token, newest) == made
    assert made > newest


def test_stamps_and_run_ids_are_utc():
    summer = timezone(timedelta(hours=2))
    moment = datetime(2026, 7, 1, 1, 2, 3, 4, tzinfo=summer)
    assert utc_stamp(moment) == "2026-06-30T23:02:03.000004Z"
    assert run_id(moment, "0a1f") == "20260630T230203Z-0a1f"
    with pytest.raises(ValueError, match='four hexadecimal digits, not "0A1F"'):
        run_id(moment, "0A1F")
    for maker in (utc_stamp, lambda when: run_id(when, "0a1f")):
        with pytest.raises(ValueError, match="has no zone"):
            maker(datetime(2026, 7, 1))  # noqa: DTZ001 (what is refused)
