"""`.mcp.json`: added to, never written over."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.agent.mcp_config import ENTRY, FILE, entry, merge, write
from orchestra.errors import MachineError, UsageError

OTHER = {"command": "other", "args": []}

TEXT = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def mapping(keys=TEXT):
    return st.dictionaries(keys, JSON, max_size=4)


@pytest.mark.parametrize("text", [None, "", " \n", "{}", '{"mcpServers": {}}', '\ufeff{"a": 1}'])
def test_the_entry_is_added(text):
    merged = merge(text, entry())
    assert merged.outcome == "added"
    assert json.loads(merged.text)["mcpServers"] == {ENTRY: entry()}


@given(mapping(), mapping(TEXT.filter(lambda name: name != ENTRY)))
def test_whatever_stands_in_the_file_stays(rest, servers):
    old = {**rest, "mcpServers": servers}
    new = merge(json.dumps(old), entry())
    read = json.loads(new.text)
    assert read["mcpServers"].pop(ENTRY) == entry()
    assert read == old
    again = merge(new.text, entry())
    assert again == (new.text, "unchanged")


def test_another_entry_of_the_same_name_is_kept():
    text = json.dumps({"mcpServers": {ENTRY: OTHER}})
    assert merge(text, entry()) == (text, "kept")


def test_the_file_keeps_its_indentation():
    assert merge('{\n\t"a": 1\n}\n', entry()).text.startswith('{\n\t"a": 1,\n\t"mcpServers"')
    assert merge('{\n    "a": 1\n}\n', entry()).text.startswith('{\n    "a": 1,')


@pytest.mark.parametrize(
    "text, words",
    [
        ("{,}", f"{FILE} is not JSON"),
        ("[]", f"{FILE} holds a list, not a mapping"),
        ('{"mcpServers": "x"}', f'{FILE}: "mcpServers" is a text'),
        ('{"mcpServers": null}', f'{FILE}: "mcpServers" is nothing'),
    ],
)
def test_a_file_that_cannot_be_read_is_left_alone(tmp_path, text, words):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UsageError) as told:
        write(tmp_path)
    assert words in told.value.message
    assert '"mcpServers" by hand' in told.value.hint
    assert (tmp_path / FILE).read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_write_adds_once_and_keeps_the_mode(tmp_path):
    assert write(tmp_path) == "added"
    path = tmp_path / FILE
    path.chmod(0o640)
    path.write_text('{"mcpServers": {"x": {}}}')
    assert write(tmp_path) == "added"
    assert path.stat().st_mode & 0o777 == 0o640
    assert set(json.loads(path.read_text())["mcpServers"]) == {"x", ENTRY}
    before = path.stat()
    assert write(tmp_path) == "unchanged"
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / FILE).write_bytes(b"\xff\xfe{")
    with pytest.raises(UsageError, match="not UTF-8"):
        write(tmp_path)


def test_a_folder_in_its_place(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(MachineError, match="cannot be read"):
        write(tmp_path)
