"""A case: one test inside of a suite that another runner executed. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Final, Literal, TypeAlias

from orchestra.ledger.parts import Id, Part, Seconds, means

CaseVerdict: TypeAlias = Literal["passed", "flaky", "failed", "timeout", "error", "skipped", "interrupted"]

BAD: Final[frozenset[CaseVerdict]] = frozenset({"failed", "timeout", "error", "interrupted"})
"""Verdicts of a case that fail its test unless each such case is excused."""

EXCUSED: Final = "excused"
"""The count of an excused case, whatever its verdict."""

MARK: Final = "::"
"""Between a task and the name of one of its cases."""


class Case(Part, frozen=True):
    """One test of a wrapped suite, as its runner reports it."""

    name: Annotated[str, means("unique in its report: `tests/test_cart.py::test_adds`")]
    verdict: Annotated[
        CaseVerdict, means("`flaky`: it passed after the runner had tried it again; an expected failure is a pass")
    ]
    seconds: Seconds = 0.0
    retries: Annotated[int, means("how often the runner tried it again")] = 0
    message: Annotated[
        str, means("why it did not pass, or why it was skipped; of a flaky case, why it failed first")
    ] = ""
    more: Annotated[tuple[str, ...], means("its further failures: soft assertions, parts of it, its tear-down")] = ()
    cause: Annotated[str, means("class of the failure as the runner names it: `AssertionError`")] = ""
    attachments: Annotated[
        tuple[str, ...],
        means("its files: below the attempt's folder if they were retained, else as the runner wrote their paths"),
    ] = ()
    excused: Annotated[str, means("why it does not fail its test, though it did not pass")] = ""
    of: Annotated[Id, means("the test that it is compared with, as `cases` of the command names it")] = ""

    @property
    def bad(self) -> bool:
        """Whether it did not pass and nothing excuses it."""
        return self.verdict in BAD and not self.excused

    @property
    def line(self) -> str:
        """Its name, and the first line of why it did not pass."""
        first = next(iter(self.message.splitlines()), "")
        return f"{self.name}: {first or self.verdict}"

    @property
    def texts(self) -> tuple[str, ...]:
        """Each failure of it, after its name: the texts in which the patterns of `known_failures` are looked for."""
        return tuple(f"{self.name}: {text}" for text in (self.message or self.verdict, *self.more))


def is_named(name: str, globs: Iterable[str]) -> bool:
    """Return whether a glob fits the name of a case. Only `*` means more than itself: names have brackets."""
    return any(re.fullmatch(".*".join(map(re.escape, glob.split("*"))), name) for glob in globs)


def counted(cases: Iterable[Case]) -> dict[str, int]:
    """Return how many cases have each verdict; those that are excused are counted as that."""
    return dict(sorted(Counter(EXCUSED if case.excused else case.verdict for case in cases).items()))
