"""`orchestra doctor --agents`: the program, the permission and the files that slash commands rest on."""

from __future__ import annotations

import json

import pytest

from tests.support.project import HEAD, SuiteProject

SPEC = f"{HEAD.replace('driver: command', 'driver: command, command: test_s')}tests: {{a: {{command: {{argv: ['true']}}}}}}\n"
LAUNCHER = "compile: {launcher: .venv/bin/orchestra}\n"


def rows(project: SuiteProject, code: int, **env: str) -> dict[str, str]:
    """The state of each subject."""
    done = project.process("doctor", "--agents", **env)
    assert done.code == code, done.out + done.err
    lines = done.out.partition("\n\n")[0].splitlines()
    return {line.split()[1]: line.split()[0] for line in lines if not line.startswith(" ")}


@pytest.fixture
def commands(project) -> SuiteProject:
    return project.write(SPEC).compile()


def test_everything_is_there(commands):
    (commands.root / ".claude/settings.json").write_text(json.dumps({"permissions": {"allow": ["Bash(orchestra:*)"]}}))
    assert rows(commands, 0) == {"launcher": "ok", "permission": "ok", "/test_s": "ok"}
    done = commands.process("doctor", "--agents")
    assert len(done.out.partition("lines for AGENTS.md:\n\n")[2].splitlines()) == 3
    assert not (commands.root / "AGENTS.md").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"permissions": []}', '{"permissions": {"allow": "all"}}', "[" * 5000]
)
def test_settings_of_any_kind(commands, text):
    if text:
        (commands.root / ".claude/settings.json").write_text(text)
    assert rows(commands, 0)["permission"] == "warning"


def test_a_program_that_is_not_found(commands):
    done = commands.process("doctor", "--agents", PATH="/nowhere")
    assert (done.code, "orchestra is not on PATH" in done.out) == (3, True)
    assert "`compile: {launcher: .venv/bin/orchestra}`" in done.out
    commands.write(SPEC + LAUNCHER).compile()
    assert rows(commands, 3)["launcher"] == "broken"
    program = commands.root / ".venv/bin/orchestra"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    assert rows(commands, 0, PATH="/nowhere")["launcher"] == "ok"


def test_a_command_that_is_missing_or_hidden(commands):
    skill = commands.root / ".claude/skills/test_s/SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("---\nname: test_s\n---\n")
    assert rows(commands, 0)["/test_s"] == "warning"
    (commands.root / ".claude/commands/test_s.md").unlink()
    assert rows(commands, 3)["/test_s"] == "broken"


def test_a_project_without_commands(project):
    project.write(SPEC.replace(", command: test_s", "")).compile()
    assert rows(project, 0) == {"commands": "warning"}


@pytest.mark.parametrize("launcher", ["../orchestra", "/usr/bin/orchestra", "a b", "-x", "a;b", "$HOME/orchestra"])
def test_a_launcher_that_no_line_can_name_is_refused(project, launcher):
    done = project.write(f"{SPEC}compile: {{launcher: {json.dumps(launcher)}}}\n").run("validate")
    assert (done.code, launcher in done.out + done.err) == (2, True)


def test_a_launcher_is_in_every_line_of_a_command_and_in_its_permissions(project):
    project.write(SPEC + LAUNCHER).compile()
    text = (project.root / ".claude/commands/test_s.md").read_text()
    assert 'allowed-tools: "Bash(.venv/bin/orchestra:*)"' in text
    assert "`orchestra " not in text
    assert "\norchestra " not in text
    assert "doit" not in text
    begun = project.run("run", "--detach")
    assert begun.out.count(".venv/bin/orchestra ") == 2
    assert project.run("wait").code == 0


def test_a_broken_spec_of_another_suite_stops_no_command(commands):
    text = (commands.root / ".claude/commands/test_s.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("orchestra compile"))
    commands.write("orchestra: 1\nsuite: other\n", "specs/other.yaml")
    assert commands.run("compile", "--check").code == 2
    assert commands.run(*line.split()[1:]).code == 0
