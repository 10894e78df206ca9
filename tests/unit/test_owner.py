"""What a user wrote on a machine is known again by his key, and by nothing else."""

from __future__ import annotations

import json
import os
import re

import pytest

from orchestra import owner
from orchestra.ledger.author import Author
from orchestra.ledger.log import Writer
from orchestra.ledger.reading import LedgerError, Tail, last_mark, read
from orchestra.ledger.segment import segments
from tests.support.ledgers import Clock, note, verify

SECRET = bytes(range(32))
OTHER = bytes(32)


def filled(path, number: int, *, secret: bytes = SECRET, trust: bool = False, **how):
    with Writer(path, now=Clock(), author=Author(secret, trust=trust), **how) as writer:
        for count in range(number):
            writer.append(note(f"{count}"))
    return path


def is_own(path, secret: bytes = SECRET) -> bool:
    return owner.is_own(secret, *last_mark(path))


def tip_of(path) -> tuple[str, str]:
    tail = Tail(path)
    for _ in tail.poll():
        pass
    return tail.tip.hash, tail.tip.mac


@pytest.mark.parametrize("how", [{}, {"segment_bytes": 900}], ids=["one file", "segments"])
def test_the_last_line_speaks_for_the_whole_ledger(tmp_path, how):
    path = filled(tmp_path / "events.jsonl", 9, **how)
    assert is_own(path)
    assert not is_own(path, OTHER)
    assert last_mark(path) == tip_of(path)
    assert verify(path) is None
    assert list(read(path))[-1].mac == last_mark(path)[1]


def test_half_a_line_behind_it_is_passed_over(tmp_path):
    path = filled(tmp_path / "events.jsonl", 2)
    with path.open("ab") as file:
        file.write(b'{"body":{"message":"half a line')
    assert is_own(path)


@pytest.mark.parametrize("left", [b"", b'{"body":{"message":"half a line'], ids=["empty", "half a line"])
def test_a_last_file_without_a_whole_line_is_passed_over(tmp_path, left):
    path = filled(tmp_path / "events.jsonl", 9, segment_bytes=900)
    *_, last = segments(path)
    last.write_bytes(left)
    assert is_own(path)
    assert last_mark(path) == tip_of(path)


def test_a_line_longer_than_a_look_is_read_whole(tmp_path):
    path = filled(tmp_path / "events.jsonl", 1)
    with Writer(path, now=Clock(), author=Author(SECRET)) as writer:
        writer.append(note("long " * 100_000))
    assert is_own(path)
    assert last_mark(path) == tip_of(path)


def test_an_empty_ledger_is_nobodys(tmp_path):
    (tmp_path / "events.jsonl").touch()
    assert last_mark(tmp_path / "events.jsonl") == ("", "")
    assert not is_own(tmp_path / "events.jsonl")


@pytest.mark.parametrize(
    "first, then, own",
    [
        ({}, {}, True),
        ({"secret": OTHER}, {}, False),
        ({"secret": b""}, {}, False),
        ({"secret": OTHER}, {"trust": True}, True),
        ({}, {"secret": b""}, False),
    ],
    ids=["own", "another's", "nobody's", "another's, vouched for", "without a key"],
)
def test_a_ledger_is_marked_on_by_whom_it_belongs_to(tmp_path, first, then, own):
    path = filled(tmp_path / "events.jsonl", 2, **first)
    filled(path, 1, **then)
    assert is_own(path) is own
    assert verify(path) is None


def test_every_change_of_a_byte_is_found_or_takes_the_mark_away(tmp_path):
    path = filled(tmp_path / "events.jsonl", 1)
    whole = path.read_bytes()
    for place in range(len(whole) - 1):
        for byte in {whole[place] ^ 1, ord("0"), ord('"')} - {whole[place]}:
            path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            try:
                tip, mac = tip_of(path)
            except LedgerError:
                continue
            assert not owner.is_own(SECRET, tip, mac), (place, chr(byte))


def test_a_mark_is_no_place_for_anything_else(tmp_path):
    """Its bytes are not hashed, and the last of two equal keys of JSON counts: they could say what the event does not."""
    path = filled(tmp_path / "events.jsonl", 1)
    line = path.read_bytes()
    start = line.index(b'"mac":"') + len(b'"mac":"')
    forged = b'","body":{"message":"x"},"z":"zz'
    assert len(forged) == owner.MAC_LENGTH
    json.loads(line[:start] + forged + line[start + owner.MAC_LENGTH :])
    path.write_bytes(line[:start] + forged + line[start + owner.MAC_LENGTH :])
    with pytest.raises(LedgerError, match="its content has the hash"):
        list(read(path))


def test_a_mark_that_is_taken_out_leaves_a_whole_ledger_of_nobody(tmp_path):
    path = filled(tmp_path / "events.jsonl", 2)
    path.write_text(re.sub(r',"mac":"[0-9a-f]+"', "", path.read_text()))
    assert verify(path) is None
    assert not is_own(path)


@pytest.mark.parametrize("home", ["", "relative", "/dev/null", "{tmp}/none"])
def test_without_a_home_there_is_no_key(tmp_path, monkeypatch, home):
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", home.replace("{tmp}", str(tmp_path)))
    assert owner.key(tmp_path / "project", os.environ) == b""
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("state", ["", "relative"])
def test_a_state_folder_that_is_no_path_is_none(tmp_path, monkeypatch, state):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "project").mkdir()
    assert len(owner.key(tmp_path / "project", {"XDG_STATE_HOME": state})) == 32
    assert (tmp_path / "home/.local/state/orchestra/record.key").is_file()


@pytest.mark.parametrize("top", [".", "..", "link"])
def test_a_key_inside_of_the_work_tree_is_none(tmp_path, top):
    """The project may be a folder of the work tree, and a link may lead to it."""
    project = tmp_path / "tree/project"
    project.mkdir(parents=True)
    (project / ("." if top == "link" else top) / ".git").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "tree")
    state = tmp_path / ("link/project" if top == "link" else "tree/project") / top.replace("link", ".") / "state"
    assert owner.key(project, {"XDG_STATE_HOME": str(state)}) == b""
    assert len(owner.key(project, {"XDG_STATE_HOME": str(tmp_path / "state")})) == 32
