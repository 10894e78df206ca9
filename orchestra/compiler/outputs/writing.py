"""Change several files or none: stage them next to their destinations, move them, and move them back if one move fails.

A kill between two moves leaves some files new and some old, each of them whole.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from orchestra.errors import MachineError


class Change(NamedTuple):
    """The change of one file.

    Attributes:
        path: as the user knows it, for messages.
        target: the real path.
        old: its bytes now; None when there is no file.
        new: its bytes then; None removes it.
    """

    path: str
    target: Path
    old: bytes | None
    new: bytes | None


@dataclass(slots=True)
class _Stage:
    """The temporary files and folders of one attempt, and the moves that were done."""

    folders: list[Path] = field(default_factory=list)
    fresh: dict[Path, Path] = field(default_factory=dict)
    former: dict[Path, Path] = field(default_factory=dict)
    moved: list[Change] = field(default_factory=list)


def write_all(changes: Sequence[Change]) -> None:
    """Make all changes, in the order given, or none.

    Raises:
        MachineError: the disk or a folder refuses; everything is as it was before.
    """
    if not changes:
        return
    stage = _Stage()
    current = changes[0]
    try:
        for current in changes:
            _prepare(stage, current)
        # After all are written: the first sync takes the others' data along, so that theirs cost next to nothing.
        for current in changes:
            _sync(stage, current)
        for current in changes:
            _move(stage, current)
            stage.moved.append(current)
        _sync_folders(changes)
    except BaseException as error:
        lost = _undo(stage)
        if isinstance(error, OSError):
            raise _refused(error, current, lost) from error
        raise
    finally:
        _sweep(stage)
    for change in changes:
        if change.new is None:
            # An emptied folder of ours goes too; one that holds anything refuses.
            with contextlib.suppress(OSError):
                change.target.parent.rmdir()


def _refused(error: OSError, change: Change, lost: Sequence[str]) -> MachineError:
    after = f"; these could not be restored: {', '.join(lost)}" if lost else "; nothing was changed"
    return MachineError(
        f'"{change.path}" cannot be written: {error.strerror or error}{after}',
        "make room on the disk, or make the folder writable, and compile again",
    )


def _prepare(stage: _Stage, change: Change) -> None:
    """Do all that can fail for want of room or rights before the first file is touched."""
    for folder in _missing_folders(change.target.parent):
        folder.mkdir()
        stage.folders.append(folder)
    mode = change.target.stat().st_mode & 0o777 if change.old is not None else None
    if change.new is not None:
        stage.fresh[change.target] = _write(_beside(change.target, "new"), change.new, mode)
    if change.old is not None:
        stage.former[change.target] = _write(_beside(change.target, "old"), change.old, mode)


def _missing_folders(folder: Path) -> list[Path]:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    return missing[::-1]


def _beside(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{kind}")


def _write(path: Path, content: bytes, mode: int | None) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if mode is not None:
            path.chmod(mode)
    except BaseException:
        path.unlink()
        raise
    return path


def _sync(stage: _Stage, change: Change) -> None:
    """Sync the staged content of a change; a disk may report only now that it is full."""
    for staged in (stage.fresh, stage.former):
        if change.target in staged:
            _sync_path(staged[change.target])


def _sync_path(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move(stage: _Stage, change: Change) -> None:
    if change.new is None:
        change.target.unlink()
    else:
        stage.fresh[change.target].replace(change.target)


def _undo(stage: _Stage) -> list[str]:
    """Move the former files back, and name those that could not be."""
    lost = []
    for change in reversed(stage.moved):
        try:
            if change.old is None:
                change.target.unlink()
            else:
                stage.former[change.target].replace(change.target)
        except OSError:
            kept = stage.former.pop(change.target, None)
            lost.append(f'"{change.path}"' + (f" (its former content is in {kept})" if kept else ""))
    _sweep(stage)
    for folder in reversed(stage.folders):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return lost


def _sweep(stage: _Stage) -> None:
    for path in (*stage.fresh.values(), *stage.former.values()):
        with contextlib.suppress(OSError):
            path.unlink()


def _sync_folders(changes: Sequence[Change]) -> None:
    for folder in _unique_folders(changes):
        _sync_path(folder)


def _unique_folders(changes: Sequence[Change]) -> Iterator[Path]:
    yield from dict.fromkeys(change.target.parent for change in changes)
