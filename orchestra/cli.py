"""The command line: the one place that reads argv and the environment, prints, and exits.

The verbs live in `orchestra.verbs` and are imported when they are called: `--help` and an unchanged `compile --check` must
not pay for a compiler or a runtime that they do not use.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from typing import Any

from orchestra import streams
from orchestra.errors import EXIT_BUG, EXIT_MACHINE, EXIT_OK, EXIT_SIGINT, MachineError, OrchestraError, SpecError

# verb -> (module of orchestra.verbs, one line for --help); the function has the verb's name
VERBS: dict[str, tuple[str, str]] = {
    "init": ("specs", "Write a commented starter spec."),
    "validate": ("specs", "Validate specs and show every problem at its line."),
    "compile": ("specs", "Compile specs to doit tasks, slash commands and docs."),
    "schema": ("specs", "Print the JSON Schema of specs."),
    "plan": ("views", "Print the graph of a suite."),
    "show": ("views", "Print a test as it will run."),
    "health": ("health", "Print the current health matrix."),
    "up": ("health", "Start servers and leave them running."),
    "down": ("health", "End the servers that `up` started."),
    "run": ("runs", "Run tests."),
    "worker": ("worker", "Carry out tests for runs on other machines."),
    "record": ("record", "Record a session in a browser as a test."),
    "merge": ("merge", "Merge the runs of shards into one."),
    "wait": ("waiting", "Wait for a run, and end with its exit code."),
    "stop": ("waiting", "End a run in order."),
    "status": ("status", "Show the progress of a run."),
    "events": ("records", "Print the events of a run."),
    "report": ("records", "Regenerate the report of a run from its ledger."),
    "open": ("opening", "Serve the page of a run; it follows one under way."),
    "audit": ("records", "Verify the record of a run."),
    "claim": ("claim", "Check a sentence about a run against its record."),
    "attest": ("attest", "Record what was seen of a test by hand, with evidence."),
    "rollback": ("rollback", "Return a run to a checkpoint."),
    "compare": ("compare", "Compare two methods, runs or branches."),
    "history": ("history", "Show the results of earlier runs."),
    "baseline": ("baseline", "Show, accept or reset the usual durations of tests."),
    "doctor": ("doctor", "Report what this machine lacks, with hints."),
    "mcp": ("mcp", "Serve these verbs to coding agents as MCP tools."),
    "agent": ("agent", "Configure coding agents."),
}


def main() -> None:
    """Run the command line and exit with a code of `orchestra.errors`.

    Modules are no garbage: to search them for cycles, while they are imported and again at the exit, takes a fifth of a
    short command (docs/benchmarks.md). So the collector is off until a verb is called, and what is left at the end is
    not searched.
    """
    gc.disable()
    streams.open_closed()
    code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Return the exit code of a command line. Report known errors on stderr; for others write a file to attach."""
    try:
        if _is_check(arguments) and _unchanged():
            print("up to date: nothing has changed since the last check", file=sys.stderr)
            return EXIT_OK
        code = _plain_compile() if arguments == ["compile"] else _click(arguments)
        sys.stdout.flush()
    except OrchestraError as error:
        tell(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_SIGINT
    except BrokenPipeError:
        # The reader has gone: nothing is wrong. Python would complain again when it flushes at exit.
        streams.deafen()
        return EXIT_OK
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            return _bug(arguments)
        streams.deafen()
        tell(_refusal(error))
        return EXIT_MACHINE
    except Exception:  # noqa: BLE001 - the last line of defence: a bug becomes a file that can be sent to us
        return _bug(arguments)
    return code


_OF_THE_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EFBIG}
)
"""Errors by which a system refuses an operation of any program; they are not bugs of orchestra."""


def _refusal(error: OSError) -> MachineError:
    """Return a system that refuses. An error without a file is about what is printed."""
    what = f"{error.filename!r}" if error.filename else "the output"
    return MachineError(f"{what} cannot be written: {error.strerror}", "make room, or raise the limit that was reached")


def tell(error: OrchestraError) -> None:
    """Show a known error: its message, and its hint on a line of its own. Nothing in it can steer a terminal."""
    from orchestra.printing import letter, printed  # noqa: PLC0415 - only an error needs it

    many = isinstance(error, SpecError)  # each of its lines is one of ours
    print(printed(f"error: {error.message}") if many else letter(error.message, error.hint), file=sys.stderr)


def _is_check(arguments: list[str]) -> bool:
    """Return True if it is a plain `compile --check`, which a stamp may answer; CI never asks the stamp."""
    return (
        arguments[:1] == ["compile"]
        and "--check" in arguments
        and set(arguments[1:]) <= {"--check", "--diff"}
        and not os.environ.get("CI")
    )


def _unchanged() -> bool:
    """Return True if all specs, outputs and this program are as the last check found or made them."""
    from pathlib import Path  # noqa: PLC0415 - as in `_click`

    from orchestra import project  # noqa: PLC0415 - as in `_click`
    from orchestra.compiler.outputs import stamp  # noqa: PLC0415 - as in `_click`

    try:
        here = project.find(Path.cwd())
        return stamp.unchanged(here.root, here.spec_files())
    except (OrchestraError, OSError):
        return False  # the full compile reports the problem


def _click(arguments: list[str]) -> int:
    from orchestra.verbs import group  # noqa: PLC0415 - click costs more than a check that changes nothing

    return group.invoke(VERBS, load_verb, arguments)


def _plain_compile() -> int:
    """`compile` without any option: click, an eighth of a compile of 16 tests, would have nothing to read."""
    from orchestra import project  # noqa: PLC0415 - as in `_click`
    from orchestra.printing import printed  # noqa: PLC0415
    from orchestra.verbs import compiling  # noqa: PLC0415
    from orchestra.yamltext.parse import collector_paused  # noqa: PLC0415

    with collector_paused():  # off since `main`: to turn it on at the end would search all that was compiled
        done = compiling.compile_specs(project.here())
    print(printed("\n".join((*done.lines, done.last))), file=sys.stderr)
    return done.code


def load_verb(name: str) -> Any:
    """Return the command of a verb, imported."""
    module = importlib.import_module(f"orchestra.verbs.{VERBS[name][0]}")
    gc.freeze()
    gc.enable()
    own = getattr(module, f"{name}_", None)  # `compile` is a word of Python, `up` a module of ours
    return own or getattr(module, name)


def _bug(arguments: list[str]) -> int:
    import tempfile  # noqa: PLC0415 - only a report needs these
    import traceback  # noqa: PLC0415

    from orchestra import __version__  # noqa: PLC0415
    from orchestra.printing import letter, printed  # noqa: PLC0415

    masks = sys.modules.get("orchestra.runtime.mask.masks")  # where it is not imported, no secret was read
    trace = masks.last_words(traceback.format_exc()) if masks else traceback.format_exc()
    print(letter(f"this is a bug of orchestra: {trace.strip().splitlines()[-1]}"), file=sys.stderr)
    try:
        handle, path = tempfile.mkstemp(prefix="orchestra-bug-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"orchestra {__version__}, Python {sys.version}, {sys.platform}\n")
            file.write(f"verb: {next((word for word in arguments if word in VERBS), '-')}\n\n{trace}")
    except OSError:
        print(printed(f"{trace}hint: please report it with the lines above"), file=sys.stderr)
    else:
        print(printed(f"hint: please report it and attach {path}"), file=sys.stderr)
    return EXIT_BUG


if __name__ == "__main__":
    main()
