"""Every error that ends a command, with its exit code.

    OrchestraError
    ├── UsageError        2   the command line, a name on it, or a file that it names is wrong
    ├── SpecError         2   the spec is wrong; carries every diagnostic
    ├── PlanError         2   plan.json is missing, stale or damaged: `orchestra compile` fixes it
    ├── ForeignFileError  2   an output path holds a file that this compiler did not write
    ├── BugError         70   a run met a mistake of ours (`orchestra.runtime.run.ending`)
    └── MachineError      3   a server, tool, browser, disk or folder is not healthy
        ├── LockedError       another run has the suite (`orchestra.ledger.lock`)
        └── LedgerError       a record is missing, or was changed elsewhere (`orchestra.ledger.log`)

Conditions that are not the user's fault have exceptions of their own where they are raised and caught (`StepError` in
the drivers, `ServerError` around MCP, `EvaluationError` in the metrics) and never reach the command line.

A message quotes what was found, with the place and the allowed values; `hint` states the fix. Errors carry data and
never print: the command line renders them once (see `orchestra.cli`).
"""

from __future__ import annotations

from typing import ClassVar

from orchestra.diagnostic import Diagnostic, listed

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_MACHINE = 3
EXIT_BUG = 70
EXIT_GOES_ON = 124
EXIT_SIGINT = 130


class OrchestraError(Exception):
    """A mistake or a condition that the reader can fix.

    Args:
        message: what was found and what is allowed, in one or a few lines, lower case at the start.
        hint: the fix; empty if the message states it.
    """

    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(OrchestraError):
    """The command line, a name on it, or a file that it names is wrong."""


class SpecError(OrchestraError):
    """The spec is wrong. `diagnostics` holds every problem, sorted by place; the message the first ones of each rule."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(listed(diagnostics)))
        self.diagnostics = diagnostics


class PlanError(OrchestraError):
    """plan.json is missing, stale or damaged."""


class ForeignFileError(OrchestraError):
    """An output path holds a file that this compiler did not write."""


class MachineError(OrchestraError):
    """A server, tool, browser, disk or folder is not healthy."""

    exit_code = EXIT_MACHINE
