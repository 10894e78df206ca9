"""Limit the size and duration of a download, the same by both browser methods.

Where the browser writes is a folder of ours, so the size is known while the file grows, whatever its head declares.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchestra.runtime.driver.contract import Job, StepError, unmet
from orchestra.runtime.driver.wording import quoted, seconds_text

LOOK_SECONDS = 0.05
"""The period at which a running download is checked."""

MEGABYTE = 1_000_000
"""In bytes."""


@dataclass
class Guard:
    """The limits of one `download` step.

    Attributes:
        job: the step; its time begins now.
        folder: where the browser writes.
        over: which limit is over.
        began: whether the download has begun.
        file: where the whole of it is, once it has ended.
        failed: why it failed, once it has.
    """

    job: Job
    folder: Path
    over: Literal["", "time", "size"] = ""
    began: bool = False
    file: Path | None = None
    failed: str = ""
    _before: frozenset[str] = field(init=False)
    _end: float = field(init=False)
    _bytes: int = 0

    def __post_init__(self) -> None:
        self._before = frozenset(self._sizes())
        self._end = self.job.deadline.clock() + self.seconds()

    def seconds(self) -> float:
        """Return the limit of the whole download."""
        return self.job.deadline.limit(float(self.job.args["within_seconds"]))

    def left(self) -> float:
        """Seconds until the time is over."""
        return max(0.0, self._end - self.job.deadline.clock())

    def look(self) -> bool:
        """Return True if a limit is over."""
        self.began, self._bytes = True, self._size()
        if self._bytes > float(self.job.args["limit_megabytes"]) * MEGABYTE:
            self.over = "size"
        elif not self.left():
            self.over = "time"
        return bool(self.over)

    def failure(self) -> StepError:
        """Return the failure of a step whose limit is over."""
        name = quoted(self.job.text("as"))
        if self.over == "size":
            most = f"{float(self.job.args['limit_megabytes']):g} MB"
            message, hint = f"the download {name} has more than {most}", "raise `limit_megabytes` of the step"
            return unmet(message, expected=f"at most {most}", found="more", hint=hint)
        limit = seconds_text(self.job.allowed(float(self.job.args["within_seconds"])))
        found = f"{self._bytes / MEGABYTE:.3g} MB by then"
        return unmet(f"the download {name} did not end within {limit}", expected="a whole file", found=found)

    def ended(self) -> bool:
        """Return whether the download has come to its end, or has run out of its time before it began."""
        return self.file is not None or bool(self.failed or self.over) or not self.left()

    def _size(self) -> int:
        """Return the size of what was written since the step began, whole or in part."""
        return sum(size for name, size in self._sizes().items() if name not in self._before)

    def _sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    found[entry.name] = entry.stat(follow_symlinks=False).st_size
        except OSError:
            return found  # a file that was given up meanwhile
        return found
