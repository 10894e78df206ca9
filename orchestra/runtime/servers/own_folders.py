"""The folders of the instances of components with `per: worker`: `${worker.dir}`, for what servers of one worker share.

They are in the folder of the run while it lasts, readable by its user alone, and removed at its end: databases and uploads
hold what no mask has seen. They are no evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestra import nofollow
from orchestra.ledger.disk import disk_error, remove_tree
from orchestra.ledger.runs import runs_of

FOLDER = "per_worker"
"""Their folder, in that of the run."""


class OwnFolders:
    """The folders of one run, fresh when it begins, a resumed one too.

    Args:
        folder: of the run.
        number: how many; with 0 nothing is touched.

    Raises:
        MachineError: the disk refuses.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder / FOLDER
        self._number = number
        if number:
            remove_tree(self._folder)
        for worker in range(1, number + 1):
            try:
                nofollow.make_folders(self._folder / str(worker))
            except OSError as error:
                raise disk_error(error, self._folder, "write") from error

    def names(self, worker: int) -> Mapping[str, str]:
        """Return the names of an instance with their values; none for a component of which there is one."""
        return {"worker.dir": str(self._folder / str(worker)), "worker.number": str(worker)} if worker else {}

    def remove(self) -> None:
        """Remove them. Raises MachineError: the disk refuses."""
        if self._number:
            remove_tree(self._folder)


def left(home: Path) -> list[Path]:
    """Return such folders below a suite's folder."""
    return [folder for run in runs_of(home) if nofollow.is_folder(folder := home / "runs" / run / FOLDER)]


def remove_left(home: Path, own: str = "") -> None:
    """Remove what killed runs have left. The suite's lock must be held: no run is in progress.

    Args:
        home: `.orchestra/<suite>`, absolute.
        own: the run that resumes, which makes its own again.

    Raises:
        MachineError: the disk refuses.
    """
    for folder in left(home):
        if folder.parent.name != own:
            remove_tree(folder)
