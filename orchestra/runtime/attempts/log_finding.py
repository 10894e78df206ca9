"""Errors in the logs of services while an attempt ran: lines that a pattern of the spec fits.

The duration depends on the output of a service and on the patterns, so `aftermath` searches next to the loop of the
run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestra.instances import component_of
from orchestra.ledger.parts import Finding
from orchestra.plan import Test
from orchestra.runtime.attempt import Result
from orchestra.runtime.attempts.finding import KEPT_FINDINGS, errors_of, failed_by, finding, pattern_failure
from orchestra.runtime.attempts.window import Mark, parts
from orchestra.runtime.bounded import patterns
from orchestra.runtime.bounded.patterns import PatternError

LINE_LETTERS = 500

_STAMP = r"\d\d:\d\d:\d\d\.\d{3} "
"""The prefix that `service.Journal` adds to each line; the service did not write it, so patterns do not see it."""


def patterns_of(test: Test, method: str) -> Mapping[str, tuple[str, ...]]:
    """Return the patterns for logs, by component; empty if the layer is ignored."""
    errors = errors_of(test, method)
    return {} if errors.service_logs == "ignore" else errors.log_patterns


def with_log_findings(
    result: Result,
    test: Test,
    method: str,
    run: Path,
    begun: Mapping[str, Mark],
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Return the result with what the services that the test requires wrote since its start, where a pattern fits a
    line.

    A pattern that cannot be searched for makes an error of it.

    Args:
        result: of the attempt.
        test: its own.
        method: its own.
        run: the run's folder.
        begun: where the logs ended when it began, by component.
        stop: whether the search is to be given up; asked all the time.

    Raises:
        StoppedError: it was given up.
    """
    errors, found = errors_of(test, method), list[Finding]()
    logs = {component_of(row): row for row in begun}
    for component, wanted in patterns_of(test, method).items():
        name = logs.get(component, component)
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
                        stop=stop,
                    )
                except PatternError as error:
                    keys = ("log_patterns", component) if error.pattern in wanted else ("allow",)
                    failure = pattern_failure(error, test, method, *keys)
                    return msgspec.structs.replace(result, outcome="error", failure=failure)
                where = part.log.relative_to(run)
                found += [finding(errors, "service_logs", f"{name}: {hit.text}", f"{where}:{hit.line}") for hit in hits]
    return failed_by(result, found, f"/tests/{test.of or test.id}") if found else result
