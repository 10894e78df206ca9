"""A case: one test inside of a suite that another runner executed. Pure."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

CaseVerdict: TypeAlias = Literal["passed", "flaky", "failed", "timeout", "error", "skipped", "interrupted"]

BAD: Final[frozenset[CaseVerdict]] = frozenset({"failed", "timeout", "error", "interrupted"})
"""Verdicts of a case that fail its test unless each such case is excused."""


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """One test of a wrapped suite, as its runner reports it.

    Attributes:
        name: unique in its report, the same in each run: `login.spec.ts`, the separator of `text`, `signs in`.
        verdict: `flaky` passed after the runner itself had tried it again; an expected failure is a pass.
        seconds: of the execution that counts.
        retries: how often the runner tried it again.
        message: why it did not pass, or why it was skipped; of a flaky case, why it failed first. Masked, without escape codes.
        more: its further failures: soft assertions, parts of it, its tear-down.
        cause: class of the failure as the runner names it: `AssertionError`, `expect.toBe`.
        attachments: paths of its files as the runner wrote them.
    """

    name: str
    verdict: CaseVerdict
    seconds: float = 0.0
    retries: int = 0
    message: str = ""
    more: tuple[str, ...] = ()
    cause: str = ""
    attachments: tuple[str, ...] = ()
