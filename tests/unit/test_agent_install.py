"""`orchestra agent install` and `remove`: JSON files of other programs, added to and given back to the byte."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestra.agent import browser, json_text
from orchestra.agent import install as installing
from orchestra.agent.hosts import HOSTS, Part
from orchestra.errors import UsageError
from orchestra.project import Project
from tests.support.project import HEAD

SPEC = HEAD.replace("driver: command", "driver: command, command: test_s") + "tests: {a: {command: {argv: ['true']}}}\n"
ALL = ("agent", "install", "--hooks", "--mcp")
FILES = (".claude/settings.json", ".mcp.json")

TEXT = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
INDENTS = st.sampled_from([None, 1, 2, 4, "\t"])


def without_empty(value):
    """The value without the empty objects and lists that a removal may take along."""
    if isinstance(value, dict):
        return {key: kept for key, one in value.items() if (kept := without_empty(one)) not in ({}, [])}
    return value


@given(st.dictionaries(TEXT, JSON, max_size=4), INDENTS, TEXT, JSON, st.sampled_from([(), ("a",), ("a", "b")]))
def test_an_addition_is_the_value_and_a_cut_the_old_text(old, indent, key, value, path):
    at = old
    for name in path:
        at = at.get(name, {})
        assume(isinstance(at, dict))
    assume(key not in at and key)
    text = json.dumps(old, indent=indent, ensure_ascii=False)
    new, piece = json_text.add(text, path, key, value)
    holder = json_text.value_at(json.loads(new), path)
    assert holder.pop(key) == value
    assert without_empty(json.loads(text)) == without_empty(json.loads(json_text.remove(new, path, key, value)))
    if new.count(piece) == 1:
        assert json_text.cut(new, [piece]) == text


@given(st.dictionaries(TEXT, JSON, max_size=3), INDENTS, st.lists(JSON, max_size=3), JSON)
def test_an_element_is_the_last_of_its_list(old, indent, items, value):
    assume(value not in items)
    text = json.dumps({**old, "list": items}, indent=indent, ensure_ascii=False)
    new, piece = json_text.add(text, ("list",), "", value)
    assert json.loads(new)["list"] == [*items, value]
    left = json.loads(json_text.remove(new, ("list",), "", value))
    assert left.get("list", []) == items
    if new.count(piece) == 1:
        assert json_text.cut(new, [piece]) == text


@pytest.mark.parametrize(
    "text, shown",
    [
        ('{"permissions": {"allow": ["x"]}}', '{"permissions": {"allow": ["x", "y"]}}'),
        (
            '{\n\t"permissions": {\n\t\t"allow": [\n\t\t\t"x"\n\t\t]\n\t}\n}',
            '{\n\t"permissions": {\n\t\t"allow": [\n\t\t\t"x",\n\t\t\t"y"\n\t\t]\n\t}\n}',
        ),
        ("{}", '{\n  "permissions": {\n    "allow": [\n      "y"\n    ]\n  }\n}'),
        ('{\r\n    "a": 1\r\n}', None),
    ],
)
def test_the_format_of_the_file_is_kept(text, shown):
    new, _ = json_text.add(text, ("permissions", "allow"), "", "y")
    assert shown is None or new == shown
    assert "\n" not in new.replace("\r\n", "") or "\r\n" not in text


@pytest.fixture
def compiled(project):
    return project.write(SPEC).compile()


SETTINGS = (
    None,
    "{}",
    "\ufeff{ }\n",
    '{\r\n    "permissions": {"allow": ["Bash(git:*)"], "deny": ["Read(.env)"]},\r\n    "env": {"A": "é"}\r\n}\r\n',
    '{\n\t"hooks": {\n\t\t"Stop": [\n\t\t\t{"hooks": []}\n\t\t]\n\t}\n}',
    '{"permissions": {"allow": []}, "mcpServers": {"other": {"command": "x"}}}',
)


@pytest.mark.parametrize("text", SETTINGS)
def test_what_was_installed_is_removed_to_the_byte(compiled, text):
    for name in FILES if text is not None else ():
        (compiled.root / name).write_bytes(text.encode())
    before = compiled.run("agent", "status").out
    assert before.count("missing") == 10
    assert compiled.run(*ALL, "--dry-run").code == 0
    assert compiled.run("agent", "status").out == before
    done = compiled.run(*ALL)
    assert (done.code, done.out.count("added")) == (0, 10), done
    settings = json.loads((compiled.root / FILES[0]).read_bytes().decode("utf-8-sig"))
    assert {"Bash(orchestra:*)", "Bash(doit:*)"} <= set(settings["permissions"]["allow"])
    assert set(settings["hooks"]) == {"UserPromptExpansion", "Stop", "PostToolUse", "TaskCompleted"}
    servers = json.loads((compiled.root / FILES[1]).read_bytes().decode("utf-8-sig"))["mcpServers"]
    assert servers["playwright"] == {"command": "orchestra", "args": ["agent", "browser"]}
    assert compiled.run(*ALL).out.count("there") == 10
    assert compiled.run("agent", "remove").out.count("removed") == 10
    for name in FILES:
        file = compiled.root / name
        assert (file.read_bytes().decode() if file.exists() else None) == text
    assert not (compiled.root / installing.RECORD).exists()


def test_a_file_that_was_edited_in_between_keeps_the_edit(compiled):
    assert compiled.run("agent", "install").code == 0
    file = compiled.root / FILES[0]
    settings = json.loads(file.read_text())
    settings["permissions"]["allow"].insert(0, "Bash(git:*)")
    file.write_text(json.dumps(settings))
    assert compiled.run("agent", "remove").code == 0
    assert json.loads(file.read_text()) == {"permissions": {"allow": ["Bash(git:*)"]}}


def test_a_record_that_another_wrote_cuts_nothing(compiled):
    compiled.run("agent", "install")
    (compiled.root / installing.RECORD).write_text(
        json.dumps({"files": {FILES[0]: {"pieces": ['"deny"']}}, "mac": "0" * 32})
    )
    file = compiled.root / FILES[0]
    text = file.read_text().replace('"allow"', '"deny": ["Read(.env)"], "allow"')
    file.write_text(text)
    compiled.run("agent", "remove")
    assert json.loads(file.read_text()) == {"permissions": {"deny": ["Read(.env)"]}}


def test_a_conflict_is_reported_and_stays(compiled):
    other = '{"mcpServers": {"playwright": {"command": "npx"}}}'
    (compiled.root / ".mcp.json").write_text(other)
    done = compiled.run(*ALL)
    assert done.code == 1
    assert "conflict" in done.out
    assert "hint: .mcp.json has another value in the place of MCP server playwright" in done.err
    assert compiled.run("agent", "remove").code == 0
    assert (compiled.root / ".mcp.json").read_text() == other


@pytest.mark.parametrize(
    "text, words",
    [
        ("{,}", ".mcp.json is not JSON"),
        ("// a comment\n{}", ".mcp.json is not JSON"),
        ("[]", ".mcp.json holds no object, but []"),
        ("[" * 5000, ".mcp.json is not JSON"),
        (b"\xff\xfe{", ".mcp.json is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_whole(compiled, text, words):
    (compiled.root / ".mcp.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = compiled.run(*ALL)
    assert (done.code, words in done.err) == (2, True), done.err
    assert not (compiled.root / FILES[0]).exists()


def test_a_link_out_of_the_project_is_refused(compiled, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x.json"
    outside.write_text("{}")
    (compiled.root / ".mcp.json").symlink_to(outside)
    done = compiled.run(*ALL)
    assert (done.code, "out of the project root" in done.err, outside.read_text()) == (2, True, "{}")


@pytest.mark.parametrize("name", HOSTS)
def test_every_host_has_its_servers_under_its_own_key(compiled, name):
    host = HOSTS[name]
    assert compiled.run("agent", "install", "--host", name, "--mcp").code == 0
    assert set(json.loads((compiled.root / host.mcp).read_text())) == {host.servers}


def test_a_host_without_permissions_needs_a_switch(compiled):
    done = compiled.run("agent", "install", "--host", "cursor")
    assert (done.code, "hint: add --mcp" in done.err) == (2, True)


@pytest.mark.parametrize("above", ["x", [], None, 1])
def test_a_value_of_another_kind_on_the_way_is_a_conflict(tmp_path, above):
    (tmp_path / "f.json").write_text(json.dumps({"a": above}))
    part = Part("f.json", ("a", "b"), "c", 1, "it")
    assert installing.install(tmp_path.resolve(), [part]) == [(part, "conflict")]


@pytest.mark.parametrize(
    "compiled, default, suite, home",
    [
        ([], "", None, ".orchestra"),
        (["a", "b"], "", None, ".orchestra/a/runs"),
        (["a", "b"], "b", None, ".orchestra/b/runs"),
        (["a", "b"], "gone", None, ".orchestra/a/runs"),
        (["a", "b"], "a", "b", ".orchestra/b/runs"),
    ],
)
def test_the_files_of_a_browser_are_among_the_runs_of_a_suite(tmp_path, compiled, default, suite, home):
    for name in compiled:
        (tmp_path / ".orchestra" / name).mkdir(parents=True)
        (tmp_path / ".orchestra" / name / "plan.json").write_text("{}")
    folder = browser.folder_of(Project(tmp_path, default), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), suite)
    assert folder == tmp_path / home / "by-hand" / f"20260102T030405Z-p{os.getpid()}"
    with pytest.raises(UsageError, match="suite"):
        browser.folder_of(Project(tmp_path), datetime.now(UTC), "nope")
