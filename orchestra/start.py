"""Start the command line, or the hook of an agent, which has no time for it: a client waits for it at each of its events."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line, or the hook, and exit with its code."""
    gc.disable()  # until a verb is called, see `cli.main`
    if sys.argv[1:] == ["agent", "hook"]:
        _hook()
    from orchestra import cli  # noqa: PLC0415 - it takes as long to import as a bare Python takes to start

    cli.main()


def _hook() -> None:
    from orchestra import streams  # noqa: PLC0415 - the command line does it by itself
    from orchestra.verbs import hook  # noqa: PLC0415 - as above

    streams.open_closed()
    code = hook.main()
    gc.freeze()
    sys.exit(code)
