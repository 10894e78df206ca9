"""The verb worker: this machine as a node of runs that another one carries out."""

from __future__ import annotations

import os
import re
import sys

import click

from orchestra.errors import EXIT_OK, UsageError
from orchestra.runtime.nodes.dask_node import serve
from orchestra.runtime.nodes.dask_package import check_address
from orchestra.verbs.group import say
from orchestra.verbs.options import project_of

_NAME = re.compile(r"(?:\w[\w.-]{0,63})?", re.ASCII)
"""Of a node, which names a folder of its own; empty for one that is made up."""


@click.command(
    epilog="\b\nExample:\n  orchestra worker --scheduler tcp://10.0.0.5:8786 --slots 2\n"
    "  orchestra run --engine dask --scheduler tcp://10.0.0.5:8786   (on another machine)"
)
@click.option("--scheduler", metavar="URL", required=True, help="Address of the Dask scheduler, tcp://HOST:PORT.")
@click.option("--slots", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Tests at once.")
@click.option("--name", metavar="NAME", default="", help="Name of the node (default: host and process).")
@click.pass_context
def worker(ctx: click.Context, *, scheduler: str, slots: int, name: str) -> int:
    """Carry out tests of runs on other machines, until Ctrl-C or the end of the scheduler.

    The node is used by `orchestra run --engine dask`. Its checkout has the same plan as that of the run.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" cannot be the name of a node',
            "use up to 64 letters, digits, `_`, `-` and `.`, and begin with none of the latter two",
        )
    serve(project_of(ctx), check_address(scheduler), name=name, slots=slots, environment=dict(os.environ), say=_line)
    return EXIT_OK


def _line(text: str) -> None:
    say(text)
    sys.stdout.flush()
