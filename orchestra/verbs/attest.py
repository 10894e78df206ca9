"""The verb attest: the result of a test that was carried out by hand, recorded with evidence and compared with the verdicts."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestra import nofollow, plugins
from orchestra.errors import EXIT_FAILED, EXIT_OK, UsageError
from orchestra.ledger import plan_store
from orchestra.ledger.author import author_of
from orchestra.ledger.disk import disk_error, file_digest, replace_file
from orchestra.ledger.event import Attested
from orchestra.ledger.free_text import masked
from orchestra.ledger.lock import Holder, Lock, under_way
from orchestra.ledger.log import Writer, utc_stamp
from orchestra.ledger.parts import Evidence
from orchestra.ledger.reports import bind_reports
from orchestra.ledger.runs import LAST, LEDGER
from orchestra.ledger.view import View, look
from orchestra.plan import Plan
from orchestra.plugins import PluginError
from orchestra.report import watch
from orchestra.report.by_hand import agreement
from orchestra.report.console.lines import line
from orchestra.runtime import inherited
from orchestra.runtime.mask import Masks
from orchestra.suggest import did_you_mean
from orchestra.verbs.chosen_run import run_folder
from orchestra.verbs.compiling import inside
from orchestra.verbs.group import say
from orchestra.verbs.options import project_of, suite_option

METHOD = "agent"
"""The method of an attested result, in print: no method of a spec carried it out."""

FOLDER = "attested"
MOST_BYTES = 50 << 20


@click.command(
    epilog="\b\nExamples:\n  orchestra attest B004 --status passed --evidence shot.png\n"
    '  orchestra attest B004 --status failed --evidence shot.png --note "the button stays grey"'
)
@click.argument("test")
@click.option("--status", type=click.Choice(["passed", "failed"]), required=True, help="Result that was seen.")
@click.option(
    "--evidence", "files", multiple=True, metavar="FILE", help="File that shows it; can be repeated. Required."
)
@click.option("--note", default="", metavar="TEXT", help="Remark, for the record.")
@click.option(
    "--run", "run", metavar="RUN", default=LAST, help="Run to whose record it is added (default: the newest)."
)
@suite_option
@click.pass_context
def attest(
    ctx: click.Context, test: str, *, status: str, files: tuple[str, ...], note: str, run: str, suite: str | None
) -> int:
    """Record the result of a test that was carried out by hand. It is a claim: it has evidence, and is no verdict.

    The verdicts of the methods are shown next to it, and the report is made again. Exit code 1 if one of them contradicts it.
    """
    if not files:
        raise UsageError("a result without evidence is no record", "add --evidence FILE, for instance a screenshot")
    if len({Path(file).name for file in files}) < len(files):
        raise UsageError("two files of evidence have the same name", "rename one of them")
    project = project_of(ctx)
    folder = run_folder(project, suite, run)
    plan = plan_store.latest(project.root, folder)
    known = [one.id for one in plan.tests]
    if test not in known:
        raise UsageError(f'unknown test "{test}"{did_you_mean(test, known)}', "`orchestra run --list` shows them")
    if under_way(folder):
        raise UsageError(
            f"run {folder.name} goes on: its record is its own until it ends", "`orchestra wait` waits for it"
        )
    contents = [(file, _content(project.root / inside(project, file), file)) for file in files]
    inherits = inherited.of_plan(project.root, plan, os.environ)
    masks = Masks(inherits.secrets, inherits.environment)
    lock = Lock(folder.parent.parent / "lock", Holder(os.getpid(), "attest", utc_stamp(datetime.now(UTC))))
    try:
        view = look(folder, steps=False)
        place = f"{FOLDER}/{len(view.attested) + 1}"
        kept = tuple(_kept(folder, f"{place}/{Path(file).name}", content, masks) for file, content in contents)
        body = Attested(test=test, status="passed" if status == "passed" else "failed", note=note, evidence=kept)
        author = author_of(project.root, os.environ)
        with Writer(folder / LEDGER, now=lambda: datetime.now(UTC), author=author) as writer:
            writer.append(masked(body, masks.text))
            writer.seal()
        paths, faults = watch.write(project.root, plan, folder)
        bind_reports(folder, paths, lambda: datetime.now(UTC), author)
    finally:
        lock.release()
    say(line("attested", f"{METHOD}:{test}", status, "claimed", ", ".join(one.path for one in kept)))
    if faults:
        raise PluginError("; ".join(faults), plugins.REPORT)
    return _compared(plan, view, body)


def _content(path: Path, name: str) -> bytes:
    """Return a file of the project; an empty one shows nothing."""
    try:
        content = nofollow.read(path)
    except OSError as error:
        raise disk_error(error, path, "read") from error
    if not content or len(content) > MOST_BYTES:
        raise UsageError(f'"{name}" has {len(content)} bytes', f"evidence has from 1 to {MOST_BYTES} bytes")
    return content


def _kept(folder: Path, path: str, content: bytes, masks: Masks) -> Evidence:
    """Write a file of evidence into the folder of a run, without secrets if it is text."""
    with suppress(UnicodeDecodeError):  # a picture
        content = masks.text(content.decode()).encode()
    try:
        nofollow.make_folders((folder / path).parent)
    except OSError as error:
        raise disk_error(error, folder / path, "write") from error
    replace_file(folder / path, content)
    digest, size = file_digest(folder / path)
    return Evidence(path=path, digest=digest, bytes=size, kind=FOLDER)


def _compared(plan: Plan, view: View, claim: Attested) -> int:
    """Print the verdicts of the methods; return whether one contradicts the attested result."""
    code = EXIT_OK
    for method in plan.methods:
        given = view.verdicts.get(f"{method.id}:{claim.test}")
        if given is not None:
            word = agreement(given.verdict, claim.status)
            code = EXIT_FAILED if word == "differs" else code
            say(line(given.verdict, given.task, word, given.reason))
    return code
