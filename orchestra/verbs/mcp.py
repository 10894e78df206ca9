"""The verb mcp: the verbs of a project as tools of the Model Context Protocol."""

from __future__ import annotations

import click

from orchestra.agent import server
from orchestra.errors import EXIT_OK
from orchestra.verbs.options import project_of


@click.command(epilog="\b\nExample:\n  orchestra mcp    (a client starts it: `orchestra agent install --mcp`)")
@click.pass_context
def mcp(ctx: click.Context) -> int:
    """Serve tools, resources and prompts of this project by the Model Context Protocol, on stdin and stdout.

    Tools: validate, compile, plan, run, wait, stop, status, events, results, show, compare, health, claim.
    """
    server.serve(project_of(ctx))
    return EXIT_OK
