"""Start the Playwright MCP server for an agent that explores by hand, with the browser that orchestra finds."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger.disk import disk_error
from orchestra.ledger.runs import BY_HAND, stamp_of
from orchestra.project import PLAN_FOLDER, Project
from orchestra.runtime.browsers.finder import Browser, Missing, find
from orchestra.runtime.driver.mcp import flags
from orchestra.runtime.driver.mcp.session import server_environment, server_program


def folder_of(project: Project, now: datetime, suite: str | None = None) -> Path:
    """Return the folder of the files of a server that starts: the log of each session, screenshots, downloads.

    It is among those of the runs of a suite, and goes with them (`ledger.retention`). A server starts with its client, before a
    run and over several, so that it is in none of them: the record of a run that has ended is sealed.

    Args:
        project: of the client.
        now: the time.
        suite: that is meant; None for the default one, or the first.
    """
    suites = project.suites()
    name = project.suite if suite is None and project.suite in suites else suite
    name = project.choose(name) if name is not None else next(iter(suites), "")
    home = project.root / PLAN_FOLDER / name / "runs" if name else project.root / PLAN_FOLDER
    return home / BY_HAND / f"{stamp_of(now)}-p{os.getpid()}"


def command(browser: Browser, folder: Path) -> list[str]:
    """Return the program and the arguments of the server.

    Args:
        browser: that it launches.
        folder: of its files.
    """
    return [
        *server_program(),
        *flags.BY_HAND,
        f"--browser={browser.channel or 'chromium'}",
        *([f"--executable-path={browser.executable}"] if browser.executable else []),
        *(["--no-sandbox"] if "--no-sandbox" in browser.args else []),
        f"--output-dir={folder}",
    ]


def serve(project: Project, env: Mapping[str, str], suite: str | None = None) -> NoReturn:
    """Become the server, on stdin and stdout.

    Args:
        project: of the client.
        env: of the server.
        suite: as of `folder_of`.

    Raises:
        UsageError: there is no such suite.
        MachineError: no browser starts, or the folder of its files cannot be made.
    """
    folder = folder_of(project, datetime.now(UTC), suite)
    browser = find("chromium", env, project.root)
    if isinstance(browser, Missing):
        raise MachineError(browser.text())
    try:
        nofollow.make_folders(folder)
    except OSError as error:
        raise disk_error(error, folder, "write") from error
    argv = command(browser, folder)
    sys.stdout.flush()
    os.umask(0o077)  # the log of a session has what was typed
    os.chdir(folder)  # a file that an agent names goes there
    os.execve(argv[0], argv, {**server_environment(env), **dict(browser.env)})
