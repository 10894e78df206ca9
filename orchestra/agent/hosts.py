"""The parts that `orchestra agent install` adds to the configuration of a host, a client of coding agents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from orchestra.agent.json_text import Json, Path
from orchestra.plan import Plan

SETTINGS: Final = ".claude/settings.json"
HOOK_SECONDS = 60
"""The client ends a hook that takes longer, and goes on."""


class Host(NamedTuple):
    """The files of a project that a client reads.

    Attributes:
        settings: with permissions and hooks, in the form of Claude Code; empty if it has none of that form.
        mcp: with its MCP servers.
        servers: the key of these.
    """

    settings: str
    mcp: str
    servers: str


HOSTS: Final[dict[str, Host]] = {
    "claude-code": Host(SETTINGS, ".mcp.json", "mcpServers"),
    "cursor": Host("", ".cursor/mcp.json", "mcpServers"),
    "gemini-cli": Host("", ".gemini/settings.json", "mcpServers"),
    "vscode": Host("", ".vscode/mcp.json", "servers"),
}


class Part(NamedTuple):
    """One addition to a JSON file.

    Attributes:
        file: relative to the project root.
        path: the keys to the object or list.
        key: of the member; empty for an element of a list.
        value: that it gets.
        name: for people.
    """

    file: str
    path: Path
    key: str
    value: Json
    name: str


def launchers(plans: Sequence[Plan]) -> list[str]:
    """Return the programs that the slash commands of the suites name; `orchestra` if there is none."""
    named = [plan.outputs.launcher for plan in plans if any(method.command for method in plan.methods)]
    return list(dict.fromkeys(named)) or ["orchestra"]


def parts(host: Host, plans: Sequence[Plan], *, hooks: bool, mcp: bool) -> list[Part]:
    """Return the parts of a host.

    Args:
        host: the client.
        plans: of all suites.
        hooks: with the hooks, if it has any.
        mcp: with the MCP servers.
    """
    tools = launchers(plans)
    found = [*_permissions(host.settings, tools, mcp=mcp)] if host.settings else []
    found += _hooks(host.settings, tools[0]) if hooks and host.settings else []
    return found + (_servers(host, tools[0]) if mcp else [])


def _permissions(file: str, tools: Sequence[str], *, mcp: bool) -> Iterator[Part]:
    programs = [*tools, *(["doit"] if "orchestra" in tools else [])]
    rules = [f"Bash({program}:*)" for program in programs]
    rules += ["mcp__orchestra__*", "mcp__playwright__*"] if mcp else []
    for rule in rules:
        yield Part(file, ("permissions", "allow"), "", rule, f"permission {rule}")


def _hooks(file: str, tool: str) -> list[Part]:
    program = f'"$CLAUDE_PROJECT_DIR"/{tool}' if "/" in tool else tool
    hook: Json = {"type": "command", "command": f"{program} agent hook", "timeout": HOOK_SECONDS}
    entries: dict[str, dict[str, Json]] = {
        "UserPromptExpansion": {"hooks": [hook]},
        "Stop": {"hooks": [hook]},
        "PostToolUse": {"matcher": "TodoWrite|TaskUpdate", "hooks": [hook]},
        "TaskCompleted": {"hooks": [hook]},
    }
    return [Part(file, ("hooks", name), "", value, f"hook {name}") for name, value in entries.items()]


def _servers(host: Host, tool: str) -> list[Part]:
    commands = {"orchestra": ["mcp"], "playwright": ["agent", "browser"]}
    return [
        Part(host.mcp, (host.servers,), name, {"command": tool, "args": [*words]}, f"MCP server {name}")
        for name, words in commands.items()
    ]
