"""Find an evidence file that a ledger names, in the folder of the run.

A ledger is input: anyone may have written its paths. A report shows what evidence holds, so no other file of the project is
evidence, which may hold the secrets of its user.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


def evidence_file(folder: Path, path: str) -> Path:
    """Return the file that a path of evidence names.

    Args:
        folder: the run's, absolute.
        path: relative to it, as an event has it.

    Raises:
        OSError: the path is absolute, or it is outside the folder, by itself or by a link.
    """
    if path.startswith("/"):
        raise OSError(errno.EINVAL, "its path is absolute, not relative to the run", path)
    file = Path(os.path.normpath(folder / path))
    if not file.is_relative_to(folder) or not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder)):
        raise OSError(errno.EINVAL, "it is outside the folder of the run", path)
    return file
