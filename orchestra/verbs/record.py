"""The verb record: a session in a browser becomes a test."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from orchestra.errors import EXIT_OK, MachineError, OrchestraError, UsageError
from orchestra.ledger.disk import disk_error
from orchestra.recording import actions, calls, session
from orchestra.recording.actions import Recording
from orchestra.recording.draft import Draft
from orchestra.recording.files import relative
from orchestra.recording.suite import step_lines
from orchestra.report.console.lines import line
from orchestra.runtime.browsers.finder import Missing, find
from orchestra.verbs.compiling import inside
from orchestra.verbs.group import say, warn
from orchestra.verbs.options import project_of
from orchestra.verbs.recorded import Goal, goal_of, prove, take
from orchestra.yamltext.parse import parse

INTO = "specs/recorded.yaml"
"""The spec that gets a recorded test where none is named."""

_URL = re.compile(r"(?:https?|file)://|data:|about:blank$")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BASE = re.compile(r"([a-z][a-z0-9_]*)=(https?://\S+)")
_MOST_BYTES = 256 << 20


def _base(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> dict[str, str]:
    """Return the URLs of `--base`, by component."""
    del ctx, param
    bases = {}
    for word in words:
        match = _BASE.fullmatch(word)
        if match is None:
            raise UsageError(f'--base takes COMPONENT=URL, not "{word}"', "for instance frontend=http://127.0.0.1:3000")
        bases[match[1]] = match[2]
    return bases


@click.command(
    epilog="\b\nExamples:\n  orchestra record http://127.0.0.1:3000/      a test in specs/recorded.yaml\n"
    "  orchestra record http://127.0.0.1:3000/ --into specs/market.yaml --title 'A question'\n"
    "  orchestra record --from session.md           what an agent did by the Playwright MCP server\n"
    "  orchestra record --from transcript.jsonl --into specs/market.yaml --id B017\n"
    "  orchestra record --from session.md --print   the steps, and no file"
)
@click.argument("url", required=False)
@click.option(
    "--from",
    "log",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Log of a session of the Playwright MCP server, in place of a browser.",
)
@click.option("--into", metavar="FILE", default=INTO, show_default=True, help="Spec that gets the test; it may be new.")
@click.option("--id", "name", metavar="ID", help="Id of the test (default: R001, R002, …).")
@click.option("--title", metavar="TEXT", default="", help="Title of the test (default: the address).")
@click.option(
    "--base",
    "bases",
    multiple=True,
    metavar="COMPONENT=URL",
    callback=_base,
    help="Write addresses below URL as ${COMPONENT.url} (default: what `orchestra up` runs); can be repeated.",
)
@click.option("--print", "printed", is_flag=True, help="Print the steps; write and run nothing.")
@click.option("--remote", type=click.IntRange(1, 65535), hidden=True)
@click.pass_context
def record(
    ctx: click.Context,
    url: str | None,
    *,
    log: str | None,
    into: str,
    name: str | None,
    title: str,
    bases: dict[str, str],
    printed: bool,
    remote: int | None,
) -> int:
    """Record what is done in a browser as a test, add it to a spec, and run it by each method.

    A browser opens at URL, and the recording ends when its last page is closed. F8 expects what the element under the pointer
    shows, Shift+F8 that it is visible; F9 hovers it. With --from the log of an agent's session becomes the test. Exit code 0
    only if it has passed by all methods; otherwise the step that did not is shown. The test stays in the spec.
    """
    if (url is None) == (log is None):
        raise UsageError("record takes a URL or --from FILE", "for instance: orchestra record http://127.0.0.1:3000/")
    if url is not None and not _URL.match(url):
        raise UsageError(f'"{url}" is no address of a page', "write it with http:// or https://")
    if name is not None and not _ID.fullmatch(name):
        raise UsageError(f'"{name}" is no id of a test', "write a letter, then letters, digits and _: R001")
    goal = goal_of(project_of(ctx), inside(project_of(ctx), into))
    with TemporaryDirectory(prefix="orchestra-record-") as folder:
        draft = Draft({**goal.bases, **bases})
        if log is not None:
            _from_log(log, draft)
        else:
            _from_browser(goal, str(url), Path(folder), draft, remote)
        if printed:
            relative(draft, goal.project.root, str)
            _show(draft.notes)
            say("\n".join(step_lines(draft.steps)))
            return EXIT_OK
        name = _keep(goal, draft, name, title or f"Recorded {'from ' + Path(log).name if log else 'at ' + str(url)}")
    return prove(goal, name)


def _show(notes: Sequence[str]) -> None:
    for note in notes:
        warn(line("note", note))


def _keep(goal: Goal, draft: Draft, name: str | None, title: str) -> str:
    """Write a test, and return its id. If it cannot be written, its steps are printed, so that nothing is lost."""
    try:
        test = take(goal, draft, name, title)
    except OrchestraError:
        say("\n".join(step_lines(draft.steps)))
        raise
    _show(draft.notes)
    if not draft.expectations:
        warn(line("note", f"{test} expects nothing of the page: add an `expect`, or it passes whatever the page shows"))
    steps = f"{len(draft.steps)} step{'s' * (len(draft.steps) != 1)}"
    place = parse(goal.path.read_bytes(), goal.file).place(("tests", test), key=True)
    warn(line("recorded", test, f"{steps} in {goal.file}:{place.line}"))
    return test


def _from_browser(goal: Goal, url: str, folder: Path, draft: Draft, remote: int | None) -> None:
    """Add to a draft the steps that a person does in a browser.

    Raises:
        MachineError: no browser with a window starts, or the page does not load.
        UsageError: nothing was done.
    """
    from orchestra.runtime.recording import browser  # noqa: PLC0415 - Playwright costs more than the rest of a start

    found = find("chromium", os.environ, goal.project.root, headed=remote is None)
    if isinstance(found, Missing):
        raise MachineError(
            found.text(), "without a display: `xvfb-run orchestra record …`, or `orchestra record --from` with a log"
        )
    shown = 0

    def show(recording: Recording, spared: int) -> None:
        nonlocal shown
        steps = step_lines(actions.draft_of(recording, Draft(draft.bases)).steps)
        for number, text in enumerate(steps[shown : max(1, len(steps) - spared)], shown + 1):
            warn(line("step", str(number), text.removeprefix("- ")))
            shown = number

    warn(line("recording", url, "close the window to end", "F8 expects", "Shift+F8 expects visible", "F9 hovers"))
    trusting = goal.plan is not None and goal.plan.tls.ignore_https_errors
    wish = browser.Wish(url, found, os.environ, folder, remote, trusting, lambda made: show(made, 1))
    recording = browser.record(wish)
    if not recording.acted:
        raise UsageError("nothing was recorded: the browser was closed before the first action", "record again")
    show(recording, 0)  # the last step could change until now
    actions.draft_of(recording, draft)


def _from_log(log: str, draft: Draft) -> None:
    """Add to a draft the steps of a session's log.

    Raises:
        UsageError: it has no call that is a step.
    """
    file = Path(log)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise UsageError(f'"{log}" has more than {_MOST_BYTES >> 20} MiB', "cut out the session that matters")
        text = file.read_bytes().decode(errors="replace")
    except OSError as error:
        raise disk_error(error, file, "read") from error
    called = calls.read(text)
    if not called:
        raise UsageError(
            f'"{log}" has no call of a tool of the Playwright MCP server (browser_navigate, browser_click, …)',
            "give a session.md of `--save-session`, JSON lines of the protocol, or a transcript of Claude Code",
        )
    session.draft_of(called, draft)
    if not draft.steps:
        raise UsageError(f'none of the {len(called)} calls in "{log}" is a step', "\n".join(draft.notes[:5]))
