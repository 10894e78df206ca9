"""The help of `orchestra run`, which fits a screen: its options in groups, those that belong together in one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

GROUPS: Final[Mapping[str, Mapping[str, str]]] = {
    "Which tests": {
        "suite profile": "Suite (default: the only one), and profile.",
        "methods titles": "Only by a method; only titles with TEXT.",
        "last_failed failed_in": "Tests not green in the last run, or in RUN.",
        "since": "Tests that rest on a change since REV.",
        "shard all_suites": "Part I of N of the selection; every suite.",
    },
    "How they run": {
        "first_failure max_failures": "Start no test after one failure, or N.",
        "retries": "N retries of each test, whatever the cause.",
        "isolate_retries": "Retry at the end, each test alone.",
        "shuffle": "Random order within needs and after.",
        "times until_fail": "N runs, one after the other; runs until a bad one.",
        "burned": "New tests since REV 10 times, changed ones 5.",
        "watched": "Run again after each save what changed or failed.",
        "force": "Also run tests whose inputs have not changed.",
        "update_looks": "Write the expected pictures (default: all).",
    },
    "Where they run": {
        "workers": "Tests at once by a method (default: spec).",
        "engine scheduler": "This machine or a cluster, and its address.",
    },
    "Look at it": {
        "headed slow": "Show the browser; pause before each step on a page.",
        "pause_on_fail": "Stop at a step that fails, and ask what follows.",
        "step until": "Stop before each step; before the step of this number.",
    },
    "Resume": {
        "resume": "Resume a run (default: the newest).",
        "allow_changed": "Accept a changed spec and run the changed tests again.",
        "trust": "Trust a record that you did not write on this machine.",
    },
    "Output": {
        "listing dry_run": "Print the selected tests; with their needs. Then stop.",
        "detach": "Return when the run has begun; see `orchestra wait`.",
        "opened": "Serve the page of the run, as `orchestra open` does.",
        "as_json": "The state of the run as JSON at its end, on stdout.",
        "brief": "Short output, or all (default: short for an agent).",
    },
}
"""The rows of options, by what they are about: the names of their parameters, and their text."""

EPILOG: Final = (
    "\b\nExamples:\n"
    "  orchestra run B004..B009 tag:smoke  some tests, and what they need\n"
    "  orchestra run '!tag:smoke' '!B003'  all but some\n"
    "  orchestra run basics --method mcp   a group by one method\n"
    "  orchestra run --last-failed -x      what was not green, until one fails\n"
    "  orchestra run B004 --repeat 10      ten runs, and how often each test passed\n"
    "  orchestra run --resume              the rest of the newest run\n"
    "SELECTION: id, glob, range A..B, group, tag:NAME or METHOD:ID; `!` excludes."
)


class Grouped(click.Command):
    """A command whose help lists its options in groups; an option of no group is in the last one, as `--help` is.

    Args:
        groups: for each heading its rows: the names of their parameters, in the order of the list, and their text.
    """

    def __init__(self, *args: Any, groups: Mapping[str, Mapping[str, str]], **named: Any) -> None:
        super().__init__(*args, **named)
        self._groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list for each group."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        records = {one.name or "": record for one in options if (record := one.get_help_record(ctx)) is not None}
        lists = {
            heading: [(", ".join(records.pop(name)[0] for name in names.split()), text) for names, text in rows.items()]
            for heading, rows in self._groups.items()
        }
        lists[next(reversed(lists))].extend(records.values())
        for heading, rows in lists.items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=40)
