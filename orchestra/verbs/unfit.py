"""Options of `orchestra run` that do not fit together."""

from __future__ import annotations

import click

from orchestra.errors import UsageError

_APART = (
    (
        "--all-suites starts a new run of each suite, and waits for them",
        "all_suites",
        ("suite", "resume", "listing", "dry_run", "detach", "allow_changed", "trust"),
        ("last_failed", "failed_in", "opened", "times", "until_fail", "shard", "as_json"),
    ),
    ("a cluster carries out one run at a time", "engine", ("all_suites",), ()),
    ("a cluster carries out one run at a time", "scheduler", ("all_suites",), ()),
    (
        "a resumed run has its own selection",
        "resume",
        ("selection", "methods", "titles"),
        ("last_failed", "failed_in", "since"),
    ),
    ("a resumed run is one run", "resume", ("times", "until_fail"), ()),
    ("--detach starts a run, which the other option does not", "detach", ("listing", "dry_run"), ()),
    ("--detach starts one run", "detach", ("times", "until_fail"), ()),
    ("--open serves the page of a run that this command follows", "opened", ("detach", "listing", "dry_run"), ()),
    (
        "--json prints the state of a run that this command follows",
        "as_json",
        ("all_suites", "detach", "listing", "dry_run"),
        ("times", "until_fail", "watched"),
    ),
    ("--open serves the page of one run", "opened", ("times", "until_fail"), ()),
    (
        "--watch runs tests after each change",
        "watched",
        ("all_suites", "resume", "listing", "dry_run", "detach"),
        ("opened", "times", "until_fail"),
    ),
    (
        "--burn-in runs what has changed several times",
        "burned",
        ("all_suites", "resume", "listing", "dry_run", "detach"),
        ("since", "opened", "as_json", "times", "until_fail", "watched", "shard"),
    ),
    ("--shard does not go with --resume: a run resumes its own shard", "shard", ("resume",), ()),
    ("--shard does not go with failures: that differs between machines", "shard", ("last_failed", "failed_in"), ()),
    ("--shard is a part of one run", "shard", ("times", "until_fail", "watched"), ()),
    *(
        (
            "a run that pauses asks a person at the terminal",
            name,
            ("all_suites", "listing", "dry_run", "detach", "shard", "workers"),
            ("opened", "watched", "burned", "brief"),
        )
        for name in ("pause_on_fail", "step", "until")
    ),
    ("-x is --max-failures 1", "first_failure", ("max_failures",), ()),
    ("--last-failed is --failed-in last", "last_failed", ("failed_in",), ()),
)
"""Options that do not fit together: why, the option, and the others."""


def refuse_together(ctx: click.Context) -> None:
    """Raise UsageError for options that do not fit together, and for one that lacks another."""
    given = {
        param.name: "SELECTION" if isinstance(param, click.Argument) else param.opts[0]
        for param in ctx.command.params
        if ctx.params[param.name or ""] not in (None, False, (), "")
    }
    for why, name, *others in _APART:
        if name in given and (unfit := [given[other] for row in others for other in row if other in given]):
            raise UsageError(f"{why}; {unfit[0]} does not fit", f"remove {', '.join(unfit)}, or {given[name]}")
    for name in ("allow_changed", "trust"):
        if name in given and "resume" not in given:
            raise UsageError(f"{given[name]} needs --resume", "add --resume, or remove it")
