"""The verbs that deal with a run in another process: wait, stop."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from orchestra import nofollow
from orchestra.draw import duration
from orchestra.errors import EXIT_GOES_ON, EXIT_OK, MachineError
from orchestra.ledger import plan_store
from orchestra.ledger.disk import replace_file
from orchestra.ledger.lock import Holder, holder_of, under_way
from orchestra.ledger.quick import PRINTED, printed
from orchestra.ledger.reading import Tail
from orchestra.ledger.runs import LEDGER
from orchestra.ledger.view import View, look
from orchestra.report import loading, watch
from orchestra.report.console import lines
from orchestra.report.console.brief import Brief
from orchestra.report.console.display import Feed
from orchestra.report.console.table import exit_meaning
from orchestra.report.forms import FORMS
from orchestra.runtime.run.stopping import terminate
from orchestra.verbs.chosen_run import run_argument, run_folder
from orchestra.verbs.group import say, warn
from orchestra.verbs.options import brief_option, project_of, suite_option

LOOK_SECONDS = 0.1
SECOND_SIGNAL_SECONDS = 1.0
MOST_RUNNING = 4
"""A line of progress names so many running tests."""
END_SECONDS = 60.0
"""A run has this time to end in order after SIGTERM."""


@click.command(
    epilog="\b\nExamples:\n  orchestra wait                the newest run, to its end\n"
    "  orchestra wait --seconds 100  at most so long: exit code 124 if the run goes on\n"
    "  orchestra wait 1a2b --all     of the run with this part in its id, all lines again"
)
@run_argument
@suite_option
@click.option("--seconds", type=click.FloatRange(min=0), help="Longest wait (default: until the run ends).")
@click.option("--all", "again", is_flag=True, help="Also print the lines that an earlier wait has printed.")
@brief_option
@click.pass_context
def wait(
    ctx: click.Context, run: str, suite: str | None, *, seconds: float | None, again: bool, brief: bool | None
) -> int:
    """Print the new lines of a run as they come, and exit with the run's own exit code when it ends.

    A second call prints only the lines that came after those of the first. Exit code 124 if the run goes on after SECONDS.
    """
    project = project_of(ctx)
    folder = run_folder(project, suite, run)
    deadline = None if seconds is None else time.monotonic() + seconds
    while under_way(folder) and not look(folder, steps=False).segment.plan_digest:  # its record has just been made
        time.sleep(LOOK_SECONDS)
    short = watch.for_agent() if brief is None else brief
    watched = Watched(project.root, folder, 0 if again else printed(os.fspath(folder)), brief=short)
    while True:
        going = under_way(folder)  # asked before the file is read, so that its last event is not missed
        for text in watched.poll():
            say(text)
        sys.stdout.flush()
        if not going:
            break
        if deadline is not None and time.monotonic() >= deadline:
            say(watched.progress())
            _show(folder, watched)
            return EXIT_GOES_ON
        time.sleep(LOOK_SECONDS)
    for text in watched.closing():
        say(text)
    _show(folder, watched)
    if watched.code is None:
        raise MachineError(
            f"run {folder.name} ended without an end: it was killed, or the machine went down",
            "`orchestra run --resume` continues it",
        )
    return watched.code


class Watched:
    """A run as its lines are printed.

    Args:
        root: the project root.
        folder: the run's.
        shown: the number of the last event that needs no line.
        brief: print the short form.
    """

    def __init__(self, root: Path, folder: Path, shown: int, *, brief: bool = False) -> None:
        self._shown = shown
        self._tail, self._view = Tail(folder / LEDGER), View(steps=False)
        place = loading.relative(folder, root)
        files = [one.file for one in FORMS.values()]

        def written() -> list[str]:
            return [f"{place}/{name}" for name in files if nofollow.is_file(folder / name)]

        form = Brief if brief else Feed
        self._feed = form(plan_store.latest(root, folder), place, written)

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return self._view.seq

    @property
    def code(self) -> int | None:
        """The exit code of the run; None while it has none."""
        finish = self._view.segment.finish
        return None if finish is None else finish.exit_code

    def poll(self) -> list[str]:
        """Return the lines of the events that came. Raises LedgerError and MachineError, as `Tail.poll`."""
        fresh: list[str] = []
        for event in self._tail.poll():
            self._view.see(event)
            _, texts = self._feed.take(event, self._view)
            fresh += texts if event.seq > self._shown else []
        return fresh

    def progress(self) -> str:
        """Return one line: the verdicts so far, and the running tests."""
        view, now = self._view, datetime.now(UTC)
        counts = [f"{number} {verdict}" for verdict, number in view.counts.items() if number]
        waiting = [f"{len(view.pending)} waiting"] if view.pending else []
        running = [
            f"{task} {duration(max(0.0, (now - datetime.fromisoformat(seen.time)).total_seconds()))}"
            for task, seen in [*view.current.items()][:MOST_RUNNING]
        ]
        running += [f"and {len(view.current) - MOST_RUNNING} more"] if len(view.current) > MOST_RUNNING else []
        return lines.line("goes on", ", ".join([*counts, *waiting]), f"running {', '.join(running)}" if running else "")

    def closing(self) -> list[str]:
        """Return the lines that close the run; one, if an earlier call has printed them all."""
        found, texts = self._feed.closing(self._view)
        return texts if self.seq > self._shown else [lines.line("exit", exit_meaning(found))]


def _show(folder: Path, watched: Watched) -> None:
    replace_file(folder / PRINTED, f"{watched.seq}\n".encode())


@click.command(
    epilog="\b\nExamples:\n  orchestra stop         the run in progress\n  orchestra stop --now   without its order"
)
@run_argument
@suite_option
@click.option("--now", is_flag=True, help="End it at once: no verdicts, no `finally`; servers and browsers are ended.")
@click.pass_context
def stop(ctx: click.Context, run: str, suite: str | None, *, now: bool) -> int:
    """End a run in order, by a signal to the process that holds its lock, and wait until it has ended.

    Running tests end as `interrupted`, every selected test gets a verdict, servers are stopped. Exit code 3 if the run has
    not ended after a minute.
    """
    project = project_of(ctx)
    folder = run_folder(project, suite, run)

    def holder() -> Holder | None:
        found = holder_of(folder.parent.parent / "lock")
        return found if found is not None and found.run == folder.name else None

    if (holds := holder()) is None:
        say(lines.line("stopped", folder.name, "is not in progress"))
        return EXIT_OK
    if not holds.born:
        raise MachineError(
            f"process {holds.pid} writes the record of run {folder.name}, and is not the run", "try again"
        )
    warn(f"stopping run {folder.name} (process {holds.pid}): at most {duration(END_SECONDS)}")
    if not look(folder, steps=False).segment.interrupted:  # a second signal would end it at once
        terminate(holds)
    if now and not _until(lambda: holder() is None, SECOND_SIGNAL_SECONDS):
        terminate(holds)
    if not _until(lambda: holder() is None, END_SECONDS):
        raise MachineError(
            f"run {folder.name} (process {holds.pid}) has not ended within {duration(END_SECONDS)}",
            "`orchestra stop --now` ends it at once",
        )
    finish = look(folder, steps=False).segment.finish
    say(lines.line("stopped", folder.name, f"exit {finish.exit_code}" if finish is not None else "without an end"))
    warn("hint: `orchestra run --resume` continues it")
    return EXIT_OK


def _until(done: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; return whether it holds."""
    deadline = time.monotonic() + seconds
    while not (held := done()) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return held
