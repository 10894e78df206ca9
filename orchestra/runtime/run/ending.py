"""The end of a run before its time: a signal, or a fault in words for people."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestra import __version__
from orchestra.errors import EXIT_BUG, MachineError, OrchestraError
from orchestra.ledger.disk import replace_file
from orchestra.runtime.mask import Masks

SIGNAL_NAMES: Final = {1: "SIGHUP", 2: "SIGINT", 15: "SIGTERM"}


@dataclass(slots=True)
class Ending:
    """The request to end a run early, and its reason.

    Attributes:
        asked: the signal that asked for the end; 0 for none. Set in a signal handler.
        signal: the same signal, once the run has acted on it.
        fault: the error that ends the run.
    """

    asked: int = 0
    signal: int = 0
    fault: OrchestraError | None = None

    def begun(self) -> bool:
        """Return whether the run ends before its time: nothing more is started or repeated."""
        return bool(self.signal) or self.fault is not None

    def interrupted(self) -> bool:
        """Return whether the end was asked for."""
        return bool(self.asked)


class BugError(OrchestraError):
    """A run met a mistake of ours; its record up to that point remains valid."""

    exit_code = EXIT_BUG


def fault_of(error: Exception, folder: Path, masks: Masks) -> OrchestraError:
    """Return a known error as it is, a system that refuses, or a bug of ours with a file to send.

    Args:
        error: what was raised.
        folder: the run's; `bug.txt` is written there.
        masks: take secrets out of the file.
    """
    if isinstance(error, OrchestraError):
        return error
    if isinstance(error, OSError):
        return MachineError(f"the system refuses: {error}", "make room, or raise the limit that was reached")
    file = folder / "bug.txt"
    text = f"orchestra {__version__}, Python {sys.version}, {sys.platform}\n\n"
    text += masks.text("".join(traceback.format_exception(error)))
    try:
        replace_file(file, text.encode(errors="backslashreplace"))
    except MachineError:
        hint = f"please report it with these lines:\n{text}"
    else:
        hint = f"please report it and attach {file}"
    return BugError(f"this is a bug of orchestra: {type(error).__name__}: {masks.text(str(error))}", hint)
