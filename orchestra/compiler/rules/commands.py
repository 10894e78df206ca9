"""Rules about the names of slash commands. May import `context`."""

from __future__ import annotations

from collections.abc import Iterator

from orchestra.compiler.rules.context import Context, Problem, rule
from orchestra.names import skill_name
from orchestra.yamltext.document import Path

# Those of Claude Code 2.1.332, its bundled skills, and the other names of both.
_WORDS = """
add-dir advisor agents allowed-tools android app artifacts auto-mode-setup autocompact autofix-pr background bashes
batch bg branch break-reminder breaks brief btw bug cd checkpoint checkup chrome claude-api clear code-review color
compact config context continue copy cost daemon dataviz debug deep-research desktop diff doctor downtime effort
exit export extra-usage fast feedback fewer-permission-prompts focus fork goal heapdump help hooks ide import init
insights install install-github-app install-slack-app ios keybindings keybindings-help list-agents login logout loop
marketplace mcp memory memory-pause migrate-installer mobile model name new output-style passes pause-memory peers
permissions plan plugin plugin-authoring plugins powerup pr-comments privacy-settings proactive quit radio
rate-limit-options rc recap release-notes reload-plugins reload-skills remote remote-control remote-env rename reset
restart resume review rewind routines run run-skill-generator sandbox schedule scroll-speed security-review session
settings setup-bedrock setup-vertex share simplify skill-doctor skills stats status statusline stickers stop subtask
tasks team-onboarding teleport terminal-setup theme todos toggle-memory tp tui ultraplan ultrareview undo update
update-config upgrade usage usage-credits verify version vim voice web-setup wellbeing workflow-authoring
workflow-launch-exec workflows
"""
CLIENT_COMMANDS = frozenset(_WORDS.split())
"""The commands of the client; a project command of that name hides it or is hidden."""

MOST_CHARACTERS = 64
"""The longest name of a skill by the open specification, which other clients apply to commands."""


def _commands(context: Context) -> Iterator[tuple[str, str, Path]]:
    """Yield each command of a method: the method, the command, its path in the spec."""
    for name, method in context.spec.get("methods", {}).items():
        if "command" in method:
            yield name, method["command"], ("methods", name, "command")


@rule
def command_name(context: Context) -> Iterator[Problem]:
    """Two methods write the same slash command: their names are equal, or differ only in case.

    With the host `agent-skills` also if they give the same skill: `test_a` and `test-a` are both `test-a`.
    """
    seen: dict[str, Path] = {}
    skills = "agent-skills" in context.spec.get("compile", {}).get("hosts", [])
    for _, command, path in _commands(context):
        first = seen.setdefault(skill_name(command) if skills else command.casefold(), path)
        if first != path:
            message = f'the command "{command}" is written by the method "{first[1]}" too, at {context.place(first)}'
            yield Problem(context.place(path), message, "give each method a command of its own")


@rule
def client_command(context: Context) -> Iterator[Problem]:
    """A slash command has the name of a command of Claude Code (`help`, `init`, …), so one of them would hide the other.

    The names that begin with `mcp__` belong to the prompts of MCP servers.
    """
    for method, command, path in _commands(context):
        if command.casefold() in CLIENT_COMMANDS or command.casefold().startswith("mcp__"):
            message = f'the command "{command}" has the name of a command of Claude Code'
            hint = f"write a name of your own, such as test_{context.spec['suite']}_{method}"
            yield Problem(context.place(path), message, hint[: hint.index("test_") + MOST_CHARACTERS])


@rule
def command_length(context: Context) -> Iterator[Problem]:
    """The name of a slash command has more than 64 characters, the limit of the clients that read it."""
    for _, command, path in _commands(context):
        if len(command) > MOST_CHARACTERS:
            message = f"the name of the command has {len(command)} characters; at most {MOST_CHARACTERS} are allowed"
            yield Problem(context.place(path), message, f"shorten it, for instance to {command[:20].rstrip('_-')}")


RULES = (command_name, client_command, command_length)
