"""Errors in the logs of services while an attempt ran: lines that a pattern of the spec fits.

May import `finding`, `patterns`, `window`. `LogSearches` looks for them while the run goes on: what a service wrote and
what a pattern makes of it decide how long that takes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from orchestra.plan import Test
from orchestra.runtime.attempt import Finding, Result
from orchestra.runtime.bounded import patterns
from orchestra.runtime.bounded.patterns import PatternError
from orchestra.runtime.finding import KEPT_FINDINGS, errors_of, failed_by, finding, pattern_failure
from orchestra.runtime.window import Mark, parts

LINE_LETTERS = 500

_STAMP = r"\d\d:\d\d:\d\d\.\d{3} "
"""What `service.Journal` puts before each line: the service did not write it, so no pattern has to know of it."""


def patterns_of(test: Test, method: str) -> Mapping[str, tuple[str, ...]]:
    """What is looked for in logs, by component; nothing where the layer is ignored."""
    errors = errors_of(test, method)
    return {} if errors.service_logs == "ignore" else errors.log_patterns


def with_log_findings(result: Result, test: Test, method: str, run: Path, begun: Mapping[str, Mark]) -> Result:
    """The result with what the services that the test requires wrote since its start, where a pattern fits a line.

    A pattern that cannot be searched for makes an error of it.

    Args:
        result: of the attempt.
        test: its own.
        method: its own.
        run: the run's folder.
        begun: where the logs ended when it began, by component.
    """
    errors, found = errors_of(test, method), list[Finding]()
    for name, wanted in patterns_of(test, method).items():
        for part in parts(run, name, begun[name]) if name in begun else ():
            with suppress(OSError):  # a log that cannot be read has no findings
                try:
                    hits = patterns.in_file(
                        wanted,
                        *part,
                        letters=LINE_LETTERS,
                        most=KEPT_FINDINGS,
                        stamp=_STAMP,
                        unless=errors.allow,
                        prefix=f"{name}: ",
                    )
                except PatternError as error:
                    keys = ("log_patterns", name) if error.pattern in wanted else ("allow",)
                    failure = pattern_failure(error, test, method, *keys)
                    return msgspec.structs.replace(result, outcome="error", failure=failure)
                where = part.log.relative_to(run)
                found += [finding(errors, "service_logs", f"{name}: {hit.text}", f"{where}:{hit.line}") for hit in hits]
    return failed_by(result, found, f"/tests/{test.of or test.id}") if found else result


class Search(NamedTuple):
    """What is to be searched for an attempt: the arguments of `with_log_findings` after the first."""

    test: Test
    method: str
    run: Path
    begun: Mapping[str, Mark]


class LogSearches:
    """Results whose logs are being searched, each in a thread of its own. One thread owns it.

    Args:
        search_of: what is to be searched for the attempt of a result; None for nothing.
        hear: has what the services have written in their logs; called by the threads.
        wake: called when a search has ended, by its thread.
    """

    def __init__(
        self, search_of: Callable[[Result], Search | None], hear: Callable[[], None], wake: Callable[[], None]
    ) -> None:
        self._search_of = search_of
        self._hear = hear
        self._wake = wake
        self._held: dict[str, Result] = {}
        self._done: deque[tuple[Result, Result | Exception]] = deque()

    def sift(self, results: Iterable[Result], *, at_once: bool = False) -> list[Result]:
        """The results that need no search, and those whose search has ended.

        Args:
            results: that have just come.
            at_once: the run is being ended: hold nothing back. What has not been searched counts as interrupted.
        """
        ready = []
        for result in results:
            search = self._search_of(result) if result.outcome != "interrupted" else None
            if search is None:
                ready.append(result)
                continue
            self._held[result.task] = result
            if not at_once:
                threading.Thread(target=self._look, args=(result, search), name=result.task, daemon=True).start()
        while self._done:
            asked, found = self._done.popleft()
            if self._held.get(asked.task) is asked:
                del self._held[asked.task]
                if isinstance(found, Exception):
                    raise found
                ready.append(found)
        if at_once:
            ready += [msgspec.structs.replace(one, outcome="interrupted", failure=None) for one in self._held.values()]
            self._held.clear()
        return ready

    def _look(self, result: Result, search: Search) -> None:
        try:
            self._hear()
            found: Result | Exception = with_log_findings(result, *search)
        except Exception as error:  # noqa: BLE001 - the owner's thread raises it
            found = error
        self._done.append((result, found))
        self._wake()
