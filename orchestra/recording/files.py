"""The files that a recorded test uploads: paths inside the project, as a spec has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestra.recording.draft import Draft


def relative(draft: Draft, root: Path, copy: Callable[[Path], str]) -> None:
    """Replace the paths of uploads by paths below the root.

    Args:
        draft: whose steps are changed.
        root: of the project.
        copy: takes a file from elsewhere into the project, and returns its path there.
    """
    for step in draft.steps:
        upload = step.get("upload")
        if upload is not None:
            upload["files"] = [_path(path, draft, root, copy) for path in upload["files"]]


def _path(written: str, draft: Draft, root: Path, copy: Callable[[Path], str]) -> str:
    path = root / written
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        real = path
    if real.is_relative_to(root):
        if not real.is_file():
            draft.note(f'the file "{written}" of an upload is not there')
        return real.relative_to(root).as_posix()
    return copy(real)
