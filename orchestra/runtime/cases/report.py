"""A runner's report as it is being read: cases, and failures outside of any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from orchestra.ledger.case import BAD, Case, CaseVerdict
from orchestra.runtime.cases.text import LETTERS, NAME_LETTERS, Mask, cause_of, name_of, tidy

CASES: Final = 20_000
"""A report of more is refused."""

FULL: Final = 200
"""So many failures have their whole messages; those after them the beginnings."""

SHORT_LETTERS: Final = 200
ERRORS: Final = 20
MORE: Final = 20
"""The number of further failures of one case that are separate; each must be excused by itself."""

ATTACHMENTS: Final = 100
"""The most for one case."""


class ReportError(Exception):
    """The file is not to be read; the message goes on after its name."""


@dataclass
class Report:
    """Cases in the order of the file, and what failed outside of any case."""

    mask: Mask
    cases: list[Case] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _bad: int = 0

    def case(
        self,
        parts: Sequence[str],
        verdict: CaseVerdict,
        *,
        seconds: float = 0.0,
        retries: int = 0,
        messages: Sequence[str] = (),
        cause: str = "",
        attachments: Sequence[str] = (),
    ) -> Case:
        """Return a case of texts as the runner wrote them.

        Args:
            parts: names of what it is in, outermost first, and its own.
            verdict: its.
            seconds: of the execution that counts.
            retries: how often it was tried again.
            messages: why it did not pass, the first reason first.
            cause: class of the failure.
            attachments: paths of its files.
        """
        self._bad += verdict in BAD
        letters = LETTERS if self._bad <= FULL else SHORT_LETTERS
        shown = next((tidy(text, self.mask, letters) for text in messages), "")
        named = cause_of(cause, shown) if verdict not in {"passed", "skipped"} else ""
        return Case(
            name=name_of(parts, self.mask) or "(without a name)",
            verdict=verdict,
            seconds=round(seconds, 6),
            retries=retries,
            message=shown,
            more=tuple(tidy(text, self.mask, letters) for text in messages[1 : MORE + 1]),
            cause=tidy(named, self.mask, NAME_LETTERS),
            attachments=tuple(dict.fromkeys(attachments))[:ATTACHMENTS],
        )

    def add(self, case: Case) -> int:
        """Add a case and return its index. One of a name that another one has gets a number, so that both count.

        Raises:
            ReportError: there are too many.
        """
        if len(self.cases) == CASES:
            raise ReportError(f"has more than {CASES} cases: run the suite in parts")
        number = self._numbers[case.name] = self._numbers.get(case.name, 0) + 1
        self.cases.append(case if number == 1 else msgspec.structs.replace(case, name=f"{case.name} ({number})"))
        return len(self.cases) - 1

    def error(self, message: str) -> None:
        """Add a failure outside of any case."""
        if len(self.errors) < ERRORS:
            self.errors.append(tidy(message, self.mask))
