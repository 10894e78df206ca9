"""`orchestra run --repeat` and `--until-fail`: runs of the same tests, one after the other, each with a record of its own."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from orchestra.draw import terminal_table
from orchestra.errors import EXIT_SIGINT
from orchestra.ledger.outcome import GOOD
from orchestra.ledger.runs import last_ended
from orchestra.ledger.view import look
from orchestra.report.console.lines import line
from orchestra.verbs.group import say


def repeat(home: Path, run_once: Callable[[], int], *, times: int | None, until_fail: bool) -> int:
    """Run tests several times, print how often each was good, and return the worst exit code.

    Args:
        home: `.orchestra/<suite>`, absolute.
        run_once: carries out one run, and returns its exit code.
        times: so many runs; None for no limit.
        until_fail: stop after the first run that is not good.
    """
    good: Counter[str] = Counter()
    executed: Counter[str] = Counter()
    codes: list[int] = []
    failed: list[str] = []
    while times is None or len(codes) < times:
        before = last_ended(home)
        codes.append(run_once())
        last = last_ended(home)
        if last is None or last == before:  # refused before its record was open
            break
        if codes[-1]:
            failed.append(last.name)
        for task, given in look(last, steps=False).verdicts.items():
            if given.attempts:
                executed[task] += 1
                good[task] += given.verdict in GOOD
        if codes[-1] >= EXIT_SIGINT or (until_fail and codes[-1]):
            break
    sys.stdout.flush()
    say("")
    say(
        line(
            "repeated",
            f"{len(codes)} run{'s' * (len(codes) != 1)}, {len(failed)} not good: {', '.join(failed) or 'none'}",
        )
    )
    rows = [(task, f"{good[task]} of {executed[task]}") for task in executed]
    say(terminal_table(("test", "passed"), rows))
    return max(codes)
