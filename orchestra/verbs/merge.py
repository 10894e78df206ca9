"""The verb `merge`: one record of a suite that ran in shards."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from orchestra import nofollow
from orchestra.errors import UsageError
from orchestra.ledger.author import author_of
from orchestra.ledger.lock import Holder, Lock, under_way
from orchestra.ledger.log import utc_stamp
from orchestra.ledger.runs import LEDGER
from orchestra.project import PLAN_FOLDER
from orchestra.report import watch
from orchestra.runtime.shards.merge import id_of, sources_of
from orchestra.runtime.shards.merge import merge as merge_shards
from orchestra.verbs.options import brief_option, project_of


@click.command(
    epilog="\b\nExamples:\n  orchestra merge shards/*/2*          the shards that a pipeline has collected\n"
    "  orchestra merge shards/*/2* --allow-incomplete    tests of a lost shard become errors\n"
    "\n\b\nThe exit code is that of the merged run, 3 when the records cannot be merged."
)
@click.argument(
    "folders", nargs=-1, required=True, metavar="RUN_FOLDER...", type=click.Path(path_type=Path, file_okay=False)
)
@click.option(
    "--allow-incomplete",
    is_flag=True,
    help="Also without all shards, and of shards without an end: a missing test gets the verdict error.",
)
@brief_option
@click.pass_context
def merge(ctx: click.Context, folders: tuple[Path, ...], *, allow_incomplete: bool, brief: bool | None) -> int:
    """Merge the runs of `run --shard` into one run, evaluate its gates `after`, and write its report.

    Each record is verified first. Another plan, a missing or double shard and a record without an end are refused.
    """
    project = project_of(ctx)
    absolute = [Path(os.path.abspath(folder)) for folder in folders]  # noqa: PTH100 - links are not followed
    for folder, given in zip(absolute, folders, strict=True):
        if not nofollow.is_file(folder / LEDGER):
            if os.path.exists(folder / LEDGER):  # noqa: PTH110 - of a folder that cannot be read it is false
                raise UsageError(f'"{given}" is a link, or has one in it', "give the folder of the run itself")
            raise UsageError(
                f'"{given}" is no folder of a run: it has no {LEDGER}', "give folders of `.orchestra/SUITE/runs`"
            )
        if under_way(folder):
            raise UsageError(f'the run in "{given}" is in progress', "merge it when it has ended")
    sources = sources_of(absolute, incomplete=allow_incomplete)
    home = project.root / PLAN_FOLDER / project.choose(sources[0].start.suite)
    with Lock(home / "lock", Holder(os.getpid(), id_of(sources), utc_stamp(datetime.now(UTC)))):
        merged = merge_shards(
            home,
            sources,
            author=author_of(project.root, os.environ),
            observers=partial(watch.observers, project.root, brief=brief),
        )
    return merged.code
