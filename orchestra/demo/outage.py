"""Breaks the sample server on purpose, to show what a run does about it: `python -m orchestra.demo.outage DEED`.

    reset                   forget earlier deeds: what may run before the server
    kill                    SIGKILL the server, then ask it, as a test that meets the outage would
    starve                  the same, and let no live server start any more: only the stand-in helps
    ask                     ask it

With `--attempt DIR` a deed is done in the first attempt only (the folder that is called 1); a repeated test just asks. The
server writes its pid to `--pid-file` (`orchestra.demo.backend`); `DEMO_STARVED` names the file that starves it. Imports
nothing of this package.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(".orchestra/demo")
PID_FILE = FOLDER / "backend.pid"
STARVED_FILE = FOLDER / "starved"
_SECONDS = 5.0


def kill() -> None:
    """End the server at once, as a crash would.

    Raises:
        OSError: there is none.
        ValueError: its pid file is damaged.
    """
    os.kill(int(PID_FILE.read_text(encoding="ascii")), signal.SIGKILL)


def ask(url: str) -> str:
    """Return the server's answer about the market, in one line.

    Raises:
        OSError: it does not answer.
        ValueError: it answers something else.
    """
    with urllib.request.urlopen(f"{url}/api/market", timeout=_SECONDS) as reply:  # noqa: S310 - the address is the spec's
        said = json.load(reply)
    return f"{len(said['quotes'])} quotes, {said['mode']}"


def main(argv: Sequence[str]) -> int:
    """Do the deed and gives back the exit code: 0, or 1 when the server did not answer."""
    parser = argparse.ArgumentParser(prog="orchestra.demo.outage", description="Breaks the sample server on purpose.")
    parser.add_argument("deed", choices=["reset", "kill", "starve", "ask"])
    parser.add_argument("--url", default="", help="the address of the server")
    parser.add_argument("--attempt", type=Path, default=Path("1"), metavar="DIR", help="the folder of the attempt")
    options = parser.parse_args(argv)
    if options.deed == "reset":
        STARVED_FILE.unlink(missing_ok=True)
        PID_FILE.unlink(missing_ok=True)
        return 0
    try:
        if options.attempt.name == "1" and options.deed != "ask":
            if options.deed == "starve":
                STARVED_FILE.touch()
            kill()
        sys.stdout.write(f"{ask(options.url)}\n")
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"the server did not answer: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
