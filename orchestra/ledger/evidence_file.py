"""Find an evidence file that a ledger names: in the folder of the run, or elsewhere in the project.

A ledger is input: anyone may have written its paths.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from orchestra.nofollow import BELOW


def evidence_file(folder: Path, path: str) -> Path:
    """Return the file that a path of evidence names.

    Args:
        folder: the run's, absolute.
        path: relative to it, as an event has it.

    Raises:
        OSError: the path is absolute, or it is outside the project, by itself or by a link.
    """
    if path.startswith("/"):
        raise OSError(errno.EINVAL, "its path is absolute, not relative to the run", path)
    parts = folder.parts
    root = Path(*parts[: parts.index(BELOW)]) if BELOW in parts else folder
    file = Path(os.path.normpath(folder / path))
    if not file.is_relative_to(root) or not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root)):
        raise OSError(errno.EINVAL, "it is outside the project", path)
    return file
