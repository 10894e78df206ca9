"""Every error that ends a command, with its exit code. May import `diagnostic` only.

    OrchestraError
    ├── UsageError        2   the command line, a name on it, or a file that it names is wrong
    ├── SpecError         2   the spec is wrong; carries every diagnostic
    ├── PlanError         2   plan.json is missing, stale or damaged: `orchestra compile` mends it
    ├── ForeignFileError  2   an output path holds a file that this compiler did not write
    ├── DriftError        1   `compile --check` found an output that differs from the spec
    ├── BugError         70   a run met a mistake of ours (`orchestra.runtime.run.ending`)
    └── MachineError      3   a server, tool, browser, disk or folder is not fit for the work
        ├── LockedError       another run has the suite (`orchestra.ledger.lock`)
        └── LedgerError       a record is missing, or was changed by somebody else (`orchestra.ledger.log`)

What is no fault of the user has its own exceptions where it is raised and caught (`StepError` in the drivers,
`ServerError` around MCP, `EvaluationError` in the metrics) and never reaches the command line.

A message says what was found, quoted, where, and what is allowed; `hint` says what to do. Errors carry data and never
print: the command line renders them once (see `orchestra.cli`).
"""

from __future__ import annotations

from typing import ClassVar

from orchestra.diagnostic import Diagnostic

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_MACHINE = 3
EXIT_BUG = 70
EXIT_SIGINT = 130
EXIT_SIGTERM = 143


class OrchestraError(Exception):
    """A mistake or a condition that its reader can mend.

    Args:
        message: what was found and what is allowed, in one or a few lines, lower case at the start.
        hint: what to do about it; empty when the message says it already.
    """

    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(OrchestraError):
    """The command line, a name on it, or a file that it names is wrong."""


class SpecError(OrchestraError):
    """The spec is wrong. `diagnostics` holds every problem, sorted by place."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(problem.text() for problem in diagnostics))
        self.diagnostics = diagnostics


class PlanError(OrchestraError):
    """plan.json is missing, stale or damaged."""


class ForeignFileError(OrchestraError):
    """An output path holds a file that this compiler did not write."""


class DriftError(OrchestraError):
    """An output on disk differs from what the spec compiles to."""

    exit_code = EXIT_FAILED


class MachineError(OrchestraError):
    """A server, tool, browser, disk or folder is not fit for the work."""

    exit_code = EXIT_MACHINE
