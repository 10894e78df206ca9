"""The command line: the one place that reads argv and the environment, prints, and exits. May import everything.

The verbs live in `orchestra.verbs` and are imported when they are called: `--help` and an unchanged `compile --check` must
not pay for a compiler or a runtime that they do not use (bench/startup.py measures it).
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from orchestra.errors import EXIT_BUG, EXIT_OK, EXIT_SIGINT, OrchestraError

# verb -> (module of orchestra.verbs, one line for --help); the function has the verb's name
VERBS: dict[str, tuple[str, str]] = {
    "init": ("specs", "Write a commented starter spec."),
    "validate": ("specs", "Judge specs and show every problem at its line."),
    "compile": ("specs", "Compile specs to doit tasks, slash commands and docs."),
    "schema": ("specs", "Print the JSON Schema of specs."),
    "plan": ("views", "Print the graph of a suite."),
    "show": ("views", "Print a test as it will run."),
    "run": ("runs", "Run tests."),
}


def main() -> None:
    """Run the command line and exit with a code of `orchestra.errors`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of a command line. Known errors are told on stderr; anything else leaves a file to attach."""
    try:
        return _click(arguments)
    except OrchestraError as error:
        tell(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_SIGINT
    except BrokenPipeError:
        # The reader has gone: nothing is wrong. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception:  # noqa: BLE001 - the last line of defence: a bug becomes a file that can be sent to us
        return _bug(arguments)


def tell(error: OrchestraError) -> None:
    """Show a known error: its message, and its hint on a line of its own."""
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)


def _click(arguments: list[str]) -> int:
    from orchestra.verbs import group  # noqa: PLC0415 - click costs more than a check that changes nothing

    return group.invoke(VERBS, _verb, arguments)


def _verb(name: str) -> Any:
    module = importlib.import_module(f"orchestra.verbs.{VERBS[name][0]}")
    return getattr(module, name, None) or getattr(module, f"{name}_")  # `compile` is a word of Python


def _bug(arguments: list[str]) -> int:
    handle, path = tempfile.mkstemp(prefix="orchestra-bug-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        from orchestra import __version__  # noqa: PLC0415 - only a report needs it

        file.write(f"orchestra {__version__}, Python {sys.version}, {sys.platform}\n")
        file.write(f"verb: {next((word for word in arguments if word in VERBS), '-')}\n\n{traceback.format_exc()}")
    last = traceback.format_exc().strip().splitlines()[-1]
    print(f"error: this is a bug of orchestra: {last}", file=sys.stderr)
    print(f"hint: please report it and attach {Path(path)}", file=sys.stderr)
    return EXIT_BUG
