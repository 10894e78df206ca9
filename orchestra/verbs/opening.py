"""`orchestra open`: the page of a run from a server of this machine, live while the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import click

from orchestra import checkout
from orchestra.errors import EXIT_OK, UsageError
from orchestra.ledger import plan_store
from orchestra.ledger.parts import Evidence
from orchestra.report.live import Live
from orchestra.report.serve import serve, viewer_folder
from orchestra.verbs.chosen_run import run_argument, run_folder
from orchestra.verbs.group import say, warn
from orchestra.verbs.options import project_of, suite_option

PORT = click.IntRange(0, 65535)


@click.command(
    epilog="\b\nExamples:\n  orchestra open                 the newest run, live while it goes on\n"
    "  orchestra open 1a2b --port 8090   the run with this part in its id, at a fixed port\n"
    "  orchestra open --no-browser    print the address only"
)
@run_argument
@suite_option
@click.option("--port", type=PORT, default=0, help="Port of 127.0.0.1 (default: a free one).")
@click.option("--no-browser", is_flag=True, help="Print the address, and start no browser.")
@click.option("--with-stdin", is_flag=True, hidden=True)
@click.pass_context
def open(  # noqa: A001 - the verb
    ctx: click.Context, run: str, suite: str | None, *, port: int, no_browser: bool, with_stdin: bool
) -> int:
    """Serve the page of a run with its evidence and traces until Ctrl-C; it follows a run that is under way.

    Only this machine can reach it, and only with the token in the printed address.
    """
    project = project_of(ctx)
    folder = run_folder(project, suite, run)
    if not with_stdin:
        return serve_run(project.root, folder, port=port, browser=not no_browser)
    with suppress(KeyboardInterrupt):  # the run that started this process has ended, which is no interruption
        threading.Thread(target=_end_with_stdin, name="stdin", daemon=True).start()
        serve_run(project.root, folder, port=port, browser=not no_browser, hinted=False)
    return EXIT_OK


def _end_with_stdin() -> None:
    """End this process as Ctrl-C does when the one that started it is gone."""
    sys.stdin.buffer.read()
    signal.raise_signal(signal.SIGINT)


def serve_run(
    root: Path,
    folder: Path,
    trace: Evidence | None = None,
    *,
    port: int = 0,
    browser: bool = True,
    hinted: bool = True,
) -> int:
    """Serve a run until a signal ends it.

    Args:
        root: the project root.
        folder: the run's.
        trace: open this trace in the viewer instead of the page.
        port: to listen at, 0 for a free one.
        browser: show it in the browser of the user, where there is a display.
        hinted: print how to end it.

    Raises:
        UsageError: a trace is wanted, and the installed Playwright has no viewer.
        MachineError: the port is taken.
    """
    if trace is not None and viewer_folder() is None:
        raise UsageError(
            "the installed playwright package has no trace viewer", "install it again: `pip install playwright`"
        )
    live = Live(root, folder, plan_store.latest(root, folder))
    live.poll()

    def announce(address: str) -> None:
        shown = address
        if trace is not None:
            name = quote(Path(trace.path).name)
            shown = f"{address}trace/index.html?trace={quote(f'{address}f/{trace.digest}/{name}', safe='')}"
        say(shown)
        sys.stdout.flush()
        if browser and display(os.environ):
            with suppress(UsageError):  # the address is printed
                start(root, opener(root), shown)
        if hinted:
            warn("hint: Ctrl-C ends it")

    serve(live, folder, port, announce)
    return EXIT_OK


def opener(root: Path) -> str:
    """Return the system's program that opens a file or an address by its kind. Raises UsageError when there is none."""
    name = "open" if sys.platform == "darwin" else "xdg-open"
    program = checkout.program(name, os.environ.get("PATH", os.defpath), root)
    if program is None:
        raise UsageError(f"no program to open files: {name} is not on PATH", "remove --open to print the path")
    return program


def display(environment: Mapping[str, str]) -> bool:
    """Return whether a person sits at this machine's screen, as far as its environment shows."""
    seen = sys.platform == "darwin" or environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    return bool(seen) and sys.stderr.isatty() and not environment.get("CI")


def start(root: Path, program: str, what: str) -> None:
    """Start a program that goes on without us."""
    started = subprocess.Popen([program, what], env=checkout.environment(os.environ, root))
    started.returncode = 0
