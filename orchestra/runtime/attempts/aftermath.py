"""Process the files of an attempt that has ended, before it is recorded.

The logs of its services are searched and kept, secrets are taken out, and what is beyond the limit goes. How long that
takes is decided by what the product, its services and the patterns of the spec have made; so it is done in a thread of
its own, next to the loop of the run, unless there is little to do.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from orchestra.plan import Test
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.limit import within_limit
from orchestra.runtime.attempts.log_finding import patterns_of, with_log_findings
from orchestra.runtime.attempts.window import Mark, wants_evidence, with_services
from orchestra.runtime.attempts.without_secrets import without_secrets
from orchestra.runtime.bounded.pool import StoppedError
from orchestra.runtime.mask import Masks

LITTLE_BYTES = 1 << 20
"""So much is dealt with by the loop itself, where all of it is in files that this program has made."""

_PLAIN = frozenset({"output.log", "console.log", "network.jsonl", "network.log", "mcp.jsonl"})
"""Files of an attempt that are never packed."""


class Work(NamedTuple):
    """The processing of an attempt.

    Attributes:
        test: its own.
        method: its own.
        run: the run's folder.
        folder: the attempt's, absolute.
        begun: where the logs of its services ended when it began, by component; of a repeat nothing.
    """

    test: Test
    method: str
    run: Path
    folder: Path
    begun: Mapping[str, Mark]


class Ended(NamedTuple):
    """An attempt that can be recorded, or what kept it from that."""

    result: Result
    error: Exception | None = None


class Aftermath:
    """One thread owns it.

    Args:
        work_of: what is to be done for the attempt of a result.
        masks: of the run.
        hear: has what the services have written in their logs; called by any thread.
        wake: called when something is done, by its thread.
    """

    def __init__(
        self, work_of: Callable[[Result], Work], masks: Masks, hear: Callable[[], None], wake: Callable[[], None]
    ) -> None:
        self._work_of = work_of
        self._masks = masks
        self._hear = hear
        self._wake = wake
        self._ending = threading.Event()
        self._done: deque[Ended] = deque()

    def sift(self, results: Iterable[Result], *, ending: bool = False) -> list[Ended]:
        """Return the attempts for which everything is done.

        Args:
            results: that have just come.
            ending: the run is ending: do not wait for patterns. Texts that were not searched count as interrupted.
        """
        if ending:
            self._ending.set()
        for result in results:
            work = self._work_of(result)
            if self._is_little(work):
                self._do(result, work)
            else:
                name, words = f"aftermath of {result.task}", (result, work)
                threading.Thread(target=self._aside, args=words, name=name, daemon=True).start()
        ready = []
        while self._done:
            ready.append(self._done.popleft())
        return ready

    def _is_little(self, work: Work) -> bool:
        if work.begun and patterns_of(work.test, work.method):
            return False
        if not self._masks:
            return True
        size = 0
        try:
            with os.scandir(work.folder) as entries:
                for entry in entries:
                    if entry.name not in _PLAIN:
                        return False
                    size += entry.stat(follow_symlinks=False).st_size
        except OSError:
            return True  # it has no files
        return size <= LITTLE_BYTES

    def _aside(self, result: Result, work: Work) -> None:
        self._do(result, work)
        self._wake()

    def _do(self, result: Result, work: Work) -> None:
        try:
            self._done.append(Ended(self._all_of(result, work)))
        except Exception as error:  # noqa: BLE001 - it is raised where the attempt is recorded
            self._done.append(Ended(result, error))

    def _all_of(self, result: Result, work: Work) -> Result:
        result = self._searched(result, work)
        if work.begun and wants_evidence(work.test, result):
            self._hear()
            result = with_services(result, work.run, work.folder, work.begun)
        return within_limit(without_secrets(result, self._masks, work.folder), work.test, work.folder)

    def _searched(self, result: Result, work: Work) -> Result:
        if result.outcome == "interrupted" or not (work.begun and patterns_of(work.test, work.method)):
            return result
        self._hear()
        try:
            return with_log_findings(result, work.test, work.method, work.run, work.begun, stop=self._ending.is_set)
        except StoppedError:
            return msgspec.structs.replace(result, outcome="interrupted", failure=None)
