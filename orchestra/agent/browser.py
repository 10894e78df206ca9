"""Start the Playwright MCP server for an agent that explores by hand, with the browser that orchestra finds."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from orchestra import nofollow
from orchestra.errors import MachineError
from orchestra.ledger.disk import disk_error
from orchestra.runtime.browsers.finder import Browser, Missing, find
from orchestra.runtime.driver.mcp.flags import BY_HAND
from orchestra.runtime.driver.mcp.session import server_environment, server_program

FOLDER = ".orchestra/agent-browser"
"""The files of the server: the log of each session, screenshots, downloads. Git has none of them."""


def command(browser: Browser, folder: Path) -> list[str]:
    """Return the program and the arguments of the server.

    Args:
        browser: that it launches.
        folder: of its files.
    """
    return [
        *server_program(),
        *BY_HAND,
        f"--browser={browser.channel or 'chromium'}",
        *([f"--executable-path={browser.executable}"] if browser.executable else []),
        *(["--no-sandbox"] if "--no-sandbox" in browser.args else []),
        f"--output-dir={folder}",
    ]


def serve(root: Path, env: Mapping[str, str]) -> NoReturn:
    """Become the server, on stdin and stdout.

    Raises:
        MachineError: no browser starts, or the folder of its files cannot be made.
    """
    browser = find("chromium", env, root)
    if isinstance(browser, Missing):
        raise MachineError(browser.text())
    folder = root / FOLDER
    try:
        nofollow.make_folders(folder)
    except OSError as error:
        raise disk_error(error, folder, "write") from error
    argv = command(browser, folder)
    sys.stdout.flush()
    os.umask(0o077)  # the log of a session has what was typed
    os.chdir(folder)  # a file that an agent names goes there
    os.execve(argv[0], argv, {**server_environment(env), **dict(browser.env)})
