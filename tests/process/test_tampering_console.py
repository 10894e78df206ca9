"""Text of the spec and of the tested product is printed by every verb, and is a command to no CI."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support.ci import PAYLOADS, READERS, obeyed
from tests.support.project import HEAD, SuiteProject, whole

LINES = [payload for payloads in PAYLOADS.values() for payload in payloads]
NAMES = {f"P{number}": payload for number, payload in enumerate(LINES)}
JUNIT = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2]); print(sys.argv[3]); sys.exit(1)"


def spec() -> str:
    """A test for each payload: it is in titles, reasons and gates, and in what commands and JUnit files say."""
    tests = {}
    for number, text in NAMES.items():
        quoted = (
            text.replace("&", "&amp;")
            .replace("<", "&lt;")
            .replace("'", "&apos;")
            .replace("\x1b", "")
            .replace("\x07", "")
        )
        report = f"<testsuite><testcase name='a'><failure message='{quoted}'>{quoted}</failure></testcase></testsuite>"
        title = " ".join(text.replace("\x1b", "").replace("\x07", "").replace("\u00a0", " ").split())
        told = {"argv": ["python", "-c", f"print({f'first{chr(10)}{text}{chr(10)}'!r}); raise SystemExit(1)"]}
        argv = ["python", "-c", JUNIT, "${attempt.dir}/j.xml", report, text]
        tests[f"{number}a"] = {"title": title, "command": told}
        tests[f"{number}b"] = {"title": title, "command": {"argv": argv, "junit": "${attempt.dir}/j.xml"}}
        tests[f"{number}c"] = {"title": title, "skip": title, "command": told}
    gates = {f"g{number}": {"require": "failed == 0", "message": f"x {text}"} for number, text in enumerate(LINES[:6])}
    gates = {name: {**gate, "message": " ".join(gate["message"].split())} for name, gate in gates.items()}
    return HEAD + f"tests: {json.dumps(tests)}\ngates: {{after: {json.dumps(gates)}}}\n"


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> tuple[SuiteProject, str]:
    """The project, and what its run printed."""
    project = SuiteProject(tmp_path_factory.mktemp("ran"))
    (project.root / "pyproject.toml").write_text("[tool.orchestra]\n")
    project.write(spec()).compile()
    ended = project.run("run", CI="true")
    assert ended.code == 1
    return project, ended.out + ended.err


def nothing_is_obeyed(log: str) -> None:
    assert "pwned" in log, "the text is there"
    for ci in READERS:
        assert obeyed(ci, log) == [], ci


def test_what_commands_and_files_say_is_a_command_to_a_ci(ran):
    """The control: the whole logs, which nobody escapes, are full of them."""
    project, _ = ran
    logs = "".join(file.read_bytes().decode() for file in project.folder.glob("attempts/*/*/*/output.log"))
    assert all(obeyed(ci, logs) for ci in READERS)


def test_a_run_prints_no_command(ran):
    nothing_is_obeyed(ran[1])


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--list"),
        ("status",),
        ("status", "--json"),
        ("events",),
        ("events", "--json"),
        ("report", "--format", "md"),
        ("report", "--format", "junit"),
        ("report", "--format", "ctrf"),
        ("show", "P0a"),
        ("show", "P0a", "--run", "last"),
        ("history",),
        ("history", "P1b"),
        ("history", "--json"),
        ("plan",),
        ("plan", "--format", "json"),
        ("audit", "--gates"),
    ],
    ids=" ".join,
)
def test_a_verb_prints_no_command(ran, words):
    project, _ = ran
    ended = project.run(*words)
    assert ended.code in {0, 1}, ended.err
    for ci in READERS:
        assert obeyed(ci, ended.out + ended.err) == [], ci


@pytest.mark.parametrize("words", [("list", "--all"), ("cli:P0a",)], ids=["list", "run"])
def test_doit_prints_no_command(ran, tmp_path, words):
    project = SuiteProject(shutil.copytree(ran[0].root, tmp_path / "project", symlinks=True))
    ended = project.doit(*words)
    nothing_is_obeyed(ended.out + ended.err)


def test_what_is_printed_as_json_has_the_value_that_was_recorded(ran):
    project, _ = ran
    shown = [json.loads(line) for line in project.run("events", "--json").out.splitlines()]
    assert [whole(event) for event in shown] == project.events()


WRONG = {f"w{number}": text for number, text in enumerate(LINES)}


def test_a_wrong_spec_is_told_without_a_command_but_where_one_is_asked_for(tmp_path):
    """`validate --format github` prints a command for each problem, and none that the spec would like to."""
    project = SuiteProject(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.orchestra]\n")
    tests = {name: {"needs": [text], "command": {"argv": ["true"]}} for name, text in WRONG.items()}
    project.write(HEAD + f"tests: {json.dumps(tests)}\n")
    for words in (("validate",), ("validate", "--format", "json"), ("compile",)):
        ended = project.run(*words)
        assert ended.code == 2
        nothing_is_obeyed(ended.out + ended.err)
    ended = project.run("validate", "--format", "github")
    number = len(json.loads(project.run("validate", "--format", "json").out))
    commands = obeyed("github", ended.out)
    assert len(commands) == len(ended.out.splitlines()) == number
    assert all(line.startswith("::error file=specs/s.yaml,line=") for line in commands)


def test_a_diff_of_a_file_that_was_edited_prints_no_command(ran, tmp_path):
    project = SuiteProject(shutil.copytree(ran[0].root, tmp_path / "project", symlinks=True))
    page = project.root / "docs/s.md"
    page.write_text(page.read_text() + "".join(f"{line}\n" for line in LINES if "\r" not in line))
    ended = project.run("compile", "--check", "--diff", "--full")
    assert ended.code == 1
    for ci in set(READERS) - {"buildkite"}:  # a diff begins with `---` and `+++`
        assert obeyed(ci, ended.out + ended.err) == [], ci
    assert "\x1b" not in ended.out
