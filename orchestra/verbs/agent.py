"""The verb agent: what coding agents need in a project, added, shown and removed."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from orchestra.agent import browser as browsers
from orchestra.agent import hosts
from orchestra.agent import install as installing
from orchestra.agent.install import Row
from orchestra.current import current_plan
from orchestra.errors import EXIT_FAILED, EXIT_OK, UsageError
from orchestra.project import Project
from orchestra.report.console.lines import line
from orchestra.verbs import hook as hooks_
from orchestra.verbs.group import say, warn
from orchestra.verbs.options import project_of, suite_option


@click.group(
    epilog="\b\nExamples:\n  orchestra agent install --dry-run       the changes that it would make\n"
    "  orchestra agent install --hooks --mcp   permissions, hooks and MCP servers for Claude Code\n"
    "  orchestra agent status\n  orchestra agent remove"
)
def agent() -> None:
    """Add the parts that coding agents need to the configuration of their clients; show and remove them."""


_host_option = click.option(
    "--host",
    "names",
    multiple=True,
    type=click.Choice([*hosts.HOSTS]),
    default=["claude-code"],
    show_default=True,
    help="Client that is configured; can be repeated.",
)
_dry_run_option = click.option("--dry-run", is_flag=True, help="Change no file.")


def _parts(project: Project, names: Sequence[str], *, hooks: bool, mcp: bool) -> list[hosts.Part]:
    plans = [current_plan(project, suite) for suite in project.suites()]
    if not plans:
        raise UsageError(f"no compiled suite below {project.root / '.orchestra'}", "write one with `orchestra compile`")
    return [part for name in names for part in hosts.parts(hosts.HOSTS[name], plans, hooks=hooks, mcp=mcp)]


def _show(rows: Sequence[Row], *, dry_run: bool = False) -> None:
    for row in rows:
        say(line(row.state, row.part.file, row.part.name))
    if dry_run:
        warn("nothing was changed")
    for row in rows:
        if row.state == "conflict":
            warn(f"hint: {row.part.file} has another value in the place of {row.part.name}; it stays as it is")


@agent.command(
    epilog="\b\nExamples:\n  orchestra agent install --dry-run\n  orchestra agent install --hooks --mcp\n"
    "  orchestra agent install --host cursor --mcp"
)
@_host_option
@click.option(
    "--hooks", is_flag=True, help="Also hooks: stale commands, unfinished runs, to-do entries without a verdict."
)
@click.option("--mcp", is_flag=True, help="Also the MCP servers `orchestra` and `playwright`.")
@_dry_run_option
@click.pass_context
def install(ctx: click.Context, names: tuple[str, ...], *, hooks: bool, mcp: bool, dry_run: bool) -> int:
    """Add permissions to the settings of a client, and on request hooks and MCP servers.

    Other keys and the format of the file stay. Exit code 1 if another value has the place of a part, which then stays.
    """
    project = project_of(ctx)
    parts = _parts(project, names, hooks=hooks, mcp=mcp)
    if not parts:
        raise UsageError(f"without --mcp there is nothing to add for {', '.join(names)}", "add --mcp")
    rows = installing.install(project.root, parts, dry_run=dry_run)
    _show(rows, dry_run=dry_run)
    return EXIT_FAILED if any(row.state == "conflict" for row in rows) else EXIT_OK


@agent.command(epilog="\b\nExamples:\n  orchestra agent remove --dry-run\n  orchestra agent remove --host cursor")
@_host_option
@_dry_run_option
@click.pass_context
def remove(ctx: click.Context, names: tuple[str, ...], *, dry_run: bool) -> int:
    """Take out all that `install` added. A file without other changes is as it was before, to the byte."""
    project = project_of(ctx)
    rows = installing.remove(project.root, _parts(project, names, hooks=True, mcp=True), dry_run=dry_run)
    _show([row for row in rows if row.state == "removed"], dry_run=dry_run)
    if not any(row.state == "removed" for row in rows):
        warn("nothing to remove")
    return EXIT_OK


@agent.command(epilog="\b\nExample:\n  orchestra agent status")
@_host_option
@click.pass_context
def status(ctx: click.Context, names: tuple[str, ...]) -> int:
    """Show each part: `there`, `missing`, or `conflict` if another value has its place."""
    project = project_of(ctx)
    _show(installing.status(project.root, _parts(project, names, hooks=True, mcp=True)))
    return EXIT_OK


@agent.command(epilog="\b\nExample:\n  orchestra agent browser    (a client starts it, see `install --mcp`)")
@suite_option
@click.pass_context
def browser(ctx: click.Context, suite: str | None) -> int:
    """Serve the Playwright MCP server on stdin and stdout, with the browser that orchestra finds, without a window.

    Its files are next to the runs of the suite, in .orchestra/SUITE/runs/by-hand, in a folder for each start. The browser
    has a profile of its own, which is forgotten.
    """
    browsers.serve(project_of(ctx), os.environ, suite)


@agent.command(epilog="\b\nExample:\n  orchestra agent hook    (a client calls it, see `install --hooks`)")
def hook() -> int:
    """Process an event of Claude Code, as JSON on stdin. Exit code 2 refuses it, with the reason on stderr.

    A fault of the hook itself refuses nothing; its reason is in .orchestra/agent-hook.log.
    """
    return hooks_.main()
