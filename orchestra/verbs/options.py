"""The options that several verbs have, and the project that they are about."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from orchestra import project
from orchestra.errors import OrchestraError
from orchestra.project import Project


def _suites(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del param
    try:
        known = project_of(ctx).suites()
    except OrchestraError:
        return []  # a completion has no place for a message
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


suite_option = click.option(
    "--suite", metavar="NAME", shell_complete=_suites, help="Suite name (default: the only suite)."
)
methods_option = click.option(
    "--method", "methods", multiple=True, metavar="NAME", help="Only this method; can be repeated (default: all)."
)
profile_option = click.option("--profile", metavar="NAME", default="", help="Profile of the spec (default: none).")

brief_option = click.option(
    "--brief/--full",
    "brief",
    default=None,
    help="Counts, tests that are not green, and the next command (default: if a coding agent is the caller).",
)


def project_of(ctx: click.Context) -> Project:
    """Return the project of the working folder, which -C has set.

    Raises:
        UsageError: there is no working folder any more, or its settings are wrong.
    """
    del ctx
    return project.here()
