"""What ended a run before its time, in words for people. May import `mask` and what lies below."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from orchestra import __version__
from orchestra.errors import EXIT_BUG, MachineError, OrchestraError
from orchestra.ledger.disk import replace_file
from orchestra.runtime.mask import Masks


class BugError(OrchestraError):
    """A run met a mistake of ours; what it had recorded until then stands."""

    exit_code = EXIT_BUG


def fault_of(error: Exception, folder: Path, masks: Masks) -> OrchestraError:
    """A known error as it is, a system that refuses, or a bug of ours with a file to send.

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
